//! Real backends, built from the configuration and the environment when a command asks for them.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::ExposeSecret as _;

use super::args::GlobalArgs;
use super::error::CommandError;
use crate::cli::ui::Ui;
use crate::cluster::Live;
use crate::config::{self, Config, GithubReports, WriteBy};
use crate::git::{self, Repository, Source};
use crate::github::{self, GithubError};
use crate::ops::{Event, Manifests, SourceReports};
use crate::registry::Remote;
use crate::render::External;
use crate::system::{self, Environment};

/// What a command works with.
pub(crate) struct Context {
    pub(super) global: GlobalArgs,
    pub(super) environment: Environment,
    ui: Ui,
}

impl Context {
    pub(super) fn new(global: GlobalArgs, environment: Environment, ui: Ui) -> Self {
        // Not by clap, for which a variable that is empty is set.
        let config = global.config.or_else(|| environment.get("DEPLOYCTL_CONFIG").map(Into::into));
        Self { global: GlobalArgs { config, ..global }, environment, ui }
    }

    /// Runs `work` on a runtime of its own until it ends or the user interrupts it.
    pub(super) fn block_on<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        // A second runtime in one process, as in a test, finds the provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(CommandError::bug)?;
        let result = runtime.block_on(async {
            let mut interrupted = std::pin::pin!(system::interrupted());
            let result = tokio::select! {
                result = work => result,
                () = &mut interrupted => return Err(CommandError::interrupted()),
            };
            if result.is_ok() {
                return result;
            }
            // Ctrl-C reaches children too, and one that it ended may be the first to tell.
            let moment = std::time::Duration::from_millis(20);
            match tokio::time::timeout(moment, interrupted).await {
                Ok(()) => Err(CommandError::interrupted()),
                Err(_) => result,
            }
        });
        // A child that runs was killed with the future that waited for it. A thread that is busy in
        // libgit2 touches only the cache, which survives being left half-written.
        runtime.shutdown_timeout(std::time::Duration::from_millis(200));
        result
    }

    /// Returns the configuration: the file that `--config` names, else the nearest one upwards.
    pub(super) fn config(&self) -> Result<Config, CommandError> {
        let path = match &self.global.config {
            Some(path) => path.clone(),
            None => Config::find(&self.current_dir()?)?,
        };
        Ok(Config::read(&path)?)
    }

    /// Returns the folder that deployctl was started in.
    pub(super) fn current_dir(&self) -> Result<Utf8PathBuf, CommandError> {
        Ok(system::current_dir()?)
    }

    /// Returns the manifests repository that the configuration names, or that it lies in.
    pub(super) async fn manifests(&self, config: &Config) -> Result<Manifests, CommandError> {
        let remote = self.manifests_remote(config).await?;
        let cache = self.git_caches()?;
        let environment = self.with_git_token(&remote).await?;
        let repository = match config.manifests.write {
            WriteBy::Api => Repository::open_anyway(&remote, &cache, &environment).await?,
            WriteBy::Git => Repository::open(&remote, &cache, &environment).await?,
        };
        let repository = repository.with_services_at(config.depth_of_services());
        let (remote, branch) = (repository.remote().to_owned(), config.manifests.branch.clone());
        let api = self.branches(config, &remote)?;
        Ok(Manifests { repository, remote, branch, api })
    }

    /// Returns the same repository as git fetched it last, for who may not reach the network.
    pub(super) async fn manifests_offline(
        &self,
        config: &Config,
    ) -> Result<Manifests, CommandError> {
        let remote = self.manifests_remote(config).await?;
        let cache = self.git_caches()?;
        let repository = Repository::open_anyway(&remote, &cache, &self.environment).await?;
        let repository = repository.offline();
        let (remote, branch) = (repository.remote().to_owned(), config.manifests.branch.clone());
        Ok(Manifests { repository, remote, branch, api: None })
    }

    async fn manifests_remote(&self, config: &Config) -> Result<String, CommandError> {
        let remote = match &config.manifests.repo {
            Some(repo) => repo.clone(),
            None => self.repository_around(config.folder()).await?,
        };
        Ok(absolute_if_path(&remote, config.folder()))
    }

    /// Returns the manifests repository through GitHub's API, where that is to be the way and there is a
    /// token: who has none can still read by git.
    fn branches(
        &self,
        config: &Config,
        remote: &str,
    ) -> Result<Option<github::Branches>, CommandError> {
        if config.manifests.write != WriteBy::Api {
            return Ok(None);
        }
        let elsewhere = || {
            CommandError::usage(
                format!("`{remote}` is not a GitHub repository, so there is no API"),
                "leave out `write: api`, or set `manifests.repo` to the repository on GitHub",
            )
        };
        github::repository_of(remote).ok_or_else(elsewhere)?;
        let client = match self.github() {
            Err(error) if error.is(|error| matches!(error, GithubError::NoToken)) => {
                return Ok(None);
            }
            client => Arc::new(client?),
        };
        // Of another forge, the address looks the same; the token must not go there for it.
        let (owner, name) = client.repository_of(remote).ok_or_else(elsewhere)?;
        Ok(Some(client.branches(&owner, &name)?))
    }

    /// Returns the environment with the token of the GitHub App, if one asks, for `git`.
    async fn with_git_token(&self, remote: &str) -> Result<Environment, CommandError> {
        let environment = self.environment.clone();
        let is_http = remote.starts_with("https://") || remote.starts_with("http://");
        if environment.get("DEPLOYCTL_GITHUB_APP_ID").is_none()
            || environment.get("DEPLOYCTL_GIT_TOKEN").is_some()
            || !is_http
        {
            return Ok(environment);
        }
        let client = self.github()?;
        let Some((owner, name)) = client.repository_of(remote) else { return Ok(environment) };
        let token = client.git_token(&owner, &name).await?;
        Ok(environment.with("DEPLOYCTL_GIT_TOKEN", token.expose_secret()))
    }

    async fn repository_around(&self, folder: &Utf8Path) -> Result<String, CommandError> {
        let source = Source::discover(folder, &self.environment).await?;
        let none = || {
            CommandError::usage(
                format!("`{folder}` is in no git repository, and `manifests.repo` is not set"),
                "set `manifests.repo` in deployctl.yaml to the repository that Argo CD watches",
            )
        };
        let source = source.ok_or_else(none)?;
        Ok(source.remote.unwrap_or_else(|| source.root.into_string()))
    }

    /// Returns the folder that caches of git repositories are in.
    pub(super) fn git_caches(&self) -> Result<Utf8PathBuf, CommandError> {
        Ok(self.cache_dir()?.join("git"))
    }

    fn cache_dir(&self) -> Result<Utf8PathBuf, CommandError> {
        let none = || {
            CommandError::usage(
                "there is no folder for caches: neither HOME nor XDG_CACHE_HOME is set",
                "set DEPLOYCTL_CACHE_DIR to a folder that deployctl may write to",
            )
        };
        self.environment.cache_dir().ok_or_else(none)
    }

    /// Returns the repository that the services' files are in, or `None`.
    pub(super) async fn source(&self, folder: &Utf8Path) -> Result<Option<Source>, CommandError> {
        Ok(Source::discover(folder, &self.environment).await?)
    }

    /// Returns who writes commits, and what signs them.
    pub(super) async fn authorship(
        &self,
        config: &Config,
    ) -> Result<git::Authorship, CommandError> {
        let author = config.manifests.author.as_ref();
        let author = author.map(|config::Author { name, email }| git::Identity {
            name: name.clone(),
            email: email.clone(),
        });
        let dir = self.current_dir()?;
        Ok(git::authorship(&self.environment, &dir, author.as_ref()).await?)
    }

    /// Returns the client of the registries that images name.
    pub(super) fn registry(&self) -> Result<Remote, CommandError> {
        Ok(Remote::new(&self.environment)?)
    }

    /// Returns what `SOURCE_DATE_EPOCH` says, in seconds since 1970, or `None` if it is not set.
    pub(super) fn source_date_epoch(&self) -> Result<Option<i64>, CommandError> {
        let Some(text) = self.environment.get("SOURCE_DATE_EPOCH") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let message =
                format!("SOURCE_DATE_EPOCH is `{text}`, which is not a number of seconds");
            CommandError::usage(message, "set it to seconds since 1970, or unset it")
        })
    }

    /// Returns the renderer.
    pub(super) fn renderer(&self) -> External {
        External::new(&self.environment)
    }

    /// Returns the cluster of an environment.
    pub(super) async fn cluster(
        &self,
        environment: &config::Environment,
    ) -> Result<Live, CommandError> {
        Ok(Live::connect(&self.environment, environment.context.as_deref()).await?)
    }

    /// Returns who tells GitHub how far source commits are, if that is wanted and there is a token.
    pub(super) fn source_reporter(
        &self,
        config: &Config,
    ) -> Result<Option<SourceReporter>, CommandError> {
        let reports = config.github;
        if !(reports.deployments || reports.statuses) {
            return Ok(None);
        }
        let client = match github::Client::new(&self.environment) {
            Err(github::GithubError::NoToken) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(_) => self.github()?,
        };
        let actions = github::actions::Actions::detect(&self.environment);
        let run_url = actions.and_then(|actions| actions.run_url().map(ToOwned::to_owned));
        Ok(Some(SourceReporter { client, reports, run_url }))
    }

    /// Returns the GitHub client.
    pub(super) fn github(&self) -> Result<github::Client, CommandError> {
        let ui = self.ui.clone();
        let tell = move |reason: &str, time| {
            ui.event(&Event::Waiting { reason: reason.to_owned(), time });
        };
        Ok(github::Client::new(&self.environment)?.telling(tell))
    }
}

/// Tells GitHub how far source commits are.
pub(super) struct SourceReporter {
    client: github::Client,
    reports: GithubReports,
    run_url: Option<String>,
}

impl SourceReporter {
    pub(super) fn reports(&self) -> SourceReports<'_> {
        let (client, reports) = (&self.client, self.reports);
        SourceReports { client, reports, run_url: self.run_url.as_deref() }
    }
}

/// Returns `remote` as it is if it is a URL or `user@host:path`, else as a path from `folder`.
fn absolute_if_path(remote: &str, folder: &Utf8Path) -> String {
    let is_url =
        remote.contains("://") || remote.split('/').next().is_some_and(|s| s.contains(':'));
    if is_url { remote.to_owned() } else { folder.join(remote).into_string() }
}
