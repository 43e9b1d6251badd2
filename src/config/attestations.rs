//! The `attestations` section: what is said about images beside them, and who must vouch for bases.

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::Flaw;

/// What is attached to images that are built, outside of their digests, and who must have signed what
/// they are built on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileAttestations {
    /// Whether a list of the packages in the lock files of the build context is attached: CycloneDX.
    #[serde(default)]
    sbom: bool,
    /// Whether it is attached how the image was made, and out of which commit and base images: SLSA
    /// provenance.
    #[serde(default)]
    provenance: bool,
    /// Who signs the image, and what else is attached. Left out: nobody.
    sign: Option<FileSign>,
    /// Who must have signed base images, or nothing is built on them: the file of a public key,
    /// relative to this file, or `identity=IDENTITY,issuer=ISSUER` of a keyless signature; of several
    /// one is enough. `--verify-base` goes before it.
    #[serde(default)]
    verify_base: Vec<String>,
}

/// Who signs: either `key` or `keyless`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FileSign {
    /// The private key: a PEM file, relative to this file, or `env:NAME`, the environment variable with
    /// its text. ECDSA P-256 or Ed25519 in PKCS #8, or a key that `cosign generate-key-pair` has made,
    /// whose password is in COSIGN_PASSWORD.
    key: Option<String>,
    /// Whether the pipeline's own identity signs, by the program `cosign`. On GitHub Actions the job
    /// needs `permissions: id-token: write`.
    #[serde(default)]
    keyless: bool,
}

/// What is attached to images, and who must vouch for bases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attestations {
    /// Whether a list of packages is attached.
    pub sbom: bool,
    /// Whether it is attached how the image was made.
    pub provenance: bool,
    /// Who signs.
    pub sign: Option<SignBy>,
    /// Who must have signed base images: as the file says it.
    pub verify_base: Vec<String>,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignBy {
    /// The private key in a file, relative to the configuration file.
    KeyFile(Utf8PathBuf),
    /// The private key in an environment variable.
    KeyVariable(String),
    /// The identity that the pipeline has.
    Keyless,
}

/// Returns what the section says.
pub(super) fn attestations(file: FileAttestations) -> Result<Attestations, Flaw> {
    let sign = file.sign.map(sign_by).transpose()?;
    let FileAttestations { sbom, provenance, verify_base, .. } = file;
    Ok(Attestations { sbom, provenance, sign, verify_base })
}

fn sign_by(file: FileSign) -> Result<SignBy, Flaw> {
    let flaw = |message| Err(Flaw::new(&["attestations", "sign"], message));
    match (file.key, file.keyless) {
        (None, true) => Ok(SignBy::Keyless),
        (Some(key), false) => match key.strip_prefix("env:") {
            Some("") => flaw("`env:` names no environment variable"),
            Some(name) => Ok(SignBy::KeyVariable(name.to_owned())),
            None if key.contains("-----BEGIN") => {
                flaw("`key` is a file or `env:NAME`, and never the key itself")
            }
            None => Ok(SignBy::KeyFile(key.into())),
        },
        (None, false) => flaw("it says neither `key` nor `keyless: true`"),
        (Some(_), true) => flaw("it says `key` and `keyless`; keep one of the two"),
    }
}

#[cfg(test)]
mod tests {
    use super::SignBy;
    use crate::config::Config;

    fn read(section: &str) -> Result<Config, String> {
        let text =
            format!("version: 1\nservices: {{}}\nenvironments: {{}}\nattestations: {section}\n");
        Config::parse("deployctl.yaml".into(), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn who_signs_is_a_key_or_the_pipeline() {
        let sign = |text: &str| {
            let config = read(&format!("{{sbom: true, sign: {text}}}"))?;
            assert!(config.attestations.sbom && !config.attestations.provenance);
            Ok::<_, String>(config.attestations.sign)
        };
        assert_eq!(sign("{key: a.key}"), Ok(Some(SignBy::KeyFile("a.key".into()))));
        assert_eq!(sign("{key: 'env:KEY'}"), Ok(Some(SignBy::KeyVariable("KEY".to_owned()))));
        assert_eq!(sign("{keyless: true}"), Ok(Some(SignBy::Keyless)));
        for (text, told) in [
            ("{}", "neither `key` nor `keyless: true`"),
            ("{key: a, keyless: true}", "keep one of the two"),
            ("{key: 'env:'}", "names no environment variable"),
            ("{key: '-----BEGIN PRIVATE KEY-----'}", "never the key itself"),
        ] {
            let error = sign(text).unwrap_err();
            assert!(error.starts_with("deployctl.yaml:4:") && error.contains(told), "{error}");
        }
    }

    #[test]
    fn nothing_is_attached_unless_it_is_asked_for() {
        let text = "version: 1\nservices: {}\nenvironments: {}\n";
        let config = Config::parse("deployctl.yaml".into(), text).unwrap();
        assert_eq!(config.attestations, super::Attestations::default());
        assert_eq!(read("{verifyBase: [a.pub]}").unwrap().attestations.verify_base, ["a.pub"]);
    }
}
