//! deployctl carries one value, an image pinned by digest, down the whole road: it builds the
//! image, states it in a kustomize overlay of a manifests repository, commits and pushes, and
//! proves that the rollout is healthy as Argo CD would judge it.
//!
//! # Code map
//!
//! Arrows run downwards only; `tests/testsuite/architecture.rs` fails with the file and line that
//! turns one round.
//!
//! | room | what is in it |
//! |---|---|
//! | [`cli`] | arguments, exit codes, hints; builds real backends from configuration and environment |
//! | [`report`] | what ops return and emit, as bytes: terminal, JSON, GitHub Actions |
//! | [`ops`] | what a command does: options in, report out; loops, waits and retries live here, and the seam `Store`, by git or by GitHub's API |
//! | [`registry`] | OCI distribution: remote registry, OCI layout directory, strict memory registry |
//! | [`git`] | the manifests repository: read and edit trees without a checkout, commit, push |
//! | [`github`] | commits, pull requests, checks and deployments by its API; what Actions tells a step |
//! | [`build`] | image builders: native, docker, buildah, podman; build context and ignore file; what decides an image, as a digest |
//! | [`cluster`] | what runs: the live Kubernetes API by watches, or a recording of it |
//! | [`render`] | an overlay to Kubernetes objects, through `kustomize` or `kubectl` |
//! | [`config`] | `deployctl.yaml` to the nouns' own types; errors with line and column; schema |
//! | [`image`] | reference, digest, tag, tag policy, platform, ignore-file patterns, manifest and config documents |
//! | [`tags`] | docker/metadata-action's grammar: an event to tags, labels and annotations |
//! | [`attestation`] | what is said about an image beside it: packages (CycloneDX), provenance (SLSA), signatures (Sigstore bundles), and keys |
//! | [`kustomize`] | the kustomization file: its images, and their byte-exact edit; file trees |
//! | [`k8s`] | dynamic object, identity, conditions |
//! | [`health`] | Argo CD's health rules: its checks, one file a kind; Lua customizations; rows for custom resources; their aggregation |
//! | [`argocd`] | the Application, its project and its set: whether a revision is rolled out by it; `argocd-cm` |
//! | [`rollout`] | a snapshot of a rollout to its progress, to what its digests prove and, if it fails, to the cause, one file each |
//! | [`promotion`] | what a promotion is on record as, and what is decided from that |
//! | [`target`] | where an environment states an image: kustomization, Argo CD's source file, Helm values |
//! | [`lint`] | what is wrong with overlays: rules, one file each |
//! | [`pipeline`] | the pipeline file: steps and their order |
//! | [`yaml`] | documents with byte spans, byte patches, scalar style |
//! | [`system`] | environment variables, child processes, the clock |
//!
//! # Invariants
//!
//! - The nouns (`image` to `pipeline`) do no I/O and read no clock: they are functions over values.
//! - Backends (`registry` to `config`) do not know each other; only ops and the command line join
//!   them. A builder, for example, leaves blobs in a folder, and the op pushes them.
//! - An edit is a function of a tree, so a push that lost a race applies the edit to the new tip.
//! - A file is changed only in the bytes that the change is about, and the result is read back and
//!   compared before it is used.
//! - Secrets are [`secrecy`] values and reach a child process by its environment or its standard
//!   input, never by an argument or a URL; every line a child prints passes through a redactor.

pub mod argocd;
pub mod attestation;
pub mod build;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod git;
pub mod github;
pub mod health;
pub mod image;
pub mod k8s;
pub mod kustomize;
pub mod lint;
pub mod ops;
pub mod pipeline;
pub mod promotion;
pub mod registry;
pub mod render;
pub mod report;
pub mod rollout;
pub mod system;
pub mod tags;
pub mod target;
pub mod yaml;
