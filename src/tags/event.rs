//! What happened at GitHub, as the runner tells it: variables and the event's payload.

use jiff::Timestamp;
use serde_json::Value;

/// What happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name, such as `push`.
    pub name: String,
    /// The ref that it is about, such as `refs/heads/main`; empty outside GitHub.
    pub reference: String,
    /// The commit's id; empty outside GitHub.
    pub sha: String,
    /// Whether that is the commit that GitHub made to try a merge, which is in no branch.
    pub is_merge_commit: bool,
    /// When it was committed, if the payload says so.
    pub committed: Option<Timestamp>,
    /// The branch that a tag was on, or that a pull request goes to.
    pub base: String,
    /// The repository's default branch, if the payload says so.
    pub default_branch: Option<String>,
}

/// What GitHub's API says of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// Its name, without the owner's.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its page.
    pub html_url: String,
    /// Its default branch, if there is one.
    pub default_branch: Option<String>,
    /// The SPDX id of its licence.
    pub license: String,
}

impl Event {
    /// Returns what the runner's variables and the event's `payload` tell.
    pub fn read<'a>(variable: impl Fn(&str) -> Option<&'a str>, payload: &Value) -> Self {
        let text = |name| variable(name).unwrap_or_default().to_owned();
        let name = text("GITHUB_EVENT_NAME");
        let mut event = Self {
            reference: text("GITHUB_REF"),
            sha: text("GITHUB_SHA"),
            default_branch: string(&payload["repository"]["default_branch"]),
            ..Self::default()
        };
        // The ref of this event is the branch that the pull request goes to; its own is meant.
        if name.contains("pull_request_target") {
            event.reference = format!("refs/pull/{}/merge", payload["number"]);
        } else if name.contains("pull_request") {
            event.is_merge_commit = true;
        }
        let wants_head = text("DOCKER_METADATA_PR_HEAD_SHA").to_lowercase().contains("true");
        if wants_head
            && name.contains("pull_request")
            && let Some(head) = string(&payload["pull_request"]["head"]["sha"])
        {
            (event.sha, event.is_merge_commit) = (head, false);
        }
        event.base = event.base_of(payload);
        event.committed = committed(payload, &event.sha);
        Self { name, ..event }
    }

    /// Returns the branch that it is about, or `None`.
    pub fn branch(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/heads/")
    }

    /// Returns the tag that it is about, or `None`.
    pub fn tag(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/tags/")
    }

    /// Returns the number of the pull request that it is about, or `None`.
    pub fn pull_request(&self) -> Option<&str> {
        let rest = self.reference.strip_prefix("refs/pull/")?;
        Some(rest.strip_suffix("/merge").unwrap_or(rest))
    }

    /// Returns whether it is about the default branch.
    pub fn is_on_default_branch(&self) -> bool {
        // As the action has it: a ref of another kind is taken for a branch of that name.
        let branch = self.branch().unwrap_or(&self.reference);
        if branch.is_empty() {
            return false;
        }
        // These events are always about the last commit of the default branch.
        let always = ["create", "discussion", "issues", "schedule"];
        self.default_branch.as_deref() == Some(branch)
            || always.iter().any(|name| self.name.contains(name))
    }

    fn base_of(&self, payload: &Value) -> String {
        let base = if self.tag().is_some() {
            string(&payload["base_ref"]).map(|base| base.replace("refs/heads/", ""))
        } else if self.pull_request().is_some() {
            string(&payload["pull_request"]["base"]["ref"])
        } else {
            None
        };
        base.unwrap_or_default()
    }
}

impl Repository {
    /// Returns what the repository object of GitHub's API or of an event's payload says.
    pub fn read(object: &Value) -> Self {
        let text = |value: &Value| string(value).unwrap_or_default();
        Self {
            name: text(&object["name"]),
            description: text(&object["description"]),
            html_url: text(&object["html_url"]),
            default_branch: string(&object["default_branch"]),
            license: text(&object["license"]["spdx_id"]),
        }
    }
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Returns when the commit `sha` was made, from the commits that the payload lists.
fn committed(payload: &Value, sha: &str) -> Option<Timestamp> {
    let listed = payload["commits"].as_array().into_iter().flatten();
    let mut all = listed.chain([&payload["head_commit"]]);
    all.find(|commit| !sha.is_empty() && commit["id"] == sha)?["timestamp"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(name: &str, reference: &str, head: Option<&str>, payload: &Value) -> Event {
        let variable = |asked: &str| match asked {
            "GITHUB_EVENT_NAME" => Some(name.to_owned()),
            "GITHUB_REF" => Some(reference.to_owned()),
            "GITHUB_SHA" => Some("abc".to_owned()),
            _ => head.map(str::to_owned),
        };
        let known: Vec<(String, Option<String>)> =
            ["GITHUB_EVENT_NAME", "GITHUB_REF", "GITHUB_SHA", "DOCKER_METADATA_PR_HEAD_SHA"]
                .map(|asked| (asked.to_owned(), variable(asked)))
                .into();
        let get = |asked: &str| {
            known.iter().find(|(name, _)| name == asked).and_then(|(_, value)| value.as_deref())
        };
        Event::read(get, payload)
    }

    #[test]
    fn a_pull_request_is_about_its_merge_unless_its_head_is_asked_for() {
        let payload = json!({"number": 15, "pull_request": {"base": {"ref": "main"}, "head": {"sha": "def"}}});
        let merge = event("pull_request", "refs/pull/15/merge", None, &payload);
        assert_eq!((merge.sha.as_str(), merge.is_merge_commit), ("abc", true));
        assert_eq!((merge.pull_request(), merge.base.as_str()), (Some("15"), "main"));
        let head = event("pull_request", "refs/pull/15/merge", Some("true"), &payload);
        assert_eq!((head.sha.as_str(), head.is_merge_commit), ("def", false));
        let target = event("pull_request_target", "refs/heads/main", None, &payload);
        assert_eq!((target.pull_request(), target.sha.as_str()), (Some("15"), "abc"));
    }

    #[test]
    fn the_commit_is_looked_up_by_its_id() {
        let at = |payload: &Value| event("push", "refs/heads/main", None, payload).committed;
        let time = "2022-04-19T11:27:24+02:00";
        let parsed = time.parse::<Timestamp>().ok();
        assert_eq!(
            at(&json!({"commits": [{"id": "x"}, {"id": "abc", "timestamp": time}]})),
            parsed
        );
        assert_eq!(
            at(&json!({"commits": [], "head_commit": {"id": "abc", "timestamp": time}})),
            parsed
        );
        assert_eq!(at(&json!({"head_commit": {"id": "x", "timestamp": time}})), None);
    }

    #[test]
    fn some_events_are_always_about_the_default_branch() {
        let payload = json!({"repository": {"default_branch": "main"}});
        let is = |name, reference| event(name, reference, None, &payload).is_on_default_branch();
        assert!(is("push", "refs/heads/main") && is("schedule", "refs/heads/old"));
        assert!(
            !is("push", "refs/heads/dev") && !is("push", "refs/tags/main") && !is("issues", "")
        );
    }
}
