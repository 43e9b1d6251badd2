//! The image's config document: the base's, with what the recipe and the new layers say.
//!
//! Fields of the base that deployctl does not know stay, in their place; its history and their
//! times stay as well. Which keys there are is in the OCI image specification, "Image
//! Configuration".

use camino::Utf8Path;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::build::BuildError;
use crate::image::{Digest, Platform, RunConfig};

/// A config document that is being written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConfigDocument(Map<String, Value>);

impl ConfigDocument {
    /// Returns the document of an image without layers.
    pub(super) fn empty(platform: &Platform) -> Self {
        let mut document = Map::new();
        document.insert("created".to_owned(), Value::Null);
        document.insert("architecture".to_owned(), json!(platform.architecture));
        document.insert("os".to_owned(), json!(platform.os));
        // v8 is what arm64 is; runtimes leave it out (containerd's platform defaults).
        let is_usual =
            platform.architecture == "arm64" && platform.variant.as_deref() == Some("v8");
        if let Some(variant) = platform.variant.as_ref().filter(|_| !is_usual) {
            document.insert("variant".to_owned(), json!(variant));
        }
        document.insert("config".to_owned(), json!({}));
        document.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": [] }));
        document.insert("history".to_owned(), json!([]));
        Self(document)
    }

    /// Returns the base image's document, or why it can't be built on.
    pub(super) fn of_base(bytes: &[u8], layers: usize) -> Result<Self, String> {
        let document: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| format!("its config: {error}"))?;
        let diff_ids = document.get("rootfs").map(|rootfs| &rootfs["diff_ids"]);
        let count = diff_ids.and_then(Value::as_array).map_or(0, Vec::len);
        if count == layers {
            return Ok(Self(document));
        }
        Err(format!("its config lists {count} layers, its manifest {layers}"))
    }

    /// Returns the platform that the document states, if it does.
    pub(super) fn platform(&self) -> Option<Platform> {
        let text =
            |key: &str| Some(self.0.get(key)?.as_str()?.to_owned()).filter(|t| !t.is_empty());
        let (os, architecture) = (text("os")?, text("architecture")?);
        Some(Platform { os, architecture, variant: text("variant") })
    }

    /// Returns the platform as an index states it (OCI image specification, "Image Index").
    pub(super) fn platform_object(&self) -> Value {
        let keys = ["architecture", "os", "os.version", "os.features", "variant"];
        let stated = keys.into_iter().filter_map(|key| Some((key, self.0.get(key)?)));
        let stated = stated.filter(|(_, value)| !value.is_null());
        Value::Object(stated.map(|(key, value)| (key.to_owned(), value.clone())).collect())
    }

    /// Adds layers, lowest first: what made them, and the digests of their tar bytes.
    ///
    /// History goes on only where it accounts for all layers so far; readers that pair the two
    /// would be misled otherwise.
    pub(super) fn add_layers(&mut self, layers: &[(String, Digest)], created: Timestamp) {
        let is_accounted = self.counts_its_layers();
        let diff_ids = array(object(&mut self.0, "rootfs"), "diff_ids");
        diff_ids.extend(layers.iter().map(|(_, diff_id)| json!(diff_id.as_str())));
        let created = created.to_string();
        if is_accounted {
            let entry = |(by, _): &_| json!({ "created": created, "created_by": by });
            array(&mut self.0, "history").extend(layers.iter().map(entry));
        }
        self.0.insert("created".to_owned(), json!(created));
    }

    fn counts_its_layers(&self) -> bool {
        let empty = Vec::new();
        let list = |value: Option<&Value>| value.and_then(Value::as_array).unwrap_or(&empty).len();
        let history = self.0.get("history").and_then(Value::as_array).unwrap_or(&empty);
        let made = history.iter().filter(|entry| entry["empty_layer"] != true).count();
        made == list(self.0.get("rootfs").map(|rootfs| &rootfs["diff_ids"]))
    }

    /// Lays the recipe's configuration over the base's.
    ///
    /// # Errors
    ///
    /// Fails if a port is not one.
    pub(super) fn configure(&mut self, run: &RunConfig) -> Result<(), BuildError> {
        let config = object(&mut self.0, "config");
        if let Some(user) = &run.user {
            config.insert("User".to_owned(), json!(user));
        }
        for port in &run.ports {
            let port = RunConfig::exposed_port(port).ok_or_else(|| wrong_port(port))?;
            object(config, "ExposedPorts").insert(port, json!({}));
        }
        for path in &run.volumes {
            object(config, "Volumes").insert(path.to_string(), json!({}));
        }
        if let Some(signal) = &run.stop_signal {
            config.insert("StopSignal".to_owned(), json!(signal));
        }
        if !run.env.is_empty() {
            let base = config.get("Env").and_then(Value::as_array).cloned().unwrap_or_default();
            config.insert("Env".to_owned(), environment(base, run));
        }
        if let Some(entrypoint) = &run.entrypoint {
            config.insert("Entrypoint".to_owned(), json!(entrypoint));
            // The base's command was meant for the base's entrypoint.
            config.shift_remove("Cmd");
        }
        if let Some(cmd) = &run.cmd {
            config.insert("Cmd".to_owned(), json!(cmd));
        }
        if let Some(workdir) = &run.workdir {
            config.insert("WorkingDir".to_owned(), json!(Utf8Path::as_str(workdir)));
        }
        for (name, value) in &run.labels {
            object(config, "Labels").insert(name.clone(), json!(value));
        }
        Ok(())
    }

    /// Returns the document's bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        Value::Object(self.0).to_string().into_bytes()
    }
}

/// Returns the object at `key`, which begins empty where there is none; `null` equals absent.
fn object<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was made an object above")
}

/// Returns the array at `key`, as [`object`] does.
fn array<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was made an array above")
}

/// Returns the base's variables, replaced in their place, then the new ones by name.
fn environment(mut base: Vec<Value>, run: &RunConfig) -> Value {
    let name = |variable: &Value| {
        variable.as_str().and_then(|text| text.split('=').next()).unwrap_or_default().to_owned()
    };
    for (key, value) in &run.env {
        let variable = json!(format!("{key}={value}"));
        match base.iter_mut().find(|known| name(known) == *key) {
            Some(known) => *known = variable,
            None => base.push(variable),
        }
    }
    Value::Array(base)
}

fn wrong_port(text: &str) -> BuildError {
    BuildError::Recipe(format!("port `{text}`: expected for example `8080` or `53/udp`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"architecture":"arm64","variant":"v8","os":"linux","x.y":[1],
        "config":{"Hostname":"","Env":["PATH=/bin","A=1"],"Cmd":["sh"],"Labels":null,
        "OnBuild":null,"Z":1},"created":"2020-01-01T00:00:00Z",
        "rootfs":{"type":"layers","diff_ids":["sha256:aa"]},
        "history":[{"created":"2020-01-01T00:00:00Z","created_by":"x"},
        {"created":"2020-01-01T00:00:00Z","empty_layer":true}]}"#;

    fn check(base: &str, run: &RunConfig, expected: &Value) {
        let mut document = ConfigDocument::of_base(base.as_bytes(), 1).unwrap();
        let layer = ("copy".to_owned(), Digest::of(b""));
        document.add_layers(&[layer], Timestamp::UNIX_EPOCH);
        document.configure(run).unwrap();
        assert_eq!(String::from_utf8(document.into_bytes()).unwrap(), expected.to_string());
    }

    #[test]
    fn the_base_s_document_stays_where_the_recipe_is_silent() {
        let run = RunConfig {
            env: [("A", "2"), ("B", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            entrypoint: Some(vec!["/app".to_owned()]),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            ..RunConfig::default()
        };
        let expected = json!({
            "architecture": "arm64", "variant": "v8", "os": "linux", "x.y": [1],
            "config": {
                "Hostname": "", "Env": ["PATH=/bin", "A=2", "B=3"], "Labels": {"k": "v"},
                "OnBuild": null, "Z": 1, "Entrypoint": ["/app"],
            },
            "created": "1970-01-01T00:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:aa", Digest::of(b"").as_str()]},
            "history": [
                {"created": "2020-01-01T00:00:00Z", "created_by": "x"},
                {"created": "2020-01-01T00:00:00Z", "empty_layer": true},
                {"created": "1970-01-01T00:00:00Z", "created_by": "copy"},
            ],
        });
        check(BASE, &run, &expected);
    }

    #[test]
    fn history_is_not_begun_above_layers_that_have_none() {
        let base = r#"{"rootfs":{"diff_ids":["sha256:aa"]}}"#;
        let mut document = ConfigDocument::of_base(base.as_bytes(), 1).unwrap();
        document.add_layers(&[("x".into(), Digest::of(b""))], Timestamp::UNIX_EPOCH);
        assert_eq!(document.0.get("history"), None);
    }

    #[test]
    fn null_is_the_same_as_absent() {
        let base = r#"{"rootfs":{"type":"layers","diff_ids":null},"history":null,"config":null}"#;
        let mut document = ConfigDocument::of_base(base.as_bytes(), 0).unwrap();
        document.add_layers(&[("x".into(), Digest::of(b""))], Timestamp::UNIX_EPOCH);
        document.configure(&RunConfig::default()).unwrap();
        assert_eq!(document.0["rootfs"]["diff_ids"], json!([Digest::of(b"").as_str()]));
        assert_eq!(document.0["history"][0]["created_by"], "x");
        assert_eq!(document.0["config"], json!({}));
    }

    #[test]
    fn a_base_that_contradicts_itself_is_refused() {
        let error = ConfigDocument::of_base(BASE.as_bytes(), 2).unwrap_err();
        assert_eq!(error, "its config lists 1 layers, its manifest 2");
        assert!(ConfigDocument::of_base(b"[]", 0).is_err());
    }

    #[test]
    fn an_index_states_what_the_config_does() {
        let base = r#"{"os":"windows","architecture":"amd64","os.version":"10.0.20348.1",
            "os.features":["win32k"],"variant":null,"rootfs":{"diff_ids":[]}}"#;
        let document = ConfigDocument::of_base(base.as_bytes(), 0).unwrap();
        assert_eq!(
            document.platform_object().to_string(),
            r#"{"architecture":"amd64","os":"windows","os.version":"10.0.20348.1","os.features":["win32k"]}"#
        );
        let of = |text: &str| ConfigDocument::empty(&text.parse().unwrap()).platform_object();
        assert_eq!(of("linux/arm64/v8"), json!({"architecture": "arm64", "os": "linux"}));
        assert_eq!(of("linux/arm/v7")["variant"], "v7");
    }
}
