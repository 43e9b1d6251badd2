//! A folder with an OCI image layout: `oci-layout`, `index.json` and `blobs/sha256`.
//!
//! A manifest's entry in `index.json` has the tag in the annotation
//! `org.opencontainers.image.ref.name`, so that `skopeo inspect oci:DIR:TAG` and `umoci` find it,
//! and the whole reference in `io.containerd.image.name`, as containerd and BuildKit write it. The
//! second one keeps repositories apart that share a layout; who reads a layout by tag alone should
//! give each repository a layout of its own. An entry of another tool without the second annotation
//! is found by its tag whatever the repository is called.
//!
//! A file comes about under another name and is renamed when it is whole. Whoever changes the index
//! holds a lock on `oci-layout` meanwhile. Nothing is ever removed.

mod index;

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};

use self::index::Index;
use super::descriptor::{MANIFEST_MAX, Part, media_type_of, mentions};
use super::referrers::{Descriptor, Referrer, listed, tag_of};
use super::verified::{Verified, expect};
use super::{BlobReader, Registry, RegistryError, Resolver};
use crate::image::{Blob, BlobContent, Digest, Hashing, ImageName, ImageReference, Manifest, Tag};

/// An OCI image layout folder, which comes about with the first thing that is stored in it.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: Arc<Utf8Path>,
}

impl Layout {
    /// Returns the layout in the folder `dir`, which need not be there yet.
    pub fn new(dir: impl AsRef<Utf8Path>) -> Self {
        Self { dir: dir.as_ref().into() }
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    fn blob_path(&self, digest: &Digest) -> Utf8PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    fn index_path(&self) -> Utf8PathBuf {
        self.dir.join("index.json")
    }

    /// Runs `work`, which reads and writes files, where it holds up nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let layout = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&layout)).await;
        done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    }

    fn find(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        let reference = reference.clone().looked_up();
        match (&reference.digest, &reference.tag) {
            (Some(digest), _) => {
                let there = self.size_of(digest)?.is_some();
                Ok(there.then(|| digest.clone()))
            }
            (None, Some(tag)) => self.read_index()?.find(&self.index_path(), &reference.name, tag),
            (None, None) => Ok(None),
        }
    }

    fn read_manifest(&self, reference: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        let Some(digest) = self.find(reference)? else { return Ok(None) };
        let path = self.blob_path(&digest);
        let Some(size) = self.size_of(&digest)? else {
            return Err(RegistryError::NotFound(digest.to_string()));
        };
        if size > MANIFEST_MAX as u64 {
            let reason = format!("it is longer than {MANIFEST_MAX} bytes");
            let document = digest.to_string();
            return Err(RegistryError::Invalid { document, expected: "manifest", reason });
        }
        let bytes = std::fs::read(&path).map_err(file(&path))?;
        expect(&digest, Digest::of(&bytes))?;
        Ok(Some(Manifest { media_type: media_type_of(&bytes), bytes: bytes.into() }))
    }

    fn store_blob(&self, blob: &Blob) -> Result<(), RegistryError> {
        if self.size_of(&blob.digest)? == Some(blob.size) {
            return Ok(());
        }
        match &blob.content {
            BlobContent::Bytes(bytes) => {
                self.write_blob(&blob.digest, |out| io::copy(&mut &bytes[..], out))
            }
            BlobContent::File(path) => {
                let mut from = File::open(path).map_err(file(path))?;
                self.write_blob(&blob.digest, |out| io::copy(&mut from, out))
            }
        }
    }

    fn write_blob(
        &self,
        digest: &Digest,
        fill: impl FnOnce(&mut Hashing<&mut File>) -> io::Result<u64>,
    ) -> Result<(), RegistryError> {
        let path = self.blob_path(digest);
        replace(&path, |file_| {
            let mut out = Hashing::new(file_);
            fill(&mut out).map_err(file(&path))?;
            expect(digest, out.finish().1)
        })
    }

    fn store_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        let digest = manifest.digest();
        let mentions = mentions(manifest)?;
        Referrer::of(manifest)?;
        for Part { digest: missing, size } in mentions.blobs.iter().chain(&mentions.manifests) {
            if self.size_of(missing)? != Some(*size) {
                let missing = missing.clone();
                return Err(RegistryError::Incomplete { manifest: digest, missing });
            }
        }
        self.write_blob(&digest, |out| io::copy(&mut &manifest.bytes[..], out))?;
        let _lock = self.lock()?;
        let mut index = self.read_index()?;
        if tags.is_empty() {
            index.put(name, None, manifest, &mentions.manifests);
        }
        for tag in tags {
            index.put(name, Some(tag), manifest, &mentions.manifests);
        }
        let path = self.index_path();
        replace(&path, |out| out.write_all(&index.to_bytes()).map_err(file(&path)))
    }

    /// Returns the manifests of `index.json` that refer to `subject`, and those that another tool has
    /// listed under the subject's tag, as in a registry.
    fn find_referrers(
        &self,
        name: &ImageName,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let reference = |digest| ImageReference { name: name.clone(), tag: None, digest };
        let mut found: Vec<Descriptor> = Vec::new();
        for digest in self.read_index()?.digests() {
            // What another tool lists may be no manifest, or not be here.
            let Ok(Some(manifest)) = self.read_manifest(&reference(Some(digest))) else { continue };
            let referrer = Referrer::of(&manifest).ok().flatten();
            let referrer = referrer.filter(|referrer| referrer.subject == *subject);
            found.extend(referrer.map(|referrer| referrer.descriptor));
        }
        let tagged = ImageReference { tag: Some(tag_of(subject)), ..reference(None) };
        if let Some(index) = self.read_manifest(&tagged)? {
            found.extend(listed(&index)?);
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        found.dedup_by(|a, b| a.digest == b.digest);
        Ok(found)
    }

    /// Makes the layout's marker file and returns it locked.
    fn lock(&self) -> Result<File, RegistryError> {
        let path = self.dir.join("oci-layout");
        std::fs::create_dir_all(&*self.dir).map_err(file(&self.dir))?;
        if !path.exists() {
            let mut new = tempfile::NamedTempFile::new_in(&*self.dir).map_err(file(&self.dir))?;
            new.write_all(b"{\"imageLayoutVersion\":\"1.0.0\"}\n").map_err(file(&path))?;
            open_to_all(new.as_file()).map_err(file(&path))?;
            // Whoever comes second takes the file of the first, so that both lock the same one.
            let _ = new.persist_noclobber(&path);
        }
        let marker = File::open(&path).map_err(file(&path))?;
        marker.lock().map_err(file(&path))?;
        Ok(marker)
    }

    fn read_index(&self) -> Result<Index, RegistryError> {
        let path = self.index_path();
        match std::fs::read(&path) {
            Ok(bytes) => Index::parse(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(error) => Err(file(&path)(error)),
        }
    }

    fn size_of(&self, digest: &Digest) -> Result<Option<u64>, RegistryError> {
        let path = self.blob_path(digest);
        match std::fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file(&path)(error)),
        }
    }
}

#[async_trait]
impl Resolver for Layout {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        let reference = reference.clone();
        self.blocking(move |layout| layout.find(&reference)).await
    }

    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        let reference = reference.clone();
        self.blocking(move |layout| layout.read_manifest(&reference)).await
    }
}

#[async_trait]
impl Registry for Layout {
    async fn has_blob(&self, _name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        let digest = digest.clone();
        self.blocking(move |layout| Ok(layout.size_of(&digest)?.is_some())).await
    }

    async fn blob(&self, _name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        let path = self.blob_path(digest);
        match tokio::fs::File::open(&path).await {
            Ok(blob) => Ok(Box::pin(Verified::new(blob, digest.clone()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(RegistryError::NotFound(digest.to_string()))
            }
            Err(error) => Err(file(&path)(error)),
        }
    }

    async fn push_blob(&self, _name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        let blob = blob.clone();
        self.blocking(move |layout| layout.store_blob(&blob)).await
    }

    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        _from: &ImageName,
    ) -> Result<bool, RegistryError> {
        // The repositories of a layout share their blobs.
        self.has_blob(name, digest).await
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        let (name, manifest, tags) = (name.clone(), manifest.clone(), tags.to_owned());
        self.blocking(move |layout| layout.store_manifest(&name, &manifest, &tags)).await
    }

    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let (name, digest) = (name.clone(), digest.clone());
        let found = self.blocking(move |layout| layout.find_referrers(&name, &digest)).await;
        let is_wanted = |descriptor: &Descriptor| descriptor.is_of(artifact_type);
        found.map(|found| found.into_iter().filter(is_wanted).collect())
    }

    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        let name = name.clone();
        self.blocking(move |layout| Ok(layout.read_index()?.tags(&name))).await
    }
}

/// Puts a file at `path` whose bytes `fill` writes; until they are all there, nothing changes.
fn replace(
    path: &Utf8Path,
    fill: impl FnOnce(&mut File) -> Result<(), RegistryError>,
) -> Result<(), RegistryError> {
    let folder = path.parent().expect("every file of a layout is in its folder");
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(file(folder))?;
    fill(new.as_file_mut())?;
    open_to_all(new.as_file()).map_err(file(path))?;
    new.as_file().sync_data().map_err(file(path))?;
    new.persist(path).map(drop).map_err(|error| file(path)(error.error))
}

/// A temporary file is its owner's alone; a layout is read by others.
fn open_to_all(new: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    new.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn file(path: &Utf8Path) -> impl Fn(io::Error) -> RegistryError + use<> {
    let path = path.to_owned();
    move |source| RegistryError::File { path: path.clone(), source }
}
