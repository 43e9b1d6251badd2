//! The OCI image specification's JSON schemas, on its own documents and on what the native builder
//! writes.

use std::error::Error;

use deployctl::build::Native;
use deployctl::image::{BuiltImage, Compression, Method, Recipe};
use jsonschema::{Draft, Retrieve, Uri, Validator};
use serde_json::Value;

use super::{Tally, cases};
use crate::support::image::{Workshop, config, copies, manifest};

/// The schemas by file name.
#[derive(Clone)]
struct Schemas(Value);

impl Schemas {
    fn read() -> Option<(Self, Value)> {
        let folder = cases("oci-schema")?;
        let read = |file: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
        };
        Some((Self(read("schemas.json")["schemas"].take()), read("cases.json")["cases"].take()))
    }

    fn validator(&self, file: &str) -> Validator {
        let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
        options.with_retriever(self.clone()).build(&self.0[file]).unwrap()
    }
}

impl Retrieve for Schemas {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let file = uri.path().as_str().rsplit('/').next().unwrap_or_default();
        self.0.get(file).cloned().ok_or_else(|| format!("no schema {uri}").into())
    }
}

const KINDS: [(&str, &str); 5] = [
    ("config", "config-schema.json"),
    ("manifest", "image-manifest-schema.json"),
    ("imageIndex", "image-index-schema.json"),
    ("imageLayout", "image-layout-schema.json"),
    ("descriptor", "content-descriptor.json"),
];

/// What a schema can't decide: rules that only the specification's own code checks, and a document
/// that the collection cut out wrongly.
const NOT_BY_SCHEMA: [&str; 3] = [
    "expected failure: Env is invalid",
    "expected failure: digest does not match pattern (characters needs to be lower for sha256)",
    "expected pass: test bounds of algorithm field in digest.",
];

/// The specification's tests are the proof that these schemas, as they are read here, refuse
/// anything at all.
#[test]
fn the_schemas_decide_as_the_specification_s_tests_do() {
    let Some((schemas, documents)) = Schemas::read() else { return };
    let mut tally = Tally::default();
    for (kind, file) in KINDS {
        let validator = schemas.validator(file);
        for case in documents[kind].as_array().unwrap() {
            if NOT_BY_SCHEMA.contains(&case["comment"].as_str().unwrap_or_default()) {
                continue;
            }
            let document = serde_json::from_str(case["document"].as_str().unwrap());
            let found = document.is_ok_and(|document: Value| validator.is_valid(&document));
            tally.check(&case.to_string(), &found, &case["valid"].as_bool().unwrap());
        }
    }
    tally.finish("oci-schema");
}

fn recipe(platforms: &[&str], compression: Compression) -> Recipe {
    let mut recipe = copies(&[("app", "/bin/app"), (".", "/all")]);
    recipe.config.cmd = Some(vec!["serve".to_owned()]);
    recipe.config.env = [("A".to_owned(), "b".to_owned())].into();
    recipe.config.labels = [("k".to_owned(), "v".to_owned())].into();
    recipe.config.ports = vec!["8080".to_owned(), "53/udp".to_owned()];
    recipe.config.user = Some("65532:65532".to_owned());
    recipe.config.workdir = Some("/all".into());
    recipe.config.volumes = vec!["/data".into()];
    recipe.config.stop_signal = Some("SIGQUIT".to_owned());
    recipe.annotations = [("com.example.key".to_owned(), "v".to_owned())].into();
    recipe.compression = compression;
    let platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
    Recipe { context: ".".into(), platforms, method: Method::Native(Box::new(recipe)) }
}

impl Schemas {
    #[track_caller]
    fn check(&self, file: &str, document: &Value) {
        let validator = self.validator(file);
        let errors: Vec<String> =
            validator.iter_errors(document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}\n{document:#}");
    }

    fn check_image(&self, image: &BuiltImage) {
        self.check("config-schema.json", &config(image));
        self.check("image-manifest-schema.json", &manifest(image));
    }
}

#[tokio::test]
async fn native_images_are_valid_by_the_schemas() {
    let Some((schemas, _)) = Schemas::read() else { return };
    let workshop = Workshop::with(&[("app*", "x")]);
    for compression in [Compression::Gzip, Compression::Zstd] {
        for platforms in [&["linux/arm/v7"][..], &["linux/amd64", "linux/arm/v7"]] {
            workshop.tidy();
            let recipe = recipe(platforms, compression);
            let image = workshop.build_recipe(&Native::default(), &recipe, &[]).await.unwrap();
            if image.children.is_empty() {
                schemas.check_image(&image);
                continue;
            }
            schemas.check("image-index-schema.json", &manifest(&image));
            for child in &image.children {
                schemas.check_image(&BuiltImage { manifest: child.clone(), ..image.clone() });
            }
        }
    }
}
