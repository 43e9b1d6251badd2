//! From the file's text to [`Config`].

use camino::{Utf8Path, Utf8PathBuf};

use super::file::{
    File, FileDigest, FileEnvironment, FileManifests, FileService, FileVia, FileWriteBy,
};
use super::{
    Author, Config, ConfigError, Environment, GithubReports, Manifests, Service, Via, WriteBy,
    attestations, build, write,
};
use crate::health::{ArgoCdVersion, UnknownVersion};
use crate::image::{DigestPolicy, ImageReference, TagPolicy, TagPolicyError};
use crate::tags::{MovingTag, MovingTagError};
use crate::yaml;

/// Something wrong with the value at a path of keys.
pub(super) struct Flaw {
    path: Vec<String>,
    message: String,
}

impl Flaw {
    pub(super) fn new(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: path.iter().map(|&key| key.to_owned()).collect(), message: message.into() }
    }
}

impl Config {
    /// Returns the configuration that `text` says; `path` is for errors.
    ///
    /// # Errors
    ///
    /// Fails if it is not YAML, has an unknown key, lacks one, or does not hold together.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, ConfigError> {
        let file: File = yaml::decode(path, text)?;
        let flaw = |flaw: Flaw| yaml::flaw(path, text, &flaw.path, flaw.message);
        Ok(config(path, file).map_err(flaw)?)
    }
}

fn config(path: &Utf8Path, file: File) -> Result<Config, Flaw> {
    if file.version != 1 {
        let message = format!("version {} is not known; expected 1", file.version);
        return Err(Flaw::new(&["version"], message));
    }
    if let Some(repo) = &file.manifests.repo
        && has_password(repo)
    {
        let message = "the URL has a password in it; take it out and use a git credential helper or DEPLOYCTL_GIT_TOKEN";
        return Err(Flaw::new(&["manifests", "repo"], message));
    }
    let environments = file
        .environments
        .into_iter()
        .map(|(name, environment)| Ok((name.clone(), self::environment(&name, environment)?)));
    let services = file
        .services
        .into_iter()
        .map(|(name, service)| Ok((name.clone(), self::service(&name, service)?)));
    let config = Config {
        path: path.to_owned(),
        manifests: manifests(file.manifests)?,
        github: GithubReports {
            deployments: file.github.deployments,
            statuses: file.github.statuses,
        },
        attestations: attestations::attestations(file.attestations)?,
        health_rules: file.health.rules.0,
        record_inputs: file.record_inputs,
        argocd_version: file.argocd_version.as_deref().map(argocd_version).transpose()?,
        environments: environments.collect::<Result<_, _>>()?,
        services: services.collect::<Result<_, _>>()?,
    };
    check_promotions(&config)?;
    write::check(&config)?;
    Ok(config)
}

fn argocd_version(text: &str) -> Result<ArgoCdVersion, Flaw> {
    let unknown = |error: UnknownVersion| {
        Flaw::new(&["argocdVersion"], format!("no version `{text}`; {error}"))
    };
    text.parse().map_err(unknown)
}

fn has_password(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.password().is_some())
}

/// Checks that every `from` names an environment and that no environment is promoted from itself.
fn check_promotions(config: &Config) -> Result<(), Flaw> {
    for environment in config.environments.values() {
        let path = ["environments", &environment.name, "from"];
        let mut seen = vec![environment.name.as_str()];
        let mut at = environment;
        while let Some(from) = &at.from {
            at = config.environment(from).map_err(|error| Flaw::new(&path, error.to_string()))?;
            if seen.contains(&from.as_str()) {
                let message = format!("`{}` would be promoted from itself", environment.name);
                return Err(Flaw::new(&path, message));
            }
            seen.push(from);
        }
    }
    Ok(())
}

fn manifests(file: FileManifests) -> Result<Manifests, Flaw> {
    let author = file.author.map(|text| {
        let expected = || format!("`{text}` is not an author; expected `Name <mail>`");
        author(&text).ok_or_else(|| Flaw::new(&["manifests", "author"], expected()))
    });
    let write = match file.write {
        FileWriteBy::Git => WriteBy::Git,
        FileWriteBy::Api => WriteBy::Api,
    };
    Ok(Manifests { repo: file.repo, branch: file.branch, write, author: author.transpose()? })
}

fn author(text: &str) -> Option<Author> {
    let (name, email) = text.trim().strip_suffix('>')?.split_once('<')?;
    let (name, email) = (name.trim(), email.trim());
    let holds = |text: &str| text.contains(['<', '>']) || text.chars().any(char::is_control);
    let is_author = !name.is_empty() && !email.is_empty() && !holds(name) && !holds(email);
    is_author.then(|| Author { name: name.to_owned(), email: email.to_owned() })
}

fn environment(name: &str, file: FileEnvironment) -> Result<Environment, Flaw> {
    let path = |key| ["environments", name, key];
    check_name(name, &["environments", name])?;
    check_placeholders(&file.overlay, &path("overlay"))?;
    let overlay = relative(&file.overlay, &path("overlay"))?;
    let write = write::write(name, &file)?;
    if let Some(application) = &file.application {
        check_placeholders(application, &path("application"))?;
    }
    let via = match file.via {
        FileVia::Push => Via::Push,
        FileVia::PullRequest => Via::PullRequest,
    };
    if file.auto_merge && via != Via::PullRequest {
        let message = "only a pull request can be merged; add `via: pull-request`";
        return Err(Flaw::new(&path("autoMerge"), message));
    }
    Ok(Environment {
        name: name.to_owned(),
        overlay: overlay.into_string(),
        application: file.application,
        context: file.context,
        from: file.from,
        via,
        auto_merge: file.auto_merge,
        digest: match file.digest {
            FileDigest::TagAndDigest => DigestPolicy::TagAndDigest,
            FileDigest::Digest => DigestPolicy::Digest,
        },
        gates: super::gates::policy(name, via, &write, file.gates)?,
        write,
    })
}

/// Checks that `name` can stand in paths, branches and commit trailers.
fn check_name(name: &str, path: &[&str]) -> Result<(), Flaw> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(word) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    let message = format!("`{name}` is not a name; expected letters, digits, `-`, `_`, `.`");
    Err(Flaw::new(path, message))
}

/// Checks that only `{service}` and `{env}` stand in braces.
pub(super) fn check_placeholders(text: &str, path: &[&str]) -> Result<(), Flaw> {
    let rest = text.replace("{service}", "").replace("{env}", "");
    if !rest.contains(['{', '}']) {
        return Ok(());
    }
    let message = format!("unknown placeholder in `{text}`; expected `{{service}}` or `{{env}}`");
    Err(Flaw::new(path, message))
}

/// Returns `text` as a path that stays where it is joined to.
pub(super) fn relative(text: &str, path: &[&str]) -> Result<Utf8PathBuf, Flaw> {
    use camino::Utf8Component::{CurDir, Normal};
    let given = Utf8PathBuf::from(text);
    let inside = given.components().all(|part| matches!(part, Normal(_) | CurDir));
    if inside && !text.is_empty() {
        return Ok(given.components().filter(|part| *part != CurDir).collect());
    }
    Err(Flaw::new(path, format!("`{text}` is not a relative path without `..`")))
}

fn service(name: &str, file: FileService) -> Result<Service, Flaw> {
    let path = ["services", name];
    check_name(name, &path)?;
    let image_path = ["services", name, "image"];
    let image: ImageReference = file
        .image
        .parse()
        .map_err(|error| Flaw::new(&image_path, format!("`{}`: {error}", file.image)))?;
    if image.tag.is_some() || image.digest.is_some() {
        let message = format!("`{}` has a tag or a digest; expected only a name", file.image);
        return Err(Flaw::new(&image_path, message));
    }
    Ok(Service {
        name: name.to_owned(),
        image: image.name,
        image_in_manifests: file.image_in_manifests.unwrap_or(file.image),
        helm: file.helm.map(|helm| write::keys(&path, &helm)).transpose()?,
        push: file.build.as_ref().and_then(|build| build.push).unwrap_or(true),
        recipe: file.build.map(|build| build::recipe(name, build)).transpose()?,
        tag: file.tag.map_or(Ok(TagPolicy::default()), |text| tag(name, &text))?,
        moving_tags: moving_tags(name, &file.moving_tags)?,
    })
}

fn moving_tags(service: &str, texts: &[String]) -> Result<Vec<MovingTag>, Flaw> {
    let read = |text: &String| {
        text.parse().map_err(|error: MovingTagError| {
            Flaw::new(&["services", service, "movingTags"], error.to_string())
        })
    };
    texts.iter().map(read).collect()
}

fn tag(service: &str, text: &str) -> Result<TagPolicy, Flaw> {
    text.parse().map_err(|error: TagPolicyError| {
        Flaw::new(&["services", service, "tag"], error.to_string())
    })
}
