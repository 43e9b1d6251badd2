//! Edits of kustomizations, real ones and made-up ones, checked by other YAML readers and writers.

mod edits;
mod generated;
mod oracle;
