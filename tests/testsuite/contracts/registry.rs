//! What every [`Registry`] does.

use bytes::Bytes;
use camino::Utf8PathBuf;
use deployctl::image::{Blob, BlobContent, Digest, ImageName, ImageReference, Manifest, Tag};
use deployctl::registry::{Layout, Memory, Registry, RegistryError, Remote};
use deployctl::system::Environment;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::support::RegistryServer;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[tokio::test]
async fn memory_keeps_the_contract() {
    check(&Memory::new(), "registry.example.com").await;
}

#[tokio::test]
async fn a_layout_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8PathBuf::try_from(dir.path().join("deep/layout")).unwrap();
    check(&Layout::new(dir), "registry.example.com").await;
}

#[tokio::test]
async fn a_remote_registry_keeps_the_contract() {
    let Some(server) = RegistryServer::start_plain() else { return };
    check(&Remote::new(&Environment::default()).unwrap(), server.domain()).await;
}

#[tokio::test]
async fn a_remote_registry_over_tls_keeps_the_contract() {
    let Some(server) = RegistryServer::start_tls() else { return };
    let authority = server.authority();
    let environment = Environment::from_iter([("SSL_CERT_FILE", authority.to_str().unwrap())]);
    check(&Remote::new(&environment).unwrap(), server.domain()).await;
}

async fn check(registry: &dyn Registry, domain: &str) {
    let suite = Suite { registry, name: ImageName::new(domain, "shop/web").unwrap() };
    suite.nothing_is_there_at_first().await;
    suite.blobs_come_back_byte_for_byte().await;
    suite.a_blob_with_another_digest_is_refused().await;
    suite.manifests_come_back_byte_for_byte().await;
    suite.a_tag_moves().await;
    suite.a_manifest_whose_blobs_are_missing_is_refused().await;
    suite.a_broken_manifest_is_refused().await;
    suite.an_index_holds_manifests().await;
    suite.a_blob_is_mounted_from_a_repository_that_has_it().await;
    suite.a_manifest_takes_many_tags().await;
    suite.referrers_are_listed_by_what_they_refer_to().await;
    suite.referrers_that_come_at_once_are_all_listed().await;
}

struct Suite<'a> {
    registry: &'a dyn Registry,
    name: ImageName,
}

impl Suite<'_> {
    async fn nothing_is_there_at_first(&self) {
        let digest = Digest::of(b"never pushed");
        for reference in [self.tagged("never"), self.pinned(&digest)] {
            assert_eq!(self.registry.resolve(&reference).await.unwrap(), None);
            assert_eq!(self.registry.manifest(&reference).await.unwrap(), None);
        }
        assert!(self.registry.tags(&self.name).await.unwrap().is_empty());
        assert!(!self.registry.has_blob(&self.name, &digest).await.unwrap());
        let error = self.registry.blob(&self.name, &digest).await.err().unwrap();
        assert!(matches!(error, RegistryError::NotFound(_)), "{error:?}");
    }

    async fn blobs_come_back_byte_for_byte(&self) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().join("layer")).unwrap();
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 8) as u8).collect();
        std::fs::write(&path, &large).unwrap();
        let mut file = blob(&large);
        file.content = BlobContent::File(path);
        for (blob, bytes) in
            [(file, large.as_slice()), (blob(b"small"), b"small"), (blob(b""), b"")]
        {
            self.registry.push_blob(&self.name, &blob).await.unwrap();
            self.registry.push_blob(&self.name, &blob).await.unwrap();
            assert!(self.registry.has_blob(&self.name, &blob.digest).await.unwrap());
            let mut reader = self.registry.blob(&self.name, &blob.digest).await.unwrap();
            let mut found = Vec::new();
            reader.read_to_end(&mut found).await.unwrap();
            assert_eq!(found, bytes);
        }
    }

    async fn a_blob_with_another_digest_is_refused(&self) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().join("layer")).unwrap();
        std::fs::write(&path, b"what it is").unwrap();
        let announced = Digest::of(b"not what it is");
        for content in
            [BlobContent::Bytes(Bytes::from_static(b"what it is")), BlobContent::File(path)]
        {
            let blob = Blob { digest: announced.clone(), size: 10, content };
            let error = self.registry.push_blob(&self.name, &blob).await.unwrap_err();
            let RegistryError::Corrupt { expected, found } = &error else { panic!("{error:?}") };
            assert_eq!((expected, found), (&announced, &Digest::of(b"what it is")));
            assert!(!self.registry.has_blob(&self.name, &announced).await.unwrap());
        }
        let gone = BlobContent::File(dir.path().join("gone").try_into().unwrap());
        let blob = Blob { digest: announced, size: 10, content: gone };
        let error = self.registry.push_blob(&self.name, &blob).await.unwrap_err();
        assert!(matches!(error, RegistryError::File { .. }), "{error:?}");
    }

    async fn manifests_come_back_byte_for_byte(&self) {
        let manifest = self.image("first").await;
        self.push(&manifest, Some("v1")).await;
        for reference in [self.tagged("v1"), self.pinned(&manifest.digest())] {
            assert_eq!(self.registry.resolve(&reference).await.unwrap(), Some(manifest.digest()));
            assert_eq!(self.registry.manifest(&reference).await.unwrap(), Some(manifest.clone()));
        }
        // The digest decides, whatever the tag says.
        let both = format!("{}:never@{}", self.name, manifest.digest()).parse().unwrap();
        assert_eq!(self.registry.resolve(&both).await.unwrap(), Some(manifest.digest()));
    }

    async fn a_tag_moves(&self) {
        let (old, new) = (self.image("old").await, self.image("new").await);
        self.push(&old, Some("moving")).await;
        self.push(&new, Some("moving")).await;
        self.push(&new, None).await;
        let found = self.registry.resolve(&self.tagged("moving")).await.unwrap();
        assert_eq!(found, Some(new.digest()));
        let found = self.registry.resolve(&self.pinned(&old.digest())).await.unwrap();
        assert_eq!(found, Some(old.digest()));
        let tags = self.registry.tags(&self.name).await.unwrap();
        assert!(tags.iter().any(|tag| tag.as_str() == "moving"), "{tags:?}");
        assert!(tags.is_sorted());
    }

    async fn a_manifest_whose_blobs_are_missing_is_refused(&self) {
        let (there, missing) = (blob(b"{}"), blob(b"this layer never arrives"));
        self.registry.push_blob(&self.name, &there).await.unwrap();
        let manifest = document(&there, std::slice::from_ref(&missing));
        let tag: Tag = "incomplete".parse().unwrap();
        let pushed = self.registry.push_manifest(&self.name, &manifest, &[tag]).await;
        let error = pushed.unwrap_err();
        let RegistryError::Incomplete { manifest: of, missing: what } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((of, what), (&manifest.digest(), &missing.digest));
        assert_eq!(self.registry.resolve(&self.tagged("incomplete")).await.unwrap(), None);
    }

    async fn a_broken_manifest_is_refused(&self) {
        for text in ["", "{}", "{\"schemaVersion\":2}", "[]"] {
            let manifest =
                Manifest { media_type: MANIFEST.to_owned(), bytes: text.to_owned().into() };
            let pushed = self.registry.push_manifest(&self.name, &manifest, &[]).await;
            let error = pushed.unwrap_err();
            assert!(matches!(error, RegistryError::Invalid { .. }), "{error:?}");
        }
    }

    async fn an_index_holds_manifests(&self) {
        let image = self.image("in an index").await;
        let entry = json!({"mediaType": MANIFEST, "digest": image.digest().as_str(),
            "size": image.bytes.len(), "platform": {"os": "linux", "architecture": "amd64"}});
        let text = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let index = Manifest { media_type: INDEX.to_owned(), bytes: text.to_string().into() };
        let tag: Tag = "index".parse().unwrap();
        let early = self
            .registry
            .push_manifest(&self.name, &index, std::slice::from_ref(&tag))
            .await
            .unwrap_err();
        assert!(matches!(early, RegistryError::Incomplete { .. }), "{early:?}");
        self.push(&image, None).await;
        self.push(&index, Some("index")).await;
        let found = self.registry.manifest(&self.tagged("index")).await.unwrap();
        assert_eq!(found, Some(index));
    }

    async fn a_blob_is_mounted_from_a_repository_that_has_it(&self) {
        let layer = blob(b"a layer of the base image");
        let from = ImageName::new(self.name.domain(), "base/os").unwrap();
        self.registry.push_blob(&from, &layer).await.unwrap();
        assert!(self.registry.mount_blob(&self.name, &layer.digest, &from).await.unwrap());
        assert!(self.registry.has_blob(&self.name, &layer.digest).await.unwrap());
        let nobodys = Digest::of(b"nobody has this layer");
        assert!(!self.registry.mount_blob(&self.name, &nobodys, &from).await.unwrap());
        assert!(!self.registry.has_blob(&self.name, &nobodys).await.unwrap());
    }

    async fn a_manifest_takes_many_tags(&self) {
        let image = self.image("many tags").await;
        let tags = ["1", "1.4", "1.4.2", "main"].map(|tag| tag.parse().unwrap());
        self.registry.push_manifest(&self.name, &image, &tags).await.unwrap();
        for tag in tags {
            let found = self.registry.resolve(&self.tagged(tag.as_str())).await.unwrap();
            assert_eq!(found, Some(image.digest()), "{tag}");
        }
    }

    async fn referrers_are_listed_by_what_they_refer_to(&self) {
        let image = self.image("signed").await;
        let list = async |kind| {
            let listed = self.registry.referrers(&self.name, &image.digest(), kind).await.unwrap();
            listed.into_iter().map(|found| found.digest).collect::<Vec<_>>()
        };
        assert_eq!(list(None).await, []);
        let signature = self.referrer(&image, "test/signature").await;
        // It may come before what it refers to.
        self.push(&signature, None).await;
        self.push(&image, Some("signed")).await;
        let bill = self.referrer(&image, "test/bill").await;
        self.push(&bill, None).await;
        self.push(&bill, None).await;
        let mut both = [signature.digest(), bill.digest()];
        both.sort();
        let mut found = list(None).await;
        found.sort();
        assert_eq!(found, both);
        assert_eq!(list(Some("test/bill")).await, [bill.digest()]);
        assert_eq!(list(Some("test/other")).await, []);
        let found = self.registry.referrers(&self.name, &image.digest(), Some("test/bill")).await;
        let [found] = &found.unwrap()[..] else { panic!("one bill") };
        assert_eq!((found.media_type.as_str(), found.size), (MANIFEST, bill.bytes.len() as u64));
        assert_eq!(found.artifact_type.as_deref(), Some("test/bill"));
        assert_eq!(found.annotations["of"], "test/bill");
        // The image itself is none.
        let other = self.registry.referrers(&self.name, &bill.digest(), None).await.unwrap();
        assert_eq!(other, []);
    }

    async fn referrers_that_come_at_once_are_all_listed(&self) {
        let image = self.image("signed by many").await;
        let names: Vec<_> = (0..6).map(|n| format!("test/{n}")).collect();
        let mut pushed = Vec::new();
        for name in &names {
            pushed.push(self.referrer(&image, name).await);
        }
        let pushes = pushed.iter().map(|one| self.push(one, None));
        futures_util::future::join_all(pushes).await;
        let listed = self.registry.referrers(&self.name, &image.digest(), None).await.unwrap();
        let mut found: Vec<_> = listed.into_iter().filter_map(|one| one.artifact_type).collect();
        found.sort();
        assert_eq!(found, names);
    }

    /// Returns a manifest that refers to `image`, and whose config is pushed.
    async fn referrer(&self, image: &Manifest, artifact_type: &str) -> Manifest {
        let empty = blob(b"{}");
        self.registry.push_blob(&self.name, &empty).await.unwrap();
        let part = |media_type: &str, digest: &Digest, size: u64| json!({"mediaType": media_type, "digest": digest.as_str(), "size": size});
        let text = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "artifactType": artifact_type, "annotations": {"of": artifact_type},
            "config": part("application/vnd.oci.empty.v1+json", &empty.digest, empty.size),
            "layers": [part("application/vnd.oci.empty.v1+json", &empty.digest, empty.size)],
            "subject": part(MANIFEST, &image.digest(), image.bytes.len() as u64)});
        Manifest { media_type: MANIFEST.to_owned(), bytes: text.to_string().into() }
    }

    /// Returns the manifest of an image whose blobs are pushed.
    async fn image(&self, text: &str) -> Manifest {
        let (config, layer) =
            (blob(format!("{{\"x\":\"{text}\"}}").as_bytes()), blob(text.as_bytes()));
        for blob in [&config, &layer] {
            self.registry.push_blob(&self.name, blob).await.unwrap();
        }
        document(&config, &[layer])
    }

    async fn push(&self, manifest: &Manifest, tag: Option<&str>) {
        let tag = tag.map(|tag| tag.parse::<Tag>().unwrap());
        self.registry.push_manifest(&self.name, manifest, tag.as_slice()).await.unwrap();
    }

    fn tagged(&self, tag: &str) -> ImageReference {
        format!("{}:{tag}", self.name).parse().unwrap()
    }

    fn pinned(&self, digest: &Digest) -> ImageReference {
        format!("{}@{digest}", self.name).parse().unwrap()
    }
}

fn blob(bytes: &[u8]) -> Blob {
    let content = BlobContent::Bytes(Bytes::copy_from_slice(bytes));
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64, content }
}

fn document(config: &Blob, layers: &[Blob]) -> Manifest {
    let part = |kind: &str, blob: &Blob| -> Value {
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media_type, "digest": blob.digest.as_str(), "size": blob.size})
    };
    let layers: Vec<_> = layers.iter().map(|layer| part("layer.v1.tar", layer)).collect();
    let text = json!({"schemaVersion": 2, "mediaType": MANIFEST,
        "config": part("config.v1+json", config), "layers": layers});
    Manifest { media_type: MANIFEST.to_owned(), bytes: text.to_string().into() }
}
