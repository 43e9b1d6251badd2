//! Layers on their way to a registry, on a terminal: one bar each, gone when it is there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::image::Digest;

/// What is smaller is there before it can be read.
const LEAST: u64 = 1 << 20;

/// So often a second bars are drawn at most.
const MOST_A_SECOND: u8 = 10;

/// The bars of the layers that are on their way.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    each: Mutex<BTreeMap<Digest, ProgressBar>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(MOST_A_SECOND);
        Self { all: MultiProgress::with_draw_target(target), each: Mutex::default() }
    }

    /// Shows how far a layer is.
    pub(super) fn show(&self, blob: &Digest, sent: u64, size: u64) {
        if size < LEAST {
            return;
        }
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = each.entry(blob.clone()).or_insert_with(|| {
            let template = "  {prefix} [{bar:24}] {binary_bytes} of {binary_total_bytes}";
            let style = ProgressStyle::with_template(template).expect("the template is right");
            let bar = ProgressBar::new(size).with_style(style.progress_chars("=> "));
            self.all.add(bar.with_prefix(blob.short().to_owned()))
        });
        bar.set_position(sent.min(size));
    }

    /// Takes a layer's bar away.
    pub(super) fn end(&self, blob: &Digest) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = each.remove(blob) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    /// Writes something that stays, above the bars.
    pub(super) fn above(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    /// Takes all bars away.
    pub(super) fn take_away(&self) {
        let each = std::mem::take(&mut *self.each.lock().unwrap_or_else(PoisonError::into_inner));
        each.values().for_each(ProgressBar::finish_and_clear);
    }
}
