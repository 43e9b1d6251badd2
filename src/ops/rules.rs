//! The rules that a user asks for: files and folders with health scripts, read.

use std::io;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::health::native::RuleSets;
use crate::health::{ArgoCdCmError, ArgoCdVersion, Clock, Customizations, Rules};
use crate::k8s::{Object, ReadError};
use crate::system;
use crate::yaml::{self, Invalid};

/// Where the health rules come from.
#[derive(Debug, Clone, Default)]
pub struct RuleOptions {
    /// A file with rows of the user's own for custom resources.
    pub own: Option<Utf8PathBuf>,
    /// A manifest of the ConfigMap `argocd-cm`.
    pub argocd_cm: Option<Utf8PathBuf>,
    /// The ConfigMap `argocd-cm` as a cluster has it, if no manifest of it is named.
    pub cluster: Option<Object>,
    /// A folder in the layout of Argo CD's `resource_customizations`.
    pub customizations: Option<Utf8PathBuf>,
    /// Run no script at all, whatever else is asked for.
    pub native_only: bool,
    /// The version of Argo CD whose verdicts are given.
    pub version: ArgoCdVersion,
}

/// Why the rules can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file or a folder can't be read.
    #[error("can't read `{path}`")]
    Read {
        /// Which.
        path: Utf8PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file holds no Kubernetes objects.
    #[error("can't read objects from `{path}`")]
    Objects {
        /// Which.
        path: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: ReadError,
    },
    /// A file holds several objects and none is `argocd-cm`, or a ConfigMap of another name.
    #[error("`{path}` holds no ConfigMap `argocd-cm`")]
    NoConfigMap {
        /// Which.
        path: Utf8PathBuf,
    },
    /// A ConfigMap is not one that Argo CD can read.
    #[error("`{path}` is not a valid `argocd-cm`")]
    ArgoCdCm {
        /// Its file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: ArgoCdCmError,
    },
    /// The cluster's own ConfigMap is not one that Argo CD can read.
    #[error("the cluster's `argocd-cm` is not valid")]
    ClusterArgoCdCm(#[source] ArgoCdCmError),
    /// A file with rows says something it can't mean.
    #[error(transparent)]
    Own(#[from] Invalid),
    /// A file with rows has none.
    #[error("`{path}` holds no rules")]
    NoRules {
        /// Which.
        path: Utf8PathBuf,
    },
    /// A folder has no script where Argo CD looks for them.
    #[error("`{path}` holds no `GROUP/KIND/health.lua`")]
    NoScripts {
        /// Which.
        path: Utf8PathBuf,
    },
}

/// The name of a script's file, as Argo CD has it.
const SCRIPT: &str = "health.lua";

/// Returns the rules that `options` ask for.
///
/// # Errors
///
/// Fails if a file or a folder can't be read, or is not what it should be.
pub fn rules(options: &RuleOptions) -> Result<Rules, RulesError> {
    let mut rules = Rules { version: options.version, ..Rules::default() };
    if let Some(path) = &options.own {
        let RuleSets(own) = yaml::decode(path, &read(path)?)?;
        if own.is_empty() {
            return Err(RulesError::NoRules { path: path.clone() });
        }
        rules = rules.with_own(own);
    }
    let is_plain = options.argocd_cm.is_none()
        && options.cluster.is_none()
        && options.customizations.is_none();
    if options.native_only || is_plain {
        return Ok(rules);
    }
    let mut customizations =
        Customizations::new(Clock { now: system::now, elapsed: system::elapsed });
    if let Some(path) = &options.argocd_cm {
        let config_map = config_map(path)?;
        let invalid = |source| RulesError::ArgoCdCm { path: path.clone(), source };
        customizations.add_argocd_cm(&config_map).map_err(invalid)?;
    } else if let Some(config_map) = &options.cluster {
        customizations.add_argocd_cm(config_map).map_err(RulesError::ClusterArgoCdCm)?;
    }
    if let Some(path) = &options.customizations {
        let scripts = scripts(path)?;
        if scripts.is_empty() {
            return Err(RulesError::NoScripts { path: path.clone() });
        }
        for (directory, script) in scripts {
            customizations.add_directory(&directory, script);
        }
    }
    rules.customizations = Some(Arc::new(customizations));
    Ok(rules)
}

fn config_map(path: &Utf8Path) -> Result<Object, RulesError> {
    let text = read(path)?;
    let unread = |source| RulesError::Objects { path: path.to_owned(), source };
    let mut objects = Object::read_all(&text).map_err(unread)?;
    let is_meant = |object: &Object| object.kind() == "ConfigMap" && object.name() == "argocd-cm";
    // What has no name yet, and what is no ConfigMap, is looked at alone.
    let may_be = |object: &Object| object.kind() != "ConfigMap" || object.name().is_empty();
    let alone = (objects.len() == 1 && may_be(&objects[0])).then_some(0);
    let meant = objects.iter().position(is_meant).or(alone);
    let meant = meant.ok_or_else(|| RulesError::NoConfigMap { path: path.to_owned() })?;
    Ok(objects.swap_remove(meant))
}

/// Returns the scripts of a folder with the names of their directories, `GROUP/KIND`, or `KIND` in the
/// core group.
fn scripts(folder: &Utf8Path) -> Result<Vec<(String, String)>, RulesError> {
    let mut scripts = Vec::new();
    for group in directories(folder)? {
        let mut places = vec![group.clone()];
        places.extend(
            directories(&folder.join(&group))?.iter().map(|kind| format!("{group}/{kind}")),
        );
        for place in places {
            let path = folder.join(&place).join(SCRIPT);
            if path.is_file() {
                scripts.push((place, read(&path)?));
            }
        }
    }
    Ok(scripts)
}

fn directories(folder: &Utf8Path) -> Result<Vec<String>, RulesError> {
    let failed = |source| RulesError::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in folder.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Utf8Path) -> Result<String, RulesError> {
    system::read_text_file(path)
        .map_err(|source| RulesError::Read { path: path.to_owned(), source })
}
