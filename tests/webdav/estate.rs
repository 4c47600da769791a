//! What lies in a share already, sealed by runs that are cut off, before providers that err and change. Real servers, and
//! the command itself: `tests/dav/test_seal_tree.py`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use sceau::adapter::webdav::estate::{Entry, Estate, Left, Leftover, Look, Means};
use sceau::body::{Cleared, Outbound, Sealed, Upstream};
use sceau::error::{Refusal, UPSTREAM_UNREACHABLE};
use sceau::seal::name::NameKey;
use sceau::seal::run::MAGIC;
use sceau::seal::{Context, SaltSource};
use sceau::secret::Secret;

use crate::gate::{Gate, epochs, settings};
use crate::provider::{Pieces, Provider};

/// What a provider makes of a MOVE onto a file.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Moves {
    /// At once, and under its condition.
    Conditioned,
    /// At once, whatever the condition.
    Heedless,
    /// Removes what is there, then moves; it can die in between.
    InTwo,
}

type Before = Box<dyn Fn(&Share, &str, &str) + Send + Sync>;

/// A share in memory. Collections are paths that end in a slash.
struct Share {
    tree: Mutex<BTreeMap<String, (u64, Vec<u8>)>>,
    moves: Moves,
    count: Mutex<u64>,
    /// The request that is the last one; whether it takes effect.
    last: Option<(u64, bool)>,
    damage: Option<usize>,
    /// Called with each request before it is done.
    before: Before,
}

impl Share {
    fn new(moves: Moves) -> Self {
        let tree = BTreeMap::from([("/".to_owned(), (0, Vec::new()))]);
        Self {
            tree: Mutex::new(tree),
            moves,
            count: Mutex::new(0),
            last: None,
            damage: None,
            before: Box::new(|_, _, _| {}),
        }
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let mut tree = self.tree.lock().unwrap();
        for (at, _) in path.match_indices('/') {
            tree.entry(path[..=at].to_owned()).or_default();
        }
        let version = tree
            .values()
            .map(|(version, _)| *version)
            .max()
            .unwrap_or(0)
            + 1;
        tree.insert(path.to_owned(), (version, bytes.to_vec()));
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let tree = self.tree.lock().unwrap();
        let files = tree.iter().filter(|(path, _)| !path.ends_with('/'));
        files
            .map(|(path, (_, bytes))| (path.clone(), bytes.clone()))
            .collect()
    }

    fn tag(&self, path: &str) -> Option<String> {
        let tree = self.tree.lock().unwrap();
        tree.get(path).map(|(version, _)| format!("\"{version}\""))
    }

    /// The path as the tree has it: of a collection with a slash.
    fn find(&self, path: &str) -> Option<String> {
        let tree = self.tree.lock().unwrap();
        let slashed = format!("{}/", path.trim_end_matches('/'));
        [path.to_owned(), slashed]
            .into_iter()
            .find(|path| tree.contains_key(path))
    }

    fn listing(&self, path: &str, deep: bool) -> Vec<u8> {
        let mut xml = "<D:multistatus xmlns:D=\"DAV:\">".to_owned();
        for (found, (_, bytes)) in self.tree.lock().unwrap().iter() {
            let below = found
                .strip_prefix(path)
                .map(|rest| rest.trim_end_matches('/'));
            let member =
                deep && path.ends_with('/') && below.is_some_and(|rest| !rest.contains('/'));
            if found == path || member {
                let kind = if found.ends_with('/') {
                    "<D:collection/>"
                } else {
                    ""
                };
                xml.push_str(&format!(
                    "<D:response><D:href>{found}</D:href><D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype>\
                     <D:getcontentlength>{}</D:getcontentlength></D:prop></D:propstat></D:response>",
                    bytes.len()
                ));
            }
        }
        (xml + "</D:multistatus>").into_bytes()
    }

    fn rename(&self, from: &str, headers: &HeaderMap, dies: bool) -> u16 {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap());
        let to = text("destination").unwrap();
        let to = to.strip_prefix("https://dav.provider.example").unwrap();
        let Some(from) = self.find(from) else {
            return 404;
        };
        let there = self.find(to);
        if there.is_some() && text("overwrite") == Some("F") {
            return 412;
        }
        if let (Moves::Conditioned, Some(condition)) = (self.moves, text("if")) {
            let tag = there.as_deref().and_then(|there| self.tag(there));
            if tag.is_none_or(|tag| !condition.contains(&tag)) {
                return 412;
            }
        }
        let mut tree = self.tree.lock().unwrap();
        if let Some(there) = &there {
            tree.remove(there);
        }
        if dies && self.moves == Moves::InTwo {
            return 500;
        }
        let to = match from.ends_with('/') {
            true => format!("{to}/"),
            false => to.to_owned(),
        };
        let moved: Vec<String> = tree
            .keys()
            .filter(|path| **path == from || from.ends_with('/') && path.starts_with(&from))
            .cloned()
            .collect();
        for path in moved {
            let node = tree.remove(&path).unwrap();
            tree.insert(format!("{to}{}", &path[from.len()..]), node);
        }
        if there.is_some() { 204 } else { 201 }
    }

    fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        dies: bool,
    ) -> (u16, HeaderMap, Vec<u8>) {
        let mut fields = HeaderMap::new();
        let mut put =
            |name: &'static str, value: String| fields.insert(name, value.parse().unwrap());
        let found = self.find(path);
        match (method, found) {
            ("PUT", _) => {
                let mut body = body.to_vec();
                if let (Some(place), true) = (self.damage, body.len() > 600) {
                    body[place] ^= 1;
                }
                self.put(path, &body);
                (201, fields, vec![])
            }
            (_, None) => (404, fields, vec![]),
            ("PROPFIND", Some(found)) => {
                put("content-type", "application/xml".into());
                let deep = headers["depth"] == "1";
                (207, fields, self.listing(&found, deep))
            }
            ("GET" | "HEAD", Some(found)) => {
                let bytes = self.tree.lock().unwrap()[&found].1.clone();
                put("etag", self.tag(&found).unwrap());
                put("last-modified", "Tue, 24 Nov 2026 10:00:00 GMT".into());
                put("date", "Tue, 24 Nov 2026 11:00:00 GMT".into());
                let part = match headers.contains_key("range") && !bytes.is_empty() {
                    true => {
                        let end = bytes.len().min(128);
                        put(
                            "content-range",
                            format!("bytes 0-{}/{}", end - 1, bytes.len()),
                        );
                        (206, bytes[..end].to_vec())
                    }
                    false => (200, bytes),
                };
                put("content-length", part.1.len().to_string());
                let body = if method == "HEAD" { vec![] } else { part.1 };
                (part.0, fields, body)
            }
            ("DELETE", Some(found)) => {
                let mut tree = self.tree.lock().unwrap();
                tree.retain(|path, _| {
                    *path != found && !(found.ends_with('/') && path.starts_with(&found))
                });
                (204, fields, vec![])
            }
            ("MOVE", Some(_)) => (self.rename(path, headers, dies), fields, vec![]),
            _ => (405, fields, vec![]),
        }
    }
}

#[async_trait]
impl Upstream for Share {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        let (head, body) = request.into_parts();
        let number = {
            let mut count = self.count.lock().unwrap();
            *count += 1;
            *count
        };
        let cut = || Refusal::new(&UPSTREAM_UNREACHABLE);
        let dies = match self.last {
            Some((last, effect)) if number > last || number == last && !effect => return Err(cut()),
            Some((last, _)) => number == last,
            None => false,
        };
        (self.before)(self, head.method.as_str(), head.uri.path());
        let body = body.collect().await.map_err(|_| cut())?.to_bytes();
        let half = if dies { body.len() / 2 } else { body.len() };
        let (status, fields, bytes) = self.answer(
            head.method.as_str(),
            head.uri.path(),
            &head.headers,
            &body[..half],
            dies,
        );
        if dies {
            return Err(cut());
        }
        let pieces = Pieces(vec![Bytes::from(bytes)].into_iter());
        let mut response = Response::new(Sealed::new(Box::pin(pieces)));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = fields;
        Ok(response)
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

fn estate(share: &Arc<Share>, sealed_names: bool) -> Estate {
    let mut settings = settings();
    settings.names_below = sealed_names.then(|| "/".to_owned());
    let random = |bytes: &mut [u8]| {
        // no two runs draw the same
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes
            .chunks_mut(8)
            .for_each(|part| part.copy_from_slice(&drawn[..part.len()]));
        Ok(())
    };
    let names = Secret::from_slice(&[9; 48]).unwrap();
    let means = Means {
        upstream: share.clone(),
        authorization: None,
        epochs: epochs(),
        lookup: epochs(),
        salts: SaltSource::new(random).unwrap(),
        names: NameKey::new(&names, &Context::new("tenant", "dav", "default").unwrap()),
    };
    Estate::new(&settings, means)
}

/// As `app::seal_tree` goes through a share, one thing after another.
async fn walk(estate: &Estate) -> Vec<Left> {
    let (mut left, mut leftovers) = (Vec::new(), Vec::new());
    let mut todo = match estate.root("/").await {
        Ok(root) => vec![root],
        Err(why) => return vec![why],
    };
    while let Some(entry) = todo.pop() {
        let outcome = match entry.collection {
            true => collection(estate, &entry, &mut todo).await,
            false if estate.is_temporary(&entry) => {
                leftovers.push(entry);
                continue;
            }
            false => file(estate, &entry).await,
        };
        left.extend(outcome.err());
    }
    for entry in leftovers {
        match estate.leftover(&entry).await {
            Ok(Leftover::Recovered(original)) => left.extend(file(estate, &original).await.err()),
            Ok(_) => {}
            Err(why) => left.push(why),
        }
    }
    left
}

async fn collection(estate: &Estate, entry: &Entry, todo: &mut Vec<Entry>) -> Result<(), Left> {
    if estate.is_named_clear(entry) {
        estate.probe(entry, now()).await?;
    }
    let (entry, renamed) = estate.rename_collection(entry, now()).await;
    let aside = |entry: &Entry| entry.collection && estate.is_temporary(entry);
    for member in estate.list(&entry).await?.entries {
        if aside(&member) {
            estate.probe(&member, now()).await?;
            estate.dissolve(&member).await?;
        }
    }
    let mut members = estate.list(&entry).await?.entries;
    members.retain(|member| !aside(member));
    todo.extend(estate.without_twins(members));
    renamed.map(drop)
}

async fn file(estate: &Estate, entry: &Entry) -> Result<(), Left> {
    let look = estate.look(entry).await?;
    estate.probe(entry, now()).await?;
    if let Look::Unsealed(_) = look {
        let passed = Arc::new(AtomicU64::new(0));
        estate.seal(entry, passed, now()).await?;
    }
    estate.rename(entry, now()).await.map(drop)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn small() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("/a", content(70_000)),
        ("/d/empty", content(0)),
        ("/d/e/b", content(700)),
    ]
}

fn gate(sealed_names: bool) -> Gate {
    let mut settings = settings();
    settings.names_below = sealed_names.then(|| "/".to_owned());
    Gate::with(settings, &[], Provider::default())
}

/// What a client of the gateway reads. Each read is another gateway's: shares of a test give their files the same tags.
fn read(share: &Share, sealed_names: bool, path: &str) -> Vec<u8> {
    let gate = gate(sealed_names);
    *gate.provider.files.lock().unwrap() = share.files();
    let answer = gate.send("GET", path, &[], b"");
    assert_eq!(answer.status, 200, "{path}");
    answer.bytes().to_vec()
}

fn laid_out(mut share: Share, last: Option<(u64, bool)>) -> Arc<Share> {
    share.last = last;
    for (path, bytes) in small() {
        share.put(path, &bytes);
    }
    Arc::new(share)
}

#[test]
fn cut_off_at_any_request_nothing_is_lost_and_another_run_completes() {
    for moves in [Moves::Conditioned, Moves::Heedless, Moves::InTwo] {
        for sealed_names in [false, true] {
            let whole = laid_out(Share::new(moves), None);
            assert!(run(walk(&estate(&whole, sealed_names))).is_empty());
            let requests = *whole.count.lock().unwrap();
            assert!(requests > 30);
            for last in 1..=requests {
                for effect in [false, true] {
                    let at = format!("{moves:?}, names sealed: {sealed_names}, {last}, {effect}");
                    let mut share = laid_out(Share::new(moves), Some((last, effect)));
                    let stopped = run(walk(&estate(&share, sealed_names)));
                    // the last one of all only removes what tried the provider out, or looks
                    assert!(!stopped.is_empty() || last == requests, "{at}");
                    Arc::get_mut(&mut share).unwrap().last = None;
                    let left = run(walk(&estate(&share, sealed_names)));
                    assert!(left.is_empty(), "{at}: {left:?}");
                    let files = share.files();
                    assert_eq!(files.len(), small().len(), "{at}: {:?}", files.keys());
                    let sealed = files.values().all(|bytes| bytes.starts_with(&MAGIC));
                    assert!(sealed, "{at}");
                    for (path, bytes) in small() {
                        assert!(read(&share, sealed_names, path) == bytes, "{at}: {path}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_does_not_come_back_as_it_was_sealed_keeps_the_original() {
    for place in [0, 4, 60, 127, 128, 5_000, 69_000, 70_300] {
        let mut share = Share::new(Moves::Conditioned);
        share.damage = Some(place);
        share.put("/a", &content(70_000));
        let share = Arc::new(share);
        let left = run(walk(&estate(&share, false)));
        assert!(matches!(left[..], [Left::Unequal]), "{place}: {left:?}");
        assert_eq!(
            share.files(),
            BTreeMap::from([("/a".into(), content(70_000))])
        );
    }
}

/// At every request of a run in turn, but for the window of a provider that heeds no condition: the MOVE itself.
#[test]
fn a_file_that_is_written_meanwhile_is_the_one_that_stays() {
    let newer = content(900);
    for moves in [Moves::Conditioned, Moves::Heedless] {
        let (mut changed, mut written) = (0, 0);
        for number in 1..200 {
            let mut share = Share::new(moves);
            share.put("/a", &content(700));
            let (bytes, happened) = (newer.clone(), Arc::new(AtomicU64::new(0)));
            let noted = happened.clone();
            share.before = Box::new(move |share, method, path| {
                let replaces = method == "MOVE" && path.starts_with("/a.");
                let window = moves == Moves::Heedless && replaces;
                if *share.count.lock().unwrap() == number && !window {
                    share.put("/a", &bytes);
                    noted.store(1, Ordering::Relaxed);
                }
            });
            let share = Arc::new(share);
            let left = run(walk(&estate(&share, false)));
            changed += u64::from(matches!(left[..], [Left::Changed]));
            if happened.load(Ordering::Relaxed) == 0 {
                continue;
            }
            written += 1;
            let files = share.files();
            assert_eq!(files.len(), 1, "{moves:?} {number}: {:?}", files.keys());
            let stays = files["/a"] == newer || read(&share, false, "/a") == newer;
            assert!(stays, "{moves:?} {number}");
        }
        assert!(
            changed > 2 && written > 10,
            "{moves:?}: {changed}, {written}"
        );
    }
}

/// A name too long to be sealed in place is kept beside before it goes. The longer one tells only its beginning in the name of
/// what a run makes beside it, and so would be lost where a provider removes what a MOVE replaces, and dies then.
#[test]
fn long_names_are_kept_wherever_a_run_is_cut_off() {
    for (moves, length) in [(Moves::InTwo, 180), (Moves::Conditioned, 240)] {
        cut_off_among_long_names(moves, length);
    }
}

fn cut_off_among_long_names(moves: Moves, length: usize) {
    let directory = "d".repeat(150);
    let path = format!("/{directory}/{}", "f".repeat(length));
    let share = |last| {
        let mut share = Share::new(moves);
        share.last = last;
        share.put(&path, &content(700));
        Arc::new(share)
    };
    let whole = share(None);
    assert!(run(walk(&estate(&whole, true))).is_empty());
    let requests = *whole.count.lock().unwrap();
    for last in 1..=requests {
        for effect in [false, true] {
            let at = format!("{last}, {effect}");
            let mut share = share(Some((last, effect)));
            run(walk(&estate(&share, true)));
            Arc::get_mut(&mut share).unwrap().last = None;
            let left = run(walk(&estate(&share, true)));
            assert!(left.is_empty(), "{at}: {left:?}");
            let files = share.files();
            assert_eq!(files.len(), 3, "{at}: {:?}", files.keys());
            assert!(files.values().all(|bytes| bytes.starts_with(&MAGIC)));
            for name in files.keys().flat_map(|path| path.split('/').skip(1)) {
                assert!(
                    name.starts_with("n2") || name.starts_with("n3"),
                    "{at}: {name}"
                );
            }
            assert_eq!(read(&share, true, &path), content(700), "{at}");
            // by the files beside, since no state knows of them
            let gate = gate(true);
            *gate.provider.files.lock().unwrap() = files.clone();
            for (file, _) in files.iter().filter(|(path, _)| path.contains("n3")) {
                let (above, file) = file.rsplit_once('/').unwrap();
                let digest = file.replacen("n3", "n2", 1);
                let listing = format!(
                    "<multistatus xmlns=\"DAV:\"><response><href>{above}/{digest}</href></response></multistatus>"
                );
                let xml = vec![("content-type", "application/xml".to_owned())];
                gate.provider
                    .answer_with("PROPFIND", (207, xml, listing.into()));
                let shown = gate.send("PROPFIND", "/", &[], b"");
                let name = if above.is_empty() { &directory } else { &path };
                assert!(shown.text().contains(&**name), "{at}: {}", shown.text());
            }
        }
    }
}

#[test]
fn names_that_meet_come_together_or_stay_both() {
    let share = Arc::new(Share::new(Moves::InTwo));
    let gate = gate(true);
    let sealed = |path: &str| {
        gate.send("PUT", path, &[], b"through the gateway");
        let (path, bytes) = gate.provider.files.lock().unwrap().pop_first().unwrap();
        share.put(&path, &bytes);
    };
    share.put("/d/old", &content(700));
    share.put("/d/both", &content(800));
    sealed("/d/new");
    sealed("/d/both");
    let left = run(walk(&estate(&share, true)));
    assert!(matches!(left[..], [Left::NameTaken]), "{left:?}");
    assert_eq!(read(&share, true, "/d/old"), content(700));
    assert_eq!(read(&share, true, "/d/new"), b"through the gateway");
    assert_eq!(read(&share, true, "/d/both"), b"through the gateway");
    let files = share.files();
    let old = files.iter().find(|(path, _)| path.ends_with("/both"));
    assert!(files.len() == 4 && old.unwrap().1.starts_with(&MAGIC));
    assert!(files.keys().all(|path| path.starts_with("/n1")));
}
