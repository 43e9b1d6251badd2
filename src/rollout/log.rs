//! The last lines that a container wrote before it came to a bad end.

use crate::k8s::Object;

use super::{Container, Snapshot};

/// Fewer lines are read of a log than people would like, and enough to see a stack trace's head.
pub const MOST_LINES: usize = 20;
/// No more of a log is read than this, whatever its lines are.
pub const MOST_BYTES: usize = 16 << 10;
const LONGEST_LINE: usize = 500;

/// Of more containers than this no log is read: pods of one revision fail alike.
const MOST_LOGS: usize = 4;

/// The last lines of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// The pod's uid: a pod of a StatefulSet has the name of the one before.
    pub pod_uid: String,
    /// The container.
    pub container: String,
    /// How often the container had been restarted when its log was read.
    pub restarts: i64,
    /// The lines, oldest first, without anything that moves a cursor.
    pub lines: Vec<String>,
}

/// A log that would tell why a container ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub pod_uid: String,
    /// The container.
    pub container: String,
    /// How often it was restarted.
    pub restarts: i64,
    /// Whether it is the log of the instance before the present one.
    pub previous: bool,
}

impl LogTail {
    /// Returns the tail that `text`, the end of the log that was asked for, comes to. Colours, cursor
    /// movements and characters that nobody sees are left out: a log is somebody else's text.
    pub fn new(request: &LogRequest, text: &str) -> Self {
        let lines: Vec<String> =
            text.lines().map(printable).filter(|line| !line.is_empty()).collect();
        let from = lines.len().saturating_sub(MOST_LINES);
        Self {
            pod_uid: request.pod_uid.clone(),
            container: request.container.clone(),
            restarts: request.restarts,
            lines: lines[from..].to_vec(),
        }
    }

    /// Returns whether it is a log of `container`.
    pub fn is_of(&self, container: &Container<'_>) -> bool {
        self.pod_uid == container.pod.uid() && self.container == container.name
    }
}

/// Returns the logs that would tell why containers of `snapshot` came to a bad end, a few at most.
pub fn wanted_logs(snapshot: &Snapshot) -> Vec<LogRequest> {
    let containers = snapshot.workloads().flat_map(|workload| workload.containers());
    let mut wanted: Vec<LogRequest> = containers.filter_map(|c| request(&c)).collect();
    wanted.sort_by(|a, b| b.restarts.cmp(&a.restarts).then_with(|| a.cmp(b)));
    wanted.dedup();
    wanted.truncate(MOST_LOGS);
    wanted
}

fn request(container: &Container<'_>) -> Option<LogRequest> {
    let ended = container.terminated()?;
    // What never ran wrote nothing.
    let never_ran = ["StartError", "ContainerCannotRun"].contains(&ended.reason);
    if ended.exit_code == 0 || never_ran {
        return None;
    }
    let pod: &Object = container.pod;
    Some(LogRequest {
        namespace: pod.namespace().to_owned(),
        pod: pod.name().to_owned(),
        pod_uid: pod.uid().to_owned(),
        container: container.name.to_owned(),
        restarts: container.restarts(),
        previous: container.is_running(),
    })
}

/// Returns `line` without escape sequences (ECMA-48) and invisible characters, shortened.
fn printable(line: &str) -> String {
    // What comes after a carriage return stands over what came before, as with a progress bar.
    let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut text = String::new();
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\u{9b}' => skip_parameters(&mut characters),
            '\t' => text.push(' '),
            _ if is_invisible(character) => {}
            _ => text.push(character),
        }
        if text.chars().count() >= LONGEST_LINE {
            text.push('…');
            break;
        }
    }
    text.trim_end().to_owned()
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(characters: &mut Characters<'_>) {
    match characters.next() {
        Some('[') => skip_parameters(characters),
        // Texts for the terminal (a title, a link) end with BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                match character {
                    '\u{7}' | '\u{9c}' => return,
                    '\u{1b}' => {
                        characters.next_if_eq(&'\\');
                        return;
                    }
                    _ => {}
                }
            }
        }
        Some('(' | ')' | '#' | '%' | ' ') => {
            characters.next();
        }
        _ => {}
    }
}

fn skip_parameters(characters: &mut Characters<'_>) {
    for character in characters {
        if ('\u{40}'..='\u{7e}').contains(&character) {
            return;
        }
    }
}

// Control characters, and those that turn the direction of a text or have no width.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> LogRequest {
        LogRequest {
            namespace: "shop".into(),
            pod: "p".into(),
            pod_uid: "u".into(),
            container: "web".into(),
            restarts: 3,
            previous: true,
        }
    }

    #[test]
    fn what_moves_a_cursor_or_hides_is_left_out() {
        for (line, expected) in [
            ("\u{1b}[31;1mno database\u{1b}[0m", "no database"),
            ("10%\r100%\r\n", "100%"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;https://x\u{1b}\\b", "ab"),
            ("a\u{202e}b\u{200b}\0c\td", "abc d"),
            ("\u{9b}2Jx\u{1b}(By\u{1b}", "xy"),
        ] {
            assert_eq!(LogTail::new(&request(), line).lines, [expected], "{line:?}");
        }
    }

    #[test]
    fn lines_are_few_and_short() {
        let text: String = (0..1000).map(|number| format!("{number}\n\n")).collect();
        let tail = LogTail::new(&request(), &(text + &"é".repeat(9999)));
        assert_eq!(tail.lines.len(), MOST_LINES);
        assert_eq!(tail.lines[0], "981");
        assert_eq!(tail.lines.last().unwrap().chars().count(), LONGEST_LINE + 1);
    }
}
