//! Remotes behind HTTP and SSH by libgit2 alone, for machines without a `git` program.
//!
//! People's set-up counts as far as libgit2 and libssh2 know it: the token, ssh-agent, the usual key
//! files, `known_hosts`, proxies by their variables, `SSL_CERT_FILE`. `~/.ssh/config`, credential
//! helpers and partial fetches need `git`.
//!
//! libgit2 has no `--force-with-lease`, and a push is a compare-and-swap all the same: the server
//! says in the first message of a push where its branches are; [`PushNegotiation`] refuses to go on
//! unless that is what is expected; libgit2 then sends this very value as the old one of the update,
//! and the server, holding the lock of the reference, refuses an update whose old value is not the
//! current one (gitprotocol-pack(5), "Reference Update Request and Packfile Transfer").
//!
//! [`PushNegotiation`]: git2::PushNegotiation

use std::cell::RefCell;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode,
    FetchOptions, FetchPrune, ProxyOptions, PushOptions, RemoteCallbacks, RemoteUpdateFlags,
};
use secrecy::ExposeSecret as _;

use super::answer::{self, Pushed};
use super::credentials::Credentials;
use super::known_hosts::{HostKey, KnownHosts};
use super::remote::Remote;
use super::transport::{Depth, Fetch, Move, Reference, references};
use super::{CommitId, GitError, OWN_BRANCHES, Push};
use crate::system::Environment;

/// A remote that libgit2 talks to.
#[derive(Debug, Clone)]
pub(super) struct Network {
    remote: Remote,
    credentials: Option<Credentials>,
    hosts: KnownHosts,
    /// The user that SSH logs in as where the address names none.
    user: String,
    has_agent: bool,
    keys: Vec<Utf8PathBuf>,
}

/// How long one operation may take, as for a run of `git`.
const PATIENCE: Duration = Duration::from_secs(600);

/// What one conversation with the remote left behind, besides its result.
#[derive(Debug, Default)]
struct Heard {
    /// What the remote printed.
    text: Vec<u8>,
    /// The host key that was refused.
    host_key: Option<HostKey>,
    /// Why the remote did not move the branch.
    refused: Option<String>,
    /// Where the branch was, if not where it was expected.
    elsewhere: Option<git2::Oid>,
}

impl Network {
    pub(super) fn new(
        remote: Remote,
        credentials: Option<Credentials>,
        environment: &Environment,
    ) -> Self {
        let ssh = environment.get("HOME").map(|home| Utf8PathBuf::from(home).join(".ssh"));
        // As ssh(1) lists them, without those on devices.
        let keys = ["id_ed25519", "id_ecdsa", "id_rsa"];
        let keys = ssh.iter().flat_map(|folder| keys.map(|name| folder.join(name)));
        Self {
            remote,
            credentials,
            hosts: KnownHosts::of(ssh.as_deref()),
            user: environment.get("USER").unwrap_or("git").to_owned(),
            has_agent: environment.get("SSH_AUTH_SOCK").is_some(),
            keys: keys.filter(|path| path.is_file()).collect(),
        }
    }

    pub(super) async fn fetch(&self, cache: &Utf8Path, fetch: &Fetch<'_>) -> Result<(), GitError> {
        let (cache, refspecs) = (cache.to_owned(), fetch.refspecs.to_vec());
        let (depth, prune) = (fetch.depth, fetch.prune);
        self.blocking(move |network| {
            let fetch = Fetch { refspecs: &refspecs, depth, prune };
            network.converse("fetch", |heard| network.fetch_now(&cache, &fetch, heard))?
        })
        .await
    }

    pub(super) async fn list(&self, patterns: &[&str]) -> Result<Vec<Reference>, GitError> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let (heads, _) = self.advertised().await?;
        let is_meant = |name: &str| {
            let name = name.strip_suffix("^{}").unwrap_or(name);
            patterns.iter().any(|pattern| matches(pattern, name))
        };
        let listing = heads.iter().filter(|(name, _)| is_meant(name));
        let listing: String = listing.map(|(name, id)| format!("{id}\t{name}\n")).collect();
        Ok(references(&listing))
    }

    pub(super) async fn head(&self) -> Result<Option<String>, GitError> {
        let (_, head) = self.advertised().await?;
        Ok(head.and_then(|name| name.strip_prefix("refs/heads/").map(ToOwned::to_owned)))
    }

    pub(super) async fn push(&self, cache: &Utf8Path, moved: &Move) -> Result<Pushed, GitError> {
        let (cache, moved) = (cache.to_owned(), moved.clone());
        self.blocking(move |network| network.push_now(&cache, &moved)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let network = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&network));
        match tokio::time::timeout(PATIENCE, done).await {
            Ok(done) => done.expect("libgit2 does not panic, and nothing cancels it"),
            Err(_) => Err(GitError::Unreachable {
                remote: self.remote.as_str().to_owned(),
                message: format!("it did not answer within {} seconds", PATIENCE.as_secs()),
            }),
        }
    }

    /// Returns the references that the remote has, and where its `HEAD` points.
    async fn advertised(&self) -> Result<(Vec<(String, git2::Oid)>, Option<String>), GitError> {
        self.blocking(|network| {
            network.converse("ls-remote", |heard| {
                let mut remote = git2::Remote::create_detached(network.remote.as_str())?;
                let callbacks = Some(network.callbacks(heard));
                let connection = remote.connect_auth(Direction::Fetch, callbacks, Some(proxy()))?;
                let heads = connection.list()?;
                let head = heads.iter().find(|head| head.name() == "HEAD");
                let head = head.and_then(|head| head.symref_target().map(ToOwned::to_owned));
                Ok((heads.iter().map(|head| (head.name().to_owned(), head.oid())).collect(), head))
            })
        })
        .await
    }

    /// Calls `work`, and returns what its failure means.
    fn converse<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&RefCell<Heard>) -> Result<T, git2::Error>,
    ) -> Result<T, GitError> {
        let heard = RefCell::default();
        work(&heard).map_err(|error| self.failure(action, &error, &heard.borrow()))
    }

    fn failure(&self, action: &'static str, error: &git2::Error, heard: &Heard) -> GitError {
        let remote = self.remote.as_str().to_owned();
        match heard.host_key {
            Some(key) => GitError::HostKey { remote, changed: key != HostKey::Unknown },
            None => answer::library_failure(action, &remote, error, &heard.text),
        }
    }

    /// Fetches, or returns what the remote lacks.
    fn fetch_now(
        &self,
        cache: &Utf8Path,
        fetch: &Fetch<'_>,
        heard: &RefCell<Heard>,
    ) -> Result<Result<(), GitError>, git2::Error> {
        let cache = git2::Repository::open_bare(cache)?;
        let mut remote = cache.remote_anonymous(self.remote.as_str())?;
        let callbacks = Some(self.callbacks(heard));
        let mut connection = remote.connect_auth(Direction::Fetch, callbacks, Some(proxy()))?;
        let heads = connection.list()?.iter().map(|head| (head.name().to_owned(), head.oid()));
        let heads: Vec<_> = heads.collect();
        let mut refspecs = Vec::new();
        for refspec in fetch.refspecs {
            match self.obtainable(refspec, &heads) {
                Ok(refspec) => refspecs.push(refspec),
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut options = FetchOptions::new();
        options.remote_callbacks(self.callbacks(heard)).proxy_options(proxy());
        options.download_tags(AutotagOption::None).prune(FetchPrune::Off);
        options.depth(match fetch.depth {
            Depth::Recent => 1,
            Depth::Deepen(more) => {
                generations(&cache, &refspecs, &heads).saturating_add_unsigned(more)
            }
        });
        let remote = connection.remote();
        match remote.download(&refspecs, Some(&mut options)) {
            // Only servers that allow it send a commit that no reference is at.
            Err(error) if error.message().contains("cannot fetch a specific object") => {
                let revision = refspecs.join(", ");
                let remote = self.remote.as_str().to_owned();
                return Ok(Err(GitError::NoCommit { remote, revision }));
            }
            result => result?,
        }
        let (flags, tags) = (RemoteUpdateFlags::empty(), AutotagOption::None);
        remote.update_tips(None, flags, tags, None)?;
        if fetch.prune {
            remote.prune(None)?;
        }
        Ok(Ok(()))
    }

    /// Returns the refspec by which the remote gives what `refspec` asks for.
    fn obtainable(&self, refspec: &str, heads: &[(String, git2::Oid)]) -> Result<String, GitError> {
        let remote = || self.remote.as_str().to_owned();
        if let Ok(id) = refspec.parse::<CommitId>() {
            let at = heads.iter().find(|(name, head)| *head == id.oid() && !name.ends_with("^{}"));
            return Ok(at.map_or_else(|| id.to_string(), |(name, _)| name.clone()));
        }
        let source = refspec.trim_start_matches('+').split(':').next().unwrap_or_default();
        if source.contains('*') || heads.iter().any(|(name, _)| name == source) {
            return Ok(refspec.to_owned());
        }
        if heads.is_empty() {
            return Err(GitError::Empty { remote: remote() });
        }
        let branch = source.trim_start_matches("refs/heads/").to_owned();
        Err(GitError::NoBranch { remote: remote(), branch, known: Vec::new() })
    }

    fn push_now(&self, cache: &Utf8Path, moved: &Move) -> Result<Pushed, GitError> {
        let heard = RefCell::default();
        let result = self.send(cache, moved, &heard);
        let heard = heard.into_inner();
        let remote = self.remote.as_str();
        match (result, &heard) {
            // An earlier push got through whose answer was lost.
            (_, Heard { elsewhere: Some(tip), .. }) if *tip == moved.commit.oid() => {
                Ok(Pushed::Told(Push::Pushed))
            }
            (_, Heard { elsewhere: Some(_), .. }) => Ok(Pushed::Told(Push::Raced)),
            (_, Heard { refused: Some(reason), text, .. }) => {
                answer::not_moved(remote, &moved.reference, reason, text)
            }
            (Ok(()), _) => Ok(Pushed::Told(Push::Pushed)),
            (Err(error), _) if error.code() == ErrorCode::NotFastForward => {
                Ok(Pushed::Told(Push::Raced))
            }
            (Err(error), _) => match self.failure("push", &error, &heard) {
                error @ GitError::Unreachable { .. } => Ok(Pushed::Unclear(error)),
                error => Err(error),
            },
        }
    }

    fn send(
        &self,
        cache: &Utf8Path,
        moved: &Move,
        heard: &RefCell<Heard>,
    ) -> Result<(), git2::Error> {
        let expected = moved.expected.as_ref().map_or(git2::Oid::ZERO_SHA1, CommitId::oid);
        let cache = git2::Repository::open_bare(cache)?;
        let mut remote = cache.remote_anonymous(self.remote.as_str())?;
        let mut callbacks = self.callbacks(heard);
        callbacks.push_negotiation(|updates| {
            let mut tips = updates.iter().map(git2::PushUpdate::src);
            match tips.find(|tip| *tip != expected) {
                None => Ok(()),
                elsewhere => {
                    heard.borrow_mut().elsewhere = elsewhere;
                    let message = "the branch has moved";
                    Err(git2::Error::new(ErrorCode::User, ErrorClass::Callback, message))
                }
            }
        });
        callbacks.push_update_reference(|_, status| {
            heard.borrow_mut().refused = status.map(ToOwned::to_owned);
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks).proxy_options(proxy());
        // Only deployctl's own branches and references may lose commits.
        let branch = moved.reference.strip_prefix("refs/heads/");
        let is_own = branch.is_none_or(|name| name.starts_with(OWN_BRANCHES));
        let refspec =
            format!("{}{}:{}", if is_own { "+" } else { "" }, moved.commit, moved.reference);
        remote.push(&[refspec], Some(&mut options))
    }

    fn callbacks<'a>(&'a self, heard: &'a RefCell<Heard>) -> RemoteCallbacks<'a> {
        let mut callbacks = RemoteCallbacks::new();
        let mut keys = self.keys.iter();
        let (mut agent, mut token) = (self.has_agent, self.credentials.as_ref());
        callbacks.credentials(move |url, username, allowed| {
            if allowed.contains(CredentialType::USERNAME) {
                return Cred::username(username.unwrap_or(&self.user));
            }
            if allowed.contains(CredentialType::USER_PASS_PLAINTEXT)
                && let Some(credentials) = token.take().filter(|_| self.is_at_home(url))
            {
                let (name, secret) = credentials.pair();
                return Cred::userpass_plaintext(name, secret.expose_secret());
            }
            if allowed.contains(CredentialType::SSH_KEY) {
                let username = username.unwrap_or(&self.user);
                if std::mem::take(&mut agent) {
                    return Cred::ssh_key_from_agent(username);
                }
                if let Some(key) = keys.next() {
                    return Cred::ssh_key(username, None, key.as_std_path(), None);
                }
            }
            let message = "no credentials are left that it might accept";
            Err(git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, message))
        });
        callbacks.certificate_check(move |certificate, host| {
            let Some(key) = certificate.as_hostkey() else {
                return Ok(CertificateCheckStatus::CertificatePassthrough);
            };
            let known = key.hostkey().map(|key| self.hosts.check(host, self.remote.port(), key));
            match known.unwrap_or(HostKey::Unknown) {
                HostKey::Known => Ok(CertificateCheckStatus::CertificateOk),
                refused => {
                    heard.borrow_mut().host_key = Some(refused);
                    let message = "the host key is not the known one";
                    Err(git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, message))
                }
            }
        });
        callbacks.sideband_progress(|text| {
            let heard = &mut heard.borrow_mut().text;
            let room = MOST_TEXT.saturating_sub(heard.len());
            heard.extend(text.iter().take(room));
            true
        });
        callbacks
    }

    /// Returns whether `url` is where the token belongs, and no other place that the remote sent to.
    fn is_at_home(&self, url: &str) -> bool {
        let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
        origin.is_ok_and(|origin| self.remote.http_origin() == Some(&origin))
    }
}

/// How much of what a remote prints is kept.
const MOST_TEXT: usize = 64 * 1024;

fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// Returns whether `git ls-remote` would list `name` for `pattern`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            let rest = name.strip_prefix(start);
            rest.is_some_and(|rest| rest.len() >= end.len() && rest.ends_with(end))
        }
        None => name == pattern,
    }
}

/// Returns how many generations of commits the cache has from what `refspecs` stand for backwards:
/// libgit2 can't deepen by so many more, only to so many.
fn generations(
    cache: &git2::Repository,
    refspecs: &[String],
    heads: &[(String, git2::Oid)],
) -> i32 {
    let id = |refspec: &String| {
        let source = refspec.trim_start_matches('+').split(':').next().unwrap_or_default();
        let at = heads.iter().find(|(name, _)| name == source).map(|(_, id)| *id);
        at.or_else(|| Some(source.parse::<CommitId>().ok()?.oid()))
    };
    let mut level: Vec<_> = refspecs.iter().filter_map(id).collect();
    let (mut seen, mut count) = (std::collections::HashSet::new(), 0);
    while !level.is_empty() && count < 100_000 {
        let commits = level.drain(..).filter(|id| seen.insert(*id));
        let commits: Vec<_> = commits.filter_map(|id| cache.find_commit(id).ok()).collect();
        level = commits.iter().flat_map(git2::Commit::parent_ids).collect();
        count += i32::from(!commits.is_empty());
    }
    count
}
