//! What the commit and the pull request of a change say.

use super::{Edited, SetOptions};
use crate::git;
use crate::ops::AskedBy;
use crate::promotion::{Record, RecordedSource, ReferenceCommit, overrides};

/// Returns for example `Deploy ranking 3f2a91c0d4e5 to dev`.
pub(super) fn subject(options: &SetOptions<'_>) -> String {
    // What a rollback returns to must not read as what it takes back.
    let is_back = matches!(options.asked_by, AskedBy::Rollback { .. });
    let to = if is_back { "to " } else { "" };
    let services = options.images.iter().map(|(service, image)| match &image.tag {
        Some(tag) => format!("{} {to}{tag}", service.name),
        None => format!("{} {to}{}", service.name, image.digest.short()),
    });
    let services = services.collect::<Vec<_>>().join(", ");
    let to = &options.environment.name;
    match (&options.promoted_from, &options.asked_by) {
        (_, AskedBy::Rollback { .. }) => format!("Roll back {services} in {to}"),
        (Some(from), _) => format!("Promote {services} from {from} to {to}"),
        (None, _) => format!("Deploy {services} to {to}"),
    }
}

/// Returns why, for people: the source commit's subject and what was there before.
pub(super) fn body(options: &SetOptions<'_>, edits: &[Edited]) -> String {
    let lines = edits.iter().map(|edit| match &edit.before {
        Some(before) => format!("{}: was {before}", edit.service),
        None => format!("{}: had no image of its own here", edit.service),
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    match (&options.source, &options.asked_by) {
        (_, AskedBy::Rollback { reason: Some(reason), .. }) => format!("{reason}\n\n{lines}"),
        (Some(source), _) => format!("{}\n\n{lines}", source.reference.subject),
        (None, _) => lines,
    }
}

/// Returns the commit that the image of `service` was built from.
pub(super) fn source(options: &SetOptions<'_>, service: &str) -> Option<RecordedSource> {
    let ours = || options.source.as_ref().map(RecordedSource::from);
    options.origins.get(service).cloned().or_else(ours)
}

/// Returns the whole commit message: a subject, why, and `records` as trailers.
pub(super) fn whole(options: &SetOptions<'_>, edits: &[Edited], records: &[Record]) -> String {
    let trailers = trailers(options, records);
    let trailers: Vec<(&str, &str)> =
        trailers.iter().map(|(key, value)| (*key, value.as_str())).collect();
    git::message(&subject(options), &body(options, edits), &trailers)
}

/// Returns the trailers of a commit with `records`: them, and where all images are of one source
/// commit, that commit as Argo CD reads it.
pub(super) fn trailers(
    options: &SetOptions<'_>,
    records: &[Record],
) -> Vec<(&'static str, String)> {
    let reference = match records.iter().map(|record| &record.source).collect::<Vec<_>>()[..] {
        [Some(first), ref others @ ..]
            if others.iter().all(|other| other.as_ref() == Some(first)) =>
        {
            let ours = options.source.as_ref().map(|source| &source.reference);
            let ours = ours.filter(|ours| ours.sha == first.commit).cloned();
            Some(ours.unwrap_or_else(|| first.into()))
        }
        // Argo CD knows one commit a commit.
        _ => None,
    };
    let records = records.iter().flat_map(Record::trailers);
    records.chain(reference.iter().flat_map(ReferenceCommit::trailers)).collect()
}

/// Returns what goes on record where other changes are pending: theirs, then what the options ask for.
pub(super) fn pending(
    options: &SetOptions<'_>,
    edits: &[Edited],
    others: &[Record],
) -> Vec<Record> {
    others.iter().cloned().chain(records(options, edits)).collect()
}

/// Returns what goes on record, one an image.
pub(super) fn records(options: &SetOptions<'_>, edits: &[Edited]) -> Vec<Record> {
    let reason = match &options.asked_by {
        AskedBy::Rollback { reason, .. } => reason.clone(),
        AskedBy::Person | AskedBy::Pipeline => None,
    };
    let record = |(service, image): &(&crate::config::Service, _)| Record {
        service: service.name.clone(),
        environment: options.environment.name.clone(),
        image: ToString::to_string(image),
        from: options.promoted_from.clone(),
        source: source(options, &service.name),
        unproven: options.unproven,
        other_changes: options.allow_other_changes,
        overrides: overrides(&options.verdicts),
        run: options.run.clone(),
        rollback_of: taken_back(options, edits, &service.name),
        reason: reason.clone(),
        ..Record::default()
    };
    options.images.iter().map(record).collect()
}

/// Returns the images that a rollback takes back: the one that it replaces, and before it the one that
/// was there when it began, if somebody was faster. Nobody wants that one back either.
fn taken_back(options: &SetOptions<'_>, edits: &[Edited], service: &str) -> Vec<String> {
    let AskedBy::Rollback { seen, .. } = &options.asked_by else { return Vec::new() };
    let edit = edits.iter().find(|edit| edit.service == service);
    let Some((edit, before)) = edit.and_then(|edit| Some((edit, edit.before.as_ref()?))) else {
        return Vec::new();
    };
    let (before, after) = (before.to_string(), edit.image.to_string());
    let seen = seen.get(service).filter(|seen| **seen != before && **seen != after);
    seen.cloned().into_iter().chain([before]).collect()
}
