//! The native builder's images, and what other programs make of them.

mod files;
mod places;
mod platforms;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use deployctl::build::{BuildError, Native};
use deployctl::image::{
    BaseImage, BlobContent, BuiltImage, Digest, Manifest, Method, Recipe, RunConfig,
};
use serde_json::json;

use crate::support::image::{
    Workshop, config, copies, layer, listing, manifest, output, write_layout,
};
use crate::support::peer;

const TREE: [(&str, &str); 6] = [
    ("bin/app*", "#!/bin/sh\necho hello\n"),
    ("site/index.html", "<h1>hello</h1>\n"),
    ("site/css/a.css", "h1 { color: red }\n"),
    ("site/latest", "-> index.html"),
    ("site/notes.tmp", "not for the image"),
    (".dockerignore", "**/*.tmp\n"),
];

fn recipe() -> deployctl::image::Native {
    let mut recipe = copies(&[("bin/app", "/bin/app"), ("site", "/srv/www")]);
    recipe.layers[1].owner = (65_532, 65_532);
    recipe
}

#[tokio::test]
async fn files_become_layers_and_nothing_else() {
    let workshop = Workshop::with(&TREE);
    let image = workshop.native(recipe()).await;
    let entries = listing(&image);
    assert_eq!(
        entries,
        [
            "0 bin/ 755 0:0 ",
            "0 bin/app 755 0:0 #!/bin/sh\necho hello\n",
            "1 srv/ 755 0:0 ",
            "1 srv/www/ 755 65532:65532 ",
            "1 srv/www/css/ 755 65532:65532 ",
            "1 srv/www/css/a.css 644 65532:65532 h1 { color: red }\n",
            "1 srv/www/index.html 644 65532:65532 <h1>hello</h1>\n",
            "1 srv/www/latest 777 65532:65532 -> index.html",
        ]
    );
    let config = config(&image);
    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("amd64")));
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
    assert_eq!(config["history"][1]["created_by"], "deployctl: site to /srv/www");
}

/// These digests change only when the format of native images does. Then say so in the changelog:
/// every image that is built anew gets a new digest.
#[tokio::test]
async fn the_digests_of_a_known_tree_are_known() {
    let image = Workshop::with(&TREE).native(recipe()).await;
    let digests: Vec<&str> = image.blobs.iter().map(|blob| blob.digest.as_str()).collect();
    assert_eq!(
        digests,
        [
            "sha256:709c0807a1cec90811b455082dc67810aafa2277eaafa50b5ff724d4f45b8b51",
            "sha256:8924899393159fce3330065691731f8b116ae7bb516a4f107ff9fd4e7a30e7d6",
            "sha256:3a3a23f0c04244d373a816af3698cbb3d1577c9db38c5154a0a75db5379ea726",
        ]
    );
    assert_eq!(
        image.manifest.digest().as_str(),
        "sha256:2a5ce3715a3acd23a3cdced4df0cfedd79ef7bc609a83c6c3d2b24c084e8b2a5"
    );
}

#[tokio::test]
async fn the_digest_does_not_depend_on_the_machine() {
    let expected = Workshop::with(&TREE).native(recipe()).await.manifest.digest();
    let other = Workshop::new();
    for (path, text) in TREE.iter().rev() {
        other.write(path, text);
    }
    for path in ["bin/app", "site", "site/css", "site/index.html", "site/css/a.css"] {
        let path = other.context().join(path);
        let executable = fs::metadata(&path).unwrap().mode() & 0o100;
        let private = fs::Permissions::from_mode(0o600 | executable);
        fs::File::open(&path)
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(86_400))
            .unwrap();
        fs::set_permissions(&path, private).unwrap();
    }
    assert_eq!(other.native(recipe()).await.manifest.digest(), expected);
}

#[tokio::test]
async fn the_digest_depends_on_all_that_matters() {
    let expected = Workshop::with(&TREE).native(recipe()).await.manifest.digest();
    let changes: [&[(&str, &str)]; 4] = [
        &[("site/index.html", "<h1>hallo</h1>\n")],
        &[("site/index.html*", "<h1>hello</h1>\n")],
        &[("site/new", "")],
        &[("site/other", "-> index.html")],
    ];
    for change in changes {
        let workshop = Workshop::with(&TREE);
        change.iter().for_each(|(path, text)| workshop.write(path, text));
        assert_ne!(workshop.native(recipe()).await.manifest.digest(), expected, "{change:?}");
    }
}

fn base(manifest_type: &str, config_type: &str, layer_type: &str) -> BaseImage {
    let config = json!({
        "architecture": "arm64", "os": "linux", "variant": "v8", "vendor.field": 1,
        "config": { "Env": ["PATH=/bin"], "Cmd": ["sh"], "User": "nobody" },
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"tar").as_str()] },
        "history": [{ "created": "2020-01-01T00:00:00Z", "created_by": "base" }],
    })
    .to_string();
    let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "size": bytes.len(), "digest": Digest::of(bytes).as_str() });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": descriptor(config_type, config.as_bytes()),
        "layers": [descriptor(layer_type, b"gzip")],
    });
    let manifest =
        Manifest { media_type: manifest_type.to_owned(), bytes: manifest.to_string().into() };
    let reference = format!("registry.example.com/base:1@{}", manifest.digest());
    BaseImage { reference: reference.parse().unwrap(), manifest, config: config.into() }
}

const OCI: [&str; 3] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
];
const DOCKER: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

fn native(recipe: deployctl::image::Native) -> Method {
    Method::Native(Box::new(recipe))
}

async fn on_base(
    base: &BaseImage,
    change: fn(&mut deployctl::image::Native),
) -> Result<BuiltImage, BuildError> {
    let mut recipe = recipe();
    change(&mut recipe);
    Workshop::with(&TREE).build(&Native::default(), native(recipe), Some(base)).await
}

#[tokio::test]
async fn an_image_on_a_base_keeps_the_base_s_media_types_and_layers() {
    for [manifest_type, config_type, layer_type] in [OCI, DOCKER] {
        let image = on_base(&base(manifest_type, config_type, layer_type), |_| {}).await.unwrap();
        assert_eq!(image.manifest.media_type, manifest_type);
        let manifest = manifest(&image);
        assert_eq!(manifest["mediaType"], manifest_type);
        assert_eq!(manifest["config"]["mediaType"], config_type);
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers.iter().all(|layer| layer["mediaType"] == layer_type), "{layers:?}");
        assert_eq!(image.inherited, [Digest::of(b"gzip")]);
        assert_eq!((layers.len(), image.blobs.len()), (3, 3));
        let config = config(&image);
        assert_eq!(config["architecture"], "arm64");
        assert_eq!(config["vendor.field"], 1);
        assert_eq!(config["config"]["User"], "nobody");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
        assert_eq!(config["history"].as_array().unwrap().len(), 3);
    }
}

/// The second image, on the first one, unpacks to the files of both.
#[tokio::test]
async fn a_native_image_is_a_base_for_another() {
    let Some(umoci) = peer("umoci") else { return };
    let workshop = Workshop::with(&TREE);
    let layout = workshop.path().join("layout");
    let first = workshop.native(recipe()).await;
    write_layout(&first, &layout).await;
    let reference = format!("registry.example.com/shop/base@{}", first.manifest.digest());
    let base = BaseImage {
        reference: reference.parse().unwrap(),
        manifest: first.manifest.clone(),
        config: config(&first).to_string().into(),
    };
    let mut second = copies(&[("site/css/a.css", "/srv/www/css/b.css")]);
    second.config.entrypoint = None;
    workshop.tidy();
    let method = native(second);
    let second = workshop.build(&Native::default(), method, Some(&base)).await.unwrap();
    write_layout(&second, &layout).await;
    let bundle = workshop.path().join("bundle");
    let image = format!("{layout}:latest");
    output(Command::new(&umoci).args(["unpack", "--image", &image]).arg(&bundle));
    let css = bundle.join("rootfs/srv/www/css");
    let owner = fs::metadata(&css).unwrap().uid();
    assert_eq!(owner, 65_532, "the folder keeps what the base says about it");
    assert_eq!(fs::read(css.join("a.css")).unwrap(), fs::read(css.join("b.css")).unwrap());
    assert_eq!(config(&second)["config"]["Entrypoint"], json!(["/bin/app"]));
}

/// An entry for a folder would replace the attributes that it has in the base.
#[tokio::test]
async fn folders_above_the_copied_files_are_left_to_the_base() {
    let (workshop, base) = (Workshop::with(&TREE), base(OCI[0], OCI[1], OCI[2]));
    let method = native(recipe());
    let image = workshop.build(&Native::default(), method, Some(&base)).await.unwrap();
    let entries = listing(&image);
    let paths: Vec<&str> = entries.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths[..2], ["bin/app", "srv/www/"]);
}

#[tokio::test]
async fn a_mixed_base_comes_out_unmixed() {
    let image = on_base(&base(OCI[0], OCI[1], DOCKER[2]), |_| {}).await.unwrap();
    assert_eq!(manifest(&image)["layers"][0]["mediaType"], OCI[2]);
}

#[track_caller]
fn refuses(built: Result<BuiltImage, BuildError>, reason: &str) {
    let error = built.unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[tokio::test]
async fn a_base_that_does_not_fit_is_refused() {
    let index = base("application/vnd.oci.image.index.v1+json", OCI[1], OCI[2]);
    refuses(on_base(&index, |_| {}).await, "is not the manifest of one image");
    let zstd = base(DOCKER[0], DOCKER[1], "application/vnd.oci.image.layer.v1.tar+zstd");
    refuses(on_base(&zstd, |_| {}).await, "does not allow layers of type");
    let fits = base(OCI[0], OCI[1], OCI[2]);
    let workshop = Workshop::with(&TREE);
    let built_for = async |platform: &str| {
        workshop.tidy();
        let (platforms, method) = (vec![platform.parse().unwrap()], native(recipe()));
        let recipe = Recipe { context: ".".into(), platforms, method };
        workshop.build_recipe(&Native::default(), &recipe, std::slice::from_ref(&fits)).await
    };
    refuses(built_for("linux/amd64").await, "it is for `linux/arm64/v8`, not `linux/amd64`");
    built_for("linux/arm64").await.unwrap();
}

async fn built(files: &[(&str, &str)], layers: &[(&str, &str)]) -> Result<BuiltImage, BuildError> {
    let recipe = native(copies(layers));
    Workshop::with(files).build(&Native::default(), recipe, None).await
}

#[tokio::test]
async fn what_no_layer_can_hold_is_refused() {
    let files = [("a/.wh.x", ""), ("b", "")];
    refuses(built(&files, &[("a", "/a")]).await, "mean removal in a layer");
    refuses(built(&files, &[("b", "b")]).await, "expected an absolute path");
    refuses(built(&files, &[("b", "/a/../b")]).await, "expected a path without `..`");
    refuses(built(&files, &[("../b", "/b")]).await, "leads out of the build context");
    refuses(built(&files, &[("none", "/b")]).await, "No such file");
    refuses(built(&files, &[]).await, "neither a base image nor a layer");
}

#[tokio::test]
async fn sockets_and_pipes_are_refused() {
    let workshop = Workshop::with(&[("a/file", "")]);
    let _socket =
        std::os::unix::net::UnixListener::bind(workshop.context().join("a/socket")).unwrap();
    let recipe = Method::Native(Box::new(copies(&[("a", "/a")])));
    refuses(
        workshop.build(&Native::default(), recipe, None).await,
        "can't hold a socket, pipe or device",
    );
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    use std::io::Write as _;
    let workshop = Workshop::with(&[("log", &"x".repeat(8 << 20))]);
    let log = workshop.context().join("log");
    let recipe = Method::Native(Box::new(copies(&[("log", "/log")])));
    let stop = &AtomicBool::new(false);
    let appends = {
        let mut log = fs::File::options().append(true).open(&log).unwrap();
        move || {
            while !stop.load(Ordering::Relaxed) {
                log.write_all(b"more").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    };
    let built = std::thread::scope(|scope| {
        scope.spawn(appends);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let built = runtime.block_on(workshop.build(&Native::default(), recipe, None));
        stop.store(true, Ordering::Relaxed);
        built
    });
    assert!(matches!(built, Err(BuildError::Changed(path)) if path == log));
}

/// Ctrl-C drops the future; the thread that reads the files must not keep the process alive.
#[test]
fn a_build_that_nobody_waits_for_stops() {
    let workshop = Workshop::new();
    let large = fs::File::create(workshop.context().join("large")).unwrap();
    large.set_len(2 << 30).unwrap();
    let recipe = Method::Native(Box::new(copies(&[("large", "/large")])));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let builder = Native::default();
        let build = workshop.build(&builder, recipe, None);
        let waited = tokio::time::timeout(Duration::from_millis(50), build).await;
        assert!(waited.is_err(), "two gigabytes take longer");
    });
    // Waits for the thread.
    drop(runtime);
    let left: Vec<_> = fs::read_dir(workshop.scratch()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].as_ref().unwrap().file_name(), "blob.partial");
}

#[tokio::test]
async fn layers_lie_in_the_scratch_folder_and_the_config_in_memory() {
    let workshop = Workshop::with(&TREE);
    let image = workshop.native(recipe()).await;
    let [first, second, config] = image.blobs.as_slice() else { panic!("three blobs") };
    for layer in [first, second] {
        let file = workshop.scratch().join(layer.digest.hex());
        assert_eq!(fs::metadata(&file).unwrap().len(), layer.size);
        assert_eq!(layer.content, BlobContent::File(file));
    }
    assert!(matches!(config.content, BlobContent::Bytes(_)));
    assert_eq!(fs::read_dir(workshop.scratch()).unwrap().count(), 2);
}

#[tokio::test]
async fn skopeo_reads_it_and_umoci_unpacks_it() {
    let (Some(skopeo), Some(umoci)) = (peer("skopeo"), peer("umoci")) else { return };
    let workshop = Workshop::with(&TREE);
    let long = format!("site/{}/grün", "n".repeat(200));
    workshop.write(&long, "long");
    let mut recipe = recipe();
    recipe.layers.push(layer("site/css", "/srv/"));
    recipe.config = RunConfig { ports: vec!["8080".to_owned()], ..recipe.config };
    let image = workshop.native(recipe).await;
    let layout = workshop.path().join("layout");
    write_layout(&image, &layout).await;
    let at = |path: &str| format!("oci:{layout}:{path}");
    let said = output(Command::new(&skopeo).args(["inspect", &at("latest")]));
    assert!(said.contains(image.manifest.digest().as_str()), "{said}");
    let copy = format!("dir:{}", workshop.path().join("copy"));
    output(Command::new(&skopeo).args(["copy", "--insecure-policy", &at("latest"), &copy]));
    let bundle = workshop.path().join("bundle");
    output(
        Command::new(&umoci).args(["unpack", "--image", &format!("{layout}:latest")]).arg(&bundle),
    );
    let root = bundle.join("rootfs");
    assert_eq!(fs::metadata(root.join("bin/app")).unwrap().mode() & 0o7777, 0o755);
    let page = fs::metadata(root.join("srv/www/index.html")).unwrap();
    assert_eq!((page.mode() & 0o7777, page.uid(), page.mtime()), (0o644, 65_532, 0));
    assert_eq!(root.join("srv/www/latest").read_link_utf8().unwrap(), "index.html");
    assert_eq!(fs::read_to_string(root.join("srv/www").join(&long[5..])).unwrap(), "long");
    assert!(!root.join("srv/www/notes.tmp").exists());
}
