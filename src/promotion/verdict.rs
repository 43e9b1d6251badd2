//! What gates say, and what is made of it.

use jiff::Timestamp;

use super::Override;

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The gate.
    pub gate: &'static str,
    /// The service that it says it about; `None`: about the change as a whole.
    pub service: Option<String>,
    /// What it says.
    pub standing: Standing,
    /// Why, in one line.
    pub why: String,
    /// When it opens if nothing else happens, if that can be told.
    pub opens_at: Option<Timestamp>,
    /// The reason for which it was overridden.
    pub overridden: Option<String>,
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The change may pass.
    Open,
    /// It may not.
    Closed,
    /// What the gate asks for can't be known, so it may not either.
    Unknown,
}

impl Verdict {
    /// Returns whether the gate keeps the change from being made.
    pub fn is_closed(&self) -> bool {
        self.standing != Standing::Open && self.overridden.is_none()
    }
}

impl Standing {
    /// Returns the word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns `verdicts` with the reasons of `overrides` beside those that are not open.
pub fn overridden(verdicts: Vec<Verdict>, overrides: &[Override]) -> Vec<Verdict> {
    let with = |verdict: Verdict| {
        let reason = overrides.iter().find(|it| it.gate == verdict.gate);
        let reason = reason.filter(|_| verdict.standing != Standing::Open);
        Verdict { overridden: reason.map(|it| it.reason.clone()), ..verdict }
    };
    verdicts.into_iter().map(with).collect()
}

/// Returns the overrides that the verdicts needed, each gate once, in order.
pub fn overrides(verdicts: &[Verdict]) -> Vec<Override> {
    let mut needed: Vec<Override> = Vec::new();
    for verdict in verdicts {
        if let Some(reason) = &verdict.overridden
            && !needed.iter().any(|it| it.gate == verdict.gate)
        {
            needed.push(Override { gate: verdict.gate.to_owned(), reason: reason.clone() });
        }
    }
    needed
}

/// Returns the names of the gates that keep the change from being made, each once, in order.
pub fn closed(verdicts: &[Verdict]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.is_closed()) {
        if !names.contains(&verdict.gate) {
            names.push(verdict.gate);
        }
    }
    names
}

/// Returns what keeps the change from being made, for example ``gate `soak` is closed, gate `healthy`
/// can't be judged``; `None` if nothing does.
pub fn obstacles(verdicts: &[Verdict]) -> Option<String> {
    let shut = |verdict: &&Verdict| verdict.is_closed();
    let is_shut = |name: &str| {
        let mut of_gate = verdicts.iter().filter(shut).filter(|verdict| verdict.gate == name);
        of_gate.any(|verdict| verdict.standing == Standing::Closed)
    };
    let (shut, unknown): (Vec<_>, Vec<_>) =
        closed(verdicts).into_iter().partition(|it| is_shut(it));
    let said = |names: Vec<&str>, one: &str, several: &str| {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        match quoted.as_slice() {
            [] => None,
            [name] => Some(format!("gate {name} {one}")),
            _ => Some(format!("gates {} {several}", quoted.join(", "))),
        }
    };
    let shut = said(shut, "is closed", "are closed");
    let unknown = said(unknown, "can't be judged", "can't be judged");
    let all: Vec<String> = shut.into_iter().chain(unknown).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Returns the verdicts as a Markdown checklist, for the body of a pull request; nothing if there
/// are none.
pub fn checklist(verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| {
        let mark = if verdict.is_closed() { ' ' } else { 'x' };
        let service = verdict.service.as_ref().map(|name| format!(" ({name})"));
        let mut line = format!("- [{mark}] **{}**{}: ", verdict.gate, service.unwrap_or_default());
        line.push_str(&one_line(&verdict.why));
        if let Some(opens_at) = verdict.opens_at {
            line.push_str(&format!("; opens at {}", next_minute(opens_at)));
        }
        if let Some(reason) = &verdict.overridden {
            line.push_str(&format!("; overridden: {}", one_line(reason)));
        }
        line + "\n"
    };
    verdicts.iter().map(line).collect()
}

/// Returns the minute that `at` is in.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Returns the first minute that begins at `at` or later: whoever comes then finds the gate open.
pub fn next_minute(at: Timestamp) -> String {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    let next = second.div_euclid(60) + i64::from(second.rem_euclid(60) > 0);
    minute(Timestamp::from_second(next.saturating_mul(60)).unwrap_or(at))
}

/// Returns `text`, which others may have written, as a line that Markdown takes for text.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ").replace('<', "&lt;").replace("![", "!&#91;").replace("](", "]&#40;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(gate: &'static str, standing: Standing) -> Verdict {
        let why = format!("because of\n<{gate}>");
        Verdict { gate, service: None, standing, why, opens_at: None, overridden: None }
    }

    fn reason(gate: &str) -> Override {
        Override { gate: gate.to_owned(), reason: "the shop is down".to_owned() }
    }

    #[test]
    fn an_override_is_used_only_where_a_gate_is_not_open() {
        let overrides = [reason("soak"), reason("freeze")];
        let verdicts = [
            verdict("soak", Standing::Closed),
            verdict("freeze", Standing::Open),
            verdict("checks", Standing::Unknown),
        ];
        let verdicts = overridden(verdicts.to_vec(), &overrides);
        assert_eq!(closed(&verdicts), ["checks"]);
        assert_eq!(super::overrides(&verdicts), overrides[..1]);
    }

    #[test]
    fn the_checklist_says_what_is_missing_and_is_only_text() {
        let opens_at = Some("2026-11-22T14:31:01Z".parse().unwrap());
        let soak = Verdict {
            service: Some("web".to_owned()),
            opens_at,
            ..verdict("soak", Standing::Closed)
        };
        let freeze =
            Verdict { overridden: Some("fire".to_owned()), ..verdict("freeze", Standing::Closed) };
        insta::assert_snapshot!(checklist(&[verdict("branch", Standing::Open), soak, freeze]), @r"
        - [x] **branch**: because of &lt;branch>
        - [ ] **soak** (web): because of &lt;soak>; opens at 2026-11-22 14:32 UTC
        - [x] **freeze**: because of &lt;freeze>; overridden: fire
        ");
        assert_eq!(checklist(&[]), "");
    }
}
