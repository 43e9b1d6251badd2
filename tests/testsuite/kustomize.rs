//! Edits of kustomizations, real ones and made-up ones, checked by other YAML readers and writers.

mod arbitrary;
mod edits;
mod generated;
mod laws;
mod oracle;
