//! The images that a Dockerfile is built on: those of `FROM`, `COPY --from` and `RUN --mount=from=`.
//!
//! Lines are read as BuildKit reads them (its `dockerfile/parser` and `shell` packages): parser
//! directives, continued lines, comments in between, here-documents, and in `FROM` the arguments that
//! are declared before the first stage. All stages count, also those that the target does not need:
//! a needless build is better than a wrong image.

mod addition;
mod lines;
mod variables;

use std::collections::{BTreeMap, HashSet};

use self::lines::Instruction;
use self::variables::Variables;
use crate::image::ImageReference;

/// What a Dockerfile tells of what it is built from.
pub(super) struct Reading {
    /// The base images, each once, in the order of the Dockerfile; or why the name of one can't be told
    /// from the text and the arguments.
    pub(super) images: Result<Vec<ImageReference>, String>,
    /// Why it is not known before the build what an `ADD` brings, if it is not.
    pub(super) unknown: Option<String>,
}

/// Returns what the text tells, with these build arguments.
pub(super) fn read(text: &str, arguments: &BTreeMap<String, String>) -> Reading {
    let mut reader = Reader {
        arguments,
        declared: Variables::default(),
        stage: Variables::of_stage(),
        stages: HashSet::new(),
        count: 0,
        found: Vec::new(),
        unknown: None,
    };
    let mut images = Ok(());
    for Instruction { line, text } in lines::instructions(text) {
        if images.is_ok() {
            images = reader.instruction(line, &text);
        }
    }
    Reading { images: images.map(|()| reader.found), unknown: reader.unknown }
}

/// Returns the image that reads the Dockerfile in BuildKit's place, if one does.
///
/// # Errors
///
/// Fails with the reason if what is named is no image.
pub(super) fn frontend(
    text: &str,
    arguments: &BTreeMap<String, String>,
) -> Result<Option<ImageReference>, String> {
    let argument = arguments.get("BUILDKIT_SYNTAX").and_then(|it| it.split_whitespace().next());
    let Some(image) = argument.or_else(|| lines::syntax(text)) else { return Ok(None) };
    let reference: ImageReference =
        image.parse().map_err(|error| format!("syntax image `{image}`: {error}"))?;
    Ok(Some(reference.or_latest()))
}

struct Reader<'a> {
    /// What the configuration sets.
    arguments: &'a BTreeMap<String, String>,
    /// The arguments before the first stage.
    declared: Variables,
    /// The variables of the stage, as far as they are known.
    stage: Variables,
    /// The names of the stages so far, in lower case.
    stages: HashSet<String>,
    count: usize,
    found: Vec<ImageReference>,
    unknown: Option<String>,
}

impl Reader<'_> {
    fn instruction(&mut self, number: usize, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "ARG" if self.count == 0 => self.declare(line),
            "ARG" => {
                self.declare_in_stage(line);
                Ok(())
            }
            "ENV" => {
                self.set(line);
                Ok(())
            }
            "FROM" => self.from(words),
            "ADD" => {
                if let Err(reason) = addition::check(line, &self.stage) {
                    let reason = format!("Dockerfile line {number}: {reason}");
                    self.unknown.get_or_insert(reason);
                }
                Ok(())
            }
            "COPY" => {
                let from = words
                    .take_while(|word| word.starts_with("--"))
                    .find_map(|flag| flag.strip_prefix("--from="));
                from.map_or(Ok(()), |from| self.source(from))
            }
            "RUN" => {
                let mounts = words
                    .take_while(|word| word.starts_with("--"))
                    .filter_map(|flag| flag.strip_prefix("--mount="));
                let fields = mounts.flat_map(|mount| mount.split(','));
                let fields = fields.filter_map(|field| field.trim_matches('"').split_once('='));
                let mut sources = fields.filter(|(key, _)| key.eq_ignore_ascii_case("from"));
                sources.try_for_each(|(_, from)| self.source(from))
            }
            _ => Ok(()),
        }
    }

    /// `ARG NAME`, `ARG NAME=VALUE`, several at once.
    fn declare(&mut self, line: &str) -> Result<(), String> {
        for word in lines::words(line).into_iter().skip(1) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(self.declared.expand(default)?)),
                None => (word, None),
            };
            let value = self.arguments.get(&name).cloned().or(default);
            self.declared.set(&name, Ok(value));
        }
        Ok(())
    }

    /// The same in a stage: without a value it has the one from before the first stage.
    fn declare_in_stage(&mut self, line: &str) {
        for word in lines::words(line).into_iter().skip(1) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(self.stage.expand(default))),
                None => (word.as_str(), None),
            };
            let given = self.arguments.get(name).cloned();
            let value = match (given, default) {
                (Some(given), _) => Ok(Some(given)),
                (None, Some(default)) => default.map(Some),
                (None, None) if variables::PLATFORM_ARGUMENTS.contains(&name) => Err(String::new()),
                (None, None) => Ok(self.declared.get(name).cloned()),
            };
            self.stage.set(name, value);
        }
    }

    /// `ENV NAME=VALUE`, several at once, or `ENV NAME VALUE`.
    fn set(&mut self, line: &str) {
        let words = lines::words(line);
        let [_, first, rest @ ..] = words.as_slice() else { return };
        if !first.contains('=') {
            let value = self.stage.expand(&rest.join(" ")).map(Some);
            return self.stage.set(first, value);
        }
        for (name, value) in words[1..].iter().filter_map(|word| word.split_once('=')) {
            let value = self.stage.expand(value).map(Some);
            self.stage.set(name, value);
        }
    }

    /// `FROM [--platform=P] IMAGE [AS NAME]`.
    fn from<'b>(&mut self, words: impl Iterator<Item = &'b str>) -> Result<(), String> {
        let mut words = words.skip_while(|word| word.starts_with("--"));
        let image = self.declared.expand(words.next().unwrap_or_default())?;
        let is_stage = self.stages.contains(&image.to_ascii_lowercase());
        if !is_stage && image != "scratch" {
            self.add(&image)?;
        }
        if let (Some(_), Some(name)) = (words.next(), words.next()) {
            self.stages.insert(name.to_ascii_lowercase());
        }
        self.count += 1;
        self.stage = Variables::of_stage();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, arguments: &[(&str, &str)], expected: &[&str]) {
        let arguments = arguments.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let found = read(text, &arguments.collect()).images;
        let found = found.map(|all| all.iter().map(ImageReference::familiar).collect::<Vec<_>>());
        assert_eq!(found, Ok(expected.iter().map(|text| (*text).to_owned()).collect()), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let error = read(text, &BTreeMap::new()).images.unwrap_err();
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
    fn fields_of_a_mount_are_read_in_any_case_and_in_quotes() {
        let digest = format!("c@sha256:{}", "0".repeat(64));
        let text = format!(
            "FROM a\nRUN --mount=type=bind,FROM=b,target=/b --mount=type=bind,\"from={digest}\",target=/c make\n"
        );
        check(&text, &[], &["a:latest", "b:latest", &digest]);
    }

    #[test]
    fn the_directive_syntax_names_an_image_where_directives_are() {
        let check = |text: &str, arguments: &[(&str, &str)], expected: Option<&str>| {
            let arguments = arguments.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let found = frontend(text, &arguments.collect()).unwrap();
            assert_eq!(found.map(|it| it.familiar()).as_deref(), expected, "{text}");
        };
        let none: &[(&str, &str)] = &[];
        check("# syntax=docker/dockerfile:1\nFROM a\n", none, Some("docker/dockerfile:1"));
        check("#!/x\n# escape=`\n#Syntax = a/b key=1\r\nFROM a\n", none, Some("a/b:latest"));
        check("// syntax=a/b:1\n{}", none, Some("a/b:1"));
        for text in ["FROM a\n# syntax=a/b\n", "# words\n# syntax=a/b\n", "\n# syntax=a/b\n", ""] {
            check(text, none, None);
        }
        check("# syntax=a/b\n", &[("BUILDKIT_SYNTAX", "c/d:2")], Some("c/d:2"));
        assert!(frontend("# syntax=a/B\n", &BTreeMap::new()).unwrap_err().contains("`a/B`"));
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
        check("FROM a\nONBUILD RUN <<EOF\nFROM no\nEOF\nFROM b\n", &[], &["a:latest", "b:latest"]);
        check("", &[], &[]);
    }
}
