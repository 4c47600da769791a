//! Answers of which `$select` leaves something out, by a provider that leaves it out.

use serde_json::{Value, json};

use crate::content::hash;
use crate::gate::{Answer, Gate, plain};

const CHILDREN: &str = "/v1.0/me/drive/root/children";

/// A gateway before one file of 70,000 bytes, and its hash.
fn filled() -> (Gate, String) {
    let (gate, whole) = (Gate::new(), plain(70_000));
    gate.send("PUT", "/v1.0/me/drive/root:/a:/content", &[], &whole);
    (gate, hash(&whole))
}

fn get(gate: &Gate, target: &str) -> Answer {
    let answer = gate.send("GET", target, &[], b"");
    assert_eq!(answer.status, 200, "{target}");
    answer
}

#[test]
fn sizes_and_hashes_are_the_plaintexts_whatever_is_left_out() {
    let (gate, hash) = filled();
    for list in [
        "size",
        "name,size",
        "file",
        "file,size",
        "id,size,cTag",
        "file/hashes",
    ] {
        for (target, pointer) in [
            (format!("{CHILDREN}?$select={list}"), "/value/0"),
            (
                format!("{CHILDREN}?%24select={}", list.replace(',', "%2C")),
                "/value/0",
            ),
            (format!("/v1.0/me/drive/root:/a?select={list}"), ""),
            (
                format!("/v1.0/me/drive/root?$expand=children($select={list})"),
                "/children/0",
            ),
            (
                format!("/v1.0/me/drive/root?$select=id&$expand=children($select={list};$top=5)"),
                "/children/0",
            ),
        ] {
            let answer = get(&gate, &target).json();
            let item = answer.pointer(pointer).unwrap();
            if list != "file/hashes" {
                assert_eq!(item["size"], 70_000, "{target}");
                assert_eq!(
                    item["file"]["hashes"],
                    json!({"quickXorHash": hash}),
                    "{target}"
                );
            }
            // an address that carries its own proof goes to nobody who did not ask
            assert_eq!(
                item["@microsoft.graph.downloadUrl"],
                Value::Null,
                "{target}"
            );
        }
    }
}

#[test]
fn a_folders_size_stays_the_providers() {
    let (gate, _) = filled();
    let root = get(&gate, "/v1.0/me/drive/root?$select=size").json();
    assert_eq!(root["size"], 1_000_000);
}

#[test]
fn what_asks_for_neither_is_asked_for_as_it_came() {
    let (gate, _) = filled();
    for query in ["$select=id,name", "$select=name&%24top=5", "$top=5&$skip=0"] {
        get(&gate, &format!("{CHILDREN}?{query}"));
        let seen = gate.provider.seen.lock().unwrap();
        assert_eq!(seen.last().unwrap().target, format!("{CHILDREN}?{query}"));
    }
    let names = get(&gate, &format!("{CHILDREN}?$select=name")).json();
    assert_eq!(names, json!({"value": [{"name": "a"}]}));
}

#[test]
fn in_a_batch_too() {
    let (gate, hash) = filled();
    let requests = json!([
        {"id": "1", "method": "GET", "url": "/me/drive/root/children?$select=size"},
        {"id": "2", "method": "GET", "url": "me/drive/root:/a?$select=file"},
        {"id": "3", "method": "GET", "url": "/me/drive/root?$expand=children($select=name,size)"},
        {"id": "4", "method": "GET", "url": "/me/drive/root/children?$select=name"},
    ]);
    let document = json!({"requests": requests}).to_string();
    let fields = [("content-type", "application/json")];
    let answer = gate.send("POST", "/v1.0/$batch", &fields, document.as_bytes());
    let answer = answer.json();
    let body = |id: &str| {
        let all = answer["responses"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap()["body"].clone()
    };
    for item in [
        &body("1")["value"][0],
        &body("2"),
        &body("3")["children"][0],
    ] {
        assert_eq!(item["size"], 70_000);
        assert_eq!(item["file"]["hashes"]["quickXorHash"], hash);
    }
    assert_eq!(body("4"), json!({"value": [{"name": "a"}]}));
}

#[test]
fn an_upload_whose_answer_is_cut_short_is_remembered() {
    let (gate, whole) = (Gate::new(), plain(5000));
    let target = "/v1.0/me/drive/root:/a:/content?$select=name";
    assert_eq!(gate.send("PUT", target, &[], &whole).status, 201);
    let list = get(&gate, CHILDREN).json();
    assert_eq!(
        list["value"][0]["file"]["hashes"]["quickXorHash"],
        hash(&whole)
    );
}

#[test]
fn options_that_can_be_read_in_two_ways_are_refused() {
    let (gate, _) = filled();
    for query in [
        "$select=size&$select=name",
        "$select=size&select=name",
        "$expand=children($select=size",
    ] {
        let answer = gate.send("GET", &format!("{CHILDREN}?{query}"), &[], b"");
        assert_eq!(
            (answer.status, answer.code()),
            (400, "request-refused".to_owned()),
            "{query}"
        );
    }
    let sought = format!("{CHILDREN}?$expand=children($filter=name%20eq%20'a')");
    let answer = gate.send("GET", &sought, &[], b"");
    assert_eq!(answer.code(), "search-sealed");
}
