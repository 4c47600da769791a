//! Nextcloud's chunked uploads: what the provider joins is one sealed object.

use sceau::seal::layout::{run_len, sealed_len};

use crate::gate::{Answer, Gate};

const FOLDER: &str = "/dav/uploads/alice/web-1";
const TARGET: (&str, &str) = ("destination", "https://gate.example/dav/files/alice/a");

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 253) as u8).collect()
}

fn begun() -> Gate {
    let gate = Gate::new();
    assert_eq!(gate.send("MKCOL", FOLDER, &[TARGET], b"").status, 204);
    gate
}

fn put(gate: &Gate, name: &str, bytes: &[u8]) -> u16 {
    gate.send("PUT", &format!("{FOLDER}/{name}"), &[TARGET], bytes)
        .status
}

fn join(gate: &Gate, length: usize) -> Answer {
    let length = length.to_string();
    let fields = [TARGET, ("oc-total-length", &length), ("x-oc-mtime", "5")];
    gate.send("MOVE", &format!("{FOLDER}/.file"), &fields, b"")
}

fn assert_whole(gate: &Gate, whole: &[u8]) {
    let stored = gate.provider.file("/dav/files/alice/a").unwrap();
    assert_eq!(Some(stored.len() as u64), sealed_len(whole.len() as u64));
    let read = gate.send("GET", "/dav/files/alice/a", &[], b"");
    assert!(read.status == 200 && read.bytes() == whole);
    let middle = whole.len() / 2;
    let field = format!("bytes={}-{}", middle - 5, middle + 5);
    let range = gate.send("GET", "/dav/files/alice/a", &[("range", &field)], b"");
    assert!(range.status == 206 && range.bytes() == &whole[middle - 5..=middle + 5]);
}

#[test]
fn chunks_in_any_order_become_one_file() {
    let whole = plain(1_000_000);
    for names in [
        ["1", "2", "10"],
        ["00001", "00002", "00003"],
        [
            "000000000000000-000000000400000",
            "000000000400000-000000000800000",
            "000000000800000-000000001000000",
        ],
    ] {
        let gate = begun();
        let chunks: Vec<&[u8]> = whole.chunks(400_000).collect();
        for at in [2, 0, 1] {
            assert_eq!(put(&gate, names[at], chunks[at]), 201);
        }
        let answer = join(&gate, whole.len());
        assert_eq!((answer.status, answer.header("oc-fileid")), (201, "7"));
        assert_whole(&gate, &whole);
        let seen = gate.provider.seen.lock().unwrap();
        let moved = seen.iter().find(|seen| seen.method == "MOVE").unwrap();
        let length = sealed_len(1_000_000).unwrap().to_string();
        assert_eq!(moved.headers["oc-total-length"], length);
        assert_eq!(moved.headers["x-oc-mtime"], "5");
        for put in seen.iter().filter(|seen| seen.method == "PUT") {
            let target = "https://dav.provider.example/dav/files/alice/a";
            assert_eq!(put.headers["destination"], target);
        }
    }
}

#[test]
fn the_last_attempt_of_a_chunk_counts() {
    let whole = plain(800_000);
    let gate = begun();
    put(&gate, "1", &[9; 400_000]);
    put(&gate, "2", &whole[400_000..]);
    put(&gate, "1", &whole[..400_000]);
    assert_eq!(join(&gate, whole.len()).status, 201);
    assert_whole(&gate, &whole);
}

#[test]
fn a_join_that_failed_can_be_repeated() {
    let whole = plain(800_000);
    let gate = begun();
    put(&gate, "1", &whole[..400_000]);
    put(&gate, "2", &whole[400_000..]);
    gate.provider.answer_with("MOVE", (503, vec![], vec![]));
    assert_eq!(join(&gate, whole.len()).status, 503);
    gate.provider.canned.lock().unwrap().clear();
    assert_eq!(join(&gate, whole.len()).status, 201);
    assert_whole(&gate, &whole);
    // all is forgotten
    assert_eq!(join(&gate, whole.len()).status, 409);
}

#[test]
fn a_chunk_of_an_older_attempt_does_not_open() {
    let whole = plain(800_000);
    let gate = begun();
    put(&gate, "1", &whole[..400_000]);
    let old = gate.provider.file(&format!("{FOLDER}/1")).unwrap();
    put(&gate, "1", &[9; 400_000]);
    put(&gate, "2", &whole[400_000..]);
    gate.provider.store(&format!("{FOLDER}/1"), &old);
    assert_eq!(join(&gate, whole.len()).status, 201);
    let read = gate.send("GET", "/dav/files/alice/a", &[], b"");
    assert!(read.status >= 400 || read.body.is_err());
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_joined() {
    let refused = |gate: &Gate, length| {
        let status = join(gate, length).status;
        assert!(!gate.provider.methods().contains(&"MOVE".to_owned()));
        status
    };
    let gate = begun();
    assert_eq!(refused(&gate, 0), 400);
    put(&gate, "1", &[1; 1000]);
    assert_eq!(refused(&gate, 999), 400);
    put(&gate, "2", &[1; 1000]);
    assert_eq!(refused(&gate, 2000), 400);

    let gate = begun();
    put(&gate, "1", &[1; 400_000]);
    put(&gate, "000000000400000-000000000400001", &[1]);
    assert_eq!(refused(&gate, 400_001), 400);

    let gate = begun();
    assert_eq!(put(&gate, "one", b"x"), 400);
    let chunked = gate.send_pieces("PUT", &format!("{FOLDER}/1"), &[], vec![b"x"]);
    assert_eq!(chunked.status, 411);
    let sum = [("oc-checksum", "SHA1:00")];
    assert_eq!(
        gate.send("PUT", &format!("{FOLDER}/1"), &sum, b"x").status,
        400
    );
    assert_eq!(put(&Gate::new(), "1", b"x"), 409);
}

#[test]
fn uploads_are_no_way_around() {
    let to = |path| ("destination", path);
    for (method, path, field) in [
        (
            "MOVE",
            "/dav/files/alice/b",
            to("/dav/uploads/alice/web-1/1"),
        ),
        (
            "COPY",
            "/dav/files/alice/b",
            to("/dav/uploads/alice/web-1/1"),
        ),
        (
            "MOVE",
            "/dav/uploads/alice/web-1/1",
            to("/dav/files/alice/b"),
        ),
        (
            "COPY",
            "/dav/uploads/alice/web-1/1",
            to("/dav/files/alice/b"),
        ),
        ("MOVE", "/dav/uploads/alice/web-1", to("/dav/files/alice/b")),
        ("PUT", "/dav/uploads/alice/web-1", TARGET),
        ("MKCOL", "/dav/uploads/alice/web-1/x", TARGET),
        ("LOCK", "/dav/uploads/alice/web-1/1", TARGET),
    ] {
        let gate = begun();
        assert_eq!(
            gate.send(method, path, &[field], b"").status,
            403,
            "{method} {path}"
        );
        assert_eq!(gate.provider.methods(), ["MKCOL"]);
    }
}

#[test]
fn sizes_of_chunks_and_their_removal() {
    let gate = begun();
    put(&gate, "1", &[1; 70_000]);
    let stored = gate.provider.file(&format!("{FOLDER}/1")).unwrap();
    assert_eq!(Some(stored.len() as u64), run_len(70_000));
    let listing = gate.send("PROPFIND", &format!("{FOLDER}/"), &[("depth", "1")], b"");
    assert!(
        listing
            .text()
            .contains("<D:getcontentlength>70000</D:getcontentlength>")
    );
    assert_eq!(gate.send("DELETE", FOLDER, &[], b"").status, 204);
    assert_eq!(put(&gate, "1", b"x"), 409);
}
