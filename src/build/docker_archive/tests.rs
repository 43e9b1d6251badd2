use super::*;

/// Returns a `docker save` archive of these entries; a text that begins with `-> ` is a link.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        match content.strip_prefix(b"-> ") {
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                let target = std::str::from_utf8(target).unwrap();
                builder.append_link(&mut header, path, target).unwrap();
            }
            None => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, *content).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|tar| Digest::of(tar).to_string()).collect();
    let document = serde_json::json!({ "rootfs": { "diff_ids": diff_ids } });
    document.to_string().into_bytes()
}

fn manifest(config: &str, layers: &[&str]) -> Vec<u8> {
    serde_json::json!([{ "Config": config, "Layers": layers }]).to_string().into_bytes()
}

fn converted(entries: &[(&str, &[u8])]) -> Result<BuiltImage, String> {
    converted_at(entries, None)
}

fn converted_at(entries: &[(&str, &[u8])], stamp: Option<&Stamp>) -> Result<BuiltImage, String> {
    let temp = tempfile::tempdir().unwrap();
    let scratch = Utf8Path::from_path(temp.path()).unwrap();
    let path = scratch.join("image.tar");
    fs::write(&path, archive(entries)).unwrap();
    let image = convert_file(&path, scratch, stamp);
    assert_eq!(path.exists(), image.is_err());
    image
}

fn layers(image: &BuiltImage) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    manifest["layers"].as_array().unwrap().clone()
}

#[test]
fn a_layer_that_is_a_link_to_another_is_listed_twice_and_stored_once() {
    let image = converted(&[
        ("one/layer.tar", b"tar"),
        ("two/layer.tar", b"-> ../one/layer.tar"),
        ("c.json", &config(&[b"tar", b"tar"])),
        ("manifest.json", &manifest("c.json", &["one/layer.tar", "two/layer.tar"])),
    ]);
    let image = image.unwrap();
    let layers = layers(&image);
    assert_eq!((layers.len(), image.blobs.len()), (2, 2));
    assert_eq!(layers[0], layers[1]);
    assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
}

#[test]
fn a_layer_that_is_compressed_already_keeps_its_digest() {
    let zstd = b"\x28\xb5\x2f\xfd rest";
    let image = converted(&[
        ("blobs/sha256/c", &config(&[b"tar", b"{x"])),
        ("blobs/sha256/l", zstd),
        ("blobs/sha256/g", b"\x1f\x8b rest"),
        ("manifest.json", &manifest("blobs/sha256/c", &["blobs/sha256/l", "blobs/sha256/g"])),
    ]);
    let layers = layers(&image.unwrap());
    assert_eq!(layers[0]["digest"], Digest::of(zstd).as_str());
    assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    assert_eq!(layers[1]["digest"], Digest::of(b"\x1f\x8b rest").as_str());
}

#[test]
fn an_archive_that_contradicts_itself_is_refused() {
    let layer: (&str, &[u8]) = ("l/layer.tar", b"tar");
    let other = converted(&[
        layer,
        ("c.json", &config(&[b"other"])),
        ("manifest.json", &manifest("c.json", &["l/layer.tar"])),
    ]);
    assert!(other.unwrap_err().contains("was announced"));
    let more = converted(&[
        layer,
        ("c.json", &config(&[])),
        ("manifest.json", &manifest("c.json", &["l/layer.tar"])),
    ]);
    assert_eq!(more.unwrap_err(), "it saved 1 layers of 0");
    assert_eq!(converted(&[layer]).unwrap_err(), "it saved no `manifest.json`");
    let missing = converted(&[
        ("c.json", &config(&[b"tar"])),
        ("manifest.json", &manifest("c.json", &["l/layer.tar"])),
    ]);
    assert_eq!(missing.unwrap_err(), "it saved no layer `l/layer.tar`");
}

/// Returns a tar file with one file of this time.
fn tar(mtime: u64) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mtime(mtime);
    header.set_size(1);
    builder.append_data(&mut header, "a", b"x".as_slice()).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn what_the_build_added_gets_the_build_s_time_and_the_base_stays() {
    let base = tar(1);
    let stamp = Stamp {
        epoch: 60,
        bases: vec![Base { diff_ids: vec![Digest::of(&base).to_string()], steps: 1 }],
    };
    let built = |mtime: u64, day: u64| {
        let own = tar(mtime);
        let config = serde_json::json!({
            "container": format!("c{day}"), "created": format!("day {day}"),
            "config": { "Image": format!("sha256:{day}"), "Env": ["A=b"] },
            "history": [{ "created": "base" }, { "created": format!("day {day}") }],
            "rootfs": { "diff_ids": [Digest::of(&base).as_str(), Digest::of(&own).as_str()] },
            "x-unknown": 1,
        });
        let config = config.to_string().into_bytes();
        let entries: [(&str, &[u8]); 4] = [
            ("b/layer.tar", &base),
            ("o/layer.tar", &own),
            ("c.json", &config),
            ("manifest.json", &manifest("c.json", &["b/layer.tar", "o/layer.tar"])),
        ];
        converted_at(&entries, Some(&stamp)).unwrap()
    };
    let image = built(7, 1);
    assert_eq!(image.manifest, built(8, 2).manifest);
    let BlobContent::Bytes(config) = &image.blobs[2].content else { panic!("a config") };
    assert_eq!(
        std::str::from_utf8(config).unwrap(),
        format!(
            r#"{{"created":"1970-01-01T00:01:00Z","config":{{"Env":["A=b"]}},"history":[{{"created":"base"}},{{"created":"1970-01-01T00:01:00Z"}}],"rootfs":{{"diff_ids":["{}","{}"]}},"x-unknown":1}}"#,
            Digest::of(&base),
            Digest::of(&tar(60)),
        )
    );
}
