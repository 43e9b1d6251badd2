//! The keys of an image that deployctl makes by itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FileBuild, capabilities, refuse};
use crate::config::read::{Flaw, relative};
use crate::image::ignore::IgnoreFile;
use crate::image::{Compression, Digest, ImageReference, Layer, Native, RunConfig};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum FileCompression {
    /// gzip, which every registry and runtime takes.
    Gzip,
    /// zstd: faster to pull, but only for a base in OCI's format, and for what knows it: containerd,
    /// buildah, podman and skopeo do, and `umoci` 0.4 does not ("blob is not correct mediatype").
    Zstd,
}

/// One layer: files of the context and where they go, and folders and links of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config) struct FileLayer {
    /// Files and folders of the context, one or a list. `*`, `**`, `?` and `[a-z]` make a pattern, as
    /// in an ignore file; `{os}`, `{arch}` and `{variant}` stand for the parts of the platform.
    pub(super) from: Option<OneOrMore>,
    /// The absolute path in the image: a file becomes it, or goes into it where it ends with a slash;
    /// a folder's content goes into it, and so does what is one of several or matches a pattern.
    pub(super) to: Option<String>,
    /// Patterns, as in an ignore file, of what is left out of `from`.
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    /// Permission bits of the files in octal, for example `"0755"`; by default 0644, or 0755 for
    /// executables.
    pub(super) mode: Option<String>,
    /// Permission bits of the folders in octal; 0755 by default.
    pub(super) folder_mode: Option<String>,
    /// `uid:gid`, `0:0` by default.
    pub(super) owner: Option<String>,
    /// Linux capabilities that the files have when they are run, for example `net_bind_service`; by
    /// default those that they have in the context.
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
    /// Empty folders, by absolute path.
    #[serde(default)]
    pub(super) folders: Vec<String>,
    /// Symbolic links: the absolute path of each, and its target.
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
}

/// One text, or a list of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

/// Returns the native build that `file` describes.
pub(super) fn native(service: &str, file: FileBuild) -> Result<Native, Flaw> {
    let dockerfile_only = [
        ("dockerfile", file.dockerfile.is_some()),
        ("target", file.target.is_some()),
        ("args", !file.args.is_empty()),
        ("secrets", !file.secrets.is_empty()),
        ("cache", file.cache.is_some()),
        ("engine", file.engine.is_some()),
    ];
    refuse(service, &dockerfile_only, "is for a Dockerfile; an image with `layers` has none")?;
    let at = At { service, index: String::new(), names_platforms: !file.platforms.is_empty() };
    let (base, base_layout) = match file.base.as_deref() {
        None | Some("scratch") => (None, None),
        Some(text) => at.base(text)?,
    };
    let layers = file.layers.unwrap_or_default().into_iter().enumerate();
    let layers = layers.map(|(index, layer)| At { index: index.to_string(), ..at }.layer(layer));
    Ok(Native {
        base,
        base_layout,
        layers: layers.collect::<Result<_, _>>()?,
        annotations: at.named("annotations", file.annotations)?,
        compression: match file.compression {
            None | Some(FileCompression::Gzip) => Compression::Gzip,
            Some(FileCompression::Zstd) => Compression::Zstd,
        },
        config: RunConfig {
            env: at.named("env", file.env)?,
            entrypoint: file.entrypoint,
            cmd: file.cmd,
            user: file.user,
            workdir: file.workdir.map(|path| at.absolute(path, &["workdir"])).transpose()?,
            ports: at.each("ports", file.ports, At::port)?,
            volumes: at.each("volumes", file.volumes, At::absolute)?,
            stop_signal: file.stop_signal,
            labels: at.named("labels", file.labels)?,
        },
    })
}

/// Where in the file a value is, for errors.
#[derive(Clone)]
struct At<'a> {
    service: &'a str,
    /// The layer's place in the list.
    index: String,
    names_platforms: bool,
}

impl At<'_> {
    fn flaw(&self, keys: &[&str], message: String) -> Flaw {
        Flaw::new(&[&["services", self.service, "build"], keys].concat(), message)
    }

    /// Returns the base image's reference and, if that is where it is, its OCI layout directory.
    fn base(
        &self,
        text: &str,
    ) -> Result<(Option<ImageReference>, Option<camino::Utf8PathBuf>), Flaw> {
        let flaw = |reason: String| self.flaw(&["base"], format!("`{text}`: {reason}"));
        let Some(layout) = text.strip_prefix("oci:") else {
            let reference = text.parse().map_err(|error| flaw(format!("{error}")))?;
            return Ok((Some(reference), None));
        };
        let end = layout.find("@sha256:").or_else(|| layout.find(':')).unwrap_or(layout.len());
        let (folder, rest) = layout.split_at(end);
        if folder.is_empty() {
            return Err(flaw("expected `oci:FOLDER` or `oci:FOLDER:TAG`".to_owned()));
        }
        let name = layout_name(folder);
        let reference =
            format!("{name}{rest}").parse().map_err(|error| flaw(format!("{error}")))?;
        Ok((Some(reference), Some(folder.into())))
    }

    fn layer(&self, file: FileLayer) -> Result<Layer, Flaw> {
        let path = |key| ["layers", &*self.index, key];
        let from = self.from(file.from)?;
        let to = match file.to {
            Some(to) => self.absolute(to, &path("to"))?,
            None if from.is_empty() => "/".into(),
            None => return Err(self.flaw(&path("from"), "a layer with `from` needs `to`".into())),
        };
        if from.is_empty() && file.folders.is_empty() && file.links.is_empty() {
            let message = "a layer needs `from`, `folders` or `links`";
            return Err(self.flaw(&["layers", &self.index], message.to_owned()));
        }
        let mode =
            |text: Option<String>, key| text.map(|text| self.mode(&text, &path(key))).transpose();
        let links = file.links.into_iter().map(|(link, target)| {
            let link = self.absolute(link.clone(), &["layers", &self.index, "links", &link])?;
            Ok((link, target))
        });
        let set = |name: &String| {
            capabilities::bit(name).ok_or_else(|| {
                self.flaw(&path("capabilities"), format!("`{name}` is not a Linux capability"))
            })
        };
        let capabilities: Vec<u64> = file.capabilities.iter().map(set).collect::<Result<_, _>>()?;
        Ok(Layer {
            from,
            to,
            exclude: self.each_of_layer("exclude", file.exclude, Self::excluded)?,
            mode: mode(file.mode, "mode")?,
            folder_mode: mode(file.folder_mode, "folderMode")?,
            owner: file.owner.map_or(Ok((0, 0)), |text| self.owner(&text, &path("owner")))?,
            capabilities: capabilities.into_iter().fold(0, |all, one| all | one),
            folders: self.each_of_layer("folders", file.folders, Self::absolute)?,
            links: links.collect::<Result<_, _>>()?,
        })
    }

    fn from(&self, file: Option<OneOrMore>) -> Result<Vec<String>, Flaw> {
        match file {
            None => Ok(Vec::new()),
            Some(OneOrMore::One(text)) => {
                Ok(vec![self.source(text, &["layers", &self.index, "from"])?])
            }
            Some(OneOrMore::More(texts)) => self.each_of_layer("from", texts, Self::source),
        }
    }

    fn source(&self, text: String, keys: &[&str]) -> Result<String, Flaw> {
        relative(&text, &[&["services", self.service, "build"], keys].concat())?;
        // One letter in place of a platform's part is no other pattern, or other path, than its name.
        let filled = ["{os}", "{arch}", "{variant}"]
            .iter()
            .fold(text.clone(), |text, known| text.replace(known, "x"));
        let wrong = |reason: &str| Err(self.flaw(keys, format!("`{text}`: {reason}")));
        if filled.contains(['{', '}']) {
            return wrong("expected only `{os}`, `{arch}` or `{variant}` in braces");
        }
        if filled != text && !self.names_platforms {
            return wrong("the platform's parts need `platforms`");
        }
        if Layer::is_pattern(&text) {
            if text.starts_with('!') {
                return wrong("a source takes nothing back; say in `exclude` what is left out");
            }
            IgnoreFile::check_pattern(&filled)
                .map_err(|_| self.flaw(keys, format!("syntax error in pattern `{text}`")))?;
        }
        Ok(text)
    }

    fn excluded(&self, text: String, keys: &[&str]) -> Result<String, Flaw> {
        match IgnoreFile::check_pattern(&text) {
            Ok(()) => Ok(text),
            Err(error) => Err(self.flaw(keys, error.reason())),
        }
    }

    /// Returns the list at a key of the layer, each of its texts as `parse` has it.
    fn each_of_layer<T>(
        &self,
        key: &str,
        texts: Vec<String>,
        parse: impl Fn(&Self, String, &[&str]) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        let texts = texts.into_iter().enumerate();
        let place = |number: usize| number.to_string();
        texts
            .map(|(number, text)| parse(self, text, &["layers", &self.index, key, &place(number)]))
            .collect()
    }

    fn absolute(&self, text: String, keys: &[&str]) -> Result<camino::Utf8PathBuf, Flaw> {
        if !text.starts_with('/') || text.split('/').any(|part| part == "..") {
            let message = format!("`{text}` is not an absolute path without `..`");
            return Err(self.flaw(keys, message));
        }
        Ok(text.into())
    }

    fn port(&self, text: String, keys: &[&str]) -> Result<String, Flaw> {
        match RunConfig::exposed_port(&text) {
            Some(_) => Ok(text),
            None => {
                let message = format!("`{text}` is not a port; expected `8080` or `53/udp`");
                Err(self.flaw(keys, message))
            }
        }
    }

    /// Returns the list at `key`, each of its texts as `parse` has it.
    fn each<T>(
        &self,
        key: &str,
        texts: Vec<String>,
        parse: impl Fn(&Self, String, &[&str]) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        let texts = texts.into_iter().enumerate();
        texts.map(|(index, text)| parse(self, text, &[key, &index.to_string()])).collect()
    }

    /// Returns the map at `key`, whose keys must be names.
    fn named(
        &self,
        key: &str,
        map: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Flaw> {
        match map.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            Some(name) => {
                let message = format!("`{name}` is not a name; expected one without `=`");
                Err(self.flaw(&[key, name], message))
            }
            None => Ok(map),
        }
    }

    fn mode(&self, text: &str, keys: &[&str]) -> Result<u32, Flaw> {
        let expected =
            || self.flaw(keys, format!("`{text}` is not a mode; expected octal, like `0755`"));
        u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777).ok_or_else(expected)
    }

    fn owner(&self, text: &str, keys: &[&str]) -> Result<(u32, u32), Flaw> {
        let expected = || self.flaw(keys, format!("`{text}` is not an owner; expected `uid:gid`"));
        let (uid, gid) = text.split_once(':').ok_or_else(expected)?;
        Ok((uid.parse().map_err(|_| expected())?, gid.parse().map_err(|_| expected())?))
    }
}

/// Returns a name for the images in an OCI layout directory, which no registry can have: the folder's
/// own, where that is a repository's, else one made of its digest.
fn layout_name(folder: &str) -> String {
    let plain = format!("oci-layout.invalid/{}", folder.trim_start_matches("./"));
    let fits = |name: &ImageReference| name.to_string() == plain;
    match plain.parse::<ImageReference>().is_ok_and(|name| fits(&name)) {
        true => plain,
        false => format!("oci-layout.invalid/{}", &Digest::of(folder.as_bytes()).hex()[..12]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::image::Method;

    fn native(build: &str) -> Result<Native, String> {
        let text = format!(
            "version: 1\nenvironments: {{}}\nservices:\n  web:\n    image: registry.example.com/web\n    build:\n      context: .\n      {}\n",
            build.replace('\n', "\n      ")
        );
        let config = Config::parse("deployctl.yaml".into(), &text);
        let config = config.map_err(|error| error.to_string())?;
        match &config.services["web"].recipe.as_ref().unwrap().method {
            Method::Native(native) => Ok(native.as_ref().clone()),
            Method::Dockerfile(_) => panic!("it has layers"),
        }
    }

    #[test]
    fn every_key_has_its_place_in_the_recipe() {
        let native = native(
            "platforms: [linux/amd64, linux/arm64]\nbase: oci:base:1\ncompression: zstd\n\
             layers:\n- {from: 'bin/{arch}', to: /bin, mode: '4755', capabilities: [NET_RAW, chown]}\n\
             - {from: [a, 'b/*'], to: /c/, exclude: [b/x], folderMode: '0700', owner: '1:2'}\n\
             - {folders: [/tmp], links: {/sh: bin/sh}}\n\
             volumes: [/data]\nstopSignal: SIGQUIT\nports: ['80', 53/udp]\nannotations: {a.b: c}\n\
             workdir: /srv",
        );
        let native = native.unwrap();
        assert_eq!(native.base.unwrap().to_string(), "oci-layout.invalid/base:1");
        assert_eq!(native.base_layout.unwrap(), "base");
        assert_eq!(native.compression, Compression::Zstd);
        let [bin, several, own] = native.layers.as_slice() else { panic!("three layers") };
        assert_eq!((bin.mode, bin.capabilities), (Some(0o4755), 1 << 13 | 1));
        assert_eq!((several.from.len(), several.folder_mode), (2, Some(0o700)));
        assert_eq!((several.owner, several.exclude.as_slice()), ((1, 2), &["b/x".to_owned()][..]));
        assert_eq!(
            (own.folders[0].as_str(), &*own.links[camino::Utf8Path::new("/sh")]),
            ("/tmp", "bin/sh")
        );
        assert_eq!(native.config.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!((native.config.volumes.len(), native.annotations.len()), (1, 1));
    }

    #[track_caller]
    fn check(build: &str, expected: &str) {
        assert_eq!(native(build).unwrap_err(), format!("deployctl.yaml:{expected}"));
    }

    #[test]
    fn an_error_names_the_key_and_its_place() {
        check("layers: [{from: a}]", "8:23: a layer with `from` needs `to`");
        check(
            "platforms: [linux/amd64, linux/amd46]",
            "8:32: platform `linux/amd46`: `amd46` is not known; did you mean `amd64`?",
        );
        check("layers: [{to: /a}]", "8:16: a layer needs `from`, `folders` or `links`");
        check("layers: [{from: ../a, to: /a}]", "8:23: `../a` is not a relative path without `..`");
        check(
            "layers: [{from: 'a{arch}', to: /a}]",
            "8:23: `a{arch}`: the platform's parts need `platforms`",
        );
        check(
            "platforms: [linux/amd64]\nlayers: [{from: 'a{cpu}', to: /a}]",
            "9:23: `a{cpu}`: expected only `{os}`, `{arch}` or `{variant}` in braces",
        );
        check(
            "layers: [{from: [a, '../*'], to: /a}]",
            "8:27: `../*` is not a relative path without `..`",
        );
        check("layers: [{from: 'b/[', to: /a}]", "8:23: syntax error in pattern `b/[`");
        check("layers: [{from: [a, '[b-a]'], to: /a}]", "8:27: syntax error in pattern `[b-a]`");
        check(
            "layers: [{from: '!a*', to: /a}]",
            "8:23: `!a*`: a source takes nothing back; say in `exclude` what is left out",
        );
        check(
            "platforms: [linux/amd64]\nlayers: [{from: '{arch}/[z-a]', to: /a}]",
            "9:23: syntax error in pattern `{arch}/[z-a]`",
        );
        check(
            "layers: [{from: a, to: /a, exclude: ['*.tmp', '[']}]",
            "8:53: syntax error in pattern `[`",
        );
        check(
            "layers: [{from: a, to: /a, exclude: ['!']}]",
            "8:44: illegal exclusion pattern: \"!\"",
        );
        check("layers: [{from: a, to: a}]", "8:30: `a` is not an absolute path without `..`");
        check(
            "layers: [{from: a, to: /a, folderMode: '9'}]",
            "8:46: `9` is not a mode; expected octal, like `0755`",
        );
        check(
            "layers: [{from: a, to: /a, capabilities: [root]}]",
            "8:48: `root` is not a Linux capability",
        );
        check("layers: [{links: {sh: x}}]", "8:29: `sh` is not an absolute path without `..`");
        check(
            "layers: []\nports: ['80', x]",
            "9:21: `x` is not a port; expected `8080` or `53/udp`",
        );
        check("layers: []\nworkdir: srv", "9:16: `srv` is not an absolute path without `..`");
        check("layers: []\nenv: {A=B: c}", "9:18: `A=B` is not a name; expected one without `=`");
        check(
            "layers: []\nbase: 'oci:'",
            "9:13: `oci:`: expected `oci:FOLDER` or `oci:FOLDER:TAG`",
        );
        check(
            "dockerfile: Dockerfile\nlayers: []",
            "8:19: `dockerfile` is for a Dockerfile; an image with `layers` has none",
        );
        check(
            "volumes: [/a]",
            "8:16: `volumes` is for an image with `layers`; a Dockerfile says it itself",
        );
    }

    #[test]
    fn a_layout_is_named_by_its_folder_where_that_is_a_name() {
        assert_eq!(layout_name("./base/layout"), "oci-layout.invalid/base/layout");
        for folder in ["../Base", "a b", "/abs"] {
            let name = layout_name(folder);
            assert!(name.parse::<ImageReference>().is_ok() && name.len() == 31, "{name}");
        }
    }
}
