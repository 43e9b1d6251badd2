//! From the file's text to [`Config`].

use camino::{Utf8Path, Utf8PathBuf};

use super::file::{
    File, FileBuild, FileDigest, FileEngine, FileEnvironment, FileLayer, FileManifests,
    FileService, FileVia, FileWriteBy,
};
use super::{
    Author, Config, ConfigError, Environment, GithubReports, Manifests, Service, Via, WriteBy,
    write,
};
use crate::health::{ArgoCdVersion, UnknownVersion};
use crate::image::{
    DigestPolicy, Dockerfile, Engine, ImageReference, Layer, Method, Native, Recipe, RunConfig,
    TagPolicy, TagPolicyError,
};
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
        health_rules: file.health.rules.0,
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
        recipe: file.build.map(|build| recipe(name, build)).transpose()?,
        tag: file.tag.map_or(Ok(TagPolicy::default()), |text| tag(name, &text))?,
    })
}

fn tag(service: &str, text: &str) -> Result<TagPolicy, Flaw> {
    text.parse().map_err(|error: TagPolicyError| {
        Flaw::new(&["services", service, "tag"], error.to_string())
    })
}

fn recipe(service: &str, file: FileBuild) -> Result<Recipe, Flaw> {
    let context = Utf8PathBuf::from(&file.context);
    let method = if file.layers.is_some() {
        Method::Native(Box::new(native(service, file)?))
    } else {
        Method::Dockerfile(dockerfile(service, file)?)
    };
    Ok(Recipe { context, method })
}

fn dockerfile(service: &str, file: FileBuild) -> Result<Dockerfile, Flaw> {
    let native_only = [
        ("base", file.base.is_some()),
        ("env", !file.env.is_empty()),
        ("entrypoint", file.entrypoint.is_some()),
        ("cmd", file.cmd.is_some()),
        ("user", file.user.is_some()),
        ("workdir", file.workdir.is_some()),
        ("ports", !file.ports.is_empty()),
        ("labels", !file.labels.is_empty()),
        ("platform", file.platform.is_some()),
    ];
    refuse(service, &native_only, "is for an image with `layers`; a Dockerfile says it itself")?;
    let path = ["services", service, "build", "dockerfile"];
    Ok(Dockerfile {
        file: file.dockerfile.map(|text| relative(&text, &path)).transpose()?,
        target: file.target,
        args: file.args,
        engine: file.engine.map(|engine| match engine {
            FileEngine::Docker => Engine::Docker,
            FileEngine::Buildah => Engine::Buildah,
        }),
    })
}

fn native(service: &str, file: FileBuild) -> Result<Native, Flaw> {
    let dockerfile_only = [
        ("dockerfile", file.dockerfile.is_some()),
        ("target", file.target.is_some()),
        ("args", !file.args.is_empty()),
        ("engine", file.engine.is_some()),
    ];
    refuse(service, &dockerfile_only, "is for a Dockerfile; an image with `layers` has none")?;
    let layers = file.layers.unwrap_or_default();
    let layers =
        layers.into_iter().enumerate().map(|(index, layer)| self::layer(service, index, layer));
    Ok(Native {
        base: file
            .base
            .filter(|base| base != "scratch")
            .map(|base| self::base(service, &base))
            .transpose()?,
        layers: layers.collect::<Result<_, _>>()?,
        config: RunConfig {
            env: file.env,
            entrypoint: file.entrypoint,
            cmd: file.cmd,
            user: file.user,
            workdir: file.workdir.map(Into::into),
            ports: file.ports,
            labels: file.labels,
        },
        platform: file.platform,
    })
}

/// Fails at the first key that is there.
fn refuse(service: &str, keys: &[(&str, bool)], why: &str) -> Result<(), Flaw> {
    match keys.iter().find(|(_, present)| *present) {
        Some((key, _)) => {
            Err(Flaw::new(&["services", service, "build", key], format!("`{key}` {why}")))
        }
        None => Ok(()),
    }
}

fn base(service: &str, text: &str) -> Result<ImageReference, Flaw> {
    let path = ["services", service, "build", "base"];
    text.parse().map_err(|error| Flaw::new(&path, format!("`{text}`: {error}")))
}

fn layer(service: &str, index: usize, file: FileLayer) -> Result<Layer, Flaw> {
    let index = index.to_string();
    let path = |key| ["services", service, "build", "layers", &index, key];
    if !file.to.starts_with('/') || file.to.split('/').any(|part| part == "..") {
        let message = format!("`{}` is not an absolute path without `..`", file.to);
        return Err(Flaw::new(&path("to"), message));
    }
    Ok(Layer {
        from: relative(&file.from, &path("from"))?,
        to: file.to.into(),
        mode: file.mode.map(|text| mode(&text, &path("mode"))).transpose()?,
        owner: file.owner.map_or(Ok((0, 0)), |text| owner(&text, &path("owner")))?,
    })
}

fn mode(text: &str, path: &[&str]) -> Result<u32, Flaw> {
    let expected =
        || Flaw::new(path, format!("`{text}` is not a mode; expected octal, like `0755`"));
    u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777).ok_or_else(expected)
}

fn owner(text: &str, path: &[&str]) -> Result<(u32, u32), Flaw> {
    let expected = || Flaw::new(path, format!("`{text}` is not an owner; expected `uid:gid`"));
    let (uid, gid) = text.split_once(':').ok_or_else(expected)?;
    Ok((uid.parse().map_err(|_| expected())?, gid.parse().map_err(|_| expected())?))
}
