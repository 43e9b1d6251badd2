//! `deployctl.yaml`: read, checked, and turned into the nouns' own types.
//!
//! What the file may say is in `file.rs` and `build.rs`, which is also where the JSON schema comes
//! from. Finding
//! the repositories and clusters that it names is left to the command line.

mod attestations;
mod build;
mod error;
mod file;
mod gates;
mod read;
mod write;

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;

use crate::argocd::ApplicationName;
use crate::health::ArgoCdVersion;
use crate::health::native::RuleSet;
use crate::image::{DigestPolicy, ImageName, Recipe, TagPolicy};
use crate::promotion::Policy;
use crate::system;
use crate::tags::MovingTag;
use crate::target::{HelmKeys, Place, Target};

pub use attestations::{Attestations, SignBy};
pub use error::{ConfigError, UnknownName};
pub use file::schema;

/// The name of the configuration file.
pub const FILE_NAME: &str = "deployctl.yaml";

/// A configuration file that was read and holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file.
    pub path: Utf8PathBuf,
    /// Where the overlays are.
    pub manifests: Manifests,
    /// What GitHub is told about source commits.
    pub github: GithubReports,
    /// What is attached to images, and who must vouch for what they are built on.
    pub attestations: Attestations,
    /// Rules of the user's own for the health of custom resources.
    pub health_rules: Vec<RuleSet>,
    /// The version of Argo CD whose verdicts are given, if one is named.
    pub argocd_version: Option<ArgoCdVersion>,
    /// Whether a record of its inputs is kept beside each image that is pushed.
    pub record_inputs: bool,
    /// The environments in the order of the file.
    pub environments: IndexMap<String, Environment>,
    /// The services in the order of the file.
    pub services: IndexMap<String, Service>,
}

/// The manifests repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifests {
    /// URL, `user@host:path`, or path; the repository that the file is in if `None`.
    pub repo: Option<String>,
    /// The branch that Argo CD watches; the remote's default branch if `None`.
    pub branch: Option<String>,
    /// How commits are made.
    pub write: WriteBy,
    /// Who writes commits; whom git names if `None`.
    pub author: Option<Author>,
}

/// Who writes commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

/// How commits are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WriteBy {
    /// By git.
    #[default]
    Git,
    /// By GitHub's API, and by git what that can't do.
    Api,
}

/// What GitHub is told about the commits that images are built from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GithubReports {
    /// Deployments.
    pub deployments: bool,
    /// Commit statuses.
    pub statuses: bool,
}

/// An environment: where its overlays are, and who rolls them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// The overlay's folder in the manifests repository, with `{service}` in it.
    overlay: String,
    /// The Argo CD Application, with `{service}` in it.
    application: Option<String>,
    /// The kubeconfig context of its cluster.
    pub context: Option<String>,
    /// The environment that images are promoted from.
    pub from: Option<String>,
    /// How a change gets into the branch.
    pub via: Via,
    /// Whether its pull request is merged as soon as GitHub and the gates allow it.
    pub auto_merge: bool,
    /// Whether an image is written with its tag.
    pub digest: DigestPolicy,
    /// What must hold before it is changed.
    pub gates: Policy,
    /// Which file states the images.
    write: Write,
}

/// How a change gets into the branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Via {
    /// By a push.
    #[default]
    Push,
    /// By a pull request.
    PullRequest,
}

/// Which file states the images of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Write {
    Kustomize,
    ArgocdSource,
    HelmValues {
        /// The file, with `{service}` in it.
        values: String,
        /// Where in it an image is, unless the service says so.
        keys: Option<HelmKeys>,
    },
}

/// A service: its image, and how that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The image's registry and repository.
    pub image: ImageName,
    /// What the manifests call the image: the `name` of its entry in `images:`.
    pub image_in_manifests: String,
    /// Where it is in a Helm values file.
    helm: Option<HelmKeys>,
    /// How it is made; `None` for an image that somebody else makes.
    pub recipe: Option<Recipe>,
    /// Whether its image is pushed, so that environments can run it.
    pub push: bool,
    /// How it is tagged.
    pub tag: TagPolicy,
    /// The tags that move to each of its images, as far as that is ahead.
    pub moving_tags: Vec<MovingTag>,
}

impl Config {
    /// Returns the configuration in the file `path`.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be read, or says something that it can't mean.
    pub fn read(path: &Utf8Path) -> Result<Self, ConfigError> {
        let text = system::read_text_file(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Returns the path of the configuration file in the folder `start` or the nearest parent.
    ///
    /// # Errors
    ///
    /// Fails if there is none up to the root.
    pub fn find(start: &Utf8Path) -> Result<Utf8PathBuf, ConfigError> {
        let candidates = start.ancestors().map(|folder| folder.join(FILE_NAME));
        let not_found = || ConfigError::NotFound { start: start.to_owned() };
        candidates.into_iter().find(|path| path.is_file()).ok_or_else(not_found)
    }

    /// Returns the folder that the file is in.
    pub fn folder(&self) -> &Utf8Path {
        self.path
            .parent()
            .filter(|folder| !folder.as_str().is_empty())
            .unwrap_or(Utf8Path::new("."))
    }

    /// Returns the environment `name`.
    ///
    /// # Errors
    ///
    /// Fails if there is none; the error knows the nearest name.
    pub fn environment(&self, name: &str) -> Result<&Environment, UnknownName> {
        let unknown = || UnknownName::new("environment", name, self.environments.keys());
        self.environments.get(name).ok_or_else(unknown)
    }

    /// Returns the service `name`.
    ///
    /// # Errors
    ///
    /// Fails if there is none; the error knows the nearest name.
    pub fn service(&self, name: &str) -> Result<&Service, UnknownName> {
        let unknown = || UnknownName::new("service", name, self.services.keys());
        self.services.get(name).ok_or_else(unknown)
    }

    /// Returns the services `names`, or all whose images are pushed if there are no names: environments
    /// can have no other.
    ///
    /// # Errors
    ///
    /// Fails at the first name that is no service.
    pub fn services<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<&Service>, UnknownName> {
        if names.is_empty() {
            return Ok(self.services.values().filter(|service| service.push).collect());
        }
        names.iter().map(|name| self.service(name.as_ref())).collect()
    }

    /// Returns how deep the folders lie at most that services have of their own in the manifests
    /// repository; one in the root has the depth 1.
    pub fn depth_of_services(&self) -> usize {
        self.environments.values().map(Environment::depth_of_services).max().unwrap_or_default()
    }
}

impl Environment {
    /// Returns the folder of the service's overlay, from the root of the manifests repository.
    pub fn overlay(&self, service: &Service) -> Utf8PathBuf {
        self.fill(&self.overlay, service).into()
    }

    /// Returns where the environment states the service's image.
    pub fn target(&self, service: &Service) -> Target {
        Target {
            name: service.image_in_manifests.clone(),
            registry: service.image.clone(),
            digest: self.digest,
            place: self.place(service),
        }
    }

    /// Returns the depth of the first folder on the way to what states an image that is not all
    /// services'.
    fn depth_of_services(&self) -> usize {
        let path = match &self.write {
            Write::HelmValues { values, .. } => values,
            Write::Kustomize | Write::ArgocdSource => &self.overlay,
        };
        let names = || Utf8Path::new(path).components();
        let own = names().position(|name| name.as_str().contains("{service}"));
        own.map_or(names().count(), |shared| shared + 1)
    }

    fn place(&self, service: &Service) -> Place {
        let overlay = self.overlay(service);
        match &self.write {
            Write::Kustomize => Place::Kustomization { overlay },
            Write::ArgocdSource => {
                Place::ArgocdSource { overlay, application: self.application(service) }
            }
            Write::HelmValues { values, keys } => {
                let keys = service.helm.as_ref().or(keys.as_ref()).cloned().unwrap_or_default();
                let keys = keys.map_keys(|key| self.fill(key, service));
                Place::HelmValues { file: self.fill(values, service).into(), keys }
            }
        }
    }

    /// Returns the branch of deployctl's own on which changes of the environment are proposed.
    pub fn proposal_branch(&self) -> String {
        format!("deployctl/{}", self.name)
    }

    /// Returns the service's Argo CD Application, if the environment has Applications.
    pub fn application(&self, service: &Service) -> Option<ApplicationName> {
        let text = self.fill(self.application.as_ref()?, service);
        let (namespace, name) = text.split_once('/').unwrap_or(("argocd", &text));
        Some(ApplicationName { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn fill(&self, template: &str, service: &Service) -> String {
        template.replace("{service}", &service.name).replace("{env}", &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::health::ArgoCdVersion;

    #[test]
    fn a_service_that_is_not_pushed_is_not_among_those_of_environments() {
        let build = |push: &str| format!("{{context: ., {push}layers: []}}");
        let read = |push: &str| {
            let text = format!(
                "version: 1\nenvironments: {{}}\nservices:\n  web: {{image: r.example.com/web}}\n  \
                 tool: {{image: r.example.com/tool, build: {}}}\n",
                build(push)
            );
            Config::parse("deployctl.yaml".into(), &text)
        };
        let names = |push: &str| {
            let config = read(push).unwrap();
            let all = config.services::<&str>(&[]).unwrap();
            all.iter().map(|service| service.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(""), ["web", "tool"]);
        assert_eq!(names("push: true, "), ["web", "tool"]);
        assert_eq!(names("push: false, "), ["web"]);
        assert!(read("push: false, ").unwrap().services(&["tool"]).is_ok());
        let error = read("push: never, ").unwrap_err().to_string();
        assert!(error.contains("services.tool.build"), "{error}");
    }

    #[test]
    fn health_rules_are_read_and_an_error_in_them_has_its_place() {
        let read = |rows: &str| {
            let rules = format!("[{{group: example.com, kinds: [Widget], rows: [{rows}]}}]");
            let head = "version: 1\nservices: {}\nenvironments: {}\n";
            let text = format!("{head}health:\n  rules: {rules}\n");
            Config::parse("deployctl.yaml".into(), &text)
        };
        assert_eq!(read("{health: Healthy}").unwrap().health_rules.len(), 1);
        assert_eq!(
            read("{if: {status.phase: {equals: A}}, health: Healthy}").unwrap_err().to_string(),
            "deployctl.yaml:5:76: health.rules[0].rows[0].if.status.phase: unknown key `equals`, expected one of `exists`, `empty`, `not`, `default`, `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `starts`, `ends`, `contains`"
        );
    }

    #[test]
    fn a_version_of_argo_cd_is_one_that_is_known() {
        let read = |version: &str| {
            let text = format!(
                "version: 1\nservices: {{}}\nenvironments: {{}}\nargocdVersion: {version}\n"
            );
            Config::parse("deployctl.yaml".into(), &text)
        };
        for version in ["3.2", "'3.2'", "v3.2.7"] {
            let config = read(version).unwrap();
            assert_eq!(config.argocd_version, Some(ArgoCdVersion::V3_2), "{version}");
        }
        assert_eq!(
            read("3.10").unwrap_err().to_string(),
            "deployctl.yaml:4:16: no version `3.10`; expected one of 2.14, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6"
        );
    }

    #[test]
    fn the_folders_above_those_of_services_are_counted() {
        let depth = |overlays: &[&str]| {
            let mut text = "version: 1\nservices: {}\nenvironments:\n".to_owned();
            for (number, overlay) in overlays.iter().enumerate() {
                text.push_str(&format!("  e{number}: {{overlay: '{overlay}'}}\n"));
            }
            Config::parse("deployctl.yaml".into(), &text).unwrap().depth_of_services()
        };
        assert_eq!(depth(&["apps/{service}/overlays/{env}"]), 2);
        assert_eq!(depth(&["{service}"]), 1);
        assert_eq!(depth(&["clusters/{env}/apps/web-{service}/x"]), 4);
        assert_eq!(depth(&["deploy/{env}"]), 2);
        assert_eq!(depth(&["{service}/dev", "prod/{service}"]), 2);
    }
}
