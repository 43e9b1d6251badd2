//! Which file states an environment's images: read and checked.

use super::file::{FileEnvironment, FileHelm, FileWrite};
use super::read::{Flaw, check_placeholders, relative};
use super::{Config, Write};
use crate::image::DigestPolicy;
use crate::target::HelmKeys;
use crate::yaml::Path;

/// Returns which file states the images of the environment `name`.
pub(super) fn write(name: &str, file: &FileEnvironment) -> Result<Write, Flaw> {
    let path = |key| ["environments", name, key];
    let helm_only = [("values", file.values.is_some()), ("helm", file.helm.is_some())];
    let write = match file.write {
        FileWrite::Kustomize => Write::Kustomize,
        FileWrite::ArgocdSource => Write::ArgocdSource,
        FileWrite::HelmValues => return helm_values(name, file),
    };
    match helm_only.into_iter().find(|(_, present)| *present) {
        Some((key, _)) => {
            Err(Flaw::new(&path(key), format!("`{key}` is for `write: helm-values`")))
        }
        None => Ok(write),
    }
}

fn helm_values(name: &str, file: &FileEnvironment) -> Result<Write, Flaw> {
    let path = ["environments", name, "values"];
    let Some(values) = &file.values else {
        let message = "`write: helm-values` needs `values`, the file to write";
        return Err(Flaw::new(&["environments", name, "write"], message));
    };
    check_placeholders(values, &path)?;
    let values = relative(values, &path)?.into_string();
    let keys = file.helm.as_ref().map(|helm| keys(&["environments", name], helm)).transpose()?;
    Ok(Write::HelmValues { values, keys })
}

/// Returns the paths that `helm` of the value at `parent` says.
pub(super) fn keys(parent: &[&str], helm: &FileHelm) -> Result<HelmKeys, Flaw> {
    let at = |key: Option<&'static str>| [parent, &["helm"], key.as_slice()].concat();
    let path = |key: &'static str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let path = text.parse::<Path>();
        path.map(Some).map_err(|error| Flaw::new(&at(Some(key)), error.to_string()))
    };
    let keys = HelmKeys {
        image: path("image", &helm.image)?,
        registry: path("registry", &helm.registry)?,
        tag: path("tag", &helm.tag)?,
        digest: path("digest", &helm.digest)?,
    };
    if keys.image.is_none() && keys.tag.is_none() && keys.digest.is_none() {
        return Err(Flaw::new(&at(None), "expected `image`, `tag` or `digest`"));
    }
    if keys.registry.is_some() && (keys.image.is_none() || keys.is_whole()) {
        let message = "`registry` needs `image` beside it, and `tag` or `digest`";
        return Err(Flaw::new(&at(Some("registry")), message));
    }
    Ok(keys)
}

/// Checks that every image has its paths where a values file states it.
pub(super) fn check(config: &Config) -> Result<(), Flaw> {
    for environment in config.environments.values() {
        let Write::HelmValues { keys, .. } = &environment.write else { continue };
        for service in config.services.values() {
            let Some(keys) = service.helm.as_ref().or(keys.as_ref()) else {
                let message = format!(
                    "`{}` has no `helm`, which `write: helm-values` in `{}` needs; add it here or there",
                    service.name, environment.name
                );
                return Err(Flaw::new(&["services", &service.name], message));
            };
            let has_place = keys.digest.is_some() || keys.is_whole();
            if environment.digest == DigestPolicy::Digest && !has_place {
                let message = format!(
                    "`digest: digest` needs a `digest` in the `helm` of `{}`, where it can be alone",
                    service.name
                );
                return Err(Flaw::new(&["environments", &environment.name, "digest"], message));
            }
        }
    }
    Ok(())
}
