//! Health scripts of the user's: which of them speaks about an object.
//!
//! They come from the ConfigMap `argocd-cm`, and from a folder in the layout of Argo CD's own
//! `resource_customizations`. Reading that folder is left to [`crate::ops`].

mod argocd_cm;
mod glob;
mod ignored;

use std::collections::{BTreeMap, BTreeSet};

pub use argocd_cm::ArgoCdCmError;
pub use ignored::Ignored;

use super::assessment::{Assessment, DecidedBy, group_and_kind};
use super::lua::{Clock, Engine, Script};
use crate::k8s::Object;
use glob::Glob;

/// Health scripts, filed by the group and kind that they are for.
#[derive(Debug)]
pub struct Customizations {
    engine: Engine,
    /// What `argocd-cm` has anything about, a script or something else.
    named: BTreeSet<String>,
    /// What `argocd-cm` has and Argo CD passes over.
    ignored: Vec<Ignored>,
    config_map: Shelf,
    folder: Shelf,
    argocd_cm: Option<Object>,
}

/// Scripts from one source.
#[derive(Debug, Default)]
struct Shelf {
    exact: BTreeMap<String, Entry>,
    /// In the order in which they are asked.
    wildcards: Vec<(Glob, Entry)>,
}

#[derive(Debug)]
struct Entry {
    script: Script,
    rule: DecidedBy,
}

impl Customizations {
    /// Returns no scripts. Those that are added learn the time from `clock`.
    pub fn new(clock: Clock) -> Self {
        Self {
            engine: Engine::new(clock),
            named: BTreeSet::new(),
            ignored: Vec::new(),
            config_map: Shelf::default(),
            folder: Shelf::default(),
            argocd_cm: None,
        }
    }

    /// Returns the ConfigMap `argocd-cm` with what was read of it, or `None` if none was added.
    pub fn argocd_cm(&self) -> Option<&Object> {
        self.argocd_cm.as_ref()
    }

    /// Adds the scripts of the ConfigMap `argocd-cm`, instead of those of one that was added before.
    ///
    /// # Errors
    ///
    /// Fails, and then nothing is added, wherever Argo CD refuses the whole ConfigMap.
    pub fn add_argocd_cm(&mut self, config_map: &Object) -> Result<(), ArgoCdCmError> {
        let mut shelf = Shelf::default();
        let settings = argocd_cm::read(config_map)?;
        self.named = settings.entries.keys().cloned().collect();
        self.ignored = settings.ignored;
        for (pattern, setting) in settings.entries {
            if setting.script.is_empty() {
                continue;
            }
            let script = Script::new(setting.script, setting.has_open_libraries);
            let entry = Entry { script, rule: DecidedBy::ArgoCdCm(setting.key) };
            if glob::is_literal(&pattern) {
                shelf.exact.insert(pattern, entry);
            } else if let Some(glob) = Glob::new(&pattern) {
                shelf.wildcards.push((glob, entry));
            }
        }
        self.config_map = shelf;
        self.argocd_cm = argocd_cm::what_is_read(config_map);
        Ok(())
    }

    /// Adds the script of a directory `group/Kind` or `Kind`, in whose names `_` stands for any text.
    pub fn add_directory(&mut self, directory: &str, script: String) {
        // Argo CD runs the scripts that it brings with all libraries.
        let rule = DecidedBy::Directory(directory.to_owned());
        let entry = Entry { script: Script::new(script, true), rule };
        if directory.contains('_') {
            self.folder.wildcards.push((Glob::of_directory(directory), entry));
            self.folder.wildcards.sort_by(|(a, _), (b, _)| a.pattern().cmp(b.pattern()));
        } else {
            self.folder.exact.insert(directory.to_owned(), entry);
        }
    }

    /// Returns what the script of the object's group and kind says, or `None` if there is none.
    pub(super) fn assess(&self, object: &Object) -> Option<Assessment> {
        let key = group_and_kind(object);
        let Entry { script, rule } =
            self.config_map.find(&key).or_else(|| self.folder.find(&key))?;
        let health = self.engine.assess(script, object);
        Some(Assessment { health, decided_by: Some(rule.clone()) })
    }

    /// Returns whether `argocd-cm` has an entry of any type for the object's very group and kind.
    pub(super) fn names(&self, object: &Object) -> bool {
        self.named.contains(&group_and_kind(object))
    }

    /// Returns what `argocd-cm` has about customizations although Argo CD passes it over.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// Returns the entries of `argocd-cm` that all match the object although none names its group
    /// and kind, if there are several. Argo CD asks any one of them, now this and now that; here it is
    /// the first in the order of their patterns.
    pub fn ambiguous(&self, object: &Object) -> Vec<&str> {
        let key = group_and_kind(object);
        let shelf = &self.config_map;
        if shelf.exact.contains_key(&key) {
            return Vec::new();
        }
        let matching = shelf.wildcards.iter().filter(|(glob, _)| glob.matches(&key));
        let patterns: Vec<_> = matching.map(|(glob, _)| glob.pattern()).collect();
        if patterns.len() > 1 { patterns } else { Vec::new() }
    }
}

impl Shelf {
    fn find(&self, key: &str) -> Option<&Entry> {
        let wildcard = || self.wildcards.iter().find(|(glob, _)| glob.matches(key));
        self.exact.get(key).or_else(|| wildcard().map(|(_, entry)| entry))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn customizations(data: &serde_json::Value, directories: &[&str]) -> Customizations {
        let clock = Clock { now: || Timestamp::UNIX_EPOCH, elapsed: || std::time::Duration::ZERO };
        let mut customizations = Customizations::new(clock);
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
        customizations.add_argocd_cm(&Object::new(config_map).unwrap()).unwrap();
        for directory in directories {
            customizations.add_directory(directory, "return {status = 'Healthy'}".to_owned());
        }
        customizations
    }

    fn rule(customizations: &Customizations, group: &str, kind: &str) -> String {
        let api_version = format!("{group}/v1");
        let object = json!({"apiVersion": api_version.trim_start_matches('/'), "kind": kind});
        let assessment = customizations.assess(&Object::new(object).unwrap());
        assessment.map(|it| it.decided_by.unwrap().to_string()).unwrap_or_default()
    }

    const SCRIPT: &str = "return {status = 'Healthy'}";

    #[test]
    fn an_exact_entry_comes_before_a_wildcard_and_argocd_cm_before_the_folder() {
        let legacy = format!(
            "'*.example.com/*': {{health.lua: \"{SCRIPT}\"}}\n'*/W?dget': {{health.lua: x}}\n"
        );
        let data = json!({
            "resource.customizations": legacy,
            "resource.customizations.health.a.example.com_Widget": SCRIPT,
            "resource.customizations.health.Secret": SCRIPT,
        });
        let folder = [
            "a.example.com/Widget",
            "Secret",
            "ConfigMap",
            "_.example.org/_",
            "b.example.org/Widget",
            "_.org/_",
            "x_.net/_",
        ];
        let customizations = customizations(&data, &folder);
        let check = |group: &str, kind: &str, expected: &str| {
            assert_eq!(rule(&customizations, group, kind), expected, "{group}/{kind}");
        };
        let exact = "lua:argocd-cm:resource.customizations.health.";
        check("a.example.com", "Widget", &format!("{exact}a.example.com_Widget"));
        check("", "Secret", &format!("{exact}Secret"));
        check("b.c.example.com", "Gadget", "lua:argocd-cm:resource.customizations:*.example.com/*");
        check("other.net", "Wadget", "lua:argocd-cm:resource.customizations:*/W?dget");
        check("", "ConfigMap", "lua:customizations:ConfigMap");
        check("a.example.org", "Gadget", "lua:customizations:_.example.org/_");
        check("b.example.org", "Wagon", "lua:customizations:_.example.org/_");
        check("c.org", "Gadget", "lua:customizations:_.org/_");
        check("xy.net", "Gadget", "lua:customizations:x_.net/_");
        check("", "Pod", "");
    }

    #[test]
    fn several_wildcards_that_match_are_told() {
        let legacy = format!("'b*/*': {{health.lua: \"{SCRIPT}\"}}\n'*/*': {{health.lua: x}}\n");
        let data =
            json!({"resource.customizations": legacy, "resource.customizations.health.c_D": "x"});
        let customizations = customizations(&data, &[]);
        let object = |group: &str| {
            Object::new(json!({"apiVersion": format!("{group}/v1"), "kind": "D"})).unwrap()
        };
        assert_eq!(customizations.ambiguous(&object("b")), ["*/*", "b*/*"]);
        assert!(customizations.ambiguous(&object("a")).is_empty());
        assert!(customizations.ambiguous(&object("c")).is_empty());
    }
}
