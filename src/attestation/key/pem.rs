//! PEM, as RFC 7468 has it, for any label.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretBox;

/// What stands between a `BEGIN` and its `END`.
pub(super) struct Section<'a> {
    pub(super) label: &'a str,
    pub(super) bytes: SecretBox<Vec<u8>>,
}

/// Returns the first section that says more than how a key that follows is made, or `None`.
pub(super) fn first_section(text: &str) -> Option<Section<'_>> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once("-----BEGIN ")?;
        let (label, after) = after.split_once("-----")?;
        let (body, after) = after.split_once("-----END ")?;
        rest = after.strip_prefix(label)?.strip_prefix("-----")?;
        // `openssl ecparam -genkey` writes the curve before the key.
        if label != "EC PARAMETERS" {
            let body: String = body.split_ascii_whitespace().collect();
            let bytes = SecretBox::new(Box::new(STANDARD.decode(body).ok()?));
            return Some(Section { label, bytes });
        }
    }
}
