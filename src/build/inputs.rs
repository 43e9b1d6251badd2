//! What decides an image, known before it is built: its inputs, and their digest.
//!
//! Inputs are facts, each with a kind, a name and a value: one for every file, folder and link that
//! the build sees, for every build argument, base image, platform and so on. They depend on what is
//! built and with what, and on nothing else of this machine: git, the context's place, the order of
//! folders and times of files do not show in them.
//!
//! The input digest is the sha256 of `deployctl.dev/inputs/v1` and a line end, and then of all facts in
//! the order of the bytes of kind and name: kind, name and value, each with the number of its bytes
//! in front, 8 bytes with the highest first. Two different sets of facts so never have the same text.
//! Whatever changes how facts are stated changes the version, and every image is built once more.
//!
//! What is not known before a build is not in it: what the steps of a Dockerfile fetch from the network,
//! and which engine builds it where the configuration names none. Where an `ADD` says by itself that it
//! brings such a thing there is no input digest ([`Inputs::unknown`]). Nor is who may read and write
//! a file: git does not keep that, and the umask of a checkout decides it.

mod blobs;
mod change;
mod dockerfile;
mod files;
mod memo;
mod record;

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::BuildError;
use super::context::Context;
use super::engine;
use super::native::{self, NATIVE_FORMAT};
use crate::image::{self, Digest, Dockerfile, Engine, ImageReference, Method, Recipe, Tag};
pub use blobs::{Blobs, FindIds};
pub use change::{Change, Difference};
pub use memo::Memo;
pub use record::{RECORD_TYPE, Record};

/// What the digest begins with.
const FORMAT: &str = "deployctl.dev/inputs/v1\n";

/// What tags begin with that state an input digest.
const TAG_PREFIX: &str = "input-";

/// How many hexadecimal digits of the input digest are in a tag.
const TAG_DIGITS: usize = 32;

/// How deployctl drives engines: it changes whenever the same Dockerfile would be built in another
/// way, with other arguments for example.
const ENGINE_FORMAT: &str = "1";

/// A Dockerfile longer than this is refused.
const LONGEST_DOCKERFILE: u64 = 1 << 20;

/// What an input is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputKind {
    /// A build argument; its value is the digest of what it is set to, as that may be a secret.
    Argument,
    /// A base image, by its reference; its value is its digest.
    Base,
    /// The builder, and the version of what it makes.
    Builder,
    /// Linux capabilities of a file of the context.
    Capabilities,
    /// The Dockerfile, or its ignore file.
    Dockerfile,
    /// Seconds since 1970 that every time in the image is set to.
    Epoch,
    /// A file of the context: whether it can be executed, and the digest of what is in it.
    File,
    /// A folder of the context.
    Folder,
    /// A file of the context that is another one of it under a second name.
    HardLink,
    /// A symbolic link of the context: its target.
    Link,
    /// The platforms that the image is for.
    Platforms,
    /// A part of the recipe of an image that deployctl makes by itself.
    Recipe,
    /// A secret that the build may read; what it is does not count.
    Secret,
    /// A socket, a pipe or a device of the context.
    Special,
    /// The stage of the Dockerfile that is built.
    Target,
}

impl InputKind {
    /// Returns the word for it, in the digest as well as for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Base => "base",
            Self::Builder => "builder",
            Self::Capabilities => "capabilities",
            Self::Dockerfile => "dockerfile",
            Self::Epoch => "epoch",
            Self::File => "file",
            Self::Folder => "folder",
            Self::HardLink => "hard-link",
            Self::Link => "link",
            Self::Platforms => "platforms",
            Self::Recipe => "recipe",
            Self::Secret => "secret",
            Self::Special => "special",
            Self::Target => "target",
        }
    }
}

/// All that decides an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    facts: BTreeMap<(InputKind, String), String>,
    bases: Result<Vec<ImageReference>, String>,
    unknown: Option<String>,
}

/// What inputs are asked for.
#[derive(Debug, Clone, Copy)]
pub struct InputRequest<'a> {
    /// The folder that the service's files are in; absolute.
    pub context: &'a Utf8Path,
    /// How the image is made.
    pub recipe: &'a Recipe,
    /// Seconds since 1970 that every time stamp in the image is set to (`SOURCE_DATE_EPOCH`).
    pub epoch: i64,
}

impl Inputs {
    /// Returns the inputs of an image but for the digests of its base images, which the caller finds
    /// out and adds ([`Inputs::bases`], [`Inputs::add_base`]). Files that `memo` knows are not read.
    ///
    /// # Errors
    ///
    /// Fails if the context, a file that the build would see, or the Dockerfile can't be read.
    pub fn read(request: &InputRequest<'_>, memo: &mut Memo) -> Result<Self, BuildError> {
        let mut inputs = Self { facts: BTreeMap::new(), bases: Ok(Vec::new()), unknown: None };
        inputs.add(InputKind::Epoch, "", request.epoch.to_string());
        let platforms: Vec<String> =
            request.recipe.platforms.iter().map(ToString::to_string).collect();
        inputs.add(InputKind::Platforms, "", platforms.join(","));
        match &request.recipe.method {
            Method::Native(native) => inputs.add_native(request, native, memo)?,
            Method::Dockerfile(dockerfile) => inputs.add_dockerfile(request, dockerfile, memo)?,
        }
        Ok(inputs)
    }

    /// Returns the base images whose digests decide.
    ///
    /// # Errors
    ///
    /// Fails with the reason if the Dockerfile does not tell; then there is no input digest.
    pub fn bases(&self) -> Result<&[ImageReference], &str> {
        self.bases.as_deref().map_err(String::as_str)
    }

    /// Returns why not all that decides the image is known before it is built, if it is not; then these
    /// inputs say of no other image that it is the same.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Adds the digest that a base image has now.
    pub fn add_base(&mut self, reference: &ImageReference, digest: &Digest) {
        self.add(InputKind::Base, &reference.to_string(), digest.to_string());
    }

    /// Returns the input digest.
    pub fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(FORMAT);
        for ((kind, name), value) in &self.facts {
            for text in [kind.as_str(), name, value] {
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text);
            }
        }
        Digest::from_sha256(hasher.finalize().into())
    }

    /// Returns the tag of the image that has these inputs.
    pub fn tag(&self) -> Tag {
        let text = format!("{TAG_PREFIX}{}", &self.digest().hex()[..TAG_DIGITS]);
        text.parse().expect("letters, a dash and digits are a tag")
    }

    /// Returns the facts in the order of the digest.
    pub fn facts(&self) -> impl Iterator<Item = (InputKind, &str, &str)> {
        self.facts.iter().map(|((kind, name), value)| (*kind, name.as_str(), value.as_str()))
    }

    fn add(&mut self, kind: InputKind, name: &str, value: String) {
        self.facts.insert((kind, name.to_owned()), value);
    }

    fn add_native(
        &mut self,
        request: &InputRequest<'_>,
        native: &image::Native,
        memo: &mut Memo,
    ) -> Result<(), BuildError> {
        self.add(InputKind::Builder, "native", NATIVE_FORMAT.to_owned());
        let recipe = serde_json::to_value(native)
            .map_err(|error| BuildError::Recipe(format!("its text: {error}")))?;
        self.add_recipe("", &recipe);
        let context = Context::open(request.context, None)?;
        let entries = native::sources(&context, native, &request.recipe.platforms)?;
        for file in native::files(&context, &entries)? {
            if let Some(first) = file.same_as {
                self.add(InputKind::HardLink, file.path.as_str(), first.into_string());
            }
            if let Some(capabilities) = file.capabilities {
                let value = format!("{capabilities:?}");
                self.add(InputKind::Capabilities, file.path.as_str(), value);
            }
        }
        self.add_files(&context, entries, memo)?;
        self.bases = Ok(native.base.iter().cloned().collect());
        Ok(())
    }

    /// Adds the leaves of the recipe, each under its path.
    fn add_recipe(&mut self, path: &str, value: &Value) {
        let below = |key: &str| match path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        match value {
            // What is not said is as if there were no word for it.
            Value::Null => {}
            Value::Object(fields) if !fields.is_empty() => {
                fields.iter().for_each(|(key, value)| self.add_recipe(&below(key), value));
            }
            Value::Array(items) if !items.is_empty() => {
                let numbered = items.iter().enumerate();
                numbered.for_each(|(at, value)| self.add_recipe(&below(&at.to_string()), value));
            }
            leaf => self.add(InputKind::Recipe, path, leaf.to_string()),
        }
    }

    fn add_dockerfile(
        &mut self,
        request: &InputRequest<'_>,
        dockerfile: &Dockerfile,
        memo: &mut Memo,
    ) -> Result<(), BuildError> {
        let mut recipe = serde_json::to_value(dockerfile)
            .map_err(|error| BuildError::Recipe(format!("its text: {error}")))?;
        let engine = recipe["engine"].take();
        let engine = engine.as_str().unwrap_or("any engine");
        self.add(InputKind::Builder, engine, ENGINE_FORMAT.to_owned());
        if let Some(target) = recipe["target"].take().as_str() {
            self.add(InputKind::Target, "", target.to_owned());
        }
        for name in recipe["secrets"].take().as_array().into_iter().flatten() {
            self.add(InputKind::Secret, name.as_str().unwrap_or_default(), String::new());
        }
        recipe["args"].take();
        for (name, value) in &dockerfile.args {
            self.add(InputKind::Argument, name, Digest::of(value.as_bytes()).to_string());
        }
        recipe["file"].take();
        self.add_recipe("", &recipe);
        let file = engine::file(dockerfile);
        let context = Context::open(request.context, Some(&file))?;
        let text = read_text(&request.context.join(&file))?;
        self.add(InputKind::Dockerfile, file.as_str(), Digest::of(text.as_bytes()).to_string());
        if let Some(path) = context.ignore_file() {
            let name = path.strip_prefix(request.context).unwrap_or(path);
            let text = read_text(path)?;
            self.add(InputKind::Dockerfile, name.as_str(), Digest::of(text.as_bytes()).to_string());
        }
        let entries = context.entries(".".into())?;
        self.add_files(&context, entries, memo)?;
        let reading = dockerfile::read(&text, &dockerfile.args);
        self.unknown = reading.unknown;
        self.bases = reading.images.and_then(|mut bases| {
            // buildah and podman take the directive for a comment.
            if matches!(dockerfile.engine, None | Some(Engine::Docker)) {
                let frontend = dockerfile::frontend(&text, &dockerfile.args)?;
                bases.extend(frontend.filter(|frontend| !bases.contains(frontend)));
            }
            Ok(bases)
        });
        Ok(())
    }

    fn add_files(
        &mut self,
        context: &Context,
        entries: Vec<super::context::Entry>,
        memo: &mut Memo,
    ) -> Result<(), BuildError> {
        for (kind, path, value) in files::facts(context, entries, memo)? {
            self.add(kind, path.as_str(), value);
        }
        Ok(())
    }
}

/// Returns the base images that the Dockerfile in the folder `context` names, or why that can't be
/// told.
pub(super) fn bases_of(
    context: &Utf8Path,
    recipe: &Dockerfile,
) -> Result<Vec<ImageReference>, String> {
    let text = read_text(&context.join(engine::file(recipe))).map_err(|error| error.to_string())?;
    dockerfile::read(&text, &recipe.args).images
}

/// Returns whether `tag` states an input digest.
pub fn is_input_tag(tag: &str) -> bool {
    tag.strip_prefix(TAG_PREFIX).is_some_and(|digits| {
        digits.len() == TAG_DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn read_text(path: &Utf8Path) -> Result<String, BuildError> {
    let failed = |error: std::io::Error| BuildError::file(path, &error);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(BuildError::file(path, "it is not a file"));
    }
    if metadata.len() > LONGEST_DOCKERFILE {
        return Err(BuildError::file(path, "it is larger than 1 MiB"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
