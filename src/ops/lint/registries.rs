//! What registries know of the images that entries state with a digest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::LintOptions;
use crate::image::ImageReference;
use crate::lint::{Facts, Known};

/// How long a registry is waited for, and how many questions are asked at a time.
const PATIENCE: Duration = Duration::from_secs(10);
const AT_A_TIME: usize = 8;

/// Asks the registries, and says in `unchecked` which did not answer.
pub(super) async fn ask(options: &LintOptions<'_>, facts: &mut Facts, unchecked: &mut Vec<String>) {
    let questions = questions(facts);
    let Some(registry) = options.registry else { return };
    let mut silent: BTreeMap<String, String> = BTreeMap::new();
    let mut answers: BTreeMap<String, Known> = BTreeMap::new();
    for some in questions.chunks(AT_A_TIME) {
        // One that did not answer is not asked again: each question would take as long.
        let open = some.iter().filter(|(_, image)| !silent.contains_key(image.name.domain()));
        let asked = open.map(async |(text, image)| {
            let answer = tokio::time::timeout(PATIENCE, registry.resolve(image)).await;
            (text, image.name.domain(), answer)
        });
        for (text, domain, answer) in join_all(asked).await {
            match answer {
                Ok(Ok(Some(digest))) => drop(answers.insert(text.clone(), Known::Digest(digest))),
                Ok(Ok(None)) => drop(answers.insert(text.clone(), Known::Nothing)),
                Ok(Err(error)) => drop(silent.insert(domain.to_owned(), error.to_string())),
                Err(_) => drop(silent.insert(domain.to_owned(), "no answer".to_owned())),
            }
        }
    }
    for (domain, reason) in silent {
        unchecked.push(format!("tags and digests in `{domain}` are not checked: {reason}"));
    }
    for overlay in &mut facts.overlays {
        overlay.registry.clone_from(&answers);
    }
}

/// Returns what to ask: of each entry with a digest that, and its tag, as rules look them up.
fn questions(facts: &Facts) -> Vec<(String, ImageReference)> {
    let mut texts = BTreeSet::new();
    let entries = facts.overlays.iter().flat_map(|overlay| overlay.kustomization.images());
    for entry in entries {
        if let Some(pinned) = entry.pinned() {
            texts.insert(pinned);
            texts.extend(entry.tagged());
        }
    }
    texts.into_iter().filter_map(|text| Some((text.clone(), text.parse().ok()?))).collect()
}
