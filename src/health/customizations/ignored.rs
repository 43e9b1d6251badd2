//! What `argocd-cm` says about customizations and Argo CD passes over without a word: keys that are
//! misspelt, and names that no group and kind can have.

use std::fmt;

use serde_json::{Map, Value};

use super::argocd_cm::PREFIX;
use super::glob;

/// Something in `argocd-cm` that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its key, and for the map of the older way what is in it.
    pub key: String,
    /// How it was probably meant.
    pub nearest: Option<String>,
}

/// The types of customizations that a key of their own can have.
pub(super) const TYPES: &[&str] = &[
    "health",
    "useOpenLibs",
    "actions",
    "ignoreDifferences",
    "ignoreResourceUpdates",
    "knownTypeFields",
];

/// What an entry of the map of the older way can have. Argo CD reads the names in any case.
const FIELDS: &[&str] = &[
    "health.lua",
    "health.lua.useOpenLibs",
    "actions",
    "ignoreDifferences",
    "ignoreResourceUpdates",
    "knownTypeFields",
];

/// So far, in letters, is a first or second word of a key from the right one if it is meant as that. Other
/// settings of Argo CD's begin with `resource` too; the nearest is twice as far.
const TYPOS: usize = 3;

/// Returns what has no effect among `data`, the keys of the ConfigMap.
pub(super) fn ignored(data: &Map<String, Value>) -> Vec<Ignored> {
    data.keys().filter_map(|key| of_key(key)).collect()
}

fn of_key(key: &str) -> Option<Ignored> {
    let parts: Vec<&str> = key.splitn(4, '.').collect();
    let is_near = |word: &str, meant: &str| strsim::damerau_levenshtein(word, meant) <= TYPOS;
    let [first, second, rest @ ..] = parts.as_slice() else { return None };
    let (first, second) = (first.to_lowercase(), second.to_lowercase());
    if !is_near(&first, "resource") || !is_near(&second, "customizations") {
        return None;
    }
    let mut meant = vec![PREFIX.to_owned()];
    match rest {
        [] => {}
        // A group and a kind are missing.
        [kind] => {
            let nearest = nearest(kind, TYPES).map(|kind| format!("{PREFIX}.{kind}.GROUP_KIND"));
            return Some(Ignored { key: key.to_owned(), nearest });
        }
        [kind, name, ..] => {
            meant.push(nearest(kind, TYPES).unwrap_or(kind).to_owned());
            meant.push(respelt(name, '_').unwrap_or_else(|| (*name).to_owned()));
        }
    }
    let meant = meant.join(".");
    (meant != key).then(|| Ignored { key: key.to_owned(), nearest: Some(meant) })
}

/// Returns what has no effect in `entry`, which is under `name` in the map of the older way.
pub(super) fn in_map(name: &str, entry: &Map<String, Value>) -> Vec<Ignored> {
    let key = format!("{PREFIX}:{name}");
    let mut ignored = Vec::new();
    if glob::is_literal(name)
        && let Some(meant) = respelt(name, '/')
    {
        ignored.push(Ignored { key: key.clone(), nearest: Some(format!("{PREFIX}:{meant}")) });
    }
    for field in entry.keys() {
        if !FIELDS.iter().any(|known| known.eq_ignore_ascii_case(field)) {
            let nearest = nearest(field, FIELDS).map(str::to_owned);
            ignored.push(Ignored { key: format!("{key}.{field}"), nearest });
        }
    }
    ignored
}

/// Returns how a name that no group and kind can have was meant: the kind comes last, has no dot, and
/// begins with a capital; the core group is left out.
fn respelt(name: &str, separator: char) -> Option<String> {
    if name == "all" && separator == '_' {
        return None;
    }
    let (group, kind) = match name.split_once(['_', '/']) {
        // The other way round.
        Some((kind, group)) if group.contains('.') && !kind.contains('.') => (group, kind),
        Some((group, kind)) => (group, kind),
        // A dot is where a `_` should be, or the version is there too.
        None => name.rsplit_once('.').unwrap_or(("", name)),
    };
    let mut letters = kind.chars();
    let first = letters.next()?.to_ascii_uppercase();
    let kind = format!("{first}{}", letters.as_str());
    let meant = match group {
        "" | "core" => kind,
        group => format!("{group}{separator}{kind}"),
    };
    (meant != name).then_some(meant)
}

/// Returns the one of `known` that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: &'a [&str]) -> Option<&'a str> {
    let same = known.iter().find(|known| known.eq_ignore_ascii_case(word)).copied();
    same.or_else(|| crate::yaml::nearest(word, known))
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Argo CD ignores `{}` in argocd-cm", self.key)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_has_no_effect_is_told_with_the_right_one() {
        let health = |name: &str| Some(format!("resource.customizations.health.{name}"));
        for (key, meant) in [
            ("resource.customization.health.a.io_B", health("a.io_B")),
            ("resources.customizations.health.a.io_B", health("a.io_B")),
            ("resource.customisations.helth.a.io_B", health("a.io_B")),
            ("Resource.Customizations.Health.a.io_B", health("a.io_B")),
            (
                "resource.customizations.health.cert-manager.io.Certificate",
                health("cert-manager.io_Certificate"),
            ),
            (
                "resource.customizations.health.Certificate_cert-manager.io",
                health("cert-manager.io_Certificate"),
            ),
            (
                "resource.customizations.health.argoproj.io_application",
                health("argoproj.io_Application"),
            ),
            ("resource.customizations.health.core_Pod", health("Pod")),
            ("resource.customizations.health.pod", health("Pod")),
            ("resource.customizations.health", health("GROUP_KIND")),
            ("resource.customizations.odd", None),
            ("resource.customization", Some("resource.customizations".to_owned())),
        ] {
            let ignored = of_key(key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(ignored.nearest, meant, "{key}");
        }
    }

    #[test]
    fn what_argo_cd_knows_is_no_mistake() {
        for key in [
            "resource.customizations",
            "resource.customizations.health.cert-manager.io_Certificate",
            "resource.customizations.health.Pod",
            "resource.customizations.health.all",
            "resource.customizations.actions.apps_Deployment",
            "resource.customizations.ignoreDifferences.all",
            "resource.customizations.ignoreDifferences.apps_Deployment",
            "resource.customizations.ignoreResourceUpdates.ConfigMap",
            "resource.customizations.knownTypeFields.a.io_B",
            "resource.customizations.useOpenLibs.a.io_B",
            "resource.exclusions",
            "resource.inclusions",
            "resource.compareoptions",
            "resource.customLabels",
            "resource.includeEventLabelKeys",
            "resource.excludeEventLabelKeys",
            "resource.ignoreResourceUpdatesEnabled",
            "resource.respectRBAC",
            "resource.sensitive.mask.annotations",
            "resource.links",
            "application.resourceTrackingMethod",
            "url",
            "kustomize.buildOptions",
        ] {
            assert_eq!(of_key(key), None, "{key}");
        }
    }

    #[test]
    fn names_and_fields_of_the_older_map_are_looked_at_too() {
        let told = |name: &str, entry: Value| {
            let ignored = in_map(name, entry.as_object().unwrap());
            ignored.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let script = || serde_json::json!({"health.lua": "x", "Actions": "y"});
        for name in ["a.io/B", "*.io/*", "*", "Pod", "*/*", "all*"] {
            assert!(told(name, script()).is_empty(), "{name}");
        }
        assert_eq!(
            told("a.io_B", script()),
            [
                "Argo CD ignores `resource.customizations:a.io_B` in argocd-cm; did you mean `resource.customizations:a.io/B`?"
            ]
        );
        assert_eq!(
            told("a.io/B", serde_json::json!({"health.lau": "x", "note": "y"})),
            [
                "Argo CD ignores `resource.customizations:a.io/B.health.lau` in argocd-cm; did you mean `health.lua`?",
                "Argo CD ignores `resource.customizations:a.io/B.note` in argocd-cm",
            ]
        );
    }
}
