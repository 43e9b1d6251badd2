//! Private keys as cosign encrypts them: scrypt makes a key of the password, NaCl's secret box holds
//! the PKCS #8 document. See go-securesystemslib's `encrypted`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{KeyInit as _, Nonce, XSalsa20Poly1305};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use serde::Deserialize;

use super::{KeyError, Pkcs8};

/// The costs that are written (N of scrypt, as a power of two). A file that asks for others would
/// have this machine's memory.
const COSTS: [(u64, u8); 3] = [(1 << 15, 15), (1 << 16, 16), (1 << 17, 17)];

#[derive(Deserialize)]
struct Document {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Parameters,
    salt: String,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Returns the private key in `document`.
pub(super) fn open(
    document: &SecretBox<Vec<u8>>,
    password: &SecretString,
) -> Result<Pkcs8, KeyError> {
    let document: Document = serde_json::from_slice(document.expose_secret())
        .map_err(|_| KeyError::Encryption("it is not the JSON document that cosign writes"))?;
    let key = key(&document.kdf, password)?;
    if document.cipher.name != "nacl/secretbox" {
        return Err(KeyError::Encryption("its cipher is not nacl/secretbox"));
    }
    let nonce: [u8; 24] = base64(&document.cipher.nonce)?
        .try_into()
        .map_err(|_| KeyError::Encryption("its nonce is not 24 bytes"))?;
    let opened = XSalsa20Poly1305::new(key.expose_secret().into())
        .decrypt(Nonce::from_slice(&nonce), base64(&document.ciphertext)?.as_slice());
    Ok(SecretBox::new(Box::new(opened.map_err(|_| KeyError::WrongPassword)?)))
}

fn key(kdf: &Kdf, password: &SecretString) -> Result<SecretBox<[u8; 32]>, KeyError> {
    if kdf.name != "scrypt" {
        return Err(KeyError::Encryption("its key derivation is not scrypt"));
    }
    let Parameters { n, r: 8, p: 1 } = kdf.params else {
        return Err(KeyError::Encryption("scrypt's r and p are not 8 and 1"));
    };
    let cost = COSTS.iter().find(|(cost, _)| *cost == n);
    let (_, log_n) = cost.ok_or(KeyError::Encryption("scrypt's N is not 2^15, 2^16 or 2^17"))?;
    let parameters = scrypt::Params::new(*log_n, 8, 1);
    let parameters = parameters.expect("these are in the range that scrypt has");
    let mut key = SecretBox::new(Box::new([0; 32]));
    let salt = base64(&kdf.salt)?;
    let password = password.expose_secret().as_bytes();
    scrypt::scrypt(
        password,
        &salt,
        &parameters,
        secrecy::ExposeSecretMut::expose_secret_mut(&mut key),
    )
    .expect("32 bytes are a length that scrypt makes");
    Ok(key)
}

fn base64(text: &str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(text).map_err(|_| KeyError::Encryption("what should be base64 is not"))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::super::{PublicKey, SigningKey};
    use super::*;

    // The P-256 key of `super`, encrypted as cosign does with N = 2^15 and the password `correct`.
    const ENCRYPTED: &str = include_str!("../../../tests/data/attestation/encrypted.key");
    const PUBLIC: &str = include_str!("../../../tests/data/attestation/p256.pub");

    fn opened(text: &str, password: &str) -> Result<SigningKey, KeyError> {
        let password = SecretString::from(password);
        SigningKey::from_pem(&SecretString::from(text), Some(&password), &SystemRandom::new())
    }

    #[test]
    fn the_password_opens_a_key_that_cosign_encrypted() {
        let key = opened(ENCRYPTED, "correct").unwrap();
        assert_eq!(*key.public(), PublicKey::from_pem(PUBLIC).unwrap());
        assert_eq!(opened(ENCRYPTED, "wrong").unwrap_err(), KeyError::WrongPassword);
    }

    #[test]
    fn a_document_that_asks_for_too_much_is_refused_before_it_is_tried() {
        let pem = |json: &str| {
            let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(json))
        };
        let document = |kdf: &str, cipher: &str, n: u64| {
            format!(
                r#"{{"kdf":{{"name":"{kdf}","params":{{"N":{n},"r":8,"p":1}},"salt":"AA=="}},"cipher":{{"name":"{cipher}","nonce":"AA=="}},"ciphertext":"AA=="}}"#
            )
        };
        for (json, told) in [
            ("{}".to_owned(), "not the JSON document"),
            (document("scrypt", "nacl/secretbox", 1 << 30), "N is not"),
            (document("pbkdf2", "nacl/secretbox", 1 << 15), "is not scrypt"),
            (document("scrypt", "aes", 1 << 15), "is not nacl/secretbox"),
        ] {
            let error = opened(&pem(&json), "correct").unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
