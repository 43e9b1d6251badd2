//! How many requests were sent, and which.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::image::ImageName;

/// How often one kind of request went to one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    /// The registry's domain.
    pub registry: String,
    /// The repository's path.
    pub repository: String,
    /// What was asked.
    pub kind: RequestKind,
    /// How often, every try counted.
    pub count: u64,
}

/// What a registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// A token of the registry's token service.
    Token,
    /// `HEAD` of a manifest.
    HeadManifest,
    /// `GET` of a manifest.
    GetManifest,
    /// `PUT` of a manifest, by digest or tag.
    PutManifest,
    /// `HEAD` of a blob.
    HeadBlob,
    /// `GET` of a blob.
    GetBlob,
    /// `POST` that mounts a blob.
    Mount,
    /// `POST` that begins an upload, or is the whole one.
    StartUpload,
    /// `PATCH` with a part of a blob.
    SendChunk,
    /// `PUT` that ends an upload.
    FinishUpload,
    /// `GET` of how far an upload is.
    AskUpload,
    /// `GET` of the referrers of an image.
    GetReferrers,
    /// `GET` of the tags of a repository.
    GetTags,
    /// `GET` of the registry's root, to see who it lets in.
    GetRoot,
    /// `DELETE` of an upload.
    CancelUpload,
}

impl RequestKind {
    /// Returns method and object, for example `HEAD manifest`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "GET token",
            Self::HeadManifest => "HEAD manifest",
            Self::GetManifest => "GET manifest",
            Self::PutManifest => "PUT manifest",
            Self::HeadBlob => "HEAD blob",
            Self::GetBlob => "GET blob",
            Self::Mount => "POST mount",
            Self::StartUpload => "POST blob",
            Self::SendChunk => "PATCH blob",
            Self::FinishUpload => "PUT blob",
            Self::AskUpload => "GET upload",
            Self::GetReferrers => "GET referrers",
            Self::GetTags => "GET tags",
            Self::GetRoot => "GET root",
            Self::CancelUpload => "DELETE upload",
        }
    }
}

/// The counts so far.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<BTreeMap<(ImageName, RequestKind), u64>>);

impl Requests {
    /// Counts one request about the repository `name`.
    pub(super) fn count(&self, name: &ImageName, kind: RequestKind) {
        let mut counts = self.0.lock().expect("nothing panics while it holds the lock");
        *counts.entry((name.clone(), kind)).or_default() += 1;
    }

    /// Returns the counts so far, by repository and kind.
    pub(super) fn counts(&self) -> Vec<RequestCount> {
        let counts = self.0.lock().expect("nothing panics while it holds the lock");
        let count = |((name, kind), count): (&(ImageName, RequestKind), &u64)| RequestCount {
            registry: name.domain().to_owned(),
            repository: name.path().to_owned(),
            kind: *kind,
            count: *count,
        };
        counts.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_repository_and_kind() {
        let requests = Requests::default();
        let names = ["r.example.com/a", "r.example.com/b"].map(|name| name.parse().unwrap());
        requests.count(&names[1], RequestKind::HeadManifest);
        requests.count(&names[0], RequestKind::HeadManifest);
        requests.count(&names[1], RequestKind::HeadManifest);
        let counts = requests.counts();
        let counts: Vec<_> = counts
            .iter()
            .map(|count| format!("{} {} {}", count.repository, count.kind.as_str(), count.count))
            .collect();
        assert_eq!(counts, ["a HEAD manifest 1", "b HEAD manifest 2"]);
    }
}
