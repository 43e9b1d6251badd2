//! What `deployctl.yaml` may say, key by key. The JSON schema is made from these types, so a doc
//! comment here is what an editor shows.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::attestations::FileAttestations;
use super::build::FileBuild;
use crate::health::native::RuleSets;

/// Returns the JSON schema of `deployctl.yaml`.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File).to_value();
    schema["$id"] = "https://deployctl.dev/schema/v1/deployctl.json".into();
    schema
}

fn yes() -> bool {
    true
}

/// Returns the schema of a version of Argo CD; YAML takes one without quotes for a number.
fn argocd_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "number"]})
}

/// Configuration of deployctl: where manifests are, which environments there are, and which images.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "deployctl.yaml")]
pub(super) struct File {
    /// Version of this file's format: 1.
    #[schemars(extend("const" = 1))]
    pub(super) version: u32,
    /// The repository that the overlays are in and that Argo CD watches.
    #[serde(default)]
    pub(super) manifests: FileManifests,
    /// What GitHub is told about the commits that images are built from.
    #[serde(default)]
    pub(super) github: FileGithub,
    /// What is attached to images that are built, and who must have signed what they are built on.
    #[serde(default)]
    pub(super) attestations: FileAttestations,
    /// How the health of objects is judged, beyond what Argo CD knows.
    #[serde(default)]
    pub(super) health: FileHealth,
    /// The version of Argo CD whose verdicts `verify` and `health` give, such as "3.2"; left out: the
    /// newest. `--argocd-version` goes before it.
    #[serde(default)]
    #[schemars(schema_with = "argocd_version")]
    pub(super) argocd_version: Option<String>,
    /// Whether `build` keeps a record beside each image that it pushes, as a referrer, of what the image
    /// was made of: digests of files, never values. `build --explain` reads it. It costs one request, or
    /// four where the registry has no referrers API; `true` by default.
    #[serde(default = "yes")]
    pub(super) record_inputs: bool,
    /// Environments by name.
    pub(super) environments: IndexMap<String, FileEnvironment>,
    /// Services by name.
    pub(super) services: IndexMap<String, FileService>,
}

/// The manifests repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileManifests {
    /// URL, `user@host:path`, or path. Left out: the repository that this file is in.
    pub(super) repo: Option<String>,
    /// The branch to write to. Left out: the remote's default branch.
    pub(super) branch: Option<String>,
    /// How commits are made.
    #[serde(default)]
    pub(super) write: FileWriteBy,
    /// Who writes commits, `Name <mail>`. Left out: whom git's configuration names. GIT_AUTHOR_NAME
    /// and the like outrank it.
    pub(super) author: Option<String>,
}

/// How commits are made.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileWriteBy {
    /// By git, in a bare clone.
    #[default]
    Git,
    /// By GitHub's API, without a clone: GitHub signs the commits of an App or of Actions. What the API
    /// can't do, git does.
    Api,
}

/// What GitHub is told about the commits that images are built from, where their repository is on
/// GitHub and there is a token.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileGithub {
    /// Deployments: in progress when an environment states the image, then success or failure, as
    /// `deployctl verify` finds.
    #[serde(default)]
    pub(super) deployments: bool,
    /// The same as commit statuses, `deployctl/ENV/SERVICE`.
    #[serde(default)]
    pub(super) statuses: bool,
}

/// How the health of objects is judged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileHealth {
    /// Rows for kinds of custom resources. They are asked in order, and before those that deployctl
    /// ships; where none holds, those are asked.
    #[serde(default)]
    pub(super) rules: RuleSets,
}

/// An environment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileEnvironment {
    /// Folder of a service's overlay in the manifests repository, or of its Helm chart; `{service}`
    /// and `{env}` are filled in.
    pub(super) overlay: String,
    /// The service's Argo CD Application, `name` (in the namespace argocd) or `namespace/name`;
    /// `{service}` and `{env}` are filled in. Left out: no Argo CD, workloads are watched directly.
    pub(super) application: Option<String>,
    /// Context of the kubeconfig. Left out: the current context, or the service account in a cluster.
    pub(super) context: Option<String>,
    /// The environment that images are promoted from.
    pub(super) from: Option<String>,
    /// How a change gets into the branch.
    #[serde(default)]
    pub(super) via: FileVia,
    /// Whether its pull request is merged as soon as GitHub and the gates allow it: at once, by GitHub's
    /// auto-merge, or by a merge queue.
    #[serde(default)]
    pub(super) auto_merge: bool,
    /// Whether an image is written with its tag.
    #[serde(default)]
    pub(super) digest: FileDigest,
    /// What must hold before the environment is changed; each gate at most once. `promote` judges all
    /// of them. `set` judges all but `healthy` and `soak`, which are about the environment that an image
    /// comes from. A gate whose facts can't be had is shut. `--override GATE --reason TEXT` passes one,
    /// and the commit says so.
    #[serde(default, deserialize_with = "serde_yaml::with::singleton_map_recursive::deserialize")]
    pub(super) gates: Vec<FileGate>,
    /// Which file states the images.
    #[serde(default)]
    pub(super) write: FileWrite,
    /// Values file in the manifests repository, for `write: helm-values`; `{service}` and `{env}` are
    /// filled in. It must be there.
    pub(super) values: Option<String>,
    /// Where in the values file a service's image is, unless the service says so itself;
    /// `{service}` and `{env}` are filled in.
    pub(super) helm: Option<FileHelm>,
}

/// A gate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileGate {
    /// The image is healthy in the environment that it comes from: its cluster says so now, or, where
    /// none can be asked, `deployctl verify` has recorded it.
    Healthy,
    /// That environment has had the image for so long, for example `30m` or `2h`: since `deployctl
    /// verify` recorded it as healthy, else since the commit that put it there.
    Soak(String),
    /// Windows of time in which changes may, or may not, be made.
    Freeze(FileFreeze),
    /// People who approve the pull request; for an environment with `via: pull-request`.
    Approval(FileApproval),
    /// Commit statuses or check runs that have passed on the commit that the image was built from. An
    /// empty list: all that the commit has, and it has one.
    Checks(Vec<String>),
    /// Every image of the overlay's pods has a digest, also those that nobody promotes.
    DigestPinned,
    /// The commit that the image was built from is on this branch of its repository.
    Branch(String),
}

/// Windows of time, as the sync windows of Argo CD have them. Where one of `deny` is on, nothing
/// passes; where there are windows in `allow`, one of them must be on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileFreeze {
    /// Time zone of the schedules, for example `Europe/Berlin`; `UTC` by default.
    pub(super) time_zone: Option<String>,
    /// When changes may be made.
    #[serde(default)]
    pub(super) allow: Vec<FileWindow>,
    /// When they may not.
    #[serde(default)]
    pub(super) deny: Vec<FileWindow>,
}

/// A window of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileWindow {
    /// When it begins: minute, hour, day of the month, month, day of the week, as in a crontab, for
    /// example `0 18 * * FRI`. A time that clocks skip is the moment at which they do.
    pub(super) schedule: String,
    /// How long it lasts, for example `62h` or `1h 30m`; at most a year.
    pub(super) duration: String,
}

/// People who approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileApproval {
    /// Their accounts on GitHub.
    pub(super) by: Vec<String>,
    /// How many of them must approve the pull request's last commit; 1 by default.
    pub(super) count: Option<usize>,
}

/// Which file states the images.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileWrite {
    /// The overlay's kustomization, in `images:`.
    #[default]
    Kustomize,
    /// Argo CD's `.argocd-source-APPLICATION.yaml` in the overlay's folder, in `kustomize.images`,
    /// which overrides the kustomization. It is created if it is not there. Without an
    /// `application` it is `.argocd-source.yaml`.
    ArgocdSource,
    /// The values file of a Helm chart, at the paths that `helm` names.
    HelmValues,
}

/// Where the parts of an image are in a Helm values file: paths such as `image.tag`; a dot inside of a
/// key is written `\.`, an item of a list `[0]`. Keys that are missing in the file are added.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileHelm {
    /// The image's name, or where there is neither `tag` nor `digest`, the whole reference.
    pub(super) image: Option<String>,
    /// The registry's name, where `image` is only the repository in it.
    pub(super) registry: Option<String>,
    /// The tag. Without a `digest` it gets both, as `TAG@DIGEST`.
    pub(super) tag: Option<String>,
    /// The digest, as `sha256:…`.
    pub(super) digest: Option<String>,
}

/// Whether an image is written with its tag.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileDigest {
    /// Tag and digest, so that people can read it: in a kustomization `newTag` and `digest`, which
    /// kustomize renders as `name:tag@digest`. The digest decides what runs.
    #[default]
    TagAndDigest,
    /// The digest alone; a tag that is there is removed. kustomize renders `name@digest`.
    Digest,
}

/// How a change gets into the branch.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileVia {
    /// A commit that is pushed.
    #[default]
    Push,
    /// A pull request on GitHub.
    PullRequest,
}

/// A service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileService {
    /// The image's registry and repository, without tag and digest.
    pub(super) image: String,
    /// What the manifests call the image (`name` in a kustomization's `images:`). Left out: `image`.
    pub(super) image_in_manifests: Option<String>,
    /// Where the image is in a Helm values file, for environments with `write: helm-values`.
    pub(super) helm: Option<FileHelm>,
    /// How the image is made. Left out: somebody else makes it, and it is only set and promoted.
    pub(super) build: Option<FileBuild>,
    /// How the image is tagged: `commit` (12 characters of the source commit, the default) or
    /// `commit:LENGTH`, `content` (12 characters of the image's digest), `input` (of what decides it),
    /// `semver` (from a git tag at the commit) or `semver:PREFIX` (the tag has that before the version),
    /// `branch`, `date` or `date:FORMAT` (of the commit, as moment writes it), or a template with
    /// `{commit}`, `{content}`, `{input}`, `{version}`, `{major}`, `{minor}`, `{patch}`, `{branch}` or
    /// `{date}` in it.
    pub(super) tag: Option<String>,
    /// Tags that move from one image to the next, and only forward: `latest` or another name (the highest
    /// release, or the default branch as long as there is none), `NAME@BRANCH`, `{branch}`, `{major}`,
    /// `{major}.{minor}`. Each image that one moves to gets a tag of its own beside it: of a release its
    /// version, else `BRANCH.SECONDS.COMMIT`.
    #[serde(default)]
    pub(super) moving_tags: Vec<String>,
}
