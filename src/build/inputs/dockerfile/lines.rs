//! A Dockerfile's lines as BuildKit's `dockerfile/parser` reads them: parser directives, instructions over
//! several lines, here-documents.

/// An instruction, its lines joined, without comments and the bodies of here-documents.
pub(super) struct Instruction {
    /// The number of its first line, counted from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

/// Returns the instructions.
pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // BuildKit takes `escape` from the directives alone.
    let escape = directive(text, "#", "escape").and_then(|value| value.chars().next());
    let escape = escape.unwrap_or('\\');
    let mut found = Vec::new();
    let mut lines = (1..).zip(text.lines());
    let mut current: Option<Instruction> = None;
    while let Some((line, content)) = lines.next() {
        let trimmed = content.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        let instruction = current.get_or_insert(Instruction { line, text: String::new() });
        match content.trim_end().strip_suffix(escape) {
            Some(before) => instruction.text.push_str(before),
            None => {
                instruction.text.push_str(content);
                for (word, is_indented) in here_documents(&instruction.text) {
                    let ends = |line: &str| {
                        let line = if is_indented { line.trim_start_matches('\t') } else { line };
                        line == word
                    };
                    let _ = lines.by_ref().find(|(_, line)| ends(line));
                }
                found.extend(current.take());
            }
        }
    }
    found.extend(current);
    found.iter_mut().for_each(|it| it.text = it.text.trim_start().to_owned());
    found
}

/// Returns the image that reads the Dockerfile in BuildKit's place, as its directive `syntax` names it.
pub(super) fn syntax(text: &str) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = match text.strip_prefix("#!") {
        Some(shebang) => shebang.split_once('\n')?.1,
        None => text,
    };
    let value = directive(text, "#", "syntax").or_else(|| directive(text, "//", "syntax"))?;
    value.split_whitespace().next()
}

/// Returns the value of a directive; those stand before everything else.
fn directive<'a>(text: &'a str, comment: &str, key: &str) -> Option<&'a str> {
    for line in text.lines() {
        let (name, value) = line.trim().strip_prefix(comment)?.split_once('=')?;
        let name = name.trim();
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        if name.eq_ignore_ascii_case(key) {
            return Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    None
}

/// Returns the words that end the here-documents of an instruction, and whether tabs before them are
/// left out.
fn here_documents(instruction: &str) -> Vec<(String, bool)> {
    let mut keywords = instruction.split_whitespace().map(str::to_ascii_uppercase);
    let keyword = keywords.find(|word| word != "ONBUILD").unwrap_or_default();
    if !["RUN", "COPY", "ADD"].contains(&keyword.as_str()) {
        return Vec::new();
    }
    let marked = words(instruction).into_iter().filter_map(|word| {
        // A file descriptor may stand in front.
        let rest =
            word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?.to_owned();
        let (rest, is_indented) = match rest.strip_prefix('-') {
            Some(rest) => (rest.to_owned(), true),
            None => (rest, false),
        };
        let name: String = rest.trim_matches(['"', '\'']).to_owned();
        let is_word = !name.is_empty() && !name.contains('<');
        is_word.then_some((name, is_indented))
    });
    marked.collect()
}

/// Returns the words of a line; quotes keep spaces and stay, as [`super::Variables::expand`] removes them.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        if c.is_whitespace() && quote.is_none() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
