//! SLSA provenance: how an image was made, by whom and out of what. See
//! <https://slsa.dev/spec/v1.1/provenance>.

use serde_json::{Value, json};

use crate::image::Digest;

/// How the parameters are to be read: those of a `build` section of `deployctl.yaml`.
const BUILD_TYPE: &str = "https://deployctl.dev/build/image/v1";

/// How an image was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The service that the image is of.
    pub service: String,
    /// How it is made: the service's `build` section.
    pub recipe: Value,
    /// What it was made out of, as far as that is known by its digest.
    pub dependencies: Vec<Dependency>,
    /// The URI of who made it.
    pub builder: String,
    /// The run that it was made in, if there is a page of it.
    pub invocation: Option<String>,
    /// The version of deployctl.
    pub version: String,
}

/// Something that an image was made out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// An image, by name and digest.
    Image {
        /// Its reference.
        reference: String,
        /// Its digest.
        digest: Digest,
    },
    /// A commit of a repository.
    Commit {
        /// The repository's address, without credentials; `None` where there is no remote.
        repository: Option<String>,
        /// The commit.
        commit: String,
        /// Whether files differed from it.
        dirty: bool,
    },
}

impl Provenance {
    /// Returns the predicate; the same for the same values.
    pub fn predicate(&self) -> Value {
        let mut details = json!({
            "builder": { "id": self.builder, "version": { "deployctl": self.version } },
        });
        if let Some(invocation) = &self.invocation {
            details["metadata"] = json!({ "invocationId": invocation });
        }
        let dependencies: Vec<_> = self.dependencies.iter().map(Dependency::descriptor).collect();
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "service": self.service, "build": self.recipe },
                "resolvedDependencies": dependencies,
            },
            "runDetails": details,
        })
    }
}

impl Dependency {
    fn descriptor(&self) -> Value {
        match self {
            Self::Image { reference, digest } => {
                json!({ "uri": format!("oci://{reference}"), "digest": { "sha256": digest.hex() } })
            }
            Self::Commit { repository, commit, dirty } => {
                let mut descriptor = json!({});
                match repository {
                    Some(repository) => descriptor["uri"] = git_uri(repository).into(),
                    None => descriptor["name"] = "source".into(),
                }
                descriptor["digest"] = json!({ "gitCommit": commit });
                if *dirty {
                    descriptor["annotations"] = json!({ "dirty": true });
                }
                descriptor
            }
        }
    }
}

/// Returns a git address as a URI, as SPDX has it: `git+https://…`, `git+ssh://…`.
fn git_uri(address: &str) -> String {
    if address.contains("://") {
        return format!("git+{address}");
    }
    match address.split_once(':') {
        Some((host, path)) if !host.contains('/') => format!("git+ssh://{host}/{path}"),
        _ => format!("git+file://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_says_how_by_whom_and_out_of_what() {
        let digest = Digest::of(b"base");
        let provenance = Provenance {
            service: "web".into(),
            recipe: json!({ "context": "web" }),
            dependencies: vec![
                Dependency::Image {
                    reference: "registry.example.com/base:1".into(),
                    digest: digest.clone(),
                },
                Dependency::Commit {
                    repository: Some("git@git.example.com:shop/web.git".into()),
                    commit: "abc".into(),
                    dirty: true,
                },
            ],
            builder: "https://deployctl.dev/builder/local/v1".into(),
            invocation: None,
            version: "0.1.0".into(),
        };
        let expected = json!({
            "buildDefinition": {
                "buildType": "https://deployctl.dev/build/image/v1",
                "externalParameters": { "service": "web", "build": { "context": "web" } },
                "resolvedDependencies": [
                    { "uri": "oci://registry.example.com/base:1", "digest": { "sha256": digest.hex() } },
                    {
                        "uri": "git+ssh://git@git.example.com/shop/web.git",
                        "digest": { "gitCommit": "abc" },
                        "annotations": { "dirty": true },
                    },
                ],
            },
            "runDetails": {
                "builder": {
                    "id": "https://deployctl.dev/builder/local/v1",
                    "version": { "deployctl": "0.1.0" },
                },
            },
        });
        assert_eq!(provenance.predicate(), expected);
    }

    #[test]
    fn a_git_address_of_any_kind_is_a_uri() {
        for (address, uri) in [
            ("https://git.example.com/a.git", "git+https://git.example.com/a.git"),
            ("ssh://git@git.example.com/a", "git+ssh://git@git.example.com/a"),
            ("git@git.example.com:a", "git+ssh://git@git.example.com/a"),
            ("/srv/git/a", "git+file:///srv/git/a"),
        ] {
            assert_eq!(git_uri(address), uri);
        }
    }
}
