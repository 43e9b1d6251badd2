//! What the gates before a change said, and what came of it.

use std::io;

use comfy_table::{Table, presets};
use serde_json::Value;

use super::{Report, json};
use crate::ops::GatedReport;
use crate::promotion::{Verdict, next_minute, obstacles};

impl Report for GatedReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if !self.verdicts.is_empty() {
            write_verdicts(&self.verdicts, out)?;
        }
        if let Some(set) = &self.set {
            set.human(out)?;
        }
        self.closed_sentence()
            .map_or(Ok(()), |sentence| writeln!(out, "{sentence}\n  {}", self.way_past()))
    }

    fn json(&self) -> Value {
        json::v1::gated(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let mut outputs = match &self.set {
            Some(set) => set.outputs(),
            None => vec![("changed", "false".to_owned())],
        };
        let closed = self.closed();
        if !closed.is_empty() {
            outputs.push(("closed-gates", closed.join(",")));
        }
        outputs
    }

    fn summary(&self) -> String {
        let set = match &self.set {
            Some(set) => set.summary(),
            None => format!("### {}\n\n", self.environment),
        };
        let sentence = self.closed_sentence().map(|sentence| format!("{sentence}\n\n"));
        format!("{set}{}{}", sentence.unwrap_or_default(), markdown(&self.verdicts))
    }
}

impl GatedReport {
    /// Returns how a person gets past the gates that are closed.
    fn way_past(&self) -> String {
        let overrides = self.closed().into_iter().map(|gate| format!("--override {gate} "));
        let overrides: String = overrides.collect();
        format!("or pass with `{overrides}--reason TEXT`, which goes on record")
    }

    /// Returns what closed gates mean for the change, or `None` if none is closed.
    pub fn closed_sentence(&self) -> Option<String> {
        let obstacles = obstacles(&self.verdicts)?;
        let what = if self.set.is_some() { "may not be changed yet" } else { "was not changed" };
        let opens = opens_at(&self.verdicts);
        let opens = opens.map(|at| format!("; it can be at {at}")).unwrap_or_default();
        Some(format!("{} {what}: {obstacles}{opens}", self.environment))
    }
}

/// Returns when the last of the closed gates opens, if that can be told of all of them.
fn opens_at(verdicts: &[Verdict]) -> Option<String> {
    let closed = verdicts.iter().filter(|verdict| verdict.is_closed());
    let opens: Option<Vec<_>> = closed.map(|verdict| verdict.opens_at).collect();
    opens?.into_iter().max().map(next_minute)
}

fn write_verdicts(verdicts: &[Verdict], out: &mut dyn io::Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["GATE", "SERVICE", "VERDICT", "OPENS", "WHY"]);
    for verdict in verdicts {
        table.add_row(cells(verdict));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

fn markdown(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return String::new();
    }
    let cell = |text: &String| text.replace('|', "\\|").replace('<', "&lt;");
    let row = |verdict: &Verdict| {
        let cells: Vec<String> = cells(verdict).iter().map(cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rows: String = verdicts.iter().map(row).collect();
    format!("| gate | service | verdict | opens | why |\n|---|---|---|---|---|\n{rows}\n")
}

/// Returns gate, service, verdict, when it opens, and why.
fn cells(verdict: &Verdict) -> [String; 5] {
    let why = verdict.why.split_whitespace().collect::<Vec<_>>().join(" ");
    let (standing, why) = match &verdict.overridden {
        Some(reason) => ("overridden", format!("{reason} ({why})")),
        None => (verdict.standing.as_str(), why),
    };
    let service = verdict.service.clone().unwrap_or_default();
    let opens = verdict.opens_at.map(next_minute).unwrap_or_default();
    [verdict.gate.to_owned(), service, standing.to_owned(), opens, why]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Standing;

    fn verdict(gate: &'static str, service: Option<&str>, standing: Standing) -> Verdict {
        let (service, why) = (service.map(str::to_owned), "because | <of it>\nall".to_owned());
        Verdict { gate, service, standing, why, opens_at: None, overridden: None }
    }

    fn report(verdicts: Vec<Verdict>) -> GatedReport {
        let (from, environment) = (Some("dev".to_owned()), "prod".to_owned());
        GatedReport { from, environment, verdicts, set: None }
    }

    fn three() -> GatedReport {
        let opens_at = Some("2026-11-22T14:31:30Z".parse().unwrap());
        let overridden = Some("fire".to_owned());
        report(vec![
            verdict("healthy", Some("web"), Standing::Open),
            Verdict { opens_at, ..verdict("soak", Some("web"), Standing::Closed) },
            Verdict { overridden, ..verdict("freeze", None, Standing::Closed) },
        ])
    }

    #[test]
    fn people_see_all_verdicts_and_what_they_mean() {
        let mut out = Vec::new();
        three().human(&mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        GATE     SERVICE  VERDICT     OPENS                 WHY
        healthy  web      open                              because | <of it> all
        soak     web      closed      2026-11-22 14:32 UTC  because | <of it> all
        freeze            overridden                        fire (because | <of it> all)
        prod was not changed: gate `soak` is closed; it can be at 2026-11-22 14:32 UTC
          or pass with `--override soak --reason TEXT`, which goes on record
        ");
    }

    #[test]
    fn a_step_summary_is_a_table() {
        insta::assert_snapshot!(three().summary(), @r"
        ### prod

        prod was not changed: gate `soak` is closed; it can be at 2026-11-22 14:32 UTC

        | gate | service | verdict | opens | why |
        |---|---|---|---|---|
        | healthy | web | open |  | because \| &lt;of it> all |
        | soak | web | closed | 2026-11-22 14:32 UTC | because \| &lt;of it> all |
        | freeze |  | overridden |  | fire (because \| &lt;of it> all) |
        ");
    }

    #[test]
    fn when_one_gate_does_not_tell_nobody_knows_when() {
        let GatedReport { mut verdicts, .. } = three();
        verdicts.push(verdict("approval", None, Standing::Unknown));
        let report = report(verdicts);
        assert_eq!(
            report.closed_sentence().unwrap(),
            "prod was not changed: gate `soak` is closed; gate `approval` can't be judged"
        );
        assert_eq!(
            report.outputs(),
            [("changed", "false".to_owned()), ("closed-gates", "soak,approval".to_owned())]
        );
    }

    #[test]
    fn programs_see_the_same() {
        let json = three().json();
        assert_eq!(json["schema"], "deployctl.dev/promote/v1");
        assert_eq!(json["outcome"], "gate-closed");
        let gates = serde_json::json!([
            { "gate": "healthy", "service": "web", "verdict": "open", "why": "because | <of it>\nall" },
            { "gate": "soak", "service": "web", "verdict": "closed", "why": "because | <of it>\nall",
              "opensAt": "2026-11-22T14:31:30Z" },
            { "gate": "freeze", "verdict": "closed", "why": "because | <of it>\nall",
              "overridden": "fire" },
        ]);
        assert_eq!(json["gates"], gates);
        let set = GatedReport { from: None, ..three() };
        assert_eq!(set.json()["schema"], "deployctl.dev/set/v1");
    }
}
