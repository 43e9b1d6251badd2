//! DSSE, the envelope that a signed statement travels in: <https://github.com/secure-systems-lab/dsse>.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use ring::rand::SecureRandom;

use super::{KeyError, PublicKey, SigningKey};

/// The type of a payload that is an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A payload, what it is, and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload, byte for byte.
    pub payload: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Returns `payload` signed by `key`.
    ///
    /// # Errors
    ///
    /// Fails if there is no randomness.
    pub fn signed(
        payload_type: &str,
        payload: Vec<u8>,
        key: &SigningKey,
        random: &dyn SecureRandom,
    ) -> Result<Self, KeyError> {
        let signature = key.sign(&encoded(payload_type, &payload), random)?;
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures: vec![signature] })
    }

    /// Returns whether one of the signatures is by `key`.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let message = encoded(&self.payload_type, &self.payload);
        self.signatures.iter().any(|signature| key.verifies(&message, signature))
    }
}

/// Returns what is signed: the "pre-authentication encoding" of type and payload.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Returns the bytes of base64 in the usual or the URL-safe alphabet, padded or not: a consumer has
/// to take all of them.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new();
    let config = config.with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, config);
    let url_safe = || general_purpose::GeneralPurpose::new(&alphabet::URL_SAFE, config);
    standard.decode(text).or_else(|_| url_safe().decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_the_protocol_says() {
        // The example of the protocol's own page.
        let bytes = encoded("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn every_form_of_base64_is_read() {
        for text in ["+/8=", "-_8=", "+/8", "-_8"] {
            assert_eq!(decode(text).as_deref(), Some(b"\xfb\xff".as_slice()), "{text}");
        }
        assert_eq!(decode("?"), None);
    }
}
