//! Edits of arbitrary bytes keep the laws of edits.

#![no_main]

#[path = "../testsuite/kustomize/laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::hold(data));
