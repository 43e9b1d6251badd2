//! Rollouts on a terminal: one block of lines, drawn again and again.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::ops::Moment;
use crate::report::Tree;
use crate::system;

/// How often the block is drawn, so that it is seen to be alive.
const TICK: Duration = Duration::from_millis(250);

/// So often a second it is drawn anew for what happens.
const MOST_A_SECOND: u8 = 10;

/// The block; it is there from the first thing that happens until it is taken away.
#[derive(Debug)]
pub(super) struct Live {
    colored: bool,
    block: Mutex<Option<Block>>,
}

#[derive(Debug)]
struct Block {
    bar: ProgressBar,
    tree: Tree,
}

impl Live {
    pub(super) fn new(colored: bool) -> Self {
        Self { colored, block: Mutex::default() }
    }

    /// Shows what happened to a service's rollout.
    pub(super) fn show(&self, service: &str, moment: &Moment) {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let block = block.get_or_insert_with(Block::new);
        block.tree.observe(service, moment);
        block.draw(self.colored);
    }

    /// Writes something that stays, above the block.
    pub(super) fn above(&self, write: impl FnOnce()) {
        match &*self.block.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(block) => block.bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the block away and returns the line of each rollout that has ended.
    pub(super) fn take_away(&self) -> Vec<String> {
        let block = self.block.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Block { bar, tree }) = block else { return Vec::new() };
        bar.finish_and_clear();
        system::restore_terminal();
        tree.verdicts()
    }
}

impl Block {
    fn new() -> Self {
        system::quiet_terminal();
        let screen = Screen(Term::buffered_stderr());
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen), MOST_A_SECOND);
        let style = ProgressStyle::with_template("{msg}\n{spinner} {elapsed}")
            .expect("the template is right");
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        bar.enable_steady_tick(TICK);
        Self { bar, tree: Tree::default() }
    }

    fn draw(&self, colored: bool) {
        let screen = Screen(Term::stderr());
        // The last line shows the time; a block as high as the terminal would scroll.
        let height = usize::from(screen.height()).saturating_sub(2).max(1);
        let lines = self.tree.lines(usize::from(screen.width()).max(1), height).join("\n");
        let lines = match colored {
            true => lines,
            false => anstream::adapter::strip_str(&lines).to_string(),
        };
        self.bar.set_message(lines);
    }
}

/// Standard error as a terminal whose cursor waits at the beginning of the last line: at its end, where
/// `indicatif` leaves it, a key that is echoed all the same, as of a process in the background, would begin
/// a new line, and the block would not be found again.
#[derive(Debug)]
struct Screen(Term);

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}
