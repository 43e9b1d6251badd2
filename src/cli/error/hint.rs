//! What to do about an error: one sentence, for those that a person can do something about.

use std::error::Error;

use super::found;
use crate::attestation::KeyError;
use crate::build;
use crate::cluster::ClusterError;
use crate::config::{ConfigError, UnknownName};
use crate::git::GitError;
use crate::github::GithubError;
use crate::image::TagPolicyError;
use crate::kustomize::{EditError, FindError};
use crate::ops::{
    AttachError, BuildError, EffectError, RenderedError, RollbackError, SetError, StatedImageError,
};
use crate::promotion::UnknownGate;
use crate::registry::RegistryError;
use crate::render::RenderError;

/// Returns what to do about `error`, not about its causes.
pub(super) fn hint_for(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = found::<UnknownName>(error) {
        return match error.known.as_slice() {
            [] => Some(format!("deployctl.yaml has no {}s yet; add one", error.what)),
            known => Some(format!("known: {}", known.join(", "))),
        };
    }
    if let Some(error) = found::<EffectError>(error) {
        return effect(error);
    }
    if let Some(error) = found::<UnknownGate>(error) {
        return match error.known.as_slice() {
            [] => Some("it has no gates; leave --override out".to_owned()),
            known => Some(format!("its gates here: {}", known.join(", "))),
        };
    }
    if let Some(SetError::Unused { unused, .. }) = found::<SetError>(error) {
        return unused.instead();
    }
    if let Some(GitError::NoCommit { revision, .. }) = found(error)
        && revision.contains(['~', '^'])
    {
        let hint = "git's `~` and `^` are not read here; name the commit by its id, which \
                    `deployctl history` lists";
        return Some(hint.to_owned());
    }
    let hint = None
        .or_else(|| found::<ConfigError>(error).and_then(config))
        .or_else(|| found::<GitError>(error).and_then(GitError::advice))
        .or_else(|| found::<GithubError>(error).and_then(GithubError::advice))
        .or_else(|| found::<RegistryError>(error).and_then(registry))
        .or_else(|| found::<ClusterError>(error).and_then(cluster))
        .or_else(|| found::<RenderError>(error).and_then(render))
        .or_else(|| found::<RenderedError>(error).and_then(rendered))
        .or_else(|| found::<FindError>(error).and_then(find))
        .or_else(|| found::<StatedImageError>(error).and_then(stated))
        .or_else(|| found::<EditError>(error).and_then(edit))
        .or_else(|| found::<SetError>(error).and_then(set))
        .or_else(|| found::<RollbackError>(error).and_then(rollback))
        .or_else(|| found::<BuildError>(error).and_then(service_build))
        .or_else(|| found::<AttachError>(error).and_then(attach))
        .or_else(|| found::<KeyError>(error).and_then(key))
        .or_else(|| found::<build::BuildError>(error).and_then(builder));
    hint.map(str::to_owned)
}

fn effect(error: &EffectError) -> Option<String> {
    match error {
        EffectError::NoEffect(swallowed) => swallowed.instead(),
        EffectError::OtherChanges { .. } => Some(
            "if that is meant, run it again with --allow-other-changes, or with \
             `allowOtherChanges: true` in a pipeline's step; nothing was changed"
                .to_owned(),
        ),
        EffectError::NoLongerRenders { .. } | EffectError::Find(_) => None,
    }
}

fn config(error: &ConfigError) -> Option<&'static str> {
    match error {
        ConfigError::NotFound { .. } => Some(
            "write one (README, \"Configuration\"), name one with --config, or try `deployctl demo` first",
        ),
        ConfigError::Read { .. } => Some("name a file that can be read with --config"),
        ConfigError::Invalid(_) => None,
    }
}

fn registry(error: &RegistryError) -> Option<&'static str> {
    match error {
        RegistryError::Unreachable { .. } => Some(
            "check the registry's name and the network; a registry without TLS is named in DEPLOYCTL_INSECURE_REGISTRIES",
        ),
        RegistryError::Denied { .. } => Some(
            "`deployctl registry doctor` with the image's name tells what is in the way; often `docker login` is",
        ),
        RegistryError::File { .. } => Some("name another folder with --layout"),
        _ => None,
    }
}

fn attach(error: &AttachError) -> Option<&'static str> {
    match error {
        AttachError::NoKey { .. } => Some(
            "`attestations.sign.key` in deployctl.yaml names a file, or `env:NAME` for a variable",
        ),
        AttachError::NoIdentity => Some(
            "on GitHub Actions give the job `permissions: id-token: write`, on GitLab CI an `id_tokens` \
             entry SIGSTORE_ID_TOKEN; or sign with a key (`attestations.sign.key`)",
        ),
        AttachError::NoCosign => {
            Some("install cosign 3, or use a key, which deployctl reads by itself")
        }
        _ => None,
    }
}

fn key(error: &KeyError) -> Option<&'static str> {
    match error {
        KeyError::NoPassword | KeyError::WrongPassword => {
            Some("the key's password is read from the environment variable COSIGN_PASSWORD")
        }
        _ => None,
    }
}

fn cluster(error: &ClusterError) -> Option<&'static str> {
    match error {
        ClusterError::NoCluster { .. } | ClusterError::Kubeconfig { .. } => Some(
            "set KUBECONFIG, or name a context: `context` in deployctl.yaml, `--context` without one",
        ),
        // rustls' words.
        ClusterError::Unreachable { reason, .. } if reason.contains("peer certificate") => Some(
            "if it is the right cluster, take its certificate authority anew into the kubeconfig \
             (`certificate-authority-data`), as whoever runs it hands it out",
        ),
        ClusterError::Unreachable { .. } => {
            Some("check that the cluster is up and its context is right")
        }
        ClusterError::Denied { reason, .. } if reason.contains("(401 Unauthorized)") => {
            Some("log in again: a token may have expired, or be another cluster's")
        }
        ClusterError::Denied { reason, .. } if reason.contains("kubeconfig's credential") => {
            Some("log in again, and try `kubectl version` with the same context")
        }
        ClusterError::Denied { .. } => Some(
            "the account needs to get, list and watch what is verified; manifests/verify/account in \
             deployctl's repository is such a role",
        ),
        ClusterError::UnknownKind { kind, .. } if kind == "Application" => Some(
            "name the cluster that Argo CD runs in (`context` in deployctl.yaml, `--context` without \
             one), or verify without Argo CD: no `application`, or `-f FILE`",
        ),
        ClusterError::UnknownKind { .. } => {
            Some("install it, or check that the context is the right one")
        }
        _ => None,
    }
}

fn render(error: &RenderError) -> Option<&'static str> {
    match error {
        RenderError::NoRenderer { .. } => {
            Some("install kustomize, or kubectl, which brings it along")
        }
        _ => None,
    }
}

fn rendered(error: &RenderedError) -> Option<&'static str> {
    match error {
        RenderedError::Chart { .. } => {
            Some("name the environment's `application` in deployctl.yaml, which lists what runs")
        }
        RenderedError::Render(_) | RenderedError::Target(_) => None,
    }
}

fn find(error: &FindError) -> Option<&'static str> {
    match error {
        FindError::Missing { .. } => Some(
            "check the path; for an environment it is its `overlay` in deployctl.yaml, in the manifests repository",
        ),
        FindError::Several { .. } => Some("remove one of the two"),
        FindError::Tree(_) => None,
    }
}

fn stated(error: &StatedImageError) -> Option<&'static str> {
    match error {
        StatedImageError::Find(error) => find(error),
        StatedImageError::Read { .. }
        | StatedImageError::Broken { .. }
        | StatedImageError::NoReference { .. } => {
            Some("correct the file in the manifests repository, then run it again")
        }
        StatedImageError::NoFile { .. } => Some(
            "check the environment's `values` in deployctl.yaml; the file must be in the manifests repository",
        ),
        StatedImageError::NoValue { .. } => {
            Some("check `helm` in deployctl.yaml, or set the image once")
        }
        StatedImageError::Tree(_) => None,
        StatedImageError::NoEntry { .. } => Some(
            "let the overlay use the image, or say in deployctl.yaml what the manifests call it (`imageInManifests`)",
        ),
        StatedImageError::NoDigest { .. } => {
            Some("set it once with its digest: `deployctl set --env ENV SERVICE=REF`")
        }
    }
}

fn edit(error: &EditError) -> Option<&'static str> {
    match error {
        EditError::Read(_) | EditError::Duplicate { .. } | EditError::Refused { .. } => {
            Some("correct the file, then run it again; nothing was changed")
        }
        EditError::NoArguments | EditError::Argument { .. } => None,
    }
}

fn set(error: &SetError) -> Option<&'static str> {
    match error {
        SetError::NoPullRequests { .. } => Some(
            "let the environment be changed by push (`via: push`), or set `manifests.repo` to the repository on GitHub",
        ),
        SetError::Stuck { .. } => Some(
            "a push that died may have left `refs/heads/BRANCH.lock` in the remote; remove it if no push is running",
        ),
        SetError::NoBranch { .. } => Some("check `manifests.branch` in deployctl.yaml"),
        SetError::Raced { .. } => Some("nothing was changed; run it again"),
        _ => None,
    }
}

fn rollback(error: &RollbackError) -> Option<&'static str> {
    match error {
        RollbackError::NothingVerified { .. } | RollbackError::NothingBefore { .. } => Some(
            "name a commit of the manifests repository with --to (`deployctl history SERVICE --env ENV` \
             lists them), or set an image with `deployctl set`",
        ),
        _ => None,
    }
}

fn service_build(error: &BuildError) -> Option<&'static str> {
    match error {
        BuildError::NoRecipe { .. } => Some("add one (README, \"Configuration\")"),
        BuildError::NoBase { .. } => {
            Some("check `base` in the service's `build` section, and that the registry has it")
        }
        BuildError::Tag { source: TagPolicyError::NoFact { .. }, .. } => {
            Some("commit what differs, or say the tag with --tag")
        }
        BuildError::Scratch(_) => Some("set TMPDIR to a folder with room"),
        _ => None,
    }
}

fn builder(error: &build::BuildError) -> Option<&'static str> {
    match error {
        build::BuildError::File { .. } => Some(
            "check `context` and `layers` in the service's `build` section; they start from deployctl.yaml's folder",
        ),
        build::BuildError::NoEngine { .. } => Some(
            "install docker, buildah or podman, or say with `layers` what the image consists of",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_refuses_is_told_with_what_mends_it() {
        let denied = |reason: &str| ClusterError::Denied {
            verb: "list pods in `shop`".to_owned(),
            reason: reason.to_owned(),
        };
        let server = "https://k8s.example.com".to_owned();
        let reason = "invalid peer certificate: UnknownIssuer".to_owned();
        let unknown = |api_version: &str, kind: &str| ClusterError::UnknownKind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        for (error, expected) in [
            (denied("the credentials are not accepted (401 Unauthorized)"), "log in again"),
            (denied("the kubeconfig's credential plugin failed"), "`kubectl version`"),
            (denied("pods is forbidden"), "get, list and watch"),
            (ClusterError::Unreachable { server, reason }, "`certificate-authority-data`"),
            (unknown("argoproj.io/v1alpha1", "Application"), "without Argo CD"),
            (unknown("example.com/v1", "Widget"), "install it"),
        ] {
            let hint = hint_for(&error).unwrap();
            assert!(hint.contains(expected), "{error}: {hint}");
        }
    }
}
