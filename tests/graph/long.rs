//! Files that are sent in one request and are too long for one once they are sealed.

use std::time::Duration;

use sceau::body::Plain;
use sceau::seal::layout::sealed_len;

use crate::content::hash;
use crate::gate::{Gate, plain, settings};
use crate::provider::{Fail, GRAPH, Provider, UNIT};

const PATH: &str = "/v1.0/me/drive/root:/a.bin:/content";
const SESSION: &str = "/uploadSession";
/// What one fragment of a session holds at most.
const LIMIT: usize = (60 << 20) - UNIT as usize;

fn gate() -> Gate {
    let mut own = settings();
    own.max_put = 10_000;
    Gate::with(own, &[], Provider::default())
}

fn read(gate: &Gate) -> Vec<u8> {
    let url = gate.send("GET", PATH, &[], b"");
    let url = url.header("location").to_owned();
    gate.follow("GET", &url, &[], b"").bytes().to_vec()
}

/// The session that was begun was cancelled, and there is no file.
fn given_up(gate: &Gate, why: &str) {
    assert_eq!(gate.provider.count("DELETE", SESSION), 0, "{why}");
    assert_eq!(gate.work(), 1, "{why}");
    assert_eq!(gate.provider.count("DELETE", SESSION), 1, "{why}");
    assert!(gate.provider.sessions.lock().unwrap().is_empty(), "{why}");
    assert!(gate.provider.file("a.bin").is_none(), "{why}");
}

#[test]
fn a_file_goes_up_in_a_session_where_one_request_would_be_too_long() {
    let gate = gate();
    let whole = plain(9_900);
    let answer = gate.send("PUT", PATH, &[("content-type", "text/plain")], &whole);
    assert_eq!(answer.status, 201);
    let item = answer.json();
    assert_eq!(item["size"], whole.len());
    assert_eq!(item["file"]["hashes"]["quickXorHash"], hash(&whole));
    let stored = gate.provider.file("a.bin").unwrap().bytes;
    assert_eq!(Some(stored.len() as u64), sealed_len(whole.len() as u64));
    assert!(read(&gate) == whole);
    assert_eq!(gate.work(), 0, "what became a file is not cancelled");
    {
        let told = gate.provider.seen.lock().unwrap();
        let asked: Vec<&str> = told.iter().map(|seen| seen.method.as_str()).collect();
        assert_eq!(asked[..2], ["POST", "PUT"]);
        assert_eq!(told[1].header("authorization"), "");
        for seen in told.iter() {
            let shows = |window| seen.body.windows(16).any(|bytes| bytes == window);
            assert!(!whole.chunks_exact(16).any(shows), "plaintext went up");
        }
    }
    // and one that is short enough does not
    assert_eq!(gate.send("PUT", PATH, &[], &plain(9_000)).status, 200);
    assert_eq!(gate.provider.count("PUT", "/content"), 1);
}

#[test]
fn every_unit_is_whole_and_every_byte_leaves_once() {
    for length in [LIMIT - 100_000, LIMIT, 2 * LIMIT] {
        let gate = gate();
        let whole = plain(length);
        let answer = gate.send("PUT", PATH, &[], &whole);
        assert_eq!(answer.status, 201, "{length}");
        assert!(read(&gate) == whole, "{length}");
        let sealed = sealed_len(length as u64).unwrap();
        let requests = sealed.div_ceil(LIMIT as u64);
        assert_eq!(gate.provider.count("PUT", SESSION) as u64, requests);
        let told = gate.provider.seen.lock().unwrap();
        let sent: usize = told
            .iter()
            .filter(|seen| seen.method == "PUT")
            .map(|seen| seen.body.len())
            .sum();
        assert_eq!(sent as u64, sealed);
    }
}

#[test]
fn conditions_and_conflicts_are_the_clients() {
    let gate = gate();
    let fields = [("if-match", "\"tag\""), ("if-none-match", "*")];
    let target = format!("{PATH}?%40microsoft.graph.conflictBehavior=rename");
    assert_eq!(
        gate.send("PUT", &target, &fields, &plain(9_900)).status,
        201
    );
    let told = gate.provider.seen.lock().unwrap();
    let begun = &told[0];
    assert_eq!(
        begun.target,
        "/v1.0/me/drive/root:/a.bin:/createUploadSession"
    );
    assert_eq!(begun.header("authorization"), "Bearer token");
    assert_eq!(begun.header("if-match"), "\"tag\"");
    assert_eq!(begun.header("if-none-match"), "*");
    let document: serde_json::Value = serde_json::from_slice(&begun.body).unwrap();
    let said = &document["item"]["@microsoft.graph.conflictBehavior"];
    assert_eq!(said, "rename");
    drop(told);
    for status in [403, 409, 412, 507] {
        let gate = self::gate();
        let fields = vec![("content-type", "application/json".to_owned())];
        let canned = (status, fields, br#"{"error":{"code":"x"}}"#.to_vec());
        *gate.provider.canned.lock().unwrap() = vec![("POST", "/v1.0", canned)];
        let answer = gate.send("PUT", PATH, &[], &plain(9_900));
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (status, Some("x"))
        );
        assert_eq!((gate.provider.count("PUT", ""), gate.work()), (0, 0));
    }
}

#[test]
fn what_fails_is_cancelled_and_never_sent_again() {
    for (fail, status) in [
        (Fail::Dropped, 502),
        (Fail::Partly(1000), 502),
        (Fail::Status(500), 500),
        (Fail::Status(503), 503),
        (Fail::Status(429), 429),
        (Fail::Status(409), 409),
        // the session's own affairs
        (Fail::Status(401), 502),
        (Fail::Status(404), 502),
        (Fail::Status(416), 502),
    ] {
        for before in [0, 1] {
            let gate = gate();
            let mut script = vec![None; before];
            script.push(Some(fail));
            gate.provider.fail(&script);
            let length = if before == 0 { 9_900 } else { LIMIT };
            let answer = gate.send("PUT", PATH, &[], &plain(length));
            assert_eq!(answer.status, status, "{fail:?} {before}");
            assert_eq!(gate.provider.count("PUT", SESSION), before + 1);
            given_up(&gate, &format!("{fail:?} {before}"));
        }
    }
}

#[test]
fn an_answer_that_makes_no_file_is_not_passed_on_as_one() {
    let json = || vec![("content-type", "application/json".to_owned())];
    let more = br#"{"nextExpectedRanges":["5-"]}"#.to_vec();
    for (length, canned) in [
        (9_900, (202, json(), more.clone())),
        (9_900, (202, vec![], vec![])),
        (9_900, (204, vec![], vec![])),
        (LIMIT, (202, json(), more)),
        (LIMIT, (202, vec![], vec![])),
        (
            LIMIT,
            (201, json(), br#"{"id":"1","size":5,"file":{}}"#.to_vec()),
        ),
    ] {
        let gate = gate();
        let status = canned.0;
        *gate.provider.canned.lock().unwrap() = vec![("PUT", "/personal", canned)];
        let answer = gate.send("PUT", PATH, &[], &plain(length));
        let seen = (answer.status, answer.code());
        assert_eq!(
            seen,
            (502, "upstream-invalid".to_owned()),
            "{length} {status}"
        );
        assert_eq!(gate.provider.count("PUT", SESSION), 1);
        given_up(&gate, &format!("{length} {status}"));
    }
}

#[test]
fn a_session_past_the_gateway_is_refused() {
    let gate = gate();
    let document = br#"{"uploadUrl":"https://elsewhere.example/x"}"#.to_vec();
    let fields = vec![("content-type", "application/json".to_owned())];
    *gate.provider.canned.lock().unwrap() = vec![("POST", "/v1.0", (200, fields, document))];
    let answer = gate.send("PUT", PATH, &[], &plain(9_900));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream-invalid")
    );
    assert_eq!((gate.provider.count("PUT", ""), gate.work()), (0, 0));
}

#[test]
fn a_body_that_is_cut_short_never_becomes_a_file() {
    let gate = gate();
    let answer = gate.pieces(GRAPH, "PUT", PATH, &[], vec![plain(9_000).into()], 20_000);
    assert!(answer.status >= 400, "{answer:?}");
    given_up(&gate, "cut short");
}

/// Never ends, and never comes.
struct Silence;

impl http_body::Body for Silence {
    type Data = bytes::Bytes;
    type Error = sceau::body::Fault;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[test]
fn who_leaves_leaves_no_session() {
    let gate = gate();
    let request = http::Request::put(PATH).header("host", GRAPH);
    let request = request.header("content-length", "20000").body(()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = Plain::new(Box::pin(Silence));
    let served = gate.serve(request.into_parts().0, body);
    let served =
        runtime.block_on(async { tokio::time::timeout(Duration::from_millis(200), served).await });
    assert!(served.is_err(), "it waits for the body");
    assert_eq!(gate.provider.count("POST", "createUploadSession"), 1);
    given_up(&gate, "left");
}

#[test]
fn sharepoints_own_interface_has_no_sessions() {
    let gate = gate();
    let target = "/sites/s/_api/web/GetFileByServerRelativeUrl('%2Fsites%2Fs%2Fa.bin')/$value";
    let answer = gate.at("contoso.sharepoint.com", "PUT", target, &[], &plain(9_900));
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"));
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
}
