//! Counts, and a line on the terminal that shows them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// The line is written anew this often at most.
const EVERY: Duration = Duration::from_millis(200);

pub struct Progress {
    pub objects: u64,
    pub bytes: u64,
    failed: u64,
    terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            objects: 0,
            bytes: 0,
            failed: 0,
            terminal: io::stderr().is_terminal(),
            shown: None,
        }
    }

    pub fn opened(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.terminal && self.shown.is_none_or(|at| at.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            let mebibytes = self.bytes >> 20;
            let mut line = io::stderr().lock();
            // a terminal that has gone stops nothing
            let _ = write!(
                line,
                "\r\x1b[K{} objects, {mebibytes} MiB, {} failed",
                self.objects, self.failed
            );
            let _ = line.flush();
        }
    }

    /// Makes room for a line about the failure.
    pub fn failed(&mut self) {
        self.failed += 1;
        self.end();
    }

    /// Removes the line.
    pub fn end(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
