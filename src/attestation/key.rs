//! Keys that sign and verify, from the PEM files that OpenSSL and cosign write.

mod encrypted;
mod pem;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

/// A key that signs.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7), in DER.
    info: Vec<u8>,
    scheme: Scheme,
    /// Where in `info` the key itself begins.
    key_from: usize,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    P256,
    P384,
    Ed25519,
    Rsa,
}

/// Why a key can't be used. Nothing of the key is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not a PEM file.
    #[error("it is not a PEM file with a key")]
    NotPem,
    /// It is a PEM file with something else in it.
    #[error("it is a PEM file with a `{found}`; expected {expected}")]
    Label {
        /// What it calls itself.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// The key is of a kind that is not supported.
    #[error("its key is of an unknown kind; expected {0}")]
    Kind(&'static str),
    /// It is encrypted in a way that is not known.
    #[error("it is encrypted in an unknown way: {0}")]
    Encryption(&'static str),
    /// It is encrypted and there is no password.
    #[error("it is encrypted, and there is no password")]
    NoPassword,
    /// The password does not open it.
    #[error("the password does not open it")]
    WrongPassword,
    /// The signature could not be made.
    #[error("the system gives no random bytes to sign with")]
    Random,
}

/// A private key in PKCS #8, in DER.
type Pkcs8 = SecretBox<Vec<u8>>;

const SIGNING_KINDS: &str = "ECDSA P-256 or Ed25519, in PKCS #8 with its public key";
const VERIFYING_KINDS: &str = "ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more";
const PRIVATE_LABELS: &str = "`PRIVATE KEY` (PKCS #8) or `ENCRYPTED SIGSTORE PRIVATE KEY`; \
                              `openssl pkcs8 -topk8 -nocrypt` converts other keys";

/// What stands in a `SubjectPublicKeyInfo` before the key (RFC 5480, RFC 8410, RFC 8017).
const P256_PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384_PREFIX: &[u8] = b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const RSA_ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

impl SigningKey {
    /// Returns the key in a PEM file; `password` opens one that cosign has encrypted.
    ///
    /// # Errors
    ///
    /// Fails if there is no such key in it, or the password is missing or wrong.
    pub fn from_pem(
        text: &SecretString,
        password: Option<&SecretString>,
        random: &dyn SecureRandom,
    ) -> Result<Self, KeyError> {
        let section = pem::first_section(text.expose_secret()).ok_or(KeyError::NotPem)?;
        let pkcs8 = match section.label {
            "PRIVATE KEY" => section.bytes,
            // cosign wrote the second until 2.0.
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                encrypted::open(&section.bytes, password.ok_or(KeyError::NoPassword)?)?
            }
            other => {
                let found = other.to_owned();
                return Err(KeyError::Label { found, expected: PRIVATE_LABELS });
            }
        };
        Self::from_pkcs8(&pkcs8, random)
    }

    fn from_pkcs8(pkcs8: &Pkcs8, random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let der = pkcs8.expose_secret();
        let signing = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(signing, der, random) {
            let public = PublicKey::of(P256_PREFIX, pair.public_key().as_ref(), Scheme::P256);
            return Ok(Self { pair: Pair::P256(pair), public });
        }
        // Without the public key, as OpenSSL and Go write it.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        let pair = pair.map_err(|_| KeyError::Kind(SIGNING_KINDS))?;
        let public = PublicKey::of(ED25519_PREFIX, pair.public_key().as_ref(), Scheme::Ed25519);
        Ok(Self { pair: Pair::Ed25519(pair), public })
    }

    /// Returns the key that verifies what this one signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the signature of `message`: ECDSA over its SHA-256, in ASN.1, or Ed25519.
    ///
    /// # Errors
    ///
    /// Fails if there is no randomness.
    pub fn sign(&self, message: &[u8], random: &dyn SecureRandom) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::P256(pair) => {
                let signature = pair.sign(random, message).map_err(|_| KeyError::Random)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl PublicKey {
    /// Returns the key in a PEM file.
    ///
    /// # Errors
    ///
    /// Fails if there is no such key in it.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let section = pem::first_section(text).ok_or(KeyError::NotPem)?;
        if section.label != "PUBLIC KEY" {
            let found = section.label.to_owned();
            return Err(KeyError::Label { found, expected: "`PUBLIC KEY`" });
        }
        Self::from_info(section.bytes.expose_secret()).ok_or(KeyError::Kind(VERIFYING_KINDS))
    }

    /// Returns whether `signature` is that of `message` by this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithms: &[&'static dyn signature::VerificationAlgorithm] = match self.scheme {
            Scheme::P256 => &[&signature::ECDSA_P256_SHA256_ASN1],
            // cosign took SHA-256 for every curve until 2.5.
            Scheme::P384 => {
                &[&signature::ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P384_SHA256_ASN1]
            }
            Scheme::Ed25519 => &[&signature::ED25519],
            Scheme::Rsa => {
                &[&signature::RSA_PKCS1_2048_8192_SHA256, &signature::RSA_PSS_2048_8192_SHA256]
            }
        };
        let key = &self.info[self.key_from..];
        algorithms.iter().any(|algorithm| {
            UnparsedPublicKey::new(*algorithm, key).verify(message, signature).is_ok()
        })
    }

    /// Returns what a bundle calls the key: its SHA-256 in base64, as cosign does.
    pub fn hint(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.info))
    }

    fn of(prefix: &[u8], key: &[u8], scheme: Scheme) -> Self {
        Self { info: [prefix, key].concat(), scheme, key_from: prefix.len() }
    }

    fn from_info(info: &[u8]) -> Option<Self> {
        let fixed = [
            (P256_PREFIX, 65, Scheme::P256),
            (P384_PREFIX, 97, Scheme::P384),
            (ED25519_PREFIX, 32, Scheme::Ed25519),
        ];
        for (prefix, length, scheme) in fixed {
            if info.strip_prefix(prefix).is_some_and(|key| key.len() == length) {
                return Some(Self { info: info.to_vec(), scheme, key_from: prefix.len() });
            }
        }
        // From 1024 bits on, every length in it takes two bytes.
        let rest = info.strip_prefix(b"\x30\x82")?.get(2..)?.strip_prefix(RSA_ALGORITHM)?;
        let key = rest.strip_prefix(b"\x03\x82")?.get(2..)?.strip_prefix(b"\x00")?;
        let key_from = info.len() - key.len();
        Some(Self { info: info.to_vec(), scheme: Scheme::Rsa, key_from })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    // Made for this test: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, and
    // `-algorithm ed25519`.
    const P256: &str = include_str!("../../tests/data/attestation/p256.key");
    const P256_PUBLIC: &str = include_str!("../../tests/data/attestation/p256.pub");
    const ED25519: &str = include_str!("../../tests/data/attestation/ed25519.key");
    const ED25519_PUBLIC: &str = include_str!("../../tests/data/attestation/ed25519.pub");
    const RSA_PUBLIC: &str = include_str!("../../tests/data/attestation/rsa.pub");

    fn signing(text: &str) -> Result<SigningKey, KeyError> {
        SigningKey::from_pem(&SecretString::from(text), None, &SystemRandom::new())
    }

    #[test]
    fn a_signature_verifies_by_the_public_key_that_goes_with_it_and_by_no_other() {
        let other = PublicKey::from_pem(RSA_PUBLIC).unwrap();
        for (private, public) in [(P256, P256_PUBLIC), (ED25519, ED25519_PUBLIC)] {
            let (private, public) =
                (signing(private).unwrap(), PublicKey::from_pem(public).unwrap());
            assert_eq!(*private.public(), public);
            let signature = private.sign(b"message", &SystemRandom::new()).unwrap();
            assert!(public.verifies(b"message", &signature));
            assert!(!public.verifies(b"another", &signature));
            assert!(!public.verifies(b"message", &signature[1..]));
            assert!(!other.verifies(b"message", &signature));
        }
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let is = |error: KeyError, told: &str| assert!(error.to_string().contains(told), "{error}");
        is(signing("hello").unwrap_err(), "not a PEM file");
        is(signing(P256_PUBLIC).unwrap_err(), "`PUBLIC KEY`; expected `PRIVATE KEY` (PKCS #8)");
        is(PublicKey::from_pem(P256).unwrap_err(), "`PRIVATE KEY`; expected `PUBLIC KEY`");
        let empty = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
        is(signing(&empty("PRIVATE KEY")).unwrap_err(), "unknown kind; expected ECDSA P-256");
        is(PublicKey::from_pem(&empty("PUBLIC KEY")).unwrap_err(), "unknown kind");
        is(signing(&empty("ENCRYPTED SIGSTORE PRIVATE KEY")).unwrap_err(), "no password");
    }

    #[test]
    fn nothing_of_a_private_key_is_shown() {
        let shown = format!("{:?}", signing(ED25519).unwrap());
        assert!(shown.starts_with("SigningKey { public: ") && shown.ends_with(", .. }"), "{shown}");
    }
}
