//! What a person at the terminal reads.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr as _;

/// Writes a line to standard output. When nobody reads it any more (`carebot openapi | head`) the program ends, as
/// others do.
pub fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Writes text as it is to standard output; see [`line()`].
pub fn write(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        std::process::exit(i32::from(error.kind() != io::ErrorKind::BrokenPipe));
    }
}

/// Writes a line to standard output and goes on even if nobody reads it: a server has something else to do.
pub fn announce(text: &str) {
    let _ = writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
}

/// Writes a line to standard error, for people. There is nobody to tell that it did not work.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether standard error is a terminal, whose lines can be rewritten and coloured.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes a table to standard output: columns are as wide as their widest cell, Korean letters count for two.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            cells.chain([title.width()]).max().unwrap_or(0)
        })
        .collect();
    let show = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    show(&mut head.iter().copied());
    for row in rows {
        show(&mut row.iter().map(String::as_str));
    }
}

/// A text of strangers in one line: control characters, which could move the cursor or colour the terminal, become `?`.
pub fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// Tells how far long work is: a line that is rewritten on a terminal, else a line now and then. On standard error.
#[derive(Debug)]
pub struct Progress {
    interval: Duration,
    shown: Option<Instant>,
    width: usize,
    is_terminal: bool,
}

impl Progress {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self::every(Duration::from_secs(5))
    }

    /// As [`Progress::new`], with so much time between two lines where they are not rewritten.
    pub fn every(interval: Duration) -> Self {
        let is_terminal = is_terminal();
        let interval = if is_terminal { Duration::from_millis(100) } else { interval };
        Self { interval, shown: Some(Instant::now()), width: 0, is_terminal }
    }

    /// Shows the text if the last one has stood long enough.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= self.interval) {
            self.shown = Some(Instant::now());
            self.print(&text());
        }
    }

    fn print(&mut self, text: &str) {
        if self.is_terminal {
            let padding = " ".repeat(self.width.saturating_sub(text.width()));
            // See `note`.
            let _ = write!(io::stderr(), "\r{text}{padding}").and_then(|()| io::stderr().flush());
            self.width = text.width();
        } else {
            note(text);
        }
    }

    /// Takes the line away, before something else is written.
    pub fn clear(&mut self) {
        if self.is_terminal && self.width > 0 {
            let _ = write!(io::stderr(), "\r{}\r", " ".repeat(self.width)).and_then(|()| io::stderr().flush());
            self.width = 0;
        }
    }
}
