//! What a pull request says: which images, from what to what, what that does to the rendered
//! manifests, and how the gates stand.

use super::{Edited, SetOptions, rendered_diff};
use crate::github;
use crate::promotion::{Record, checklist};

/// GitHub refuses a body of more than 65,536 characters.
const MAX_BODY: usize = 65_536;

/// Returns what tells deployctl's pull requests for `environment` from others; it is not shown.
pub(super) fn marker(environment: &str) -> String {
    format!("<!-- deployctl: environment={environment} -->")
}

/// Returns the body, in GitHub's Markdown. The differences are cut to what fits.
pub(super) fn body(options: &SetOptions<'_>, edits: &[Edited], records: &[Record]) -> String {
    let mut body = marker(&options.environment.name);
    body.push_str("\n\n| service | from | to | source |\n|---|---|---|---|\n");
    for edit in edits.iter().filter(|edit| !edit.diff.is_empty()) {
        let record = records.iter().find(|record| record.service == edit.service);
        body.push_str(&row(edit, record));
    }
    let gates = checklist(&options.verdicts);
    if !gates.is_empty() {
        body.push_str("\n### Gates\n\n");
        body.push_str(&gates);
    }
    body.push('\n');
    let room = |body: &String| MAX_BODY.saturating_sub(body.len() + 64);
    let rendered = edits.iter().filter_map(|edit| edit.rendered.as_ref());
    let rendered = rendered_diff(rendered, room(&body));
    body.push_str(&rendered);
    let files = edits.iter().filter(|edit| !edit.diff.is_empty());
    body.push_str(&file_diff(files, room(&body)));
    body
}

fn row(edit: &Edited, record: Option<&Record>) -> String {
    let before = edit.before.as_ref().map_or("–".to_owned(), |before| code(&before.to_string()));
    let after = code(&edit.image.to_string());
    let service = cell(&edit.service);
    format!("| {service} | {before} | {after} | {} |\n", source(record))
}

/// Returns where the image was built from, as a link where the repository has pages.
fn source(record: Option<&Record>) -> String {
    let Some(source) = record.and_then(|record| record.source.as_ref()) else {
        return "–".to_owned();
    };
    let short: String = source.commit.chars().take(12).collect();
    let is_id = source.commit.bytes().all(|b| b.is_ascii_hexdigit());
    match source.repository.as_deref().and_then(github::page_of).filter(|_| is_id) {
        Some(page) => format!("[`{short}`]({page}/commit/{})", source.commit),
        None => code(&short),
    }
}

/// Returns `text` as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", cell(text).replace('`', "'"))
}

fn cell(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .replace('|', "\\|")
}

/// Returns the files' differences, folded up, in `room` bytes at most; whole files only.
fn file_diff<'a>(edits: impl Iterator<Item = &'a Edited>, room: usize) -> String {
    const OPEN: &str = "<details><summary>Files</summary>\n\n";
    const CLOSE: &str = "</details>\n";
    const CUT: &str = "*… cut: GitHub allows no more.*\n\n";
    let mut left = room.saturating_sub(OPEN.len() + CLOSE.len() + CUT.len());
    let mut blocks = String::new();
    for edit in edits {
        // Three backticks in a file would end the block.
        let longest = edit.diff.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(3.max(longest + 1));
        let block = format!("{fence}diff\n{}{fence}\n\n", edit.diff);
        if block.len() > left {
            blocks.push_str(CUT);
            break;
        }
        left -= block.len();
        blocks.push_str(&block);
    }
    if blocks.is_empty() { blocks } else { format!("{OPEN}{blocks}{CLOSE}") }
}
