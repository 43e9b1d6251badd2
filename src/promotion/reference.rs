//! The commit that an image was built from, told to Argo CD: its source hydrator shows the trailers
//! `Argocd-reference-commit-*` of a commit as the reason for it ("Source Hydrator", "Commit Tracing
//! from the Code to the Environment").

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::RecordedSource;

/// A commit of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceCommit {
    /// Its id.
    pub sha: String,
    /// The author's name; empty if it is not known.
    pub author: String,
    /// The author's mail address.
    pub email: String,
    /// When the author made it, in the author's time zone.
    pub date: Option<Zoned>,
    /// The first line of its message.
    pub subject: String,
    /// The rest of its message.
    pub body: String,
    /// The address of its repository, without credentials.
    pub repository: Option<String>,
}

/// How much of a body is told, in bytes.
const LONGEST_BODY: usize = 4096;

impl ReferenceCommit {
    /// Returns the trailers, each of one line; what Argo CD could not read is left out.
    pub fn trailers(&self) -> Vec<(&'static str, String)> {
        let is_sha = (5..=40).contains(&self.sha.len());
        let is_sha = is_sha && self.sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        let url = self.repository.as_deref().and_then(url);
        let trailers = [
            ("Argocd-reference-commit-author", address(&self.author, &self.email)),
            ("Argocd-reference-commit-sha", is_sha.then(|| self.sha.clone())),
            ("Argocd-reference-commit-subject", Some(one_line(&self.subject))),
            ("Argocd-reference-commit-body", json(&self.body)),
            ("Argocd-reference-commit-repourl", url),
            ("Argocd-reference-commit-date", self.date.as_ref().map(date)),
        ];
        let stated = |(key, value): (_, Option<String>)| Some((key, value?));
        trailers.into_iter().filter_map(stated).filter(|(_, value)| !value.is_empty()).collect()
    }
}

impl From<&RecordedSource> for ReferenceCommit {
    /// Returns what a record knows of the commit.
    fn from(source: &RecordedSource) -> Self {
        Self {
            sha: source.commit.clone(),
            author: String::new(),
            email: String::new(),
            date: source.time.map(|time| time.to_zoned(TimeZone::UTC)),
            subject: String::new(),
            body: String::new(),
            repository: source.repository.clone(),
        }
    }
}

/// Returns what `git show --format=%aI` prints.
fn date(date: &Zoned) -> String {
    let format =
        if date.offset().is_zero() { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    date.strftime(format).to_string()
}

/// Returns `Name <mail>` as RFC 5322 has it, by which Argo CD reads it (Go's `mail.ParseAddress`).
fn address(name: &str, email: &str) -> Option<String> {
    let (name, email) = (one_line(name), one_line(email));
    let is_address = email.contains('@') && !email.contains([' ', '<', '>', '"']);
    let special = |c: char| "()<>[]:;@\\,\"".contains(c);
    let name = match name.contains(special) {
        true => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
        false => name,
    };
    is_address.then(|| format!("{name} <{email}>").trim_start().to_owned())
}

/// Returns `text`, cut to a bearable length, as a JSON string; `None` if there is none.
fn json(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.floor_char_boundary(LONGEST_BODY);
    let text = serde_json::to_string(&text[..end]).expect("every text is a JSON string");
    (text != "\"\"").then_some(text)
}

/// Returns `address` as a URL: `user@host:path` has one, a folder of this machine says nothing.
fn url(address: &str) -> Option<String> {
    if address.contains("://") {
        let is_told = !address.starts_with("file:") && !address.contains(char::is_whitespace);
        return is_told.then(|| address.to_owned());
    }
    let (host, path) = address.split_once(':')?;
    let is_host = !host.is_empty() && !host.contains('/') && !path.contains(char::is_whitespace);
    is_host.then(|| format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> ReferenceCommit {
        ReferenceCommit {
            sha: "3f2a91c0d4e53f2a91c0d4e53f2a91c0d4e53f2a".to_owned(),
            author: "Ada Lovelace".to_owned(),
            email: "ada@example.com".to_owned(),
            date: Some("2025-06-09T13:50:18-04:00[-04:00]".parse().unwrap()),
            subject: "Rank by score".to_owned(),
            body: "It says \"rank\".\n\nFixes #12.\n".to_owned(),
            repository: Some("https://git.example.com/shop/ranking".to_owned()),
        }
    }

    fn told(commit: &ReferenceCommit) -> String {
        let lines = commit.trailers().into_iter().map(|(key, value)| {
            format!("{}: {value}\n", key.strip_prefix("Argocd-reference-commit-").unwrap())
        });
        lines.collect()
    }

    #[test]
    fn says_what_argo_cd_reads() {
        insta::assert_snapshot!(told(&commit()), @r#"
        author: Ada Lovelace <ada@example.com>
        sha: 3f2a91c0d4e53f2a91c0d4e53f2a91c0d4e53f2a
        subject: Rank by score
        body: "It says \"rank\".\n\nFixes #12."
        repourl: https://git.example.com/shop/ranking
        date: 2025-06-09T13:50:18-04:00
        "#);
    }

    #[test]
    fn what_argo_cd_could_not_read_is_left_out_or_written_so_that_it_can() {
        let commit = ReferenceCommit {
            sha: "none".to_owned(),
            author: "github-actions[bot]\nX: y".to_owned(),
            subject: "a\nX: y\u{85}".to_owned(),
            body: " \n".to_owned(),
            repository: Some("git@git.example.com:shop/ranking.git".to_owned()),
            date: Some("2025-06-09T13:50:18Z[UTC]".parse().unwrap()),
            ..commit()
        };
        insta::assert_snapshot!(told(&commit), @r#"
        author: "github-actions[bot] X: y" <ada@example.com>
        subject: a X: y
        repourl: ssh://git@git.example.com/shop/ranking.git
        date: 2025-06-09T13:50:18Z
        "#);
        for folder in ["/srv/git/shop.git", "file:///srv/git/shop.git", "../shop"] {
            assert_eq!(url(folder), None);
        }
        assert_eq!(address("Ada", "nobody"), None);
    }

    #[test]
    fn a_record_tells_what_it_knows() {
        let source = RecordedSource {
            commit: "3f2a91c0d4e5".to_owned(),
            repository: Some("https://git.example.com/shop/ranking".to_owned()),
            time: Some("2025-06-09T13:50:18Z".parse().unwrap()),
        };
        insta::assert_snapshot!(told(&ReferenceCommit::from(&source)), @r#"
        sha: 3f2a91c0d4e5
        repourl: https://git.example.com/shop/ranking
        date: 2025-06-09T13:50:18Z
        "#);
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let text = json(&"ä".repeat(LONGEST_BODY)).unwrap();
        assert_eq!(text.len(), LONGEST_BODY + 2);
    }
}
