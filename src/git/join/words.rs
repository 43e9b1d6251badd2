//! The message of a commit of one change or several.

use std::collections::BTreeSet;

use super::staged::Staged;
use crate::git::message;
use crate::promotion::key;

/// The trailers that Argo CD's hydrator reads: what one commit was made from. Of several sets only
/// the last would count, for all of the commit.
const REFERENCE: &str = "Argocd-reference-commit-";

/// Returns the message of a commit of `changes`.
pub(super) fn commit_message(changes: &[&Staged]) -> String {
    let (subject, body) = match changes {
        [change] => (change.subject.clone(), change.body.clone()),
        _ => (summary(changes), bodies(changes)),
    };
    let references: BTreeSet<Vec<_>> = changes.iter().map(|change| reference(change)).collect();
    let mut trailers: Vec<(&str, &str)> = Vec::new();
    for change in changes {
        trailers.push((key::CHANGE, &change.id));
        let own = change.trailers.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        trailers.extend(own.filter(|(key, _)| references.len() == 1 || !is_reference(key)));
    }
    let authors = others(changes);
    trailers.extend(authors.iter().map(|author| ("Co-authored-by", author.as_str())));
    message(&subject, &body, &trailers)
}

fn reference(change: &Staged) -> Vec<&(String, String)> {
    change.trailers.iter().filter(|(key, _)| is_reference(key)).collect()
}

fn is_reference(key: &str) -> bool {
    key.get(..REFERENCE.len()).is_some_and(|start| start.eq_ignore_ascii_case(REFERENCE))
}

/// Returns for example `Deploy 5 changes to dev and prod`.
fn summary(changes: &[&Staged]) -> String {
    let environments = changes.iter().flat_map(|change| &change.environments);
    let environments: Vec<&str> =
        environments.map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    let to = match environments.as_slice() {
        [] => String::new(),
        [one] => format!(" to {one}"),
        [most @ .., last] => format!(" to {} and {last}", most.join(", ")),
    };
    format!("Deploy {} changes{to}", changes.len())
}

fn bodies(changes: &[&Staged]) -> String {
    let body = |change: &&Staged| match change.body.trim() {
        "" => change.subject.clone(),
        body => format!("{}\n\n{body}", change.subject),
    };
    changes.iter().map(body).collect::<Vec<_>>().join("\n\n")
}

/// Returns the authors besides that of the first change, each once.
fn others(changes: &[&Staged]) -> Vec<String> {
    let mut authors = changes.iter().map(|change| &change.author);
    let first = authors.next();
    let mut others = Vec::new();
    for author in authors.filter(|author| Some(*author) != first) {
        let author = format!("{} <{}>", author.name, author.email);
        if !others.contains(&author) {
            others.push(author);
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::super::staged::tests::staged;
    use super::*;

    #[test]
    fn one_change_speaks_for_itself() {
        insta::assert_snapshot!(commit_message(&[&staged("1", "web")]), @r"
        Deploy web to dev

        was 1

        Deployctl-Change: 1111111111111111
        Deployctl-Service: web
        ");
    }

    #[test]
    fn several_changes_are_summed_up() {
        let one = staged("1", "web");
        let (mut two, mut three) = (staged("2", "api"), staged("3", "pay"));
        two.environments = vec!["prod".to_owned(), "dev".to_owned()];
        two.author.name = "Bob".to_owned();
        three.author.name = "Bob".to_owned();
        let reference = format!("{REFERENCE}sha");
        two.trailers.push((reference.clone(), "2".repeat(40)));
        three.trailers.push((reference, "3".repeat(40)));
        three.body.clear();
        insta::assert_snapshot!(commit_message(&[&one, &two, &three]), @r"
        Deploy 3 changes to dev and prod

        Deploy web to dev

        was 1

        Deploy api to dev

        was 1

        Deploy pay to dev

        Deployctl-Change: 1111111111111111
        Deployctl-Service: web
        Deployctl-Change: 2222222222222222
        Deployctl-Service: api
        Deployctl-Change: 3333333333333333
        Deployctl-Service: pay
        Co-authored-by: Bob <ada@example.com>
        ");
    }
}
