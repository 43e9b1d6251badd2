//! `goto` in a language that has none.
//!
//! Argo CD's interpreter has Lua 5.1's grammar plus `goto`; ours has `continue` instead. A jump to a
//! label at the end of the innermost loop becomes `continue`. Any other jump forwards, within its
//! loop, becomes a `break` out of a `repeat … until true` around all that it jumps over, which can't
//! declare a local that is used after it. Lines keep their numbers. Jumps out of a loop or backwards
//! are refused.

use std::ops::Range;

/// A token that matters for blocks and jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Colons,
    Semicolon,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Loop,
    Function,
    Plain,
}

#[derive(Debug)]
struct Block {
    kind: Kind,
    parent: usize,
    /// Where the statement starts that the block belongs to.
    start: usize,
}

#[derive(Debug)]
struct Label<'a> {
    name: &'a str,
    block: usize,
    span: Range<usize>,
    is_at_end: bool,
}

/// A `goto`, or a `break`, which has no name.
#[derive(Debug)]
struct Jump<'a> {
    name: &'a str,
    block: usize,
    span: Range<usize>,
}

/// How a jump is said without `goto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Continue,
    /// Out of the `repeat` that ends at this label.
    Break(usize),
}

/// What to write in the place of a part of the source.
type Edit = (Range<usize>, &'static str);

/// A jump that has no other way, and why.
type Refusal<'o, 'a> = (&'o Jump<'a>, &'static str);

/// Returns the script without jumps and labels, or `None` if it has none.
///
/// # Errors
///
/// Fails with a text that starts with the line if a jump can't be said in another way.
pub(super) fn without_jumps(source: &str) -> Result<Option<String>, String> {
    // Most scripts have none, and a word search is cheaper than tokens.
    if !source.contains("goto") && !source.contains("::") {
        return Ok(None);
    }
    let outline = Outline::read(source);
    let mut edits = outline.edits().map_err(|(jump, reason)| {
        let line = source[..jump.span.start].matches('\n').count() + 1;
        format!("{line}: `goto {}` {reason}", jump.name)
    })?;
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut rewritten = source.to_owned();
    for (span, text) in edits.into_iter().rev() {
        // What is replaced may run over several lines, and later lines must keep their numbers.
        let lines = "\n".repeat(source[span.clone()].matches('\n').count());
        rewritten.replace_range(span, &format!("{text}{lines}"));
    }
    Ok(Some(rewritten))
}

/// Blocks, labels and jumps of a script.
#[derive(Debug)]
struct Outline<'a> {
    blocks: Vec<Block>,
    labels: Vec<Label<'a>>,
    jumps: Vec<Jump<'a>>,
    breaks: Vec<Jump<'a>>,
    current: usize,
    /// The blocks whose next `do` opens the body of a loop, and where the loop starts.
    heads: Vec<(usize, usize)>,
    /// Where the `if` starts whose `then` comes next.
    conditions: Vec<usize>,
}

impl<'a> Outline<'a> {
    fn read(source: &'a str) -> Self {
        let tokens: Vec<_> = Tokens { source, at: 0 }.collect();
        let chunk = Block { kind: Kind::Function, parent: 0, start: 0 };
        let mut outline = Self {
            blocks: vec![chunk],
            labels: Vec::new(),
            jumps: Vec::new(),
            breaks: Vec::new(),
            current: 0,
            heads: Vec::new(),
            conditions: Vec::new(),
        };
        let mut at = 0;
        while let Some((token, span)) = tokens.get(at) {
            let next = |by: usize| tokens.get(at + by).map(|(token, _)| *token);
            at += match (token, next(1), next(2)) {
                (Token::Colons, Some(Token::Word(name)), Some(Token::Colons)) => {
                    let span = span.start..tokens[at + 2].1.end;
                    let block = outline.current;
                    let end = &tokens[at + 3..];
                    outline.labels.push(Label { name, block, span, is_at_end: is_at_end(end) });
                    3
                }
                (Token::Word("goto"), Some(Token::Word(name)), _) => {
                    let span = span.start..tokens[at + 1].1.end;
                    outline.jumps.push(Jump { name, block: outline.current, span });
                    2
                }
                (Token::Word(word), ..) => {
                    outline.word(word, span);
                    1
                }
                _ => 1,
            };
        }
        outline
    }

    fn word(&mut self, word: &str, span: &Range<usize>) {
        let start = span.start;
        match (word, self.heads.last()) {
            ("function", _) => self.open(Kind::Function, start),
            ("for" | "while", _) => self.heads.push((self.current, start)),
            ("do", Some((block, start))) if *block == self.current => {
                let start = *start;
                self.heads.pop();
                self.open(Kind::Loop, start);
            }
            ("do", _) => self.open(Kind::Plain, start),
            ("repeat", _) => self.open(Kind::Loop, start),
            ("if", _) => self.conditions.push(start),
            ("then", _) => {
                let start = self.conditions.pop().unwrap_or(start);
                self.open(Kind::Plain, start);
            }
            ("elseif", _) => {
                let start = self.close();
                self.conditions.push(start);
            }
            ("else", _) => {
                let start = self.close();
                self.open(Kind::Plain, start);
            }
            ("end" | "until", _) => drop(self.close()),
            ("break", _) => {
                self.breaks.push(Jump { name: "", block: self.current, span: span.clone() });
            }
            _ => {}
        }
    }

    fn open(&mut self, kind: Kind, start: usize) {
        self.blocks.push(Block { kind, parent: self.current, start });
        self.current = self.blocks.len() - 1;
    }

    /// Leaves a block and returns where its statement starts.
    fn close(&mut self) -> usize {
        let block = &self.blocks[self.current];
        self.current = block.parent;
        block.start
    }

    /// Returns what to write in the place of jumps and labels, or the jump that has no other way, and
    /// why.
    fn edits(&self) -> Result<Vec<Edit>, Refusal<'_, 'a>> {
        let ways = self.jumps.iter().map(|jump| self.way(jump).map_err(|why| (jump, why)));
        let ways = ways.collect::<Result<Vec<_>, _>>()?;
        let starts = self.starts(&ways);
        self.check_crossings(&ways, &starts)?;
        let jumps = self.jumps.iter().zip(&ways).map(|(jump, way)| match way {
            Way::Continue => (jump.span.clone(), " do continue end "),
            Way::Break(_) => (jump.span.clone(), " do break end "),
        });
        let labels = self.labels.iter().zip(&starts).map(|(label, start)| match start {
            Some(_) => (label.span.clone(), " until true "),
            None => (label.span.clone(), " "),
        });
        let starts = starts.iter().flatten().map(|start| (*start..*start, " repeat "));
        Ok(jumps.chain(labels).chain(starts).collect())
    }

    /// Returns where the `repeat` starts that ends at each label, if one does.
    fn starts(&self, ways: &[Way]) -> Vec<Option<usize>> {
        let mut starts = vec![None::<usize>; self.labels.len()];
        for (jump, way) in self.jumps.iter().zip(ways) {
            if let Way::Break(label) = *way {
                let start = self.statement(jump, self.labels[label].block);
                starts[label] = Some(starts[label].map_or(start, |earlier| earlier.min(start)));
            }
        }
        starts
    }

    /// Refuses a jump whose `repeat` would catch what leads further.
    fn check_crossings(
        &self,
        ways: &[Way],
        starts: &[Option<usize>],
    ) -> Result<(), Refusal<'_, 'a>> {
        for (jump, way) in self.jumps.iter().zip(ways) {
            let Way::Break(label) = *way else { continue };
            let Some(start) = starts[label] else { continue };
            let leads_further = |way: &Way| match *way {
                Way::Continue => true,
                // One within the other is no harm.
                Way::Break(other) => {
                    other > label || starts[other].is_some_and(|other| other < start)
                }
            };
            let others = self.jumps.iter().zip(ways).filter(|(_, way)| leads_further(way));
            let mut others = others.map(|(jump, _)| jump).chain(&self.breaks);
            if others.any(|other| self.is_caught(other, label, start)) {
                return Err((jump, "crosses another jump"));
            }
        }
        Ok(())
    }

    /// Returns how to say the jump, or why there is no way.
    fn way(&self, jump: &Jump<'_>) -> Result<Way, &'static str> {
        let mut block = jump.block;
        loop {
            let is_meant = |label: &&Label<'_>| label.block == block && label.name == jump.name;
            let label = self.labels.iter().position(|label| is_meant(&label));
            match (self.blocks[block].kind, label) {
                (_, Some(label)) if self.labels[label].span.start < jump.span.start => {
                    return Err("leads backwards");
                }
                (Kind::Loop, Some(label)) if self.labels[label].is_at_end => {
                    return Ok(Way::Continue);
                }
                (_, Some(label)) => return Ok(Way::Break(label)),
                (Kind::Loop, None) => return Err("leaves its loop"),
                (Kind::Function, None) => return Err("has no visible label"),
                (Kind::Plain, None) => block = self.blocks[block].parent,
            }
        }
    }

    /// Returns where the statement of `block` starts that the jump is in.
    fn statement(&self, jump: &Jump<'_>, block: usize) -> usize {
        let mut start = jump.span.start;
        let mut current = jump.block;
        while current != block {
            start = self.blocks[current].start;
            current = self.blocks[current].parent;
        }
        start
    }

    /// Returns whether a `break` or `continue` in the place of `jump` would end, or go on with, the
    /// `repeat` from `start` to `label` instead of a loop around that.
    fn is_caught(&self, jump: &Jump<'_>, label: usize, start: usize) -> bool {
        let end = self.labels[label].span.start;
        if !(start..end).contains(&jump.span.start) {
            return false;
        }
        let mut current = jump.block;
        while current != self.labels[label].block {
            if self.blocks[current].kind != Kind::Plain || current == 0 {
                return false;
            }
            current = self.blocks[current].parent;
        }
        true
    }
}

/// Returns whether nothing but labels and semicolons stands before the block's end.
fn is_at_end(mut tokens: &[(Token<'_>, Range<usize>)]) -> bool {
    loop {
        tokens = match tokens {
            [(Token::Semicolon, _), rest @ ..] => rest,
            [(Token::Colons, _), (Token::Word(_), _), (Token::Colons, _), rest @ ..] => rest,
            [(Token::Word("end" | "until"), _), ..] => return true,
            _ => return false,
        }
    }
}

/// The tokens of a Lua text; what is not Lua ends as tokens of no meaning.
struct Tokens<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (Token<'a>, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = &self.source[self.at..];
            let first = rest.chars().next()?;
            let start = self.at;
            let (length, token) = if first.is_whitespace() {
                (first.len_utf8(), None)
            } else if let Some(comment) = rest.strip_prefix("--") {
                let line = || comment.find('\n').unwrap_or(comment.len());
                (2 + long_bracket(comment).unwrap_or_else(line), None)
            } else if let Some(length) = long_bracket(rest) {
                (length, Some(Token::Other))
            } else if matches!(first, '"' | '\'') {
                (quoted(rest), Some(Token::Other))
            } else if first.is_ascii_alphanumeric() || first == '_' {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (length, Some(Token::Word(&rest[..length])))
            } else if rest.starts_with("::") {
                (2, Some(Token::Colons))
            } else {
                let token = if first == ';' { Token::Semicolon } else { Token::Other };
                (first.len_utf8(), Some(token))
            };
            self.at += length;
            if let Some(token) = token {
                return Some((token, start..self.at));
            }
        }
    }
}

/// Returns how long the long bracket is that `text` starts with, such as `[==[…]==]`.
fn long_bracket(text: &str) -> Option<usize> {
    let level = text.strip_prefix('[')?.find(|c| c != '=')?;
    text[level + 1..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    Some(text.find(&close).map_or(text.len(), |at| at + close.len()))
}

/// Returns how long the string is that `text` starts with.
fn quoted(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate();
    let quote = bytes.next().map(|(_, byte)| byte);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'\n' => return at,
            _ if Some(byte) == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        let rewritten = without_jumps(source).unwrap().unwrap();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&rewritten), words(expected));
        assert_eq!(rewritten.lines().count(), source.lines().count());
    }

    #[test]
    fn a_jump_to_the_end_of_its_loop_continues() {
        check(
            "for i = 1, 2 do\n if x then\n goto skip\n end\n f()\n ::skip:: ;\n end",
            "for i = 1, 2 do if x then do continue end end f() ; end",
        );
        check(
            "while (function() while a do b() end end)() do goto\nz ::z:: end",
            "while (function() while a do b() end end)() do do continue end end",
        );
        check("repeat goto a; ::b:: ::a:: until x", "repeat do continue end ; until x");
        check(
            "for _ in f do if a then goto c elseif b then goto c else goto c end ::c:: end",
            "for _ in f do if a then do continue end elseif b then do continue end else do continue end end end",
        );
    }

    #[test]
    fn leaves_texts_and_comments_alone() {
        let source = "-- goto a\n--[[ ::a:: ]] x = 'goto \\' b' .. [==[ goto c ]] ]==]";
        assert_eq!(without_jumps(source), Ok(Some(source.to_owned())));
        assert_eq!(without_jumps("x = 1"), Ok(None));
        for broken in ["goto", "::", "end end until", "'goto", "[[ goto", "--[[ goto", "é goto ö"]
        {
            without_jumps(broken).unwrap();
        }
    }

    #[test]
    fn a_jump_forwards_breaks() {
        check("goto a; f() ::a:: g()", "repeat do break end ; f() until true g()");
        check(
            "f() if a then g() elseif b then goto c else goto c end h() ::c:: i()",
            "f() repeat if a then g() elseif b then do break end else do break end end h() until true i()",
        );
        check(
            "while a do if b then goto c end while d do break end f() ::c:: g() end",
            "while a do repeat if b then do break end end while d do break end f() until true g() end",
        );
        check(
            "do if a then goto b end if c then goto d end f() ::d:: g() ::b:: end h()",
            "do repeat if a then do break end end repeat if c then do break end end f() until true g() until true end h()",
        );
    }

    #[test]
    fn refuses_any_other_jump() {
        let check = |source: &str, expected: &str| {
            assert_eq!(without_jumps(source), Err(expected.to_owned()));
        };
        check("goto a", "1: `goto a` has no visible label");
        check("\n::a:: goto a", "2: `goto a` leads backwards");
        check("for a in b do for c in d do goto e end ::e:: end", "1: `goto e` leaves its loop");
        let inner = "for a in b do f(function() goto e end) ::e:: end";
        check(inner, "1: `goto e` has no visible label");
        let crossed = "goto e` crosses another jump";
        check("while a do if b then goto e end break ::e:: f() end", &format!("1: `{crossed}"));
        let both = "while a do if b then goto e end if c then goto z end ::e:: f() ::z:: end";
        check(both, &format!("1: `{crossed}"));
        let crossing = "if a then goto b end goto e ::b:: f() ::e:: g()";
        check(crossing, "1: `goto b` crosses another jump");
    }
}
