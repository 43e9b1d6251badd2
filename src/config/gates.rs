//! An environment's gates, from what the file says.

use jiff::SignedDuration;

use super::file::{FileApproval, FileFreeze, FileGate, FileWindow};
use super::read::Flaw;
use super::{Via, Write};
use crate::pipeline::duration;
use crate::promotion::{
    Approval, Branch, Checks, Freeze, Gate, Healthy, Policy, Soak, Window, time_zone,
};

/// No window lasts longer: it would be on always.
const MOST_HOURS: i64 = 366 * 24;

/// Returns the gates of `environment`.
pub(super) fn policy(
    environment: &str,
    via: Via,
    write: &Write,
    file: Vec<FileGate>,
) -> Result<Policy, Flaw> {
    let mut gates: Vec<Gate> = Vec::new();
    for (index, file) in file.into_iter().enumerate() {
        let place = Place { environment, index: &index.to_string() };
        let gate = gate(file, &place)?;
        if gates.iter().any(|other| other.name() == gate.name()) {
            return Err(place.flaw(&[], format!("gate `{}` is there twice", gate.name())));
        }
        if matches!(gate, Gate::Approval(_)) && via != Via::PullRequest {
            let message = "`approval` is given on pull requests; it needs `via: pull-request`";
            return Err(place.flaw(&[], message));
        }
        if matches!((&gate, write), (Gate::DigestPinned, Write::HelmValues { .. })) {
            let message = "`digest-pinned` looks at what an overlay renders to, which with `write: helm-values` nobody can tell; it would never open";
            return Err(place.flaw(&[], message));
        }
        gates.push(gate);
    }
    Ok(Policy { gates })
}

/// Where in the file a gate is.
struct Place<'a> {
    environment: &'a str,
    index: &'a str,
}

impl Place<'_> {
    fn flaw(&self, below: &[&str], message: impl Into<String>) -> Flaw {
        let path = [&["environments", self.environment, "gates", self.index], below].concat();
        Flaw::new(&path, message)
    }
}

fn gate(file: FileGate, place: &Place<'_>) -> Result<Gate, Flaw> {
    Ok(match file {
        FileGate::Healthy => Gate::Healthy(Healthy { is_required: true }),
        FileGate::Soak(text) => Gate::Soak(Soak { time: time(&text, place, &["soak"])? }),
        FileGate::Freeze(file) => Gate::Freeze(freeze(file, place)?),
        FileGate::Approval(file) => Gate::Approval(approval(file, place)?),
        FileGate::Checks(names) => Gate::Checks(Checks { names }),
        FileGate::DigestPinned => Gate::DigestPinned,
        FileGate::Branch(name) if name.trim().is_empty() => {
            return Err(place.flaw(&["branch"], "expected the name of a branch, such as `main`"));
        }
        FileGate::Branch(name) => Gate::Branch(Branch { name }),
    })
}

fn freeze(file: FileFreeze, place: &Place<'_>) -> Result<Freeze, Flaw> {
    let name = file.time_zone.as_deref().unwrap_or("UTC");
    let time_zone =
        time_zone(name).map_err(|error| place.flaw(&["freeze", "timeZone"], error.to_string()))?;
    if file.allow.is_empty() && file.deny.is_empty() {
        return Err(place.flaw(&["freeze"], "there are no windows; expected `allow` or `deny`"));
    }
    let windows = |key: &'static str, files: Vec<FileWindow>| {
        let read = |(index, file): (usize, FileWindow)| window(&file, key, index, place);
        files.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
    };
    let (allow, deny) = (windows("allow", file.allow)?, windows("deny", file.deny)?);
    Ok(Freeze { time_zone, allow, deny })
}

fn window(file: &FileWindow, key: &str, index: usize, place: &Place<'_>) -> Result<Window, Flaw> {
    let index = index.to_string();
    let schedule = file
        .schedule
        .parse()
        .map_err(|error| place.flaw(&["freeze", key, &index, "schedule"], format!("{error}")))?;
    let path = ["freeze", key, &index, "duration"];
    let duration = time(&file.duration, place, &path)?;
    if duration > SignedDuration::from_hours(MOST_HOURS) {
        let message = format!("`{}` is longer than a year", file.duration);
        return Err(place.flaw(&path, message));
    }
    Ok(Window { schedule, duration })
}

fn time(text: &str, place: &Place<'_>, path: &[&str]) -> Result<SignedDuration, Flaw> {
    let time = duration(text).map_err(|message| place.flaw(path, message))?;
    match SignedDuration::try_from(time) {
        Ok(time) if time.is_positive() => Ok(time),
        _ => Err(place.flaw(path, format!("`{text}` is no time to wait"))),
    }
}

fn approval(file: FileApproval, place: &Place<'_>) -> Result<Approval, Flaw> {
    let FileApproval { by, count } = file;
    if by.is_empty() {
        let message =
            "`by` names nobody, so that nobody could approve; expected accounts on GitHub";
        return Err(place.flaw(&["approval", "by"], message));
    }
    let count = count.unwrap_or(1);
    if count == 0 || count > by.len() {
        let message = format!("{count} of {} people can't approve", by.len());
        return Err(place.flaw(&["approval", "count"], message));
    }
    let is_account = |name: &String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'[' | b']'))
    };
    if let Some(index) = by.iter().position(|name| !is_account(name)) {
        let message =
            format!("`{}` is no account on GitHub; expected a person's name there", by[index]);
        return Err(place.flaw(&["approval", "by", &index.to_string()], message));
    }
    Ok(Approval { by, count })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::promotion::Gate;

    fn read(more: &str) -> Result<Config, String> {
        let text = format!(
            "version: 1\nservices: {{}}\nenvironments:\n  prod:\n    overlay: apps\n{more}"
        );
        Config::parse("deployctl.yaml".into(), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn gates_are_a_list_of_names_and_settings() {
        let config = read(
            "    via: pull-request
    gates:
    - healthy
    - soak: 30m
    - freeze:
        timeZone: Europe/Berlin
        allow: [{schedule: '0 8 * * 1-5', duration: 10h}]
        deny:
        - {schedule: '0 18 * * FRI', duration: 62h}
    - approval: {by: [ada, grace], count: 2}
    - checks: [test]
    - digest-pinned
    - branch: main
",
        );
        let config = config.unwrap();
        let names: Vec<_> =
            config.environments["prod"].gates.gates.iter().map(Gate::name).collect();
        let all = ["healthy", "soak", "freeze", "approval", "checks", "digest-pinned", "branch"];
        assert_eq!(names, all);
        assert!(read("    gates: [healthy, soak: 30m]\n").is_ok());
        assert!(read("").unwrap().environments["prod"].gates.gates.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let deny = |window: &str| format!("freeze: {{deny: [{window}]}}");
        let zone =
            "freeze: {timeZone: Europe/Brlin, deny: [{schedule: '0 0 * * *', duration: 1h}]}";
        for (gate, expected) in [
            ("soak: soon", "7:13: `soon` is not a time"),
            ("soak: 0s", "7:13: `0s` is no time to wait"),
            ("helthy", "unknown variant `helthy`"),
            ("healthy\n    - healthy", "8:7: gate `healthy` is there twice"),
            ("approval: {by: [ada]}", "7:7: `approval` is given on pull requests"),
            ("freeze: {}", "7:15: there are no windows"),
            (zone, "7:26: there is no time zone `Europe/Brlin`"),
            (&deny("{schedule: '0 18 * *', duration: 1h}"), "7:34: `0 18 * *` is not a schedule"),
            (
                &deny("{schedule: '0 18 * * *', duration: 9000h}"),
                "7:58: `9000h` is longer than a year",
            ),
            (&deny("{schedul: '0 18 * * *', duration: 1h}"), "unknown key `schedul`"),
            ("branch: ''", "7:15: expected the name of a branch"),
        ] {
            let error = read(&format!("    gates:\n    - {gate}\n")).unwrap_err();
            assert!(error.contains(expected), "{gate}: {error}");
        }
        let chart = "    write: helm-values\n    values: v.yaml\n    helm: {image: a}\n";
        let error = read(&format!("{chart}    gates: [soak: 1h, digest-pinned]\n")).unwrap_err();
        assert!(error.contains("9:23: `digest-pinned` looks at what an overlay"), "{error}");
        let pull = |gate: &str| read(&format!("    via: pull-request\n    gates: [{gate}]\n"));
        for (gate, expected) in [
            ("approval: {by: []}", "`by` names nobody"),
            ("approval: {by: [ada], count: 2}", "2 of 1 people can't approve"),
            ("approval: {by: ['@shop/leads']}", "`@shop/leads` is no account"),
        ] {
            let error = pull(gate).unwrap_err();
            assert!(error.contains(expected), "{gate}: {error}");
        }
    }

    #[test]
    fn editors_know_what_a_gate_may_be() {
        let validator = jsonschema::validator_for(&crate::config::schema()).unwrap();
        let is_valid = |gates: &str| {
            let text = format!(
                "{{version: 1, services: {{}}, environments: {{prod: {{overlay: a, gates: {gates}}}}}}}"
            );
            let document: serde_json::Value = serde_yaml::from_str(&text).unwrap();
            validator.is_valid(&document)
        };
        for gates in [
            "[healthy, digest-pinned, soak: 30m, checks: [], branch: main]",
            "[freeze: {timeZone: UTC, deny: [{schedule: '0 0 * * *', duration: 1h}]}]",
            "[approval: {by: [ada], count: 1}]",
        ] {
            assert!(is_valid(gates), "{gates}");
        }
        for gates in
            ["[helthy]", "[soak]", "[soak: {}]", "[{soak: 1h, branch: main}]", "{soak: 1h}"]
        {
            assert!(!is_valid(gates), "{gates}");
        }
    }
}
