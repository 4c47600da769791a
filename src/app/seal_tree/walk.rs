//! Through a share, some files at once, holding the names of the collections on the way and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::report::Report;
use crate::adapter::webdav::estate::{Done, Entry, Estate, Left, Leftover, Look, Members};
use crate::app::outcome::{Answer, Exit, Failure};

/// How often the counts are looked at.
const TICK: Duration = Duration::from_millis(200);

pub(super) struct Plan {
    /// As users know it.
    pub path: String,
    pub jobs: usize,
    pub dry_run: bool,
}

enum Work {
    Collection(Entry),
    File(Entry),
    /// What an interrupted run left; looked at when all else is done.
    Leftover(Entry),
}

/// What one piece of work brought.
enum Brought {
    /// And whether the collection's own name was sealed.
    Members(Members, Result<bool, Left>),
    Already(bool),
    /// Of plaintext; `None`: in a dry run.
    Sealed(Done, Result<bool, Left>),
    ToSeal(u64, bool),
    Leftover(Leftover),
}

type Outcome = (Entry, Result<Brought, Left>);

struct Walk {
    estate: Arc<Estate>,
    dry_run: bool,
    /// Whether the provider honours conditions: tried before anything is moved.
    heeded: Arc<OnceCell<bool>>,
    passed: Arc<AtomicU64>,
    todo: Vec<Work>,
    leftovers: Vec<Entry>,
    report: Report,
}

/// Walks, until the end or a signal.
///
/// # Errors
/// It can't be begun.
pub(super) async fn walk(estate: Arc<Estate>, plan: Plan) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, "signals", error.to_string());
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let root = estate.root(&plan.path).await.map_err(|left| {
        let exit = match &left {
            Left::Refused(refusal) if refusal.code.side == crate::error::Side::Client => {
                Exit::Usage
            }
            _ => Exit::Provider,
        };
        Failure::new(exit, left.name(), format!("{}: {left}", plan.path))
    })?;
    let mut walk = Walk {
        estate,
        dry_run: plan.dry_run,
        heeded: Arc::default(),
        passed: Arc::default(),
        todo: vec![work(root)],
        leftovers: Vec::new(),
        report: Report::new(plan.dry_run),
    };
    let mut jobs: JoinSet<Outcome> = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        while !walk.report.stopped && jobs.len() < plan.jobs {
            let Some(next) = walk.next(jobs.is_empty()) else {
                break;
            };
            jobs.spawn(walk.job(next));
        }
        if jobs.is_empty() {
            break;
        }
        tokio::select! {
            Some(ended) = jobs.join_next() => match ended {
                Ok((entry, outcome)) => walk.take(entry, outcome),
                // a defect: it has said so itself, and the file is as it was
                Err(error) => return Err(Failure::new(Exit::Failed, "internal", error.to_string())),
            },
            () = either(&mut int, &mut term) => {
                if std::mem::replace(&mut walk.report.stopped, true) {
                    break;
                }
                walk.report.progress.end();
                eprintln!("seal-tree: ends after the files in hand; once more ends it at once");
            }
            _ = tick.tick() => {
                walk.report.progress.read = walk.passed.load(Ordering::Relaxed);
                walk.report.progress.show();
            }
        }
    }
    walk.report.heeded = walk.heeded.get().copied();
    Ok(walk.report.answer())
}

async fn either(int: &mut Signal, term: &mut Signal) {
    tokio::select! {
        Some(()) = int.recv() => {}
        Some(()) = term.recv() => {}
        else => std::future::pending().await,
    }
}

fn work(entry: Entry) -> Work {
    match entry.collection {
        true => Work::Collection(entry),
        false => Work::File(entry),
    }
}

impl Walk {
    /// What is to be done next. What earlier runs left waits until nothing else is under way.
    fn next(&mut self, alone: bool) -> Option<Work> {
        match self.todo.pop() {
            None if alone => self.leftovers.pop().map(Work::Leftover),
            next => next,
        }
    }

    fn job(&self, work: Work) -> impl Future<Output = Outcome> + Send + 'static {
        let step = Step {
            estate: self.estate.clone(),
            dry_run: self.dry_run,
            heeded: self.heeded.clone(),
            passed: self.passed.clone(),
        };
        async move {
            match work {
                Work::Collection(entry) => {
                    let brought = step.collection(&entry).await;
                    (entry, brought)
                }
                Work::File(entry) => {
                    let brought = step.file(&entry).await;
                    (entry, brought)
                }
                Work::Leftover(entry) => {
                    let brought = step.leftover(&entry).await;
                    (entry, brought)
                }
            }
        }
    }

    fn take(&mut self, entry: Entry, outcome: Result<Brought, Left>) {
        let shown = self.estate.shown(&entry);
        let counts = &mut self.report.counts;
        match outcome {
            Ok(Brought::Members(
                Members {
                    entries,
                    unnameable,
                },
                renamed,
            )) => {
                counts.collections += 1;
                self.named(&shown, renamed);
                unnameable
                    .iter()
                    .for_each(|path| self.report.unnameable(path));
                self.sort(entries);
            }
            Ok(Brought::Already(renamed)) => {
                counts.already += 1;
                counts.renamed += u64::from(renamed);
            }
            Ok(Brought::ToSeal(bytes, renamed)) => {
                counts.renamed += u64::from(renamed);
                self.report.found(shown, bytes);
            }
            Ok(Brought::Sealed(done, renamed)) => {
                counts.times_lost += u64::from(!done.time_kept);
                self.report.progress.opened(done.bytes);
                self.named(&shown, renamed);
            }
            Ok(Brought::Leftover(Leftover::Removed)) => counts.leftovers += 1,
            Ok(Brought::Leftover(Leftover::Ordinary)) => self.todo.push(work(entry)),
            Ok(Brought::Leftover(Leftover::Recovered(original))) => {
                counts.recovered += 1;
                self.todo.push(Work::File(original));
            }
            Err(left) if left.is_gone() => {}
            Err(left) => self.report.left(&shown, &left),
        }
    }

    fn named(&mut self, shown: &str, renamed: Result<bool, Left>) {
        match renamed {
            Ok(renamed) => self.report.counts.renamed += u64::from(renamed),
            Err(left) => self.report.left(shown, &left),
        }
    }

    /// Files before collections, in the order of the listing.
    fn sort(&mut self, entries: Vec<Entry>) {
        let entries = self.estate.without_twins(entries);
        let (collections, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.collection);
        self.todo
            .extend(collections.into_iter().rev().map(Work::Collection));
        for entry in files.into_iter().rev() {
            match self.estate.is_temporary(&entry) {
                true => self.leftovers.push(entry),
                false => self.todo.push(Work::File(entry)),
            }
        }
    }
}

/// What one piece of work needs.
struct Step {
    estate: Arc<Estate>,
    dry_run: bool,
    heeded: Arc<OnceCell<bool>>,
    passed: Arc<AtomicU64>,
}

impl Step {
    async fn collection(&self, entry: &Entry) -> Result<Brought, Left> {
        let estate = &self.estate;
        if self.dry_run {
            let clear = estate.is_named_clear(entry);
            return Ok(Brought::Members(estate.list(entry).await?, Ok(clear)));
        }
        // what can't be renamed is sealed nevertheless
        let (entry, mut renamed) = match estate.is_named_clear(entry) {
            false => (entry.clone(), Ok(false)),
            true => match self.probe(entry).await {
                Ok(()) => estate.rename_collection(entry, SystemTime::now()).await,
                Err(left) => (entry.clone(), Err(left)),
            },
        };
        let mut members = estate.list(&entry).await?;
        let (aside, entries): (Vec<_>, Vec<_>) = members
            .entries
            .into_iter()
            .partition(|member| member.collection && estate.is_temporary(member));
        members.entries = entries;
        if let Some(first) = aside.first() {
            self.probe(first).await?;
            for collection in &aside {
                if let Err(left) = estate.dissolve(collection).await {
                    renamed = Err(left);
                }
            }
            members = estate.list(&entry).await?;
            let temporary = |member: &Entry| member.collection && estate.is_temporary(member);
            members.entries.retain(|member| !temporary(member));
        }
        Ok(Brought::Members(members, renamed))
    }

    async fn leftover(&self, entry: &Entry) -> Result<Brought, Left> {
        if self.dry_run {
            return Ok(Brought::Leftover(Leftover::Removed));
        }
        self.probe(entry).await?;
        self.estate.leftover(entry).await.map(Brought::Leftover)
    }

    async fn probe(&self, beside: &Entry) -> Result<(), Left> {
        let now = SystemTime::now();
        let tried = self
            .heeded
            .get_or_try_init(|| self.estate.probe(beside, now));
        tried.await.map(drop)
    }

    async fn file(&self, entry: &Entry) -> Result<Brought, Left> {
        let estate = &self.estate;
        let found = estate.look(entry).await?;
        if self.dry_run {
            let clear = estate.is_named_clear(entry);
            return Ok(match found {
                Look::Sealed => Brought::Already(clear),
                Look::Unsealed(bytes) => Brought::ToSeal(bytes, clear),
            });
        }
        if estate.is_named_clear(entry) || matches!(found, Look::Unsealed(_)) {
            self.probe(entry).await?;
        }
        match found {
            Look::Sealed => {
                let renamed = estate.rename(entry, SystemTime::now()).await;
                renamed.map(Brought::Already)
            }
            Look::Unsealed(_) => {
                let now = SystemTime::now();
                let done = estate.seal(entry, self.passed.clone(), now).await?;
                let renamed = estate.rename(entry, now).await;
                Ok(Brought::Sealed(done, renamed))
            }
        }
    }
}
