//! Which files of a checkout may differ from what git keeps of them without a change of their size:
//! those to which an attribute `filter`, `ident` or `working-tree-encoding` may apply; see
//! gitattributes(5). Line ends are not among them: what is converted is longer or shorter after it.
//!
//! A pattern is not matched in full: a file counts as soon as its name has the end that the pattern
//! asks for. And an attributes file that git does not know as it is, or that is not there though git
//! knows it, says nothing about how files below it were written, so all of them count.

use std::collections::HashMap;
use std::fs;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use git2::{Config, ConfigLevel};

use super::index_file::IndexFile;
use super::user_config;
use crate::system::Environment;

const NAME: &str = ".gitattributes";

/// A longer attributes file is not read; git has a limit as well.
const LONGEST: u64 = 1 << 20;

const CONVERTING: [&[u8]; 3] = [b"filter", b"ident", b"working-tree-encoding"];

/// The ends of names, in lower case, that files have which may be converted; an empty one is all.
type Ends = Vec<Vec<u8>>;

/// What attributes say of the files of a checkout.
pub(super) struct Attributes<'a> {
    top: &'a Utf8Path,
    index: &'a IndexFile,
    /// For each folder what applies to files in it.
    folders: HashMap<String, Rc<Ends>>,
}

impl<'a> Attributes<'a> {
    /// Returns those in the checkout at `top`; `everywhere` is what applies in all of it.
    pub(super) fn of(top: &'a Utf8Path, index: &'a IndexFile, everywhere: &Ends) -> Self {
        let above = Rc::new(everywhere.clone());
        let mut attributes = Self { top, index, folders: HashMap::new() };
        let ends = attributes.extended("", &above);
        attributes.folders.insert(String::new(), ends);
        attributes
    }

    /// Returns whether the file at `path`, from the checkout's top, may be converted.
    pub(super) fn may_convert(&mut self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let name = name.as_bytes().to_ascii_lowercase();
        self.ends(folder).iter().any(|end| name.ends_with(end))
    }

    fn ends(&mut self, folder: &str) -> Rc<Ends> {
        if let Some(ends) = self.folders.get(folder) {
            return Rc::clone(ends);
        }
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        let above = self.ends(above);
        let ends = self.extended(folder, &above);
        self.folders.insert(folder.to_owned(), Rc::clone(&ends));
        ends
    }

    /// Returns what applies in `folder` where `above` applies above it.
    fn extended(&self, folder: &str, above: &Rc<Ends>) -> Rc<Ends> {
        let path = if folder.is_empty() { NAME.to_owned() } else { format!("{folder}/{NAME}") };
        let file = self.top.join(&path);
        let own = match file.symlink_metadata() {
            Err(_) if self.index.has(&path) => all(),
            Err(_) => return Rc::clone(above),
            Ok(metadata) if self.index.clean(&path, &metadata).is_none() => all(),
            Ok(_) => read(&file),
        };
        if own.is_empty() { Rc::clone(above) } else { Rc::new([own, above.to_vec()].concat()) }
    }
}

/// Returns what applies to all files of a checkout whose repository is at `common`, or `None` if it has
/// a filter of its own: then files may have been written by it, whatever attributes say by now. What
/// LFS replaces can be told by the blob.
pub(super) fn everywhere(common: &Utf8Path, environment: &Environment) -> Option<Vec<Vec<u8>>> {
    let config = config(common, environment)?;
    let told = user_config::in_variables(environment);
    let is_told = |(key, _): &(String, String)| {
        key.starts_with("filter.") || key.starts_with("attr.") || key == "core.attributesfile"
    };
    let mut is_unknown = told.iter().any(is_told)
        || environment.get("GIT_ATTR_SOURCE").is_some()
        || config.get_entry("attr.tree").is_ok();
    let found = config.entries(Some(r"^filter\.")).ok()?;
    let is_own = |entry: &git2::ConfigEntry<'_>| {
        let key = entry.name().unwrap_or_default();
        let is_driver = [".clean", ".smudge", ".process"].iter().any(|end| key.ends_with(end));
        let is_lfs = key.starts_with("filter.lfs.")
            && entry.value().is_ok_and(|program| program.starts_with("git-lfs "));
        is_driver && !is_lfs
    };
    found.for_each(|entry| is_unknown |= is_own(entry)).ok()?;
    if is_unknown {
        return None;
    }
    let home = environment.get("HOME").map(Utf8PathBuf::from);
    let usual = environment.get("XDG_CONFIG_HOME").map(Utf8PathBuf::from);
    let usual = usual.or_else(|| Some(home?.join(".config")));
    let named = config.get_path("core.attributesfile").ok();
    let named = named.map(|path| Utf8PathBuf::from_path_buf(path).unwrap_or_default());
    let global = named.or_else(|| Some(usual?.join("git/attributes")));
    let files = [global, Some("/etc/gitattributes".into()), Some(common.join("info/attributes"))];
    let there = files.into_iter().flatten().filter(|file| file.symlink_metadata().is_ok());
    Some(there.flat_map(|file| read(&file)).collect())
}

fn config(common: &Utf8Path, environment: &Environment) -> Option<Config> {
    let mut config = Config::new().ok()?;
    let mut files = user_config::files_of_user(environment);
    files.push((common.join("config"), ConfigLevel::Local));
    files.push((common.join("config.worktree"), ConfigLevel::Worktree));
    for (file, level) in files.iter().filter(|(file, _)| file.is_file()) {
        config.add_file(file.as_std_path(), *level, false).ok()?;
    }
    Some(config)
}

fn all() -> Ends {
    vec![Vec::new()]
}

fn read(file: &Utf8Path) -> Ends {
    let is_fit =
        fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LONGEST);
    match fs::read(file).ok().filter(|_| is_fit) {
        Some(text) => parse(&text),
        None => all(),
    }
}

fn parse(text: &[u8]) -> Ends {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// Returns the end that the line's pattern asks for, if the line sets what converts.
fn parse_line(line: &[u8]) -> Option<Vec<u8>> {
    let mut words = line.split(|byte| b" \t\r".contains(byte)).filter(|word| !word.is_empty());
    let pattern = words.next().filter(|word| word[0] != b'#')?;
    if pattern[0] == b'"' {
        // Where such a pattern ends is not looked for.
        let is_named = |it: &&[u8]| line.windows(it.len()).any(|part| part == *it);
        return CONVERTING.iter().any(is_named).then(Vec::new);
    }
    let name = |word: &[u8]| word.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
    if !words.any(|word| CONVERTING.contains(&name(word).as_slice())) {
        return None;
    }
    // A definition of a macro: who uses it is not looked for.
    if pattern.starts_with(b"[attr]") {
        return Some(Vec::new());
    }
    let special = |byte: &u8| b"*?[]\\/".contains(byte);
    Some(pattern.rsplit(special).next().unwrap_or_default().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_count_by_their_ends() {
        let cases: [(&str, &[&str]); 14] = [
            ("*.psd filter=lfs diff=lfs merge=lfs -text", &[".psd"]),
            ("*.TXT ident", &[".txt"]),
            ("docs/*.md\tworking-tree-encoding=UTF-16", &[".md"]),
            ("\u{feff}Makefile filter", &["makefile"]),
            ("assets/** filter=lfs\r", &[""]),
            ("*.[jJ]pg filter=lfs", &["pg"]),
            ("[attr]big filter=lfs", &[""]),
            ("\"a b.x\" filter=lfs", &[""]),
            ("\"a\"ident", &[""]),
            ("  *.a   text eol=lf ident", &[".a"]),
            ("*.sh text eol=lf", &[]),
            ("*.psd -filter !ident", &[]),
            ("# *.psd filter=lfs", &[]),
            ("* text=auto\n\n*.x ident", &[".x"]),
        ];
        for (text, ends) in cases {
            let found = parse(text.as_bytes());
            assert_eq!(found, ends.iter().map(|end| end.as_bytes()).collect::<Vec<_>>(), "{text}");
        }
    }
}
