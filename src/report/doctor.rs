//! What is in the way of a push.

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::{Diagnosis, DoctorReport, Finding};

impl Report for DoctorReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for diagnosis in &self.repositories {
            writeln!(out, "{}", diagnosis.name)?;
            for finding in &diagnosis.findings {
                let Finding { check, says, advice, .. } = finding;
                writeln!(out, "  {:<4} {:<10} {says}", word(finding), check.as_str())?;
                if let Some(advice) = advice {
                    writeln!(out, "       {:<10} {advice}", "do")?;
                }
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json::v1::doctor(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("healthy", self.is_healthy().to_string())]
    }

    fn summary(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let rows = self.repositories.iter().flat_map(|Diagnosis { name, findings }| {
            findings.iter().map(move |finding| {
                let advice = cell(finding.advice.as_deref().unwrap_or_default());
                let says = cell(&finding.says);
                let (word, check) = (word(finding), finding.check.as_str());
                format!("| `{name}` | {check} | {word} | {says} | {advice} |\n")
            })
        });
        let rows: String = rows.collect();
        format!(
            "### Registry\n\n| repository | check | | seen | do |\n|---|---|---|---|---|\n{rows}\n"
        )
    }
}

fn word(finding: &Finding) -> &'static str {
    match finding.passed {
        Some(true) => "ok",
        Some(false) => "FAIL",
        None => "-",
    }
}
