//! What a run did, and what it says at its end.

use serde_json::{Value, json};

use crate::adapter::webdav::estate::Left;
use crate::app::outcome::{Answer, Exit};
use crate::app::progress::Progress;
use crate::error::{KEY_UNAVAILABLE, OBJECT_DAMAGED, Side};

/// Said at the end of every run that sealed something.
const REMAINS: &str = "Older versions, trash bins, snapshots and backups at the provider still hold what lay there unsealed: \
have them emptied. What was sealed is what the provider held: nothing tells who wrote it.";

#[derive(Default)]
pub(super) struct Counts {
    pub already: u64,
    pub renamed: u64,
    pub collections: u64,
    /// What an interrupted run left and this one removed, or put in its place.
    pub leftovers: u64,
    pub recovered: u64,
    /// Sealed files whose time of modification the provider did not take over.
    pub times_lost: u64,
}

pub(super) struct Report {
    pub progress: Progress,
    pub counts: Counts,
    pub dry_run: bool,
    /// Whether the provider honours conditions; `None`: it was not tried.
    pub heeded: Option<bool>,
    pub stopped: bool,
    /// What is yet to be done, in a dry run.
    found: Vec<Value>,
    left: Vec<Value>,
    exit: Exit,
}

impl Report {
    pub fn new(dry_run: bool) -> Self {
        Self {
            progress: Progress::with_lines("seal-tree"),
            counts: Counts::default(),
            dry_run,
            heeded: None,
            stopped: false,
            found: Vec::new(),
            left: Vec::new(),
            exit: Exit::Done,
        }
    }

    /// A dry run found a file to seal.
    pub fn found(&mut self, path: String, bytes: u64) {
        self.progress.opened(bytes);
        self.found.push(json!({"file": path, "bytes": bytes}));
    }

    /// Something stays as it is.
    pub fn left(&mut self, path: &str, left: &Left) {
        self.progress.failed();
        eprintln!("seal-tree: {path}: {left}");
        self.left
            .push(json!({"file": path, "class": left.name(), "error": left.to_string()}));
        self.fail(exit(left));
    }

    /// A path that no client of the gateway can name.
    pub fn unnameable(&mut self, path: &str) {
        let why = "no client of the gateway can name it: it has to be renamed past the gateway";
        self.progress.failed();
        eprintln!("seal-tree: {path}: {why}");
        self.left
            .push(json!({"file": path, "class": "unnameable", "error": why}));
        self.fail(Exit::Failed);
    }

    /// What did not authenticate matters most, then what could not be tried.
    fn fail(&mut self, exit: Exit) {
        if exit as u8 > self.exit as u8 {
            self.exit = exit;
        }
    }

    pub fn answer(mut self) -> Answer {
        self.progress.end();
        if self.stopped {
            self.fail(Exit::Failed);
        }
        Answer {
            exit: self.exit,
            text: self.text(),
            json: self.json(),
        }
    }

    fn text(&self) -> String {
        let (files, bytes) = (self.progress.objects, self.progress.bytes);
        let mut text = String::new();
        for found in &self.found {
            let name = found["file"].as_str().unwrap_or_default();
            text.push_str(&format!("{name}: {} bytes\n", found["bytes"]));
        }
        let verb = if self.dry_run {
            "to be sealed"
        } else {
            "sealed"
        };
        text.push_str(&format!("{files} files {verb}, {bytes} bytes"));
        let named = if self.dry_run {
            "names to be sealed"
        } else {
            "names sealed"
        };
        let leftovers = match self.dry_run {
            true => "left by an interrupted run",
            false => "left by an interrupted run removed",
        };
        for (count, what) in [
            (self.counts.already, "sealed already"),
            (self.counts.renamed, named),
            (self.counts.leftovers, leftovers),
            (self.counts.recovered, "recovered"),
            (self.left.len() as u64, "LEFT"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if self.stopped {
            text.push_str("\nstopped before the end: run it again, it goes on");
        }
        if self.heeded == Some(false) {
            text.push_str(
                "\nThis provider does not honour conditions on a MOVE: each file was compared just before it was replaced; \
                 what a user wrote between the two requests is lost.",
            );
        }
        if self.counts.times_lost > 0 {
            text.push_str(&format!(
                "\nThe provider kept no times of modification: {} files show when they were sealed.",
                self.counts.times_lost
            ));
        }
        if !self.dry_run && files > 0 {
            text.push('\n');
            text.push_str(REMAINS);
        }
        text
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "dry_run": self.dry_run,
            "files": self.progress.objects,
            "bytes": self.progress.bytes,
            "already": self.counts.already,
            "renamed": self.counts.renamed,
            "collections": self.counts.collections,
            "leftovers_removed": self.counts.leftovers,
            "recovered": self.counts.recovered,
            "times_lost": self.counts.times_lost,
            "conditions_honoured": self.heeded,
            "stopped": self.stopped,
            "left": self.left,
        });
        if self.dry_run {
            json["to_seal"] = self.found.clone().into();
        } else if self.progress.objects > 0 {
            json["remains"] = REMAINS.into();
        }
        json
    }
}

fn exit(left: &Left) -> Exit {
    match left {
        Left::Foreign | Left::Unequal => Exit::Integrity,
        Left::Member { why, .. } => exit(why),
        Left::Misread | Left::Unmoved => Exit::Provider,
        Left::Changed | Left::NameTaken | Left::Waiting | Left::Nameless => Exit::Failed,
        Left::Refused(refusal) if refusal.code == &OBJECT_DAMAGED => Exit::Integrity,
        Left::Refused(refusal) if refusal.code == &KEY_UNAVAILABLE => Exit::Keys,
        Left::Refused(refusal) if refusal.code.side == Side::Upstream => Exit::Provider,
        Left::Refused(_) => Exit::Failed,
    }
}
