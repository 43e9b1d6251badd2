//! One suite a trait, run over every implementation of it.

mod file_tree;
mod registry;
