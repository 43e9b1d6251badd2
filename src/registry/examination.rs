//! What a registry shows of itself to somebody who asks as a push would.

use super::RegistryError;
use crate::image::ImageName;

/// What asking for a repository showed. Nothing was stored.
#[derive(Debug)]
pub struct Examination {
    /// The repository.
    pub name: ImageName,
    /// How the registry is asked: `https` or `http`.
    pub scheme: String,
    /// Whether the registry answers and lets in whoever the login is.
    pub reached: Result<(), RegistryError>,
    /// Who asks.
    pub login: Login,
    /// What the registry's token allows in the repository (`pull`, `push`), if it can be read.
    pub granted: Option<Vec<String>>,
    /// Whether there is a repository, or why that can't be told.
    pub pull: Result<bool, RegistryError>,
    /// Whether an upload may be begun; it was taken back.
    pub push: Result<(), RegistryError>,
    /// How many pulls are left, where the registry counts them.
    pub pulls_left: Option<u64>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Nobody in particular.
    Nobody {
        /// Where credentials were looked for.
        looked_in: String,
    },
    /// Somebody.
    Somebody {
        /// The user's name; a token has none.
        user: Option<String>,
        /// Where the credentials are.
        place: String,
    },
    /// A file or helper with credentials can't be used.
    Broken(String),
}
