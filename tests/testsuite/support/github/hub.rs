//! What the test's GitHub knows: pull requests, comments, reviews, statuses, deployments; branches
//! and commits are those of a real bare repository.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::Value;
use wiremock::Request;

use super::{Reply, TOKEN};

/// What it knows.
pub(crate) struct Hub {
    pub(super) git: PathBuf,
    pub(crate) pulls: Vec<Pull>,
    pub(crate) deployments: Vec<Value>,
    /// Statuses of a deployment, by its id.
    pub(crate) deployment_statuses: BTreeMap<u64, Vec<Value>>,
    /// Statuses of a commit, newest first, and its check runs.
    pub(crate) statuses: HashMap<String, Vec<Value>>,
    pub(crate) check_runs: HashMap<String, Vec<Value>>,
    /// The commits that were made through the API, which GitHub signs.
    pub(crate) verified: Vec<String>,
    /// Whether a merge queue guards `main`, and whether the repository allows auto-merge.
    pub(crate) merge_queue: bool,
    pub(crate) allows_auto_merge: bool,
    /// The state of a pull request that is opened.
    pub(crate) merge_state: &'static str,
    /// How many commits through the API find that somebody else was faster.
    pub(crate) races: u32,
    /// The public key of the App that may ask, in DER, and the repositories that it is installed in.
    pub(crate) app: Option<Vec<u8>>,
    pub(crate) tokens: Vec<String>,
    pub(super) asked: Vec<String>,
    pub(super) wrong: Vec<String>,
    pub(crate) faults: Vec<Fault>,
}

/// A pull request.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) open: bool,
    pub(crate) merged: Option<String>,
    /// `CLEAN`, `BLOCKED`, …
    pub(crate) merge_state: &'static str,
    pub(crate) auto_merge: bool,
    pub(crate) queued: bool,
    pub(crate) comments: Vec<String>,
    /// Login, state and commit of each.
    pub(crate) reviews: Vec<(String, String, String)>,
}

impl Pull {
    /// Returns an open one from `head` to `main` that is not to be merged yet.
    pub(crate) fn open(number: u64, head: &str) -> Self {
        Self {
            number,
            title: String::new(),
            body: String::new(),
            head: head.to_owned(),
            base: "main".to_owned(),
            open: true,
            merged: None,
            merge_state: "BLOCKED",
            auto_merge: false,
            queued: false,
            comments: Vec::new(),
            reviews: Vec::new(),
        }
    }
}

/// A request that goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// What the operation's name begins with.
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    pub(crate) message: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// How many requests go wrong.
    pub(crate) times: u32,
    /// Whether what was asked for is done before the answer is lost.
    pub(crate) done: bool,
}

impl Fault {
    /// Returns the fault that the next `operation` is refused with `status`.
    pub(crate) fn once(operation: &'static str, status: u16, message: &'static str) -> Self {
        Self { operation, status, message, headers: Vec::new(), times: 1, done: false }
    }

    /// Returns the answer if it comes before anything is done.
    pub(super) fn before(&self) -> Option<Reply> {
        (!self.done).then(|| self.clone().reply_now())
    }

    pub(super) fn reply(self) -> Reply {
        self.reply_now()
    }

    fn reply_now(self) -> Reply {
        let mut reply = Reply::refusal(self.status, self.message);
        reply.headers = self.headers.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        reply
    }
}

impl Hub {
    pub(super) fn new(git: &Path) -> Self {
        Self {
            git: git.to_owned(),
            pulls: Vec::new(),
            deployments: Vec::new(),
            deployment_statuses: BTreeMap::new(),
            statuses: HashMap::new(),
            check_runs: HashMap::new(),
            verified: Vec::new(),
            merge_queue: false,
            allows_auto_merge: true,
            merge_state: "BLOCKED",
            races: 0,
            app: None,
            tokens: vec![TOKEN.to_owned()],
            asked: Vec::new(),
            wrong: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Returns the open pull request of `head`.
    pub(crate) fn open_pull(&mut self, head: &str) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.open && pull.head == head)
    }

    /// Returns the commit that a branch of the repository is at.
    pub(crate) fn tip(&self, branch: &str) -> Option<git2::Oid> {
        self.repository().refname_to_id(&format!("refs/heads/{branch}")).ok()
    }

    pub(super) fn repository(&self) -> git2::Repository {
        git2::Repository::open_bare(&self.git).unwrap()
    }

    /// Merges what is set to merge itself or stands in the queue, as GitHub does once all is well.
    pub(crate) fn all_is_well(&mut self) {
        for index in 0..self.pulls.len() {
            let pull = &self.pulls[index];
            if pull.open && (pull.auto_merge || pull.queued) {
                self.merge(index);
            }
        }
    }

    /// Makes a commit on `branch` that changes nothing.
    pub(crate) fn commit_to(&self, branch: &str) {
        let repository = self.repository();
        let tip = repository.find_commit(self.tip(branch).unwrap()).unwrap();
        let who = git2::Signature::now("Somebody", "else@example.com").unwrap();
        let name = format!("refs/heads/{branch}");
        let tree = tip.tree().unwrap();
        repository.commit(Some(&name), &who, &who, "faster\n", &tree, &[&tip]).unwrap();
    }

    /// Merges the pull request at `index` and returns the commit; the head's files win.
    pub(super) fn merge(&mut self, index: usize) -> String {
        let repository = self.repository();
        let pull = &mut self.pulls[index];
        let base_name = format!("refs/heads/{}", pull.base);
        let find = |branch: &str| {
            repository
                .find_reference(&format!("refs/heads/{branch}"))
                .unwrap()
                .peel_to_commit()
                .unwrap()
        };
        let (base, head) = (find(&pull.base), find(&pull.head));
        let mut merged = repository.merge_commits(&base, &head, None).unwrap();
        let tree = repository.find_tree(merged.write_tree_to(&repository).unwrap()).unwrap();
        let who = git2::Signature::now("GitHub", "noreply@example.com").unwrap();
        let text = format!("Merge pull request #{}\n", pull.number);
        let id = repository.commit(None, &who, &who, &text, &tree, &[&base, &head]).unwrap();
        repository.reference(&base_name, id, true, "merge").unwrap();
        pull.open = false;
        pull.queued = false;
        pull.merged = Some(id.to_string());
        self.verified.push(id.to_string());
        id.to_string()
    }

    pub(super) fn take_fault(&mut self, operation: &str) -> Option<Fault> {
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.times > 0 && operation.starts_with(fault.operation))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    /// Notes a request that GitHub would not understand, or an answer of this server's own that is
    /// none of GitHub's: the test fails.
    pub(super) fn unexpected(&mut self, what: String) -> Reply {
        let reply = Reply::refusal(418, &what);
        self.wrong.push(what);
        reply
    }

    /// Returns the refusal of who has no token that is let in.
    pub(super) fn refuse_stranger(&mut self, request: &Request, operation: &str) -> Option<Reply> {
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
        let of_app = operation.starts_with("POST /app/") || operation.ends_with("/installation");
        let known = match (of_app, &self.app) {
            (true, Some(key)) => is_proof(token, key),
            _ => self.tokens.iter().any(|known| known == token),
        };
        (!known).then(|| Reply::refusal(401, "Bad credentials"))
    }
}

/// Returns whether `token` is a JSON web token that the App's key has signed and that holds now.
fn is_proof(token: &str, key: &[u8]) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return false };
    let signed = format!("{header}.{claims}");
    let public =
        ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, key);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    let holds = iat <= now && now < exp && exp - iat <= 600 && claims["iss"] == "1234";
    holds && public.verify(signed.as_bytes(), &signature).is_ok()
}
