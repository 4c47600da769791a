//! What a session is known by, and at which address the provider is asked.

use serde_json::json;

use crate::content::hash;
use crate::gate::{Gate, plain};
use crate::provider::UNIT;

const CREATE: &str = "/v1.0/me/drive/root:/a.bin:/createUploadSession";
const JSON: (&str, &str) = ("content-type", "application/json");

fn begin(gate: &Gate, document: &str) -> String {
    let answer = gate.send("POST", CREATE, &[JSON], document.as_bytes());
    answer.json()["uploadUrl"].as_str().unwrap().to_owned()
}

/// As WHATWG URL writes it; with other hexadecimals; with an escape that nobody needs.
fn spellings(url: &str) -> [String; 4] {
    [
        url.replace('\'', "%27"),
        url.replace("%3d", "%3D").replace("%2B", "%2b"),
        url.replace("tempauth", "temp%61uth"),
        url.replace('\'', "%27").replace("01ROOT", "%301ROOT"),
    ]
}

#[test]
fn a_session_is_the_same_however_its_address_is_written_and_the_provider_gets_its_own() {
    let (whole, unit) = (plain(3 * UNIT as usize + 5), UNIT as usize);
    let gate = Gate::new();
    for spelling in 0..4 {
        let url = begin(&gate, "");
        let other = &spellings(&url)[spelling];
        assert_ne!(*other, url);
        let before = gate.provider.seen.lock().unwrap().len();
        let total = whole.len();
        for (n, piece) in whole.chunks(unit).enumerate() {
            let (start, end) = (n * unit, n * unit + piece.len() - 1);
            let range = format!("bytes {start}-{end}/{total}");
            // half of the requests write it otherwise
            let at = if n % 2 == 0 { other } else { &url };
            let answer = gate.follow("PUT", at, &[("content-range", &range)], piece);
            assert_eq!(answer.status, if end + 1 == total { 201 } else { 202 });
            if end + 1 < total {
                let status = gate.follow("GET", other, &[], b"");
                assert_eq!(
                    status.json()["nextExpectedRanges"][0],
                    format!("{}-", end + 1)
                );
            } else {
                assert_eq!(
                    answer.json()["file"]["hashes"]["quickXorHash"],
                    hash(&whole)
                );
            }
        }
        let seen = gate.provider.seen.lock().unwrap();
        let target = url.split_once(".com").unwrap().1;
        assert!(seen.len() > before);
        assert!(seen[before..].iter().all(|seen| seen.target == target));
    }
}

#[test]
fn another_address_is_another_session() {
    let gate = Gate::new();
    let url = begin(&gate, "");
    let range = [("content-range", "bytes 0-9/10")];
    for other in [
        url.replace("%2B", "+"),
        url.replace("%3d", "="),
        url.replace("guid='", "guid=%2527"),
        url.replace("drives", "DRIVES"),
        format!("{url}&x=1"),
    ] {
        let answer = gate.follow("PUT", &other, &range, &plain(10));
        assert_eq!(answer.status, 404, "{other}");
    }
    assert_eq!(gate.follow("PUT", &url, &range, &plain(10)).status, 201);
}

#[test]
fn a_session_that_is_ended_or_made_a_file_is_named_as_the_provider_names_it() {
    let gate = Gate::new();
    let url = begin(&gate, "");
    let other = &spellings(&url)[3];
    assert_eq!(gate.follow("DELETE", other, &[], b"").status, 204);
    assert_eq!(gate.follow("GET", &url, &[], b"").status, 404);

    let url = begin(&gate, r#"{"deferCommit":true}"#);
    let other = &spellings(&url)[3];
    let range = [("content-range", "bytes 0-9/10")];
    assert_eq!(gate.follow("PUT", other, &range, &plain(10)).status, 202);
    let document = json!({"name": "b.bin", "@microsoft.graph.sourceUrl": other}).to_string();
    let answer = gate.send(
        "PUT",
        "/v1.0/me/drive/root:/b.bin",
        &[JSON],
        document.as_bytes(),
    );
    assert_eq!((answer.status, &answer.json()["size"]), (201, &json!(10)));
    let seen = gate.provider.seen.lock().unwrap();
    let sent = String::from_utf8_lossy(&seen.last().unwrap().body);
    assert_eq!(sent, document.replace(other.as_str(), &url));
}
