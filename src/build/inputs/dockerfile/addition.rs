//! What `ADD` brings from elsewhere, and whether the Dockerfile says what that is.

use super::lines;
use super::variables::Variables;

/// What follows from not knowing.
const SO: &str = "so what it brings is not known before the build";

/// Does nothing if the text of the instruction decides what it brings, or the build context does.
///
/// # Errors
///
/// Fails with the reason if that is known only when it is fetched.
pub(super) fn check(line: &str, variables: &Variables) -> Result<(), String> {
    let words: Vec<String> = lines::words(line).into_iter().skip(1).collect();
    let flags = words.iter().take_while(|word| word.starts_with("--")).count();
    let (flags, rest) = words.split_at(flags);
    let checksum = flags.iter().find_map(|flag| flag.strip_prefix("--checksum="));
    let checksum = checksum.and_then(|text| variables.expand(text).ok());
    let checksum = checksum.filter(|text| !text.is_empty());
    for source in sources(rest) {
        check_source(&source, checksum.as_deref(), variables)?;
    }
    Ok(())
}

/// Returns the sources: all but the last word, or but the last text of a JSON list.
fn sources(words: &[String]) -> Vec<String> {
    let list = serde_json::from_str::<Vec<String>>(&words.join(" "));
    let mut all = list.unwrap_or_else(|_| words.to_vec());
    all.pop();
    all
}

fn check_source(source: &str, checksum: Option<&str>, variables: &Variables) -> Result<(), String> {
    let known = match variables.expand(source) {
        Ok(text) => text,
        Err(_) => {
            let known =
                source.trim_start_matches(['"', '\'']).split('$').next().unwrap_or_default();
            if known.is_empty() {
                return Err(format!("ADD of `{source}`, which may be a URL, {SO}"));
            }
            known.to_owned()
        }
    };
    match Origin::of(&known) {
        Origin::Git if checksum.is_some_and(is_commit) || has_commit(&known) => Ok(()),
        Origin::Git => Err(format!("ADD of a git reference that is not a full commit id, {SO}")),
        Origin::Url if checksum.is_none() => Err(format!("ADD of a URL without --checksum, {SO}")),
        Origin::Url | Origin::Context => Ok(()),
    }
}

/// Where a source is.
enum Origin {
    Context,
    Url,
    Git,
}

impl Origin {
    /// As BuildKit's `gitutil` tells them apart.
    fn of(source: &str) -> Self {
        let (scheme, rest) = source.split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "git" | "ssh" => Self::Git,
            "http" | "https" => {
                let path = rest.split(['#', '?']).next().unwrap_or_default();
                if path.trim_end_matches('/').ends_with(".git") { Self::Git } else { Self::Url }
            }
            _ if is_scp(source) => Self::Git,
            _ => Self::Context,
        }
    }
}

/// Returns whether it is `USER@HOST:PATH`.
fn is_scp(source: &str) -> bool {
    let is_name = |text: &str, marks: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
    };
    let Some((user, rest)) = source.split_once('@') else { return false };
    let host = rest.split_once(':').map(|(host, _)| host);
    is_name(user, b"-_") && host.is_some_and(|host| is_name(host, b"-."))
}

/// Returns whether `#COMMIT`, `#COMMIT:FOLDER` or `?commit=COMMIT` names the commit.
fn has_commit(source: &str) -> bool {
    let (source, fragment) = source.split_once('#').unwrap_or((source, ""));
    let query = source.split_once('?').map_or("", |(_, query)| query);
    let named = query.split('&').filter_map(|field| field.split_once('='));
    let mut named = named.filter(|(key, _)| ["commit", "checksum", "ref"].contains(key));
    let of_fragment = fragment.split(':').next().unwrap_or_default();
    is_commit(of_fragment) || named.any(|(_, value)| is_commit(value))
}

/// Returns whether the text is a whole id, of SHA-1 or of SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use crate::build::inputs::dockerfile::read;

    /// Checks what is said of the Dockerfile `FROM a`, `lines`, `ADD words`.
    #[track_caller]
    fn check(lines: &str, words: &str, expected: Option<&str>) {
        let arguments = [("GIVEN".to_owned(), "https://example.com/given".to_owned())].into();
        let text = format!("ARG BEFORE=dir\nFROM a\n{lines}ADD {words}\n");
        let unknown = read(&text, &arguments).unknown;
        assert_eq!(unknown.as_deref().map(|it| it.split(", ").next().unwrap()), expected, "{text}");
    }

    const SUM: &str = "sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d";
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_file_from_a_url_is_known_by_its_checksum_alone() {
        let unknown = Some("Dockerfile line 3: ADD of a URL without --checksum");
        check("", "https://example.com/a.tgz /a", unknown);
        check("", "--chown=1:1 dir HTTP://example.com/a /a/", unknown);
        check("", "[\"https://example.com/a b\", \"/a/\"]", unknown);
        check("", "--checksum= https://example.com/a /a", unknown);
        check("", &format!("--checksum={SUM} --chmod=644 https://example.com/a /a"), None);
        check("", "dir https.txt ./http://no /a/", None);
        check("", "[\"dir\", \"https://a.destination/\"]", None);
        check("", "--link <<EOF /a\nADD https://example.com/a /a\nEOF", None);
    }

    #[test]
    fn a_repository_is_known_by_its_whole_commit_alone() {
        let unknown =
            Some("Dockerfile line 3: ADD of a git reference that is not a full commit id");
        check("", "git@example.com:shop/web.git /web", unknown);
        check("", "git@example.com:shop/web.git#v1.0 /web", unknown);
        check("", "https://example.com/shop/web.git#0123456 /web", unknown);
        check("", "ssh://git@example.com/shop/web#main:dir /web", unknown);
        check("", &format!("--checksum={SUM} git://example.com/shop/web /web"), unknown);
        check("", &format!("--checksum={COMMIT} https://example.com/shop/web.git#v1 /web"), None);
        check("", &format!("git@example.com:shop/web.git#{COMMIT}:dir /web"), None);
        check("", &format!("https://example.com/web.git?commit={COMMIT}&x=y /web"), None);
        check("", "web.git a@b.txt c:d /web", None);
    }

    #[test]
    fn variables_of_the_stage_are_filled_in_and_one_that_is_not_known_may_be_a_url() {
        let url = Some("Dockerfile line 4: ADD of a URL without --checksum");
        check("ARG GIVEN\n", "$GIVEN /a", url);
        check("ARG GIVEN=dir\n", "${GIVEN} /a", url);
        check("ENV AT=https://example.com\n", "${AT}/a /a", url);
        check("ENV AT dir\n", "$AT/a /a", None);
        check("ARG BEFORE\n", "$BEFORE /a", None);
        check("ARG HERE=\"some dir\"\n", "$HERE/a /a", None);
        let maybe = |line: u32| format!("Dockerfile line {line}: ADD of `$GIVEN`");
        check("", "$GIVEN /a", Some(&maybe(3)));
        check("ARG GIVEN\nFROM b\n", "$GIVEN /a", Some(&maybe(5)));
        check("ARG TARGETARCH\n", "dist/$TARGETARCH/app /a", None);
        check("ARG SUM\n", "--checksum=$SUM https://example.com/a /a", url);
        let sum = format!("ARG SUM={SUM}\n");
        check(&sum, "--checksum=$SUM https://example.com/$UNKNOWN /a", None);
    }
}
