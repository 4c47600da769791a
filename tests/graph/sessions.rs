//! Upload sessions, and what becomes of them when something breaks.

use std::sync::Arc;

use sceau::seal::layout::sealed_len;
use sceau::state::{SqliteState, Table};

use crate::content::hash;
use crate::fuse::{Fuse, Mortal};
use crate::gate::{Answer, Gate, plain, settings};
use crate::provider::{Fail, Provider, TENANT, UNIT};

const CREATE: &str = "/v1.0/me/drive/root:/a.bin:/createUploadSession";
const JSON: (&str, &str) = ("content-type", "application/json");

fn begin(gate: &Gate, document: &str) -> String {
    let answer = gate.send("POST", CREATE, &[JSON], document.as_bytes());
    assert_eq!(answer.status, 200);
    answer.json()["uploadUrl"].as_str().unwrap().to_owned()
}

fn put(gate: &Gate, url: &str, start: usize, bytes: &[u8], total: usize) -> Answer {
    let range = format!("bytes {start}-{}/{total}", start + bytes.len() - 1);
    gate.follow("PUT", url, &[("content-range", &range)], bytes)
}

/// What a client goes by: where the session stands. `None`: there is none.
fn next(gate: &Gate, url: &str) -> Option<usize> {
    let answer = gate.follow("GET", url, &[], b"");
    if answer.status == 404 {
        return None;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    let ranges = answer.json()["nextExpectedRanges"].clone();
    let Some(range) = ranges[0].as_str() else {
        return Some(usize::MAX);
    };
    Some(range.split('-').next().unwrap().parse().unwrap())
}

fn read(gate: &Gate) -> Vec<u8> {
    let content = "/v1.0/me/drive/root:/a.bin:/content";
    let url = gate.send("GET", content, &[], b"");
    let url = url.header("location").to_owned();
    let whole = gate.follow("GET", &url, &[], b"").bytes().to_vec();
    let middle = whole.len() / 2;
    let range = format!("bytes={}-{}", middle - 10, middle + 9);
    let part = gate.follow("GET", &url, &[("range", &range)], b"");
    assert_eq!(part.bytes(), &whole[middle - 10..middle + 10]);
    whole
}

fn upload(gate: &Gate, whole: &[u8], size: usize) -> Answer {
    let url = begin(
        gate,
        "{\"item\":{\"@microsoft.graph.conflictBehavior\":\"replace\"}}",
    );
    let mut start = 0;
    loop {
        let end = whole.len().min(start + size);
        let answer = put(gate, &url, start, &whole[start..end], whole.len());
        if end == whole.len() {
            return answer;
        }
        assert_eq!(answer.status, 202, "{answer:?}");
        let expected = answer.json()["nextExpectedRanges"][0].clone();
        let expected = expected.as_str().unwrap().to_owned();
        let told = match gate.provider.closed_ranges {
            true => format!("{end}-{}", whole.len() - 1),
            false => format!("{end}-"),
        };
        assert_eq!(expected, told);
        start = end;
    }
}

#[test]
fn fragments_of_any_size_become_one_file() {
    let unit = UNIT as usize;
    for (length, size) in [
        (1, 10),
        (1000, unit),
        (unit, unit),
        (unit + 1, unit),
        (1_500_000, unit),
        (1_500_000, 2 * unit),
        // as one client sends them
        (2_000_000, 524_289),
        (2_000_000, unit + 1),
    ] {
        for closed_ranges in [false, true] {
            let provider = Provider {
                closed_ranges,
                ..Provider::default()
            };
            let gate = Gate::with(settings(), &[], provider);
            let whole = plain(length);
            let answer = upload(&gate, &whole, size);
            assert_eq!(answer.status, 201, "{length} {size}");
            let item = answer.json();
            assert_eq!(item["size"], length);
            assert_eq!(item["file"]["hashes"]["quickXorHash"], hash(&whole));
            let stored = gate.provider.file("a.bin").unwrap().bytes;
            assert_eq!(Some(stored.len() as u64), sealed_len(length as u64));
            if length >= 20 {
                assert_eq!(read(&gate), whole);
            }
            let list = gate
                .send("GET", "/v1.0/me/drive/root/children", &[], b"")
                .json();
            assert_eq!(
                list["value"][0]["file"]["hashes"]["quickXorHash"],
                hash(&whole)
            );
        }
    }
}

#[test]
fn a_fragment_that_passes_60_mib_sealed_goes_up_in_two_requests() {
    let gate = Gate::new();
    let longest = 191 * UNIT as usize;
    let whole = plain(longest + 1_000_000);
    let answer = upload(&gate, &whole, longest);
    assert_eq!(answer.status, 201);
    assert_eq!(gate.provider.count("PUT", "uploadSession"), 2);
    assert!(read(&gate) == whole);
    let gate = Gate::new();
    let whole = plain(2 * longest);
    // the second's sealed bytes and what was carried do not fit one
    assert_eq!(upload(&gate, &whole, longest).status, 201);
    assert!(gate.provider.count("PUT", "uploadSession") > 2);
    assert!(read(&gate) == whole);
}

#[test]
fn what_is_no_fragment_is_refused() {
    let gate = Gate::new();
    let url = begin(&gate, "");
    let sends = |range: &str, length: usize| {
        let answer = gate.follow("PUT", &url, &[("content-range", range)], &plain(length));
        (answer.status, answer.code())
    };
    let refused = |status: u16| (status, "request-refused".to_owned());
    assert_eq!(sends("bytes 0-9/*", 10), refused(400));
    assert_eq!(sends("bytes 0-9/100", 11), refused(400));
    assert_eq!(sends("bytes 0-327678/1000000", 327_679), refused(400));
    assert_eq!(sends("bytes 1000-328679/1000000", 327_680), refused(416));
    let long = "bytes 0-62914560/100000000";
    let pieces = vec![plain(10).into()];
    let target = url.strip_prefix(&format!("https://{TENANT}")).unwrap();
    let answer = gate.pieces(
        TENANT,
        "PUT",
        target,
        &[("content-range", long)],
        pieces,
        62_914_561,
    );
    assert_eq!(answer.status, 413);
    assert_eq!(gate.provider.count("PUT", ""), 0);
    assert_eq!(put(&gate, &url, 0, &plain(400_000), 1_000_000).status, 202);
    // another length of the whole
    assert_eq!(
        put(&gate, &url, 400_000, &plain(400_000), 900_000).status,
        400
    );
    // what was sent already
    let again = put(&gate, &url, 0, &plain(400_000), 1_000_000);
    assert_eq!(
        (again.status, again.json()["error"]["code"].as_str()),
        (416, Some("invalidRange"))
    );
    assert_eq!(next(&gate, &url), Some(400_000));
    assert_eq!(
        put(&gate, &url, 400_000, &plain(600_000), 1_000_000).status,
        201
    );
}

#[test]
fn the_sealed_length_is_announced_and_no_credential_goes_to_the_sessions_address() {
    let gate = Gate::new();
    let begun = r#"{"item":{"fileSize":1000000,"name":"a.bin"}}"#;
    let url = begin(&gate, begun);
    put(&gate, &url, 0, &plain(400_000), 1_000_000);
    let told = gate.provider.seen.lock().unwrap();
    let sealed = sealed_len(1_000_000).unwrap().to_string();
    assert_eq!(told[0].body, begun.replace("1000000", &sealed).as_bytes());
    assert_eq!(told[1].header("authorization"), "");
    assert_eq!(told[1].host, TENANT);
    assert!(url.ends_with(&told[1].target), "byte for byte");
}

#[test]
fn a_session_at_a_host_that_is_not_fronted_is_refused() {
    let gate = Gate::new();
    let document = br#"{"uploadUrl":"https://elsewhere.example/x"}"#.to_vec();
    let fields = vec![("content-type", "application/json".to_owned())];
    *gate.provider.canned.lock().unwrap() = vec![("POST", "/v1.0", (200, fields, document))];
    assert_eq!(
        gate.send("POST", CREATE, &[JSON], b"{}").code(),
        "upstream-invalid"
    );
}

#[test]
fn a_cancelled_session_is_forgotten() {
    let gate = Gate::new();
    let url = begin(&gate, "");
    put(&gate, &url, 0, &plain(400_000), 1_000_000);
    assert_eq!(gate.follow("DELETE", &url, &[], b"").status, 204);
    assert_eq!(next(&gate, &url), None);
    assert_eq!(
        put(&gate, &url, 400_000, &plain(400_000), 1_000_000).status,
        404
    );
    assert_eq!(rows(&gate), 0);
}

pub fn rows(gate: &Gate) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let count = async |table| gate.state.scan(table, b"", None, 9999).await.unwrap().len();
    runtime.block_on(async {
        let mut sum = 0;
        for table in [Table::Upload, Table::Part, Table::Complete, Table::Tail] {
            sum += count(table).await;
        }
        sum
    })
}

#[test]
fn a_deferred_file_is_made_when_the_client_says_so() {
    let gate = Gate::new();
    let whole = plain(1_000_000);
    let url = begin(&gate, "{\"deferCommit\":true}");
    assert_eq!(
        put(&gate, &url, 0, &whole[..400_000], 1_000_000).status,
        202
    );
    let early = gate.follow("POST", &url, &[], b"");
    assert_eq!(early.status, 409);
    let last = put(&gate, &url, 400_000, &whole[400_000..], 1_000_000);
    assert_eq!(
        (last.status, last.json()["nextExpectedRanges"].clone()),
        (202, serde_json::json!([]))
    );
    assert!(gate.provider.file("a.bin").is_none());
    let made = gate.beside().follow("POST", &url, &[], b"");
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["file"]["hashes"]["quickXorHash"], hash(&whole));
    assert!(read(&gate) == whole);
    assert_eq!(rows(&gate), 0);
}

#[test]
fn a_file_is_made_of_a_session_and_of_nothing_else() {
    let gate = Gate::new();
    let whole = plain(500_000);
    let url = begin(&gate, "{\"deferCommit\":true}");
    put(&gate, &url, 0, &whole, 500_000);
    let commit = |url: &str, more: &str| {
        let text = format!("{{\"name\":\"b.bin\",\"@microsoft.graph.sourceUrl\":\"{url}\"{more}}}");
        let target = "/v1.0/me/drive/root:/b.bin";
        gate.send("PUT", target, &[JSON], text.as_bytes())
    };
    for elsewhere in [
        "https://elsewhere.example/x".to_owned(),
        "http://contoso.sharepoint.com/x".to_owned(),
        format!("https://{TENANT}/other"),
        format!("{url}x"),
    ] {
        assert_eq!(commit(&elsewhere, "").status, 403, "{elsewhere}");
    }
    assert_eq!(commit(&url, ",\"description\":\"words\"").status, 403);
    let none = gate.send(
        "PUT",
        "/v1.0/me/drive/root:/b.bin",
        &[JSON],
        b"{\"name\":\"b\"}",
    );
    assert_eq!(none.status, 403);
    assert_eq!(gate.provider.count("PUT", "/v1.0/me/drive/root:/b.bin"), 0);
    let made = commit(&url, "");
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["size"], 500_000);
}

/// The bytes of a fragment as the client has them at its n-th try.
fn variant(start: usize, length: usize, tries: usize) -> Vec<u8> {
    (0..length)
        .map(|i| ((start + i) * 7 % 251 + tries * 13) as u8)
        .collect()
}

const TOTAL: usize = 1_700_000;
const SIZE: usize = 400_000;

/// A client that goes on after every failure, with other bytes each time, as long as there is a session. Gives what it
/// sent, fragment by fragment, and whether the file was made.
pub struct Client {
    url: String,
    tries: usize,
    pub total: usize,
    /// Of the fragments.
    sizes: Vec<usize>,
    /// By where they begin: every variant sent, and whether the last one was answered.
    sent: std::collections::BTreeMap<usize, (Vec<Vec<u8>>, bool)>,
}

impl Client {
    fn new(gate: &Gate) -> Self {
        Self::of(gate, &[SIZE, SIZE, SIZE, SIZE, TOTAL - 4 * SIZE])
    }

    pub fn of(gate: &Gate, sizes: &[usize]) -> Self {
        Self {
            url: begin(gate, ""),
            tries: 0,
            total: sizes.iter().sum(),
            sizes: sizes.to_vec(),
            sent: Default::default(),
        }
    }

    /// Of the fragment that begins there.
    pub fn size(&self, start: usize) -> usize {
        let mut at = 0;
        for size in &self.sizes {
            if at == start {
                return *size;
            }
            at += size;
        }
        panic!("no fragment begins at {start}");
    }

    pub fn send(&mut self, gate: &Gate, start: usize) -> u16 {
        self.tries += 1;
        let bytes = variant(start, self.size(start), self.tries);
        let answer = put(gate, &self.url, start, &bytes, self.total);
        let entry = self.sent.entry(start).or_default();
        let done = matches!(answer.status, 200..=202);
        assert!(!(entry.1 && done), "a fragment was taken twice");
        if done {
            entry.0.clear();
        }
        entry.0.push(bytes);
        entry.1 |= done;
        answer.status
    }

    /// Sends on until the file is made or there is no session. `gates`: asked by turns.
    pub fn finish(&mut self, gates: &[&Gate]) -> bool {
        for turn in 0..60 {
            let gate = gates[turn % gates.len()];
            let Some(start) = next(gate, &self.url) else {
                return gate.provider.file("a.bin").is_some();
            };
            if start == usize::MAX {
                continue;
            }
            if matches!(self.send(gate, start), 200 | 201) {
                return true;
            }
        }
        panic!("the client does not come to an end: {:?}", self.sent.keys());
    }

    /// The file opens, and every fragment is one that was sent; the one that was answered, where one was.
    pub fn check(&self, gate: &Gate) {
        let whole = read(gate);
        assert_eq!(whole.len(), self.total);
        for (start, (variants, _)) in &self.sent {
            let stored = &whole[*start..*start + self.size(*start)];
            assert!(variants.iter().any(|sent| sent == stored), "at {start}");
        }
        let item = gate
            .send("GET", "/v1.0/me/drive/root:/a.bin", &[], b"")
            .json();
        let shown = &item["file"]["hashes"]["quickXorHash"];
        assert!(shown.is_null() || *shown == hash(&whole), "{shown}");
    }
}

#[test]
fn a_gateway_that_dies_at_any_step_leaves_a_session_that_goes_on_or_none() {
    let (mut whole, mut none) = (0, 0);
    for life in 1..400 {
        let rows = Arc::new(SqliteState::in_memory().unwrap());
        let fuse = Arc::new(Fuse::default());
        let dying = Arc::new(Mortal {
            rows: rows.clone(),
            fuse: fuse.clone(),
            fails: true,
        });
        let provider = Arc::new(Provider::default());
        let dies = Gate::replica(settings(), &[], provider.clone(), dying);
        fuse.light(i64::MAX);
        let mut client = Client::new(&dies);
        fuse.light(life);
        let mut start = 0;
        while start < TOTAL && matches!(client.send(&dies, start), 200..=202) {
            start += SIZE;
        }
        if start >= TOTAL {
            assert!(life > 20, "the store did not die");
            return assert!(whole > 20 && none < whole, "{whole} {none}");
        }
        let lives = Gate::replica(settings(), &[], provider, rows);
        if client.finish(&[&lives]) {
            client.check(&lives);
            whole += 1;
        } else {
            none += 1;
        }
    }
    panic!("it never comes to an end");
}

#[test]
fn whatever_is_lost_on_the_way_to_the_provider_the_file_is_right() {
    let fails = [
        Fail::Dropped,
        Fail::Lost,
        Fail::Partly(1000),
        Fail::Status(500),
        Fail::Status(503),
        Fail::Status(429),
        Fail::Status(401),
    ];
    for fail in fails {
        for fragment in 0..5 {
            let gate = Gate::new();
            let other = gate.beside();
            let mut script = vec![None; fragment];
            script.push(Some(fail));
            gate.provider.fail(&script);
            let mut client = Client::new(&gate);
            let made = client.finish(&[&gate, &other]);
            let partly = matches!(fail, Fail::Partly(_));
            // of the last fragment the provider made a file; of a part of one nobody can go on
            assert_eq!(made, !partly, "{fail:?} {fragment}");
            if made {
                client.check(&gate);
            } else {
                assert_eq!(rows(&gate), 0);
            }
        }
    }
}

#[test]
fn of_two_attempts_that_can_not_be_told_apart_none_is_chosen() {
    let gate = Gate::new();
    let mut client = Client::new(&gate);
    gate.provider.fail(&[Some(Fail::Dropped), Some(Fail::Lost)]);
    client.send(&gate, 0);
    client.send(&gate, 0);
    assert_eq!(next(&gate, &client.url), None);
    assert_eq!(gate.provider.count("DELETE", "uploadSession"), 1);
    assert_eq!(rows(&gate), 0);
}

#[test]
fn a_retry_with_other_bytes_after_a_lost_answer_does_not_replace_the_first() {
    let gate = Gate::new();
    let mut client = Client::new(&gate);
    gate.provider.fail(&[Some(Fail::Lost)]);
    assert!(client.send(&gate, 0) >= 500);
    assert_eq!(client.send(&gate.beside(), 0), 416);
    assert_eq!(next(&gate, &client.url), Some(SIZE));
    assert!(client.finish(&[&gate]));
    let whole = read(&gate);
    assert_eq!(whole[..SIZE], client.sent[&0].0[0]);
}

#[test]
fn no_salt_and_no_sealed_byte_stands_twice_in_what_was_sent() {
    let gate = Gate::new();
    let url = begin(&gate, "");
    let bytes = plain(SIZE);
    for _ in 0..3 {
        gate.provider.fail(&[Some(Fail::Status(503))]);
        assert_eq!(put(&gate, &url, 0, &bytes, TOTAL).status, 503);
    }
    let told = gate.provider.seen.lock().unwrap();
    let sent: Vec<&Vec<u8>> = told
        .iter()
        .filter(|s| s.method == "PUT")
        .map(|s| &s.body)
        .collect();
    for (i, one) in sent.iter().enumerate() {
        for other in &sent[..i] {
            // header up to the object's id is the same; salt, commitment and ciphertext are not
            assert_eq!(one[..48], other[..48]);
            let same = one[48..]
                .iter()
                .zip(&other[48..])
                .filter(|(a, b)| a == b)
                .count();
            assert!(same < one.len() / 100, "{same}");
        }
    }
}

#[test]
fn a_fragment_that_breaks_off_leaves_nothing() {
    let gate = Gate::new();
    let url = begin(&gate, "");
    let target = url.strip_prefix(&format!("https://{TENANT}")).unwrap();
    let fields = [("content-range", "bytes 0-399999/1700000")];
    let pieces = vec![plain(399_999).into()];
    let answer = gate.pieces(TENANT, "PUT", target, &fields, pieces, 400_000);
    assert!(answer.status >= 400);
    assert_eq!(gate.provider.count("PUT", "uploadSession"), 0);
    assert_eq!(next(&gate, &url), Some(0));
    assert_eq!(put(&gate, &url, 0, &plain(400_000), TOTAL).status, 202);
}
