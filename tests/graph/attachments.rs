//! Attachments too long for a document, and their bytes by themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sceau::seal::layout::sealed_len;
use serde_json::json;

use crate::gate::{Answer, Gate, plain, settings};
use crate::mailbox::OUTLOOK;
use crate::provider::{Fail, Provider, Seen};

const CREATE: &str = "/v1.0/me/messages/AAMk=/attachments/createUploadSession";
const VALUE: &str = "/v1.0/me/messages/AAMk=/attachments/attached/$value";
const JSON: (&str, &str) = ("content-type", "application/json");

fn begin(gate: &Gate, size: usize) -> String {
    let item = json!({"attachmentType": "file", "name": "Vigipirate.pdf", "size": size});
    let document = json!({"AttachmentItem": item}).to_string();
    let answer = gate.send("POST", CREATE, &[JSON], document.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    let session = answer.json();
    assert_eq!(session["nextExpectedRanges"], json!(["0-"]));
    let url = session["uploadUrl"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("https://{OUTLOOK}/api/v2.0/Users(")));
    url
}

fn put(gate: &Gate, url: &str, whole: &[u8], start: usize, size: usize) -> Answer {
    let end = whole.len().min(start + size);
    let range = format!("bytes {start}-{}/{}", end - 1, whole.len());
    // some clients send their token, which the host does not take
    gate.follow("PUT", url, &[("content-range", &range)], &whole[start..end])
}

/// The last answer.
fn upload(gate: &Gate, whole: &[u8], size: usize) -> Answer {
    let url = begin(gate, whole.len());
    let mut start = 0;
    loop {
        let answer = put(gate, &url, whole, start, size);
        start += size;
        if start >= whole.len() {
            return answer;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.json()["nextExpectedRanges"],
            json!([start.to_string()])
        );
    }
}

fn provider(no_ranges: bool) -> Provider {
    Provider {
        no_ranges,
        ..Provider::default()
    }
}

#[test]
fn a_long_attachment_goes_up_sealed_and_streams_down() {
    for (length, size) in [
        (3_500_000, 3 << 20),
        (3_500_000, 4 << 20),
        // longer than one request once it is sealed, twice
        (9_000_000, 4 << 20),
        (1_000_001, 327_680),
    ] {
        for no_ranges in [false, true] {
            let gate = Gate::with(settings(), &[], provider(no_ranges));
            let whole = plain(length);
            let answer = upload(&gate, &whole, size);
            assert_eq!(answer.status, 201, "{answer:?}");
            let location = format!(
                "https://{OUTLOOK}/api/v2.0/Users('u@t')/Messages('AAMk=')/Attachments('B')"
            );
            assert_eq!(answer.header("location"), location);
            assert!(answer.bytes().is_empty());
            let stored = gate.provider.file("attached").unwrap().bytes;
            assert_eq!(Some(stored.len() as u64), sealed_len(length as u64));
            assert!(
                !stored
                    .windows(64)
                    .any(|window| window == &whole[1000..1064])
            );
            let shown = gate.send("GET", VALUE, &[], b"");
            assert_eq!(shown.header("content-length"), length.to_string());
            assert!(shown.bytes() == whole, "{length} {size} {no_ranges}");
            for (asked, want) in [
                ("bytes=0-0", 0..1),
                ("bytes=-1000", length - 1000..length),
                ("bytes=500000-600000", 500_000..600_001),
            ] {
                let part = gate.send("GET", VALUE, &[("range", asked)], b"");
                assert_eq!(part.status, 206, "{part:?}");
                let told = format!("bytes {}-{}/{length}", want.start, want.end - 1);
                assert_eq!(part.header("content-range"), told);
                assert!(part.bytes() == &whole[want], "{asked}");
            }
            let beyond = gate.send("GET", VALUE, &[("range", "bytes=9000000-")], b"");
            assert_eq!(beyond.status, 416);
            // and within a document
            let document = json!({"value": [{"name": "a", "size": stored.len(), "contentBytes": STANDARD.encode(&stored)}]});
            let kind = ("content-type", "application/json".to_owned());
            let canned = (200, vec![kind], document.to_string().into_bytes());
            *gate.provider.canned.lock().unwrap() = vec![("GET", "/", canned)];
            let shown = gate.send("GET", "/v1.0/me/messages/AAMk=/attachments", &[], b"");
            let shown = &shown.json()["value"][0];
            assert_eq!(shown["size"], length);
            assert!(shown["contentBytes"] == STANDARD.encode(&whole));
        }
    }
}

#[test]
fn a_session_is_told_the_sealed_length_and_name() {
    let gate = Gate::new();
    begin(&gate, 3_500_000);
    let seen = gate.provider.seen.lock().unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(
        sent["AttachmentItem"]["size"],
        sealed_len(3_500_000).unwrap()
    );
    assert!(!String::from_utf8_lossy(&seen[0].body).contains("Vigipirate"));
    drop(seen);
    for (document, code) in [
        (
            json!({"AttachmentItem": {"name": "a", "size": 150 << 20}}),
            "too-large",
        ),
        (
            json!({"AttachmentItem": {"name": "a", "size": 4_000_000, "note": "secret"}}),
            "rule-violated",
        ),
        (json!({"AttachmentItem": {"name": "a"}}), "request-refused"),
        (
            json!({"item": {"name": "a", "size": 4_000_000}}),
            "rule-violated",
        ),
    ] {
        let refused = gate.send("POST", CREATE, &[JSON], document.to_string().as_bytes());
        assert_eq!(refused.code(), code, "{document}");
    }
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 1);
}

#[test]
fn events_and_messages_in_folders_have_sessions_too() {
    let gate = Gate::new();
    let item = json!({"AttachmentItem": {"attachmentType": "file", "name": "Vigipirate", "size": 3_500_000}});
    for of in ["events/E", "mailFolders/F/messages/M"] {
        let target = format!("/v1.0/users/u/{of}/attachments/createUploadSession");
        let answer = gate.send("POST", &target, &[JSON], item.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        let sent = gate.provider.seen.lock().unwrap().pop().unwrap().body;
        assert!(!String::from_utf8_lossy(&sent).contains("Vigipirate"));
    }
    // a session that nobody began here
    let url = format!(
        "https://{OUTLOOK}/api/v2.0/Users('u')/Events('E')/AttachmentSessions('S')?authtoken=x"
    );
    assert_eq!(put(&gate, &url, b"secret", 0, 6).status, 404);
    assert!(gate.provider.seen.lock().unwrap().is_empty());
}

#[test]
fn what_breaks_a_session_is_gone_on_from_or_begun_anew() {
    let whole = plain(9_000_000);
    for fail in [
        Fail::Dropped,
        Fail::Lost,
        Fail::Status(503),
        Fail::Partly(5),
    ] {
        // at the first request of a fragment, and at what it leaves over
        for at in 0..4 {
            let gate = Gate::new();
            let mut fails = vec![None; at];
            fails.push(Some(fail));
            gate.provider.fail(&fails);
            let url = begin(&gate, whole.len());
            let (mut start, mut lost) = (0, false);
            for _ in 0..12 {
                let answer = put(&gate, &url, &whole, start, 4 << 20);
                if answer.status == 201 {
                    break;
                }
                if answer.status == 404 {
                    lost = true;
                    break;
                }
                let status = gate.follow("GET", &url, &[], b"");
                if status.status == 404 {
                    lost = gate.provider.file("attached").is_none();
                    break;
                }
                let next = status.json()["nextExpectedRanges"][0].clone();
                start = next.as_str().unwrap().parse().unwrap();
                assert_eq!(start % (4 << 20), 0, "{fail:?} {at}");
            }
            // only where bytes were taken that can't be gone on from
            assert!(!lost || matches!(fail, Fail::Partly(_)), "{fail:?} {at}");
            if !lost {
                let shown = gate.send("GET", VALUE, &[], b"");
                assert!(shown.bytes() == whole, "{fail:?} {at}");
            }
        }
    }
}

#[test]
fn a_session_elsewhere_is_refused() {
    let gate = Gate::new();
    let session = json!({"uploadUrl": "https://outlook.example.com/api/v2.0/Users('u')/Messages('m')/AttachmentSessions('s')"});
    let kind = ("content-type", "application/json".to_owned());
    let canned = (201, vec![kind], session.to_string().into_bytes());
    *gate.provider.canned.lock().unwrap() = vec![("POST", "/", canned)];
    let document =
        json!({"AttachmentItem": {"attachmentType": "file", "name": "a", "size": 3_500_000}});
    let refused = gate.send("POST", CREATE, &[JSON], document.to_string().as_bytes());
    assert_eq!(refused.code(), "upstream-invalid");
    // nothing else of the host is served
    for target in [
        "/api/v2.0/Users('u')/Messages('m')/Attachments('a')",
        "/owa/",
    ] {
        let refused = gate.at(OUTLOOK, "GET", target, &[], b"");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "operation-unknown")
        );
    }
}

#[test]
fn a_damaged_attachment_is_no_empty_one() {
    let gate = Gate::new();
    let whole = plain(3_500_000);
    upload(&gate, &whole, 3 << 20);
    let sealed = gate.provider.file("attached").unwrap().bytes;
    let shown = |bytes: &[u8]| {
        gate.provider.store("attached", bytes);
        gate.send("GET", VALUE, &[], b"")
    };
    for at in [8, 130, 70_000, 3_200_000, sealed.len() - 20] {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        let answer = shown(&flipped);
        let opened = answer.status == 200 && answer.body.is_ok();
        assert!(!opened, "{at}");
    }
    for cut in [200, 65_000, 3_000_000, sealed.len() - 1] {
        let answer = shown(&sealed[..cut]);
        assert!(answer.status >= 400 || answer.body.is_err(), "{cut}");
    }
}

#[test]
fn what_came_unsealed_passes_as_it_came() {
    let gate = Gate::new();
    for bytes in [&b""[..], b"short", &plain(500_000)] {
        gate.provider.store("attached", bytes);
        let shown = gate.send("GET", VALUE, &[("range", "bytes=0-1")], b"");
        assert_eq!((shown.status, shown.bytes()), (200, bytes));
        assert_eq!(shown.header("accept-ranges"), "none");
    }
}

#[test]
fn what_is_attached_by_itself_is_sealed_and_not_for_readers_outside() {
    const MESSAGE: &str = "/v1.0/me/messages/AAMk=";
    let answer = |status, document: &serde_json::Value| {
        let kind = ("content-type", "application/json".to_owned());
        (status, vec![kind], document.to_string().into_bytes())
    };
    let reader = |address: &str| json!({"toRecipients": [{"emailAddress": {"address": address}}], "subject": "clear"});
    let file = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a", "contentBytes": STANDARD.encode("Vigipirate")});
    let attach = |allow: &[&str], address: &str| {
        let gate = Gate::with(settings(), allow, Provider::default());
        *gate.provider.canned.lock().unwrap() = vec![
            ("GET", MESSAGE, answer(200, &reader(address))),
            ("POST", "/", answer(201, &json!({}))),
        ];
        let target = format!("{MESSAGE}/attachments");
        let answered = gate.send("POST", &target, &[JSON], file.to_string().as_bytes());
        (gate, answered)
    };
    let sealed = |allow: &[&str], address: &str| {
        let (gate, answered) = attach(allow, address);
        assert_eq!(answered.status, 201, "{answered:?}");
        let body = gate.provider.seen.lock().unwrap().pop().unwrap().body;
        let sealed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (gate, sealed)
    };
    // only the provider says that somebody outside is among the readers: that turns no sealing off
    let (gate, refused) = attach(&["mail-outside"], "b@example.com");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "mail-outside")
    );
    let posted = |one: &Seen| one.method == "POST";
    assert!(!gate.provider.seen.lock().unwrap().iter().any(posted));
    for (allow, address) in [
        (&["mail-outside"][..], "b@interieur.gouv.fr"),
        (&[], "b@example.com"),
    ] {
        let (_, sealed) = sealed(allow, address);
        assert_ne!(sealed["contentBytes"], file["contentBytes"]);
    }
    // nor do long ones
    let item =
        json!({"AttachmentItem": {"attachmentType": "file", "name": "a", "size": 3_500_000}});
    let refused = gate.send("POST", CREATE, &[JSON], item.to_string().as_bytes());
    assert_eq!(refused.code(), "mail-outside");
    // a sealed one does not go to whoever could not read it
    let (_, sealed) = sealed(&[], "b@example.com");
    for (attached, status) in [(&sealed, 403), (&file, 202)] {
        *gate.provider.canned.lock().unwrap() = vec![
            (
                "GET",
                "/v1.0/me/messages/AAMk=/attachments",
                answer(200, &json!({"value": [attached]})),
            ),
            ("GET", MESSAGE, answer(200, &reader("b@example.com"))),
            ("POST", "/", answer(202, &json!({}))),
        ];
        let sent = gate.send("POST", &format!("{MESSAGE}/send"), &[], b"");
        assert_eq!(sent.status, status, "{sent:?}");
    }
}
