//! What a recording leaves out: values that may be secrets, and what no verdict needs.
//!
//! What stands in a place for values is left out whole. In a place for any text, such as a container's
//! arguments or what it wrote, only what a name says to be secret can be found.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::rollout::without_account;
use crate::system;

/// What every mark begins with.
const MARK: &str = "redacted-";

/// How the mark of a text ends that somebody fills in later: whoever compares has to know it.
const LATER: &str = "${}";

/// What kubectl and the API server keep for themselves.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is in the name of something that nobody is to read.
const SECRET: &str = "passw(?:or)?d|passphrase|pwd|token|secret|credential|api[-_]?key|access[-_]?key|private[-_]?key|authorization";

/// A name and what is set to it, as in `--db-password=x`, `TOKEN='x y'`, `"apiKey": "x"`.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    let name = format!(r"[\w.-]*(?:{SECRET})[\w.-]*");
    let value = r#""(?:[^"\\]|\\.)*"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;&'"]+"#;
    pattern(&format!(r#"({name}["']?\s*[=:]\s*)({value})"#))
});

/// The flag whose value is the next argument.
static FLAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^--?[\w.-]*(?:{SECRET})[\w.-]*$")));

/// The scheme, the user and the password in a URL. A password may have an `@` of its own.
static USERINFO: LazyLock<Regex> = LazyLock::new(|| pattern(r"([a-z0-9+.-]*://)([^\s/'\x22]+)@"));

/// What ends like a name to which something is set, and is none: `authorization: server message: …`.
static PROSE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:(?:token|secret|credentials?|authorization)[\w.-]*[\x22']?\s*|[\x22']\s+):\s+$")
});

/// What proves who asks, in a header.
static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(\b(?:bearer|basic)\s+)([a-z0-9._~+/=-]{8,})"));

fn pattern(text: &str) -> Regex {
    Regex::new(&format!("(?i){text}")).expect("the pattern is right")
}

/// Replaces values by marks: two values are equal in a recording if they were in the cluster, so that
/// what is decided by comparing stays the same.
#[derive(Debug)]
pub(super) struct Redaction {
    // It is drawn anew for each recording and written nowhere, so that nobody finds a value by trying.
    salt: String,
}

impl Redaction {
    pub(super) fn new() -> Self {
        Self { salt: system::random_id() + &system::random_id() }
    }

    /// Returns `object` without the values of environment variables, Secrets, ConfigMaps and Helm
    /// parameters, without credentials in URLs or accounts in messages, without what looks like a secret
    /// in commands, their arguments and messages, and without what is kept about who applied it.
    pub(super) fn of(&self, mut object: Value) -> Value {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("managedFields");
            if let Some(annotations) =
                metadata.get_mut("annotations").and_then(Value::as_object_mut)
            {
                annotations.shift_remove(LAST_APPLIED);
            }
        }
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
        if matches!(kind, "Secret" | "ConfigMap") {
            for key in ["data", "stringData", "binaryData"] {
                let values = object.get_mut(key).and_then(Value::as_object_mut);
                values.into_iter().flatten().for_each(|(_, value)| self.mark(value));
            }
        }
        self.walk(&mut object);
        object
    }

    fn walk(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(map) => map.iter_mut().for_each(|(key, value)| self.field(key, value)),
            Value::String(text) if text.contains("://") => *text = without_userinfo(text),
            _ => {}
        }
    }

    fn field(&self, key: &str, value: &mut Value) {
        match (key, &mut *value) {
            ("message", Value::String(message)) => *message = self.text(&without_account(message)),
            ("env", Value::Array(variables)) => self.values(variables),
            ("helm", Value::Object(helm)) => self.helm(helm),
            ("plugin", Value::Object(plugin)) => {
                plugin.get_mut("parameters").into_iter().for_each(|value| self.mark(value));
            }
            ("repoURL", Value::String(url)) => *url = without_credentials(url),
            ("command" | "args", Value::Array(arguments)) => self.arguments(arguments),
            _ => {}
        }
        self.walk(value);
    }

    fn helm(&self, helm: &mut Map<String, Value>) {
        for key in ["values", "valuesObject"] {
            helm.get_mut(key).into_iter().for_each(|value| self.mark(value));
        }
        if let Some(Value::Array(parameters)) = helm.get_mut("parameters") {
            self.values(parameters);
        }
    }

    /// Marks the `value` of each of `pairs`. An empty one is no secret, and to the API server the same as
    /// none.
    fn values(&self, pairs: &mut [Value]) {
        let values = pairs.iter_mut().filter_map(|pair| pair.get_mut("value"));
        let values = values.filter(|value| **value != Value::String(String::new()));
        values.for_each(|value| self.mark(value));
    }

    fn arguments(&self, arguments: &mut [Value]) {
        let mut is_secret = false;
        for argument in arguments {
            let Value::String(text) = argument else { continue };
            let is_value = is_secret && !text.starts_with('-');
            is_secret = FLAG.is_match(text);
            match is_value {
                true => *text = self.marked(text),
                false => *text = self.text(text),
            }
        }
    }

    /// Returns `text` without what its names say to be secret, and without credentials in URLs and
    /// headers.
    pub(super) fn text(&self, text: &str) -> String {
        let second = |found: &Captures<'_>| format!("{}{}", &found[1], self.marked(&found[2]));
        let text = USERINFO.replace_all(text, |found: &Captures<'_>| match is_ssh_user(found) {
            true => found[0].to_owned(),
            false => second(found) + "@",
        });
        let text: Cow<'_, str> =
            ASSIGNED.replace_all(&text, |found: &Captures<'_>| match is_prose(found, &text) {
                true => found[0].to_owned(),
                false => second(found),
            });
        HEADER.replace_all(&text, second).into_owned()
    }

    fn mark(&self, value: &mut Value) {
        let text = value.to_string();
        *value = self.marked(text.trim_matches('"')).into();
    }

    fn marked(&self, text: &str) -> String {
        // In quotes or not, it is the same secret; and what is marked stays as it is.
        let bare = text.trim_matches(['"', '\'']);
        if is_mark(bare) {
            return text.to_owned();
        }
        let digest = Sha256::new().chain_update(&self.salt).chain_update(bare).finalize();
        let quote = text.chars().next().filter(|c| text.len() > 1 && ['"', '\''].contains(c));
        let quote = quote.map(String::from).unwrap_or_default();
        let later = if text.contains("${") { LATER } else { "" };
        format!("{quote}{MARK}{:02x}{:02x}{:02x}{later}{quote}", digest[0], digest[1], digest[2])
    }
}

/// Returns whether a sentence goes on where something else would be set, as in
/// `fetch anonymous token: unexpected status` or `volume "db-secret" : secret "db" not found`.
fn is_prose(found: &Captures<'_>, text: &str) -> bool {
    let end = found.get(2).map_or(text.len(), |value| value.end());
    let is_word = found[2].bytes().all(|byte| byte.is_ascii_lowercase());
    is_word && text[end..].starts_with([' ', ':']) && PROSE.is_match(&found[1])
}

/// Returns whether it is a user of SSH without a password, who is no secret.
fn is_ssh_user(found: &Captures<'_>) -> bool {
    found[1].eq_ignore_ascii_case("ssh://") && !found[2].contains([':', '@'])
}

fn is_mark(text: &str) -> bool {
    let digits = text.strip_prefix(MARK).map(|mark| mark.strip_suffix(LATER).unwrap_or(mark));
    let digits = digits.filter(|digits| digits.len() == 6);
    digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Returns `text` without users and passwords in the URLs that it holds.
fn without_userinfo(text: &str) -> String {
    let bare = |found: &Captures<'_>| match is_mark(&found[2]) {
        true => found[0].to_owned(),
        false => without_credentials(&found[0]),
    };
    USERINFO.replace_all(text, bare).into_owned()
}

/// Returns `url` without user and password.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        // The user of SSH is no secret, and part of the address.
        Some((user, host)) if scheme == "ssh" => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{path}")
        }
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_marks_that_are_equal_where_the_values_were() {
        let object = json!({
            "kind": "Pod",
            "metadata": {"managedFields": [1], "annotations": {LAST_APPLIED: "canary", "a": "b"}},
            "spec": {"containers": [{"name": "web", "env": [
                {"name": "A", "value": "canary"},
                {"name": "B", "value": "canary"},
                {"name": "C", "value": "canary2"},
                {"name": "E", "value": ""},
                {"name": "F", "value": "canary-${HOST}"},
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}]},
        });
        let redacted = Redaction::new().of(object.clone());
        assert!(!redacted.to_string().contains("canary"), "{redacted:#}");
        let variables = &redacted["spec"]["containers"][0]["env"];
        assert_eq!(variables[0]["value"], variables[1]["value"]);
        assert_ne!(variables[0]["value"], variables[2]["value"]);
        assert_eq!(variables[3]["value"], "");
        assert!(variables[4]["value"].as_str().unwrap().ends_with("${}"));
        assert_eq!(variables[5], object["spec"]["containers"][0]["env"][5]);
        assert_eq!(redacted["metadata"], json!({"annotations": {"a": "b"}}));
        assert_ne!(redacted, Redaction::new().of(object));
    }

    #[test]
    fn commands_and_last_words_lose_what_looks_like_a_secret() {
        let object = json!({"spec": {"containers": [{
            "command": ["sh", "-c", "export DB_PASSWORD='canary one' && run --port=80"],
            "args": ["--api-token=canary", "--password", "canary", "--tokens", "-v", "db://me:canary@db/x"],
        }]}, "status": {"state": {"terminated": {"message": "no db (password=canary)"}}}});
        let redacted = Redaction::new().of(object);
        assert!(!redacted.to_string().contains("canary"), "{redacted:#}");
        let container = &redacted["spec"]["containers"][0];
        let script = container["command"][2].as_str().unwrap();
        assert!(script.starts_with("export DB_PASSWORD='redacted-"), "{script}");
        assert!(script.ends_with("' && run --port=80"), "{script}");
        let argument = |at: usize| container["args"][at].as_str().unwrap();
        assert_eq!(argument(0), format!("--api-token={}", argument(2)));
        assert_eq!((argument(3), argument(4)), ("--tokens", "-v"));
        assert!(argument(5).starts_with("db://redacted-") && argument(5).ends_with("@db/x"));
    }

    #[test]
    fn of_what_a_container_wrote_only_secrets_are_left_out() {
        let redaction = Redaction::new();
        for line in [
            "token: canary",
            "{\"apiKey\": \"can\\\"ary\", \"user\": \"me\"}",
            "GET /?access_key=canary&page=2",
            "Authorization: Bearer canary.canary",
            "sent Bearer canary.canary",
            "postgres://shop:canary@db:5432/shop",
        ] {
            let clean = redaction.text(line);
            assert!(!clean.contains("canary") && !clean.contains("ary"), "{clean}");
            assert!(clean.contains("redacted-"), "{clean}");
            assert_eq!(redaction.text(&clean), clean);
        }
        for line in [
            "no database",
            "the token is too old",
            "listening on http://0.0.0.0:8080/healthz",
            "error: mail me@example.com, exit code=3",
        ] {
            assert_eq!(redaction.text(line), line);
        }
    }

    #[test]
    fn messages_and_urls_lose_credentials_wherever_they_stand() {
        let url = "https://git:canary@git.example.com/shop.git";
        let message = format!("fetch {url}?page=2 token=canary failed");
        let object = json!({
            "metadata": {"annotations": {"example.com/from": format!("{{\"url\":\"{url}\"}}")}},
            "spec": {"url": url, "ssh": "ssh://git@git.example.com/shop.git", "odd": "db://a:b@canary@db/x"},
            "status": {
                "conditions": [{"type": "ComparisonError", "message": &message}],
                "operationState": {"message": &message, "syncResult": {"resources": [{"message": &message}]}},
                "containerStatuses": [{"state": {"waiting": {"message": &message}}}],
            },
            "message": &message,
        });
        let redacted = Redaction::new().of(object.clone());
        assert!(!redacted.to_string().contains("canary"), "{redacted:#}");
        let said = redacted["message"].as_str().unwrap();
        assert!(said.contains("@git.example.com/shop.git?page=2 token=redacted-"), "{said}");
        assert_eq!(redacted["status"]["conditions"][0]["message"], said);
        assert_eq!(redacted["spec"]["url"], "https://git.example.com/shop.git");
        assert_eq!(redacted["spec"]["ssh"], object["spec"]["ssh"]);
        assert_eq!(redacted["spec"]["odd"], "db://db/x");
    }

    #[test]
    fn messages_whose_words_a_cause_is_found_by_stay_as_they_are() {
        for message in [
            "MountVolume.SetUp failed for volume \"db-secret\" : secret \"db\" not found",
            "failed to authorize: failed to fetch anonymous token: unexpected status: 401",
            "may require authorization: server message: insufficient_scope: authorization failed",
            "failed to list refs of ssh://git@git.example.com/shop.git: not found",
        ] {
            let object = json!({ "message": message });
            assert_eq!(Redaction::new().of(object.clone()), object);
        }
    }

    #[test]
    fn applications_and_configuration_keep_their_keys() {
        let object = json!({
            "kind": "ConfigMap",
            "data": {"password": "canary"},
            "source": {
                "repoURL": "https://me:canary@git.example.com/a@b",
                "helm": {"values": "canary", "parameters": [{"name": "p", "value": "canary"}]},
            },
        });
        let redacted = Redaction::new().of(object);
        assert!(!redacted.to_string().contains("canary"), "{redacted:#}");
        assert!(redacted["data"]["password"].is_string());
        assert_eq!(redacted["source"]["repoURL"], "https://git.example.com/a@b");
        assert_eq!(without_credentials("ssh://git:x@h/p"), "ssh://git@h/p");
        assert_eq!(without_credentials("git@h:p"), "git@h:p");
    }
}
