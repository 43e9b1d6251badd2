//! Health scripts in the ConfigMap `argocd-cm`.
//!
//! What Argo CD refuses is refused here too, because it then has no settings at all and every
//! application is Unknown: more than one `_` in a key, a type that it does not know, bad YAML.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ignored::{self, Ignored};
use crate::k8s::Object;

/// The key of the map that is Argo CD's older way, and what all other keys start with.
pub(super) const PREFIX: &str = "resource.customizations";

/// Why a ConfigMap is not `argocd-cm` as Argo CD can read it.
#[derive(Debug, thiserror::Error)]
pub enum ArgoCdCmError {
    /// The object is something else.
    #[error("a ConfigMap is needed, and this is a {kind}")]
    NotAConfigMap {
        /// What it is.
        kind: String,
    },
    /// The value of a key is of no use.
    #[error("`{key}`: {reason}; Argo CD loads no settings at all with it")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The value of a key is not YAML, or not the right one.
    #[error("`{key}` is not valid YAML; Argo CD loads no settings at all with it")]
    Yaml {
        /// The key.
        key: String,
        /// What is wrong.
        #[source]
        source: serde_yaml::Error,
    },
}

/// What the ConfigMap has about a group and kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Setting {
    /// Where it stands.
    pub(super) key: String,
    /// Empty if it has something else.
    pub(super) script: String,
    pub(super) has_open_libraries: bool,
}

/// What the ConfigMap has about all of them.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// By the pattern of the group and kind that they are for.
    pub(super) entries: BTreeMap<String, Setting>,
    /// What has no effect.
    pub(super) ignored: Vec<Ignored>,
}

/// Returns what the ConfigMap has.
pub(super) fn read(config_map: &Object) -> Result<Settings, ArgoCdCmError> {
    if config_map.kind() != "ConfigMap" || !config_map.group().is_empty() {
        return Err(ArgoCdCmError::NotAConfigMap { kind: config_map.kind().to_owned() });
    }
    let data = config_map.at("/data").and_then(Value::as_object);
    let mut settings = Settings::default();
    if let Some(map) = data.and_then(|data| data.get(PREFIX)).and_then(Value::as_str) {
        read_map(map, &mut settings)?;
    }
    settings.ignored.extend(data.map(ignored::ignored).unwrap_or_default());
    for (key, value) in data.into_iter().flatten() {
        let wrong = |reason: String| ArgoCdCmError::Value { key: key.clone(), reason };
        if !key.starts_with(PREFIX) {
            continue;
        }
        let text = value.as_str().ok_or_else(|| wrong("a text is needed".to_owned()))?;
        // The name has dots of its own, in the group.
        let mut parts = key.splitn(4, '.').skip(2);
        if let (Some(what), Some(name)) = (parts.next(), parts.next()) {
            let setting = settings.entries.entry(pattern(name).map_err(wrong)?).or_default();
            apply(what, key, text, setting)?;
        }
    }
    Ok(settings)
}

/// Returns the ConfigMap with its name and what [`read`] looks at. What else is in it may be secret.
pub(super) fn what_is_read(config_map: &Object) -> Option<Object> {
    let data = config_map.at("/data").and_then(Value::as_object).into_iter().flatten();
    let read = data.filter(|(key, _)| key.starts_with(PREFIX));
    let data: Map<_, _> = read.map(|(key, value)| (key.clone(), value.clone())).collect();
    let metadata = json!({"name": config_map.name(), "namespace": config_map.namespace()});
    Object::new(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
    )
}

/// Returns `group/Kind` for `group_Kind`.
fn pattern(name: &str) -> Result<String, String> {
    match name.split('_').collect::<Vec<_>>()[..] {
        [group, kind] => Ok(format!("{group}/{kind}")),
        ["all"] => Ok("*/*".to_owned()),
        [kind] if !kind.is_empty() => Ok(kind.to_owned()),
        _ => Err("the name after the type must be `group_Kind` or `Kind`".to_owned()),
    }
}

fn apply(what: &str, key: &str, text: &str, setting: &mut Setting) -> Result<(), ArgoCdCmError> {
    let wrong = |reason: String| ArgoCdCmError::Value { key: key.to_owned(), reason };
    match what {
        "health" => {
            key.clone_into(&mut setting.key);
            text.clone_into(&mut setting.script);
        }
        "useOpenLibs" => {
            setting.has_open_libraries = flag(text)
                .ok_or_else(|| wrong(format!("`true` or `false` is needed, not {text:?}")))?;
        }
        "actions" => {}
        "ignoreDifferences" | "ignoreResourceUpdates" => {
            yaml::<Map<String, Value>>(key, text)?;
        }
        "knownTypeFields" => {
            yaml::<Vec<Value>>(key, text)?;
        }
        other => {
            let nearest = ignored::nearest(other, ignored::TYPES);
            let nearest = nearest.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
            return Err(wrong(format!("there is no type of customization `{other}`{nearest}")));
        }
    }
    Ok(())
}

/// Returns what Go's `strconv.ParseBool` does.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn yaml<T: serde::de::DeserializeOwned + Default>(
    key: &str,
    text: &str,
) -> Result<T, ArgoCdCmError> {
    let read = serde_yaml::from_str::<Option<T>>(text).map(Option::unwrap_or_default);
    read.map_err(|source| ArgoCdCmError::Yaml { key: key.to_owned(), source })
}

/// Reads the map of the older way, `group/Kind` or a pattern to its customizations.
fn read_map(text: &str, settings: &mut Settings) -> Result<(), ArgoCdCmError> {
    for (name, value) in yaml::<Map<String, Value>>(PREFIX, text)? {
        let key = format!("{PREFIX}:{name}");
        let wrong = |reason: String| ArgoCdCmError::Value { key: key.clone(), reason };
        let fields = match &value {
            Value::Null => continue,
            Value::Object(fields) => fields,
            _ => return Err(wrong("a map is needed".to_owned())),
        };
        let mut setting = Setting { key: key.clone(), ..Setting::default() };
        for (field, value) in fields {
            let needs = |what: &str| wrong(format!("`{field}` must be {what}"));
            match (field.to_ascii_lowercase().as_str(), value) {
                (_, Value::Null) => {}
                ("health.lua", Value::String(script)) => script.clone_into(&mut setting.script),
                ("health.lua.useopenlibs", Value::Bool(is_open)) => {
                    setting.has_open_libraries = *is_open;
                }
                ("ignoredifferences" | "ignoreresourceupdates", Value::String(inner)) => {
                    yaml::<Map<String, Value>>(&format!("{key}.{field}"), inner)?;
                }
                ("health.lua.useopenlibs", _) => return Err(needs("true or false")),
                ("health.lua" | "actions", other) if !other.is_string() => {
                    return Err(needs("a text"));
                }
                ("ignoredifferences" | "ignoreresourceupdates", _) => return Err(needs("a text")),
                _ => {}
            }
        }
        settings.ignored.extend(ignored::in_map(&name, fields));
        settings.entries.insert(name, setting);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_data(data: &Value) -> Result<Settings, ArgoCdCmError> {
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
        read(&Object::new(config_map).unwrap())
    }

    #[test]
    fn split_keys_win_over_the_map() {
        let settings = read_data(&json!({
            "url": "https://cd.example.com",
            "resource.customizations": "a.io/B: {health.lua: old, health.lua.useOpenLibs: true}\n'*.io/*':\n  Health.Lua: glob\nC: {actions: x}\nD:\n",
            "resource.customizations.health.a.io_B": "new",
            "resource.customizations.health.all": "all",
            "resource.customizations.useOpenLibs.all": "True",
            "resource.customizations.useOpenLibs.x.y_Z": "true",
            "resource.customizations.health.Secret": "core",
            "resource.customizations.ignoreDifferences.all": "managedFieldsManagers: [x]",
            "resource.customizations.actions.a.io_B": "anything",
            "resource.customizations.odd": "is passed over",
        }));
        let settings = settings.unwrap();
        let odd = &settings.ignored[0];
        assert_eq!((odd.key.as_str(), settings.ignored.len()), ("resource.customizations.odd", 1));
        let settings: Vec<_> = settings
            .entries
            .into_iter()
            .filter(|(_, it)| !it.script.is_empty())
            .map(|(pattern, it)| (pattern, it.script, it.has_open_libraries))
            .collect();
        let expected = [
            ("*.io/*", "glob", false),
            ("*/*", "all", true),
            ("Secret", "core", false),
            ("a.io/B", "new", true),
        ];
        let expected = expected.map(|(p, s, open)| (p.to_owned(), s.to_owned(), open));
        assert_eq!(settings, expected);
    }

    #[test]
    fn what_is_kept_is_what_is_read() {
        let cm = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd", "uid": "u"},
            "data": {"oidc.config": "canary", "resource.customizations.health.Pod": "return {}"}});
        let kept = what_is_read(&Object::new(cm).unwrap()).unwrap();
        assert!(!kept.value().to_string().contains("canary"));
        assert_eq!(read(&kept).unwrap().entries.len(), 1);
    }

    #[test]
    fn refuses_what_argo_cd_refuses_and_names_the_key() {
        let check = |data: Value, expected: &str| {
            let error = read_data(&data).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            json!({"resource.customizations.health.a_b_C": "x"}),
            "`resource.customizations.health.a_b_C`: the name after the type must be",
        );
        check(
            json!({"resource.customizations.healthy.a_C": "x"}),
            "`resource.customizations.healthy.a_C`: there is no type of customization `healthy`",
        );
        check(
            json!({"resource.customizations.useOpenLibs.a_C": "yes"}),
            "`resource.customizations.useOpenLibs.a_C`: `true` or `false` is needed, not \"yes\"",
        );
        check(json!({"resource.customizations": "a: ["}), "`resource.customizations` is not valid");
        check(
            json!({"resource.customizations": "a/B: {health.lua: 1}"}),
            "`resource.customizations:a/B`: `health.lua` must be a text",
        );
        check(
            json!({"resource.customizations": "a/B: x"}),
            "`resource.customizations:a/B`: a map is needed",
        );
        check(
            json!({"resource.customizations.ignoreDifferences.all": "- ["}),
            "`resource.customizations.ignoreDifferences.all` is not valid YAML",
        );
        let pod = Object::new(json!({"apiVersion": "v1", "kind": "Pod"})).unwrap();
        assert!(matches!(read(&pod), Err(ArgoCdCmError::NotAConfigMap { .. })));
    }
}
