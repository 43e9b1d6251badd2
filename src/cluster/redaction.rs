//! What a recording leaves out: values that may be secrets, and what no verdict needs.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::rollout::without_account;
use crate::system;

/// What kubectl and the API server keep for themselves.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

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
    /// parameters, without credentials in repositories' URLs or accounts in messages, and without what is
    /// kept about who applied it.
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
            _ => {}
        }
    }

    fn field(&self, key: &str, value: &mut Value) {
        match (key, &mut *value) {
            ("message", Value::String(message)) => *message = without_account(message),
            ("env", Value::Array(variables)) => self.values(variables),
            ("helm", Value::Object(helm)) => self.helm(helm),
            ("plugin", Value::Object(plugin)) => {
                plugin.get_mut("parameters").into_iter().for_each(|value| self.mark(value));
            }
            ("repoURL", Value::String(url)) => *url = without_credentials(url),
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

    /// Marks the `value` of each of `pairs`.
    fn values(&self, pairs: &mut [Value]) {
        let values = pairs.iter_mut().filter_map(|pair| pair.get_mut("value"));
        values.for_each(|value| self.mark(value));
    }

    fn mark(&self, value: &mut Value) {
        let digest = Sha256::new().chain_update(&self.salt).chain_update(value.to_string());
        let digest = digest.finalize();
        *value = format!("redacted-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]).into();
    }
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
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}]},
        });
        let redacted = Redaction::new().of(object.clone());
        assert!(!redacted.to_string().contains("canary"), "{redacted:#}");
        let variables = &redacted["spec"]["containers"][0]["env"];
        assert_eq!(variables[0]["value"], variables[1]["value"]);
        assert_ne!(variables[0]["value"], variables[2]["value"]);
        assert_eq!(variables[3], object["spec"]["containers"][0]["env"][3]);
        assert_eq!(redacted["metadata"], json!({"annotations": {"a": "b"}}));
        assert_ne!(redacted, Redaction::new().of(object));
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
