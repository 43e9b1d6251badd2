//! What was built.

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::BuildReport;

impl Report for BuildReport {
    /// One line a service: the pinned image alone if there is one service, else with its name, as
    /// `set` takes it.
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match self.images.as_slice() {
            [built] => writeln!(out, "{}", built.image),
            images => images
                .iter()
                .try_for_each(|built| writeln!(out, "{}={}", built.service, built.image)),
        }
    }

    fn json(&self) -> Value {
        json::v1::build(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let lines = self.images.iter().map(|built| format!("{}={}", built.service, built.image));
        let mut outputs = vec![("images", lines.collect::<Vec<_>>().join("\n"))];
        if let [built] = self.images.as_slice() {
            outputs.push(("image", built.image.to_string()));
            outputs.push(("digest", built.image.digest.to_string()));
        }
        outputs
    }

    fn summary(&self) -> String {
        let rows =
            self.images.iter().map(|built| format!("| {} | `{}` |\n", built.service, built.image));
        format!("### Built\n\n| service | image |\n|---|---|\n{}\n", rows.collect::<String>())
    }
}
