//! Which files layers hold, and which they refuse.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use deployctl::build::{BuildError, Native};
use deployctl::image::{BuiltImage, Layer, Method};

use super::{native, refuses};
use crate::support::image::{
    Workshop, bytes, config, copies, layer, listing, manifest, output, write_layout,
};
use crate::support::peer;

fn layers(layers: Vec<Layer>) -> deployctl::image::Native {
    deployctl::image::Native { layers, ..copies(&[]) }
}

async fn built(workshop: &Workshop, layer: Layer) -> Result<BuiltImage, BuildError> {
    workshop.tidy();
    workshop.build(&Native::default(), native(layers(vec![layer])), None).await
}

#[tokio::test]
async fn the_second_name_of_a_file_is_a_hard_link_to_the_first() {
    let workshop = Workshop::with(&[("a/two", "same"), ("a/sub/x", "")]);
    for name in ["one", "sub/three"] {
        fs::hard_link(workshop.context().join("a/two"), workshop.context().join("a").join(name))
            .unwrap();
    }
    let image = workshop.native(copies(&[("a", "/d"), ("a/two", "/e")])).await;
    assert_eq!(
        listing(&image),
        [
            "0 d/ 755 0:0 ",
            "0 d/one 644 0:0 same",
            "0 d/sub/ 755 0:0 ",
            "0 d/sub/three 644 0:0 -> d/one",
            "0 d/sub/x 644 0:0 ",
            "0 d/two 644 0:0 -> d/one",
            "1 e 644 0:0 same",
        ]
    );
    let Some(umoci) = peer("umoci") else { return };
    let (layout, bundle) = (workshop.path().join("layout"), workshop.path().join("bundle"));
    write_layout(&image, &layout).await;
    let image = format!("{layout}:latest");
    output(Command::new(&umoci).args(["unpack", "--image", &image]).arg(&bundle));
    let inode = |name: &str| fs::metadata(bundle.join("rootfs/d").join(name)).unwrap().ino();
    assert_eq!(inode("one"), inode("sub/three"));
}

/// What `setcap cap_net_bind_service=ep` leaves on a file.
const NET_BIND_SERVICE: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Returns the PAX records of the first layer's file `path`.
fn records(image: &BuiltImage, path: &str) -> Vec<(String, Vec<u8>)> {
    let layer = bytes(&image.blobs[0]);
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(layer.as_slice()).read_to_end(&mut tar).unwrap();
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry =
        entries.into_iter().find(|entry| entry.path().unwrap().as_os_str() == path).unwrap();
    let records = entry.pax_extensions().unwrap().into_iter().flatten().map(Result::unwrap);
    records.map(|r| (r.key().unwrap().to_owned(), r.value_bytes().to_vec())).collect()
}

#[tokio::test]
async fn capabilities_come_from_the_file_or_from_the_layer() {
    let expected = [("SCHILY.xattr.security.capability".to_owned(), NET_BIND_SERVICE.to_vec())];
    let workshop = Workshop::with(&[("app*", "x"), ("plain*", "y")]);
    let stated = Layer { capabilities: 1 << 10, ..layer("app", "/app") };
    let image = built(&workshop, stated).await.unwrap();
    assert_eq!(records(&image, "app"), expected);
    assert_eq!(records(&built(&workshop, layer("app", "/app")).await.unwrap(), "app"), []);

    let app = workshop.context().join("app");
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::setxattr(app.as_str(), "security.capability", &NET_BIND_SERVICE, flags);
    if set.is_err() {
        return crate::support::skip("this user or file system can't give files capabilities");
    }
    let image = built(&workshop, layer("app", "/app")).await.unwrap();
    assert_eq!(records(&image, "app"), expected);
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_told() {
    let workshop = Workshop::with(&[("a/b", "")]);
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::write(workshop.context().join("a").as_std_path().join(name), "").unwrap();
    refuses(
        built(&workshop, layer("a", "/a")).await,
        "/a`: the name \"caf\\xE9\" in it is not UTF-8",
    );
}

#[tokio::test]
async fn links_are_kept_as_they_are_and_never_followed() {
    let tree = [("a/loop", "-> loop"), ("a/up", "-> .."), ("a/out", "-> /etc/passwd//x/../y")];
    let workshop = Workshop::with(&tree);
    let image = workshop.native(copies(&[("a", "/a")])).await;
    assert_eq!(
        listing(&image)[1..],
        [
            "0 a/loop 777 0:0 -> loop",
            "0 a/out 777 0:0 -> /etc/passwd//x/../y",
            "0 a/up 777 0:0 -> ..",
        ]
    );
    let below = built(&workshop, layer("a/up/a", "/a")).await;
    refuses(below, "`a/up` is a symbolic link");
}

#[tokio::test]
async fn names_of_whiteouts_are_refused_wherever_they_come_from() {
    for name in [".wh.", ".wh.x", ".wh..wh..opq"] {
        let workshop = Workshop::with(&[(name, ""), ("x", "")]);
        refuses(built(&workshop, layer(".", "/a")).await, "mean removal in a layer");
        let renamed = layer("x", &format!("/a/{name}"));
        refuses(built(&workshop, renamed).await, "mean removal in a layer");
        let folders = vec![format!("/{name}/b").into()];
        refuses(
            built(&workshop, Layer { folders, ..Layer::default() }).await,
            "mean removal in a layer",
        );
    }
}

#[tokio::test]
async fn a_layer_states_folders_links_modes_and_what_it_leaves_out() {
    let workshop = Workshop::with(&[("site/a.html", "a"), ("site/b.map", "b"), ("site/d/c*", "c")]);
    let stated = Layer {
        exclude: vec!["**/*.map".to_owned()],
        mode: Some(0o600),
        folder_mode: Some(0o1777),
        owner: (7, 8),
        folders: vec!["/tmp".into()],
        links: [("/www".into(), "srv/www".to_owned())].into(),
        ..layer("site", "/srv/www")
    };
    let image = built(&workshop, stated).await.unwrap();
    assert_eq!(
        listing(&image),
        [
            "0 srv/ 755 0:0 ",
            "0 srv/www/ 1777 7:8 ",
            "0 srv/www/a.html 600 7:8 a",
            "0 srv/www/d/ 1777 7:8 ",
            "0 srv/www/d/c 600 7:8 c",
            "0 tmp/ 1777 7:8 ",
            "0 www 777 7:8 -> srv/www",
        ]
    );
    let links = [("/bin/sh".into(), "busybox".to_owned())].into();
    let image = built(&workshop, Layer { links, ..Layer::default() }).await.unwrap();
    assert_eq!(listing(&image), ["0 bin/ 755 0:0 ", "0 bin/sh 777 0:0 -> busybox"]);
    assert_eq!(config(&image)["history"][0]["created_by"], "deployctl: /bin/sh");
}

#[tokio::test]
async fn a_path_is_in_a_layer_once() {
    let workshop = Workshop::with(&[("a/x", "1"), ("b/x", "2"), ("c/x/y", "3")]);
    let from = |from: &[&str]| Layer {
        from: from.iter().map(|&from| from.to_owned()).collect(),
        ..layer("", "/d")
    };
    assert_eq!(listing(&built(&workshop, from(&["a", "a/x"])).await.unwrap()).len(), 2);
    let two = "layer to `/d`: two different things would be `/d/x`";
    refuses(built(&workshop, from(&["a", "b"])).await, two);
    refuses(built(&workshop, from(&["a", "c"])).await, two);
    let links = [("/d/x".into(), "elsewhere".to_owned())].into();
    let below = Layer { folders: vec!["/d/x/y".into()], links, ..Layer::default() };
    refuses(built(&workshop, below).await, "`/d/x/y` is below `/d/x`, which is no folder");
}

#[tokio::test]
async fn the_same_layer_twice_is_one_blob_and_two_entries() {
    let image = Workshop::with(&[("a", "1")]).native(copies(&[("a", "/a"), ("a", "/a")])).await;
    let layers = manifest(&image)["layers"].as_array().unwrap().clone();
    let diff_ids = config(&image)["rootfs"]["diff_ids"].as_array().unwrap().clone();
    assert_eq!((layers.len(), diff_ids.len(), image.blobs.len()), (2, 2, 2));
    assert_eq!((&layers[0], &diff_ids[0]), (&layers[1], &diff_ids[1]));
    assert_eq!(config(&image)["history"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_hundred_thousand_files_are_a_layer() {
    let workshop = Workshop::new();
    for folder in 0..100 {
        let folder = workshop.context().join(format!("d{folder}"));
        fs::create_dir(&folder).unwrap();
        (0..1000).for_each(|file| drop(fs::File::create(folder.join(format!("f{file}"))).unwrap()));
    }
    let image = workshop.native(copies(&[(".", "/d")])).await;
    let (layer, mut size) = (bytes(&image.blobs[0]), 0);
    let mut tar = flate2::read::GzDecoder::new(layer.as_slice());
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read @ 1..) = tar.read(&mut buffer) {
        size += read;
    }
    assert_eq!(size, 512 * (100_000 + 100 + 1 + 2));
}

#[tokio::test]
async fn a_context_that_is_no_folder_is_told() {
    let workshop = Workshop::new();
    fs::remove_dir(workshop.context()).unwrap();
    fs::write(workshop.context(), "").unwrap();
    let method = Method::Native(Box::new(copies(&[("a", "/a")])));
    refuses(workshop.build(&Native::default(), method, None).await, "it is not a folder");
}
