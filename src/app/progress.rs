//! Counts, and a line on the terminal that shows them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// The line is written anew this often at most.
const EVERY: Duration = Duration::from_millis(200);
/// Where there is no terminal, a line is written this often, if one is wanted.
const LINES: Duration = Duration::from_secs(30);

pub struct Progress {
    pub objects: u64,
    pub bytes: u64,
    /// With those of objects that are under way.
    pub read: u64,
    failed: u64,
    terminal: bool,
    /// The command that says lines where there is no terminal.
    lines: Option<&'static str>,
    shown: Option<Instant>,
}

impl Progress {
    /// A line on the terminal, where there is one.
    pub fn new() -> Self {
        Self {
            objects: 0,
            bytes: 0,
            read: 0,
            failed: 0,
            terminal: io::stderr().is_terminal(),
            lines: None,
            shown: None,
        }
    }

    /// The same, and lines now and then where there is no terminal.
    pub fn with_lines(command: &'static str) -> Self {
        let progress = Self::new();
        Self {
            // the first one is not due at once
            shown: (!progress.terminal).then(Instant::now),
            lines: Some(command),
            ..progress
        }
    }

    pub fn opened(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.show();
    }

    /// Shows the counts, unless that was done just now.
    pub fn show(&mut self) {
        let (every, lines) = match (self.terminal, self.lines) {
            (true, _) => (EVERY, None),
            (false, Some(command)) => (LINES, Some(command)),
            (false, None) => return,
        };
        if self.shown.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        let counts = format!(
            "{} objects, {} MiB, {} failed",
            self.objects,
            self.bytes.max(self.read) >> 20,
            self.failed
        );
        let mut out = io::stderr().lock();
        // a terminal that has gone stops nothing
        let _ = match lines {
            Some(command) => writeln!(out, "{command}: {counts}"),
            None => write!(out, "\r\x1b[K{counts}"),
        };
        let _ = out.flush();
    }

    /// Makes room for a line about the failure.
    pub fn failed(&mut self) {
        self.failed += 1;
        self.end();
    }

    /// Removes the line.
    pub fn end(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
