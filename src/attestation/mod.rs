//! What is said about an image beside it: a list of what is in it, how it was made, and who vouches
//! for that.
//!
//! The documents are CycloneDX, in-toto statements with SLSA provenance, and Sigstore bundles as
//! `cosign` writes them. Each becomes an artifact that refers to the image, so the image's digest does
//! not depend on any of them. Reading files and pushing artifacts is left to the op; randomness and
//! time are handed in.

mod artifact;
mod bundle;
mod dsse;
mod key;
mod provenance;
pub mod sbom;
mod simple_signing;
mod statement;

pub use artifact::Artifact;
pub use bundle::{Bundle, BundleError};
pub use dsse::{Envelope, PAYLOAD_TYPE};
pub use key::{KeyError, PublicKey, SigningKey};
pub use provenance::{Dependency, Provenance};
pub use simple_signing::{
    SIGNATURE_ANNOTATION, SIMPLE_SIGNING_TYPE, SimpleSigningError, check_simple_signature,
    signature_tag,
};
pub use statement::{PredicateType, Statement};
