//! Finding the key that signs.

use camino::Utf8Path;
use ring::rand::SystemRandom;
use secrecy::SecretString;

use super::AttachError;
use crate::attestation::SigningKey;
use crate::config::SignBy;
use crate::system::Environment;

/// A file that is longer holds no key.
const LONGEST: u64 = 64 << 10;

/// Returns the key in the file or the variable that `key` names.
pub(super) fn signing_key(
    key: &SignBy,
    folder: &Utf8Path,
    environment: &Environment,
) -> Result<SigningKey, AttachError> {
    let (name, text) = match key {
        SignBy::KeyVariable(name) => {
            let text = environment.get(name).map(ToOwned::to_owned);
            (format!("env:{name}"), text.ok_or_else(|| "the variable is not set".to_owned()))
        }
        SignBy::KeyFile(path) => {
            let path = folder.join(path);
            let text = read(&path);
            (path.into_string(), text)
        }
        SignBy::Keyless => return Err(AttachError::NoIdentity),
    };
    let text = text.map_err(|reason| AttachError::NoKey { key: name.clone(), reason })?;
    // A password may be empty: cosign asks for one all the same.
    let password = environment.iter().find(|(name, _)| *name == "COSIGN_PASSWORD");
    let password = password.map(|(_, value)| SecretString::from(value));
    SigningKey::from_pem(&SecretString::from(text), password.as_ref(), &SystemRandom::new())
        .map_err(|source| AttachError::Key { key: name, source })
}

/// Returns the text of a small file.
pub(in crate::ops) fn read(path: &Utf8Path) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if read as u64 > LONGEST { Err("it is too long for a key".to_owned()) } else { Ok(text) }
}
