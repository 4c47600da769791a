//! Chunked uploads of SharePoint's own REST interface, and what becomes of them when something breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sceau::seal::layout::{run_len, sealed_len};
use sceau::state::SqliteState;

use crate::fuse::{Fuse, Mortal};
use crate::gate::{Answer, Gate, plain, settings};
use crate::provider::{Fail, Provider, TENANT};
use crate::sessions::rows;

const FILE: &str = "/sites/s/_api/web/GetFileByServerRelativeUrl('/sites/s/D/a')";
const ID: &str = "0a1b2c3d-0000-1111-2222-333344445555";
const VERBOSE: (&str, &str) = ("accept", "application/json;odata=verbose");
/// The shortest chunk that goes up by itself.
const SIZE: usize = 400_000;

fn post(gate: &Gate, operation: &str, body: &[u8]) -> Answer {
    gate.at(TENANT, "POST", &format!("{FILE}/{operation}"), &[], body)
}

fn start(gate: &Gate, body: &[u8]) -> Answer {
    post(gate, &format!("StartUpload(uploadId=guid'{ID}')"), body)
}

fn go_on(gate: &Gate, at: usize, body: &[u8]) -> Answer {
    let operation = format!("ContinueUpload(uploadId=guid'{ID}',fileOffset={at})");
    post(gate, &operation, body)
}

fn finish(gate: &Gate, at: usize, body: &[u8]) -> Answer {
    let operation = format!("FinishUpload(uploadId=guid'{ID}',fileOffset={at})");
    post(gate, &operation, body)
}

/// Where the upload stands. `None`: there is none.
fn stands(gate: &Gate) -> Option<usize> {
    let answer = post(gate, &format!("GetUploadStatus(uploadId=guid'{ID}')"), b"");
    if answer.status == 404 {
        return None;
    }
    let range = answer.json()["ExpectedContentRange"].clone();
    range
        .as_str()
        .unwrap()
        .strip_suffix('-')
        .unwrap()
        .parse()
        .ok()
}

fn count(answer: &Answer) -> usize {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["value"].as_str().unwrap().parse().unwrap()
}

fn read(gate: &Gate) -> Vec<u8> {
    let answer = gate.at(TENANT, "GET", &format!("{FILE}/$value"), &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.bytes().to_vec()
}

#[test]
fn chunks_of_any_size_become_one_file() {
    for (length, size, first) in [
        (1_700_000, SIZE, SIZE),
        (1_700_000, 327_680, 327_680),
        (1_600_000, SIZE, SIZE),
        // shorter than a run may be
        (500_000, 70_000, 70_000),
        (900_000, 1_000, SIZE),
        (700, 300, 300),
        // the first one is empty, as Microsoft's own pages send it
        (1_700_000, SIZE, 0),
        (10, 10, 0),
        (0, 10, 0),
    ] {
        let gate = Gate::new();
        let whole = plain(length);
        let mut at = first;
        assert_eq!(count(&start(&gate, &whole[..first])), first);
        while length - at > size {
            let next = count(&go_on(&gate, at, &whole[at..at + size]));
            assert_eq!(next, at + size, "{length} {size} {first}");
            at = next;
            assert_eq!(stands(&gate), Some(at));
        }
        let made = finish(&gate, at, &whole[at..]);
        assert_eq!(made.status, 200, "{length} {size} {first}: {made:?}");
        assert_eq!(made.json()["Length"], length.to_string());
        let stored = gate.provider.library.file.lock().unwrap().clone().unwrap();
        assert_eq!(Some(stored.len() as u64), sealed_len(length as u64));
        assert_eq!(read(&gate), whole);
        assert_eq!(rows(&gate), 0);
    }
}

#[test]
fn the_provider_is_told_the_places_of_the_sealed_bytes() {
    let gate = Gate::new();
    let whole = plain(1_000_000);
    let operation = |name: &str, rest: &str| {
        let answer = gate.at(
            TENANT,
            "POST",
            &format!("{FILE}/{name}{rest}"),
            &[VERBOSE],
            &whole[..SIZE],
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let started = operation(
        "startupload",
        "(uploadID='0A1B2C3D-0000-1111-2222-333344445555')",
    );
    assert_eq!(started["d"]["StartUpload"], "400000");
    let rest = format!("(uploadId=@i,%20fileOffset=@o)?@i=guid%27{ID}%27&@o=400000");
    let went = operation("continueUpload", &rest);
    assert_eq!(went["d"]["ContinueUpload"], "800000");
    let run = run_len(SIZE as u64).unwrap();
    let told = gate.provider.seen.lock().unwrap();
    assert_eq!(
        told[0].target,
        format!("{FILE}/StartUpload(uploadId=guid'{ID}')")
    );
    let want = format!(
        "{FILE}/ContinueUpload(uploadId=guid'{ID}',fileOffset={run})?@i=guid%27{ID}%27&@o=400000"
    );
    assert_eq!(told[1].target, want);
    assert_eq!(told[1].header("authorization"), "Bearer token");
    assert!(told.iter().all(|seen| seen.body.len() as u64 == run));
}

#[test]
fn an_upload_fills_the_empty_file_that_was_made_for_it() {
    let gate = Gate::new();
    let add = "/sites/s/_api/web/GetFolderById('1')/Files/add(overwrite=true,url='a')";
    let made = gate.at(TENANT, "POST", add, &[VERBOSE], b"");
    assert_eq!(made.json()["d"]["Length"], "0");
    assert_eq!(read(&gate), b"");
    let whole = plain(SIZE + 1);
    start(&gate, &whole[..SIZE]);
    finish(&gate, SIZE, &whole[SIZE..]);
    assert_eq!(read(&gate), whole);
    // an empty file that nobody sealed is refused
    *gate.provider.library.file.lock().unwrap() = Some(Vec::new());
    let unsealed = gate.at(TENANT, "GET", &format!("{FILE}/$value"), &[], b"");
    assert_eq!(
        (unsealed.status, unsealed.code().as_str()),
        (403, "object-unsealed")
    );
}

#[test]
fn a_stub_is_filled_at_once_and_by_whichever_path() {
    let gate = Gate::new();
    let whole = plain(SIZE + 1);
    let stub = format!(
        "/sites/s/_api/web/GetFolderByServerRelativePath(DecodedUrl=@a)/Files/AddStubUsingPath(DecodedUrl=@b)/StartUpload(uploadId=@c)?@a='/sites/s/D'&@b='a'&@c=guid'{ID}'"
    );
    assert_eq!(count(&gate.at(TENANT, "POST", &stub, &[], b"")), 0);
    assert_eq!(count(&go_on(&gate, 0, &whole[..SIZE])), SIZE);
    assert_eq!(finish(&gate, SIZE, &whole[SIZE..]).status, 200);
    assert_eq!(read(&gate), whole);
    let alone = "/sites/s/_api/web/GetFolderById('1')/Files/AddStubUsingPath(DecodedUrl='a')";
    assert_eq!(gate.at(TENANT, "POST", alone, &[], b"").status, 403);
}

#[test]
fn a_chunk_that_comes_again_is_taken_once() {
    let gate = Gate::new();
    let whole = plain(1_700_000);
    let sent = || {
        gate.provider.library.uploads.lock().unwrap()[ID]
            .received
            .len()
    };
    let chunks = [
        0..SIZE,
        SIZE..2 * SIZE,
        2 * SIZE..2 * SIZE + 1000,
        2 * SIZE + 1000..3 * SIZE + 1000,
    ];
    for chunk in chunks {
        let send = |bytes: &[u8]| match chunk.start {
            0 => start(&gate, bytes),
            at => go_on(&gate, at, bytes),
        };
        let bytes = &whole[chunk.clone()];
        assert_eq!(count(&send(bytes)), chunk.end);
        let before = sent();
        assert_eq!(count(&send(bytes)), chunk.end, "again");
        let mut other = bytes.to_vec();
        other[7] ^= 1;
        let refused = send(&other);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (409, "request-refused")
        );
        assert_eq!(send(&bytes[1..]).status, 409);
        assert_eq!(sent(), before);
    }
    assert_eq!(
        finish(&gate, 3 * SIZE + 1000, &whole[3 * SIZE + 1000..]).status,
        200
    );
    assert_eq!(read(&gate), whole);
}

/// What the state knows of an upload is told to who may ask the provider.
#[test]
fn a_chunk_that_comes_again_is_no_way_to_learn_what_is_there() {
    let gate = Gate::new();
    let bytes = plain(SIZE);
    start(&gate, &bytes);
    go_on(&gate, SIZE, &bytes[..1000]);
    gate.provider.library.silent.store(true, Ordering::SeqCst);
    assert_eq!(start(&gate, &bytes).status, 403);
    assert_eq!(go_on(&gate, SIZE, &bytes[..1000]).status, 403);
    assert_eq!(go_on(&gate, SIZE + 1000, b"more").status, 403);
    gate.provider.library.silent.store(false, Ordering::SeqCst);
    assert_eq!(stands(&gate), Some(SIZE + 1000));
}

#[test]
fn a_retry_with_other_bytes_never_goes_over_the_same_key_stream() {
    for fail in [Fail::Status(503), Fail::Dropped, Fail::Lost] {
        let gate = Gate::new();
        let bytes = plain(SIZE);
        start(&gate, &bytes);
        gate.provider.fail(&[Some(fail)]);
        assert!(go_on(&gate, SIZE, &bytes).status >= 500);
        let other: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x55).collect();
        let retry = go_on(&gate.beside(), SIZE, &other);
        // the provider has the first one already
        let lost = fail == Fail::Lost;
        assert_eq!(retry.status, if lost { 409 } else { 200 }, "{fail:?}");
        assert_eq!(stands(&gate), Some(2 * SIZE));
        assert_eq!(finish(&gate, 2 * SIZE, b"end").status, 200);
        let second = if lost { &bytes } else { &other };
        assert_eq!(read(&gate), [&bytes[..], second, b"end"].concat());
        let told = gate.provider.seen.lock().unwrap();
        let sent = |seen: &&crate::provider::Seen| seen.target.contains("ContinueUpload(");
        let sent: Vec<&Vec<u8>> = told.iter().filter(sent).map(|seen| &seen.body).collect();
        assert_eq!(sent.len(), if lost { 1 } else { 2 });
        if let [one, two] = sent[..] {
            let pairs = one[80..].iter().zip(&two[80..]);
            let differ = pairs.map(|(a, b)| a ^ b);
            assert!(differ.filter(|byte| *byte == 0x55).count() < one.len() / 100);
        }
    }
}

#[test]
fn an_upload_that_begins_again_does_not_mix_two() {
    let gate = Gate::new();
    let bytes = plain(SIZE);
    gate.provider.fail(&[Some(Fail::Dropped)]);
    assert!(start(&gate, &bytes).status >= 500);
    // the provider never knew of it
    let other = plain(SIZE + 5);
    assert_eq!(count(&start(&gate, &other)), SIZE + 5);
    assert_eq!(finish(&gate, SIZE + 5, b"").status, 200);
    assert_eq!(read(&gate), other);
    gate.provider.fail(&[Some(Fail::Lost)]);
    assert!(start(&gate, &bytes).status >= 500);
    assert_eq!(start(&gate, &other).status, 409);
    assert_eq!(count(&start(&gate, &bytes)), SIZE);
}

#[test]
fn what_is_not_the_next_chunk_is_refused_and_nothing_is_sent() {
    let gate = Gate::new();
    let bytes = plain(SIZE);
    assert_eq!(go_on(&gate, 0, &bytes).status, 404);
    assert_eq!(finish(&gate, 0, &bytes).status, 404);
    assert_eq!(stands(&gate), None);
    start(&gate, &bytes);
    let sent = gate.provider.count("POST", "ContinueUpload(");
    for (at, status) in [
        (SIZE + 1, 409),
        (0, 409),
        (run_len(SIZE as u64).unwrap() as usize, 409),
    ] {
        assert_eq!(go_on(&gate, at, &bytes[1..]).status, status, "{at}");
        assert_eq!(finish(&gate, at, &bytes[1..]).status, status, "{at}");
    }
    // another file, another id
    for operation in [
        format!(
            "GetFileByServerRelativeUrl('/sites/s/D/b')/ContinueUpload(uploadId=guid'{ID}',fileOffset={SIZE})"
        ),
        format!(
            "GetFileByServerRelativeUrl('/sites/s/D/a')/ContinueUpload(uploadId=guid'1{}',fileOffset={SIZE})",
            &ID[1..]
        ),
    ] {
        let target = format!("/sites/s/_api/web/{operation}");
        assert_eq!(gate.at(TENANT, "POST", &target, &[], &bytes).status, 404);
    }
    for operation in [
        format!("ContinueUpload(uploadId=guid'{ID}')"),
        format!("StartUpload(uploadId=guid'{ID}',fileOffset=5)"),
        format!("ContinueUpload(fileOffset={SIZE})"),
        format!("ContinueUpload(uploadId=guid'{ID}',fileOffset={SIZE},x=1)"),
        "StartUpload(uploadId='none')".to_owned(),
        "StartUpload".to_owned(),
    ] {
        assert_eq!(post(&gate, &operation, &bytes).status, 400, "{operation}");
    }
    for operation in [
        "UploadWithChecksum",
        "FinishUploadWithChecksum",
        "versions",
        "Versions(512)/$value",
    ] {
        assert_eq!(post(&gate, operation, &bytes).status, 403, "{operation}");
    }
    assert_eq!(gate.provider.count("POST", "ContinueUpload("), sent);
    assert_eq!(gate.provider.count("POST", "FinishUpload("), 0);
}

#[test]
fn a_chunk_that_breaks_off_leaves_nothing() {
    let gate = Gate::new();
    start(&gate, &plain(SIZE));
    for (length, last) in [(SIZE, false), (1000, false), (1000, true)] {
        let name = if last {
            "FinishUpload"
        } else {
            "ContinueUpload"
        };
        let target = format!("{FILE}/{name}(uploadId=guid'{ID}',fileOffset={SIZE})");
        let pieces = vec![plain(length - 1).into()];
        let answer = gate.pieces(TENANT, "POST", &target, &[], pieces, length);
        assert!(answer.status >= 400, "{length}");
        assert_eq!(stands(&gate), Some(SIZE), "{length}");
    }
    assert!(gate.provider.library.file.lock().unwrap().is_none());
}

#[test]
fn whoever_lost_the_state_says_so() {
    let gate = Gate::new();
    let bytes = plain(SIZE);
    start(&gate, &bytes);
    let state = Arc::new(SqliteState::in_memory().unwrap());
    let other = Gate::replica(settings(), &[], gate.provider.clone(), state);
    for answer in [go_on(&other, SIZE, &bytes), finish(&other, SIZE, &bytes)] {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "request-refused")
        );
    }
    assert_eq!(stands(&other), None);
    assert_eq!(finish(&gate, SIZE, b"").status, 200);
}

#[test]
fn a_provider_that_counts_otherwise_ends_the_upload() {
    for held in [false, true] {
        let gate = Gate::new();
        gate.provider
            .library
            .miscounts
            .store(true, Ordering::SeqCst);
        let length = if held { 1000 } else { SIZE };
        assert_eq!(start(&gate, &plain(length)).status, 404);
        assert_eq!(gate.provider.count("POST", "CancelUpload("), 1);
        assert!(gate.provider.library.uploads.lock().unwrap().is_empty());
        assert_eq!(rows(&gate), 0);
    }
}

#[test]
fn an_upload_is_cancelled_by_its_id_wherever_that_stands() {
    let in_path = format!("CancelUpload(uploadId='{ID}')");
    let in_body = format!("{{\"uploadId\":\"{ID}\"}}");
    for (operation, body) in [(in_path.as_str(), ""), ("cancelUpload", in_body.as_str())] {
        let gate = Gate::new();
        start(&gate, &plain(SIZE));
        go_on(&gate, SIZE, b"held");
        let body = body.as_bytes();
        assert_eq!(stands(&gate), Some(SIZE + 4));
        let status = post(&gate, "getUploadStatus", in_body.as_bytes());
        assert_eq!(
            status.json()["ExpectedContentRange"],
            format!("{}-", SIZE + 4)
        );
        assert_eq!(post(&gate, operation, body).status, 200);
        assert_eq!((rows(&gate), stands(&gate)), (0, None));
        assert!(gate.provider.library.uploads.lock().unwrap().is_empty());
    }
}

/// A client that goes on after every failure, as long as there is an upload; other bytes at every try. Gives what the
/// file must be, where one was made.
fn persevere(gates: &[&Gate], sizes: &[usize]) -> Option<Vec<Vec<Vec<u8>>>> {
    let total: usize = sizes.iter().sum();
    let mut sent: Vec<Vec<Vec<u8>>> = vec![Vec::new(); sizes.len()];
    for tries in 0..40 {
        let gate = gates[tries % gates.len()];
        let at = match stands(gate) {
            Some(at) => at,
            None if gate.provider.library.file.lock().unwrap().is_some() => return Some(sent),
            None if tries > 0 => return None,
            None => 0,
        };
        let mut start_of = 0;
        let next = sizes.iter().position(|size| {
            start_of += size;
            start_of > at
        });
        let next = next.unwrap_or(sizes.len() - 1);
        let from: usize = sizes[..next].iter().sum();
        assert_eq!(from, at, "between two chunks");
        let bytes: Vec<u8> = (0..sizes[next])
            .map(|i| ((at + i) % 251 + tries) as u8)
            .collect();
        sent[next].push(bytes.clone());
        let last = from + sizes[next] == total;
        let answer = match (next, last) {
            (0, _) => start(gate, &bytes),
            (_, true) => finish(gate, at, &bytes),
            _ => go_on(gate, at, &bytes),
        };
        if answer.status == 200 {
            sent[next] = vec![bytes];
            if last {
                return Some(sent);
            }
        }
    }
    panic!("the client does not come to an end");
}

fn check(gate: &Gate, sent: &[Vec<Vec<u8>>]) {
    let whole = read(gate);
    let mut at = 0;
    for variants in sent {
        let length = variants[0].len();
        let stored = &whole[at..at + length];
        assert!(variants.iter().any(|sent| sent == stored), "at {at}");
        at += length;
    }
    assert_eq!(whole.len(), at);
}

const SIZES: [usize; 5] = [SIZE, 1000, 2000, SIZE, 5000];

#[test]
fn whatever_is_lost_on_the_way_to_the_provider_the_file_is_right() {
    for fail in [
        Fail::Dropped,
        Fail::Lost,
        Fail::Status(500),
        Fail::Status(503),
        Fail::Status(429),
    ] {
        for request in 0..9 {
            let gate = Gate::new();
            let other = gate.beside();
            let mut script = vec![None; request];
            script.push(Some(fail));
            gate.provider.fail(&script);
            if let Some(sent) = persevere(&[&gate, &other], &SIZES) {
                check(&gate, &sent);
            }
        }
    }
}

#[test]
fn a_gateway_that_dies_at_any_step_leaves_an_upload_that_goes_on_or_none() {
    let (mut whole, mut none) = (0, 0);
    for life in 1..600 {
        let rows = Arc::new(SqliteState::in_memory().unwrap());
        let fuse = Arc::new(Fuse::default());
        fuse.light(life);
        let dying = Arc::new(Mortal {
            rows: rows.clone(),
            fuse,
            fails: true,
        });
        let provider = Arc::new(Provider::default());
        let dies = Gate::replica(settings(), &[], provider.clone(), dying);
        let mut at = 0;
        let mut answers = SIZES.iter().enumerate().map(|(n, size)| {
            let bytes = plain(*size);
            let answer = match n {
                0 => start(&dies, &bytes),
                4 => finish(&dies, at, &bytes),
                _ => go_on(&dies, at, &bytes),
            };
            at += size;
            answer.status
        });
        if answers.all(|status| status == 200) {
            assert!(life > 20, "the store did not die");
            return assert!(whole > 20 && none < whole, "{whole} {none}");
        }
        let lives = Gate::replica(settings(), &[], provider, rows);
        match stands(&lives) {
            Some(at) => {
                let rest = finish(&lives, at, b"the rest");
                assert_eq!(rest.status, 200, "{life} {at}");
                let stored = read(&lives);
                assert_eq!(stored.len(), at + 8);
                assert!(stored.ends_with(b"the rest"));
                whole += 1;
            }
            None => none += 1,
        }
    }
    panic!("it never comes to an end");
}

#[test]
fn nothing_is_kept_for_who_may_not_write_there() {
    let gate = Gate::new();
    for length in [SIZE, 1000] {
        gate.provider.fail(&[Some(Fail::Status(403))]);
        assert_eq!(start(&gate, &plain(length)).status, 403);
        assert_eq!(rows(&gate), 0, "{length}");
        // an answer that is no refusal says nothing
        gate.provider.fail(&[Some(Fail::Status(503))]);
        assert_eq!(start(&gate, &plain(length)).status, 503);
        assert_eq!(count(&start(&gate, &plain(length))), length);
        post(&gate, &format!("CancelUpload(uploadId='{ID}')"), b"");
    }
}

#[test]
fn refusals_have_sharepoints_own_form() {
    let gate = Gate::new();
    let light = go_on(&gate, 5, b"x");
    let message = light.json()["odata.error"]["message"].clone();
    assert!(
        message["value"]
            .as_str()
            .unwrap()
            .contains("upload session")
    );
    let operation = format!("{FILE}/ContinueUpload(uploadId=guid'{ID}',fileOffset=5)");
    let verbose = gate.at(TENANT, "POST", &operation, &[VERBOSE], b"x");
    assert_eq!(
        verbose.json()["error"]["innerError"]["code"],
        "request-refused"
    );
    assert_eq!(
        verbose.json()["error"]["code"],
        "-2147024894, System.IO.FileNotFoundException"
    );
}
