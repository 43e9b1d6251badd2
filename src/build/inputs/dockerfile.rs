//! The images that a Dockerfile is built on: those of `FROM`, `COPY --from` and `RUN --mount=from=`.
//!
//! Lines are read as BuildKit reads them (its `dockerfile/parser` and `shell` packages): parser
//! directives, continued lines, comments in between, here-documents, and in `FROM` the arguments that
//! are declared before the first stage. All stages count, also those that the target does not need:
//! a needless build is better than a wrong image.

use std::collections::{BTreeMap, HashSet};

use crate::image::ImageReference;

/// The variables that BuildKit declares by itself; their values depend on the machine.
const PLATFORM_ARGUMENTS: [&str; 8] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
];

/// Returns the base images, each once, in the order of the Dockerfile.
///
/// # Errors
///
/// Fails with the reason if an image's name can't be told from the text and the arguments.
pub(super) fn bases(
    text: &str,
    arguments: &BTreeMap<String, String>,
) -> Result<Vec<ImageReference>, String> {
    let mut reader = Reader {
        arguments,
        declared: BTreeMap::new(),
        stages: HashSet::new(),
        count: 0,
        found: Vec::new(),
    };
    for instruction in instructions(text) {
        reader.instruction(&instruction)?;
    }
    Ok(reader.found)
}

struct Reader<'a> {
    /// What the configuration sets.
    arguments: &'a BTreeMap<String, String>,
    /// The arguments before the first stage, with their values.
    declared: BTreeMap<String, Option<String>>,
    /// The names of the stages so far, in lower case.
    stages: HashSet<String>,
    count: usize,
    found: Vec<ImageReference>,
}

impl Reader<'_> {
    fn instruction(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "ARG" if self.count == 0 => self.declare(line),
            "FROM" => self.from(words),
            "COPY" | "ADD" => {
                let from = words
                    .take_while(|word| word.starts_with("--"))
                    .find_map(|flag| flag.strip_prefix("--from="));
                from.map_or(Ok(()), |from| self.source(from))
            }
            "RUN" => {
                let mounts = words
                    .take_while(|word| word.starts_with("--"))
                    .filter_map(|flag| flag.strip_prefix("--mount="));
                let sources = mounts.flat_map(|mount| mount.split(','));
                let mut sources = sources.filter_map(|field| field.strip_prefix("from="));
                sources.try_for_each(|from| self.source(from))
            }
            _ => Ok(()),
        }
    }

    /// `ARG NAME`, `ARG NAME=VALUE`, several at once.
    fn declare(&mut self, line: &str) -> Result<(), String> {
        for word in words(line).into_iter().skip(1) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(self.expand(default)?)),
                None => (word, None),
            };
            let value = self.arguments.get(&name).cloned().or(default);
            self.declared.insert(name, value);
        }
        Ok(())
    }

    /// `FROM [--platform=P] IMAGE [AS NAME]`.
    fn from<'b>(&mut self, words: impl Iterator<Item = &'b str>) -> Result<(), String> {
        let mut words = words.skip_while(|word| word.starts_with("--"));
        let image = self.expand(words.next().unwrap_or_default())?;
        let is_stage = self.stages.contains(&image.to_ascii_lowercase());
        if !is_stage && image != "scratch" {
            self.add(&image)?;
        }
        if let (Some(_), Some(name)) = (words.next(), words.next()) {
            self.stages.insert(name.to_ascii_lowercase());
        }
        self.count += 1;
        Ok(())
    }

    /// A stage by name or number, or an image.
    fn source(&mut self, from: &str) -> Result<(), String> {
        let from = from.trim_matches('"');
        let is_number = from.parse::<usize>().is_ok();
        if is_number || self.stages.contains(&from.to_ascii_lowercase()) {
            return Ok(());
        }
        if from.contains('$') {
            return Err(format!("`{from}` names an image by a variable"));
        }
        self.add(from)
    }

    fn add(&mut self, image: &str) -> Result<(), String> {
        let reference: ImageReference =
            image.parse().map_err(|error| format!("base image `{image}`: {error}"))?;
        let reference = reference.or_latest();
        if !self.found.contains(&reference) {
            self.found.push(reference);
        }
        Ok(())
    }

    /// Returns the text with variables replaced by the arguments before the first stage.
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '\\', '"', '\'']) {
            out.push_str(&rest[..at]);
            let (mark, after) = rest[at..].split_at(1);
            rest = after;
            match mark {
                "$" => {
                    let (value, after) = self.variable(rest)?;
                    out.push_str(&value);
                    rest = after;
                }
                "\\" => {
                    let next = rest.chars().next().map_or(0, char::len_utf8);
                    out.push_str(&rest[..next]);
                    rest = &rest[next..];
                }
                _ => {}
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Returns the value of the variable that `text`, behind the `$`, begins with, and what follows.
    fn variable<'b>(&self, text: &'b str) -> Result<(String, &'b str), String> {
        let unknown = || format!("`${text}` is not understood in an image's name");
        let Some(braced) = text.strip_prefix('{') else {
            let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
            if end == 0 {
                return Err(unknown());
            }
            return Ok((self.value(&text[..end])?.unwrap_or_default(), &text[end..]));
        };
        let close = closing(braced).ok_or_else(unknown)?;
        let (inside, rest) = (&braced[..close], &braced[close + 1..]);
        let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
        let (name, operation) = inside.split_at(end);
        if name.is_empty() {
            return Err(unknown());
        }
        let value = self.value(name)?;
        let full = value.clone().filter(|value| !value.is_empty());
        let value = match operation.split_at(operation.len().min(2)) {
            ("", _) => value.unwrap_or_default(),
            (":-", word) => full.map_or_else(|| self.expand(word), Ok)?,
            (":+", word) => full.map_or(Ok(String::new()), |_| self.expand(word))?,
            _ => match (operation.split_at(1), value) {
                (("-", _), Some(value)) => value,
                (("-", word), None) => self.expand(word)?,
                (("+", word), Some(_)) => self.expand(word)?,
                (("+", _), None) => String::new(),
                _ => return Err(unknown()),
            },
        };
        Ok((value, rest))
    }

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        match self.declared.get(name) {
            Some(value) => Ok(value.clone()),
            None if PLATFORM_ARGUMENTS.contains(&name) => {
                Err(format!("`{name}` in an image's name depends on the machine"))
            }
            None => Ok(None),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns where the brace ends that is open at the beginning of `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}

/// Returns the words of a line; quotes keep spaces and stay, as [`Reader::expand`] removes them.
fn words(line: &str) -> Vec<String> {
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

/// Returns the instructions, continued lines joined, without comments and here-documents' bodies.
fn instructions(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape(text);
    let mut found = Vec::new();
    let mut lines = text.lines();
    let mut current = String::new();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        match line.trim_end().strip_suffix(escape) {
            Some(before) => current.push_str(before),
            None => {
                current.push_str(line);
                let instruction = std::mem::take(&mut current);
                for (word, is_indented) in here_documents(&instruction) {
                    let ends = |line: &str| {
                        let line = if is_indented { line.trim_start_matches('\t') } else { line };
                        line == word
                    };
                    let _ = lines.by_ref().find(|line| ends(line));
                }
                found.push(instruction.trim_start().to_owned());
            }
        }
    }
    if !current.trim().is_empty() {
        found.push(current.trim_start().to_owned());
    }
    found
}

/// Returns the character that continues lines: what the directive `escape` says, else a backslash.
fn escape(text: &str) -> char {
    for line in text.lines() {
        // Directives stand before everything else.
        let Some(directive) = line.trim().strip_prefix('#') else { break };
        let Some((name, value)) = directive.split_once('=') else { break };
        if name.trim().eq_ignore_ascii_case("escape") {
            return value.trim().chars().next().unwrap_or('\\');
        }
    }
    '\\'
}

/// Returns the words that end the here-documents of an instruction, and whether tabs before them are
/// left out.
fn here_documents(instruction: &str) -> Vec<(String, bool)> {
    let keyword = instruction.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, arguments: &[(&str, &str)], expected: &[&str]) {
        let arguments = arguments.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let found = bases(text, &arguments.collect());
        let found = found.map(|all| all.iter().map(ImageReference::familiar).collect::<Vec<_>>());
        assert_eq!(found, Ok(expected.iter().map(|text| (*text).to_owned()).collect()), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let error = bases(text, &BTreeMap::new()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn every_stage_s_image_counts_once_and_stages_do_not() {
        let text = "FROM golang:1.24 AS build\nFROM scratch\nfrom --platform=$BUILDPLATFORM alpine as Tools\n\
                    FROM build\nFROM TOOLS\nFROM golang:1.24\n";
        check(text, &[], &["golang:1.24", "alpine:latest"]);
    }

    #[test]
    fn arguments_before_the_first_stage_are_filled_in() {
        let text =
            "ARG GO=1.24 IMAGE=\"golang\"\nARG FULL=${IMAGE}:$GO\nFROM ${FULL}-alpine\nARG GO=9\n";
        check(text, &[], &["golang:1.24-alpine"]);
        check(text, &[("GO", "1.25")], &["golang:1.25-alpine"]);
        check(
            "ARG V\nFROM a:${V:-1}\nFROM b:${V-2}\nFROM c${V:+:3}\n",
            &[],
            &["a:1", "b:2", "c:latest"],
        );
        check("ARG V\nFROM a:${V:-1}\nFROM c${V:+:3}\n", &[("V", "7")], &["a:7", "c:3"]);
        check("FROM \"a:1\"\n", &[("UNDECLARED", "x")], &["a:1"]);
        refused("FROM ${X#a}\n", "not understood");
        refused("FROM a:$TARGETARCH\n", "depends on the machine");
        refused("ARG X\nFROM $X\n", "base image ``");
    }

    #[test]
    fn copies_and_mounts_take_from_images_and_stages() {
        let text = "FROM a AS one\nCOPY --chown=1 --from=b:2 /x /y\nCOPY --from=one x y\nCOPY --from=0 x y\n\
                    RUN --mount=type=cache,target=/c --mount=type=bind,from=c:3,target=/d make --from=no\n";
        check(text, &[], &["a:latest", "b:2", "c:3"]);
        refused("FROM a\nCOPY --from=$X x y\n", "by a variable");
    }

    #[test]
    fn lines_are_joined_and_what_is_no_instruction_is_passed_over() {
        check("FROM \\\n# comment\n\n  a:1 \\\n AS x\n#FROM no\nFROM x\n", &[], &["a:1"]);
        check("# escape=`\nFROM a:1 `\n AS x\n", &[], &["a:1"]);
        let text = "FROM a\nRUN <<EOF cat <<-'END'\nFROM no\nEOF\nFROM no\n\tEND\nCOPY <<\"X\" /f\nFROM no\nX\nFROM b\n";
        check(text, &[], &["a:latest", "b:latest"]);
        check(
            "\u{feff}FROM a\r\nFROM b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            &[],
            &[
                "a:latest",
                "b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ],
        );
        check("", &[], &[]);
    }
}
