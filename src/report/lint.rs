//! What is wrong with overlays, with the lines that it is about.

use std::io;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::Value;

use super::{Report, json};
use crate::lint::{Finding, Severity};
use crate::ops::LintReport;

impl Report for LintReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for finding in &self.findings {
            let text = self.texts.get(&finding.file).map_or("", String::as_str);
            // A stream that shows no colours drops them.
            writeln!(out, "{}\n", Renderer::styled().render(&[group(finding, text)]))?;
        }
        writeln!(out, "{}", sentence(self))
    }

    fn json(&self) -> Value {
        json::v1::lint(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("errors", self.count(Severity::Error).to_string()),
            ("warnings", self.count(Severity::Warning).to_string()),
        ]
    }

    fn summary(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let rows = self.findings.iter().map(|finding| {
            let Finding { rule, severity, file, line, message, .. } = finding;
            format!("| {severity} | `{rule}` | `{file}:{line}` | {} |\n", cell(message))
        });
        let rows: String = rows.collect();
        match rows.is_empty() {
            true => format!("### Overlays\n\n{}\n", sentence(self)),
            false => format!(
                "### Overlays\n\n{}\n\n| | Rule | Line | What |\n|---|---|---|---|\n{rows}",
                sentence(self)
            ),
        }
    }
}

/// Returns the finding with the line that it is about.
fn group<'a>(finding: &'a Finding, text: &'a str) -> annotate_snippets::Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let group = level.primary_title(&finding.message).id(finding.rule);
    if text.is_empty() {
        // The file is what is missing.
        let group = group.element(Origin::path(finding.file.as_str()));
        return helped(group, finding);
    }
    let start: usize = text.split_inclusive('\n').take(finding.line - 1).map(str::len).sum();
    let line = text[start..].lines().next().unwrap_or_default();
    let words = line.trim();
    let start = start + (line.len() - line.trim_start().len());
    let annotation = AnnotationKind::Primary.span(start..start + words.len());
    let snippet =
        Snippet::source(text).path(finding.file.as_str()).line_start(1).annotation(annotation);
    helped(group.element(snippet), finding)
}

fn helped<'a>(
    group: annotate_snippets::Group<'a>,
    finding: &'a Finding,
) -> annotate_snippets::Group<'a> {
    match &finding.hint {
        Some(hint) => group.element(Level::HELP.message(hint)),
        None => group,
    }
}

/// Returns how much was found, as a sentence.
fn sentence(report: &LintReport) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let overlays = count(report.overlays, "overlay");
    match (report.count(Severity::Error), report.count(Severity::Warning)) {
        (0, 0) => format!("nothing found in {overlays}"),
        (errors, 0) => format!("{} in {overlays}", count(errors, "error")),
        (0, warnings) => format!("{} in {overlays}", count(warnings, "warning")),
        (errors, warnings) => {
            format!("{} and {} in {overlays}", count(errors, "error"), count(warnings, "warning"))
        }
    }
}
