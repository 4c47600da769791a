//! `$batch`: every inner request is judged by itself.

use serde_json::{Value, json};

use crate::content::hash;
use crate::gate::{Gate, plain, settings};
use crate::provider::Provider;

const JSON: (&str, &str) = ("content-type", "application/json");

/// The provider answers every inner request with what it would answer by itself.
fn batch(gate: &Gate, requests: &Value) -> (u16, Value, Vec<Value>) {
    let document = json!({"requests": requests}).to_string();
    let before = gate.provider.seen.lock().unwrap().len();
    let answer = gate.send("POST", "/v1.0/$batch", &[JSON], document.as_bytes());
    let told = gate.provider.seen.lock().unwrap();
    let inner = told[before..]
        .iter()
        .filter(|seen| seen.target.ends_with("$batch"))
        .flat_map(|seen| {
            let sent: Value = serde_json::from_slice(&seen.body).unwrap();
            sent["requests"].as_array().unwrap().clone()
        })
        .collect();
    (answer.status, answer.json(), inner)
}

fn by_id<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let all = answer["responses"].as_array().unwrap();
    all.iter().find(|one| one["id"] == id).unwrap()
}

#[test]
fn inner_answers_show_the_plaintext() {
    let gate = Gate::new();
    let whole = plain(5000);
    gate.send("PUT", "/v1.0/me/drive/root:/a:/content", &[], &whole);
    let (status, answer, inner) = batch(
        &gate,
        &json!([
            {"id": "1", "method": "GET", "url": "/me/drive/root/children"},
            {"id": "2", "method": "GET", "url": "/me/drive/root:/a"},
            {"id": "3", "method": "GET", "url": "me/drive/root:/a:/content"},
        ]),
    );
    assert_eq!((status, inner.len()), (200, 3));
    for item in [
        &by_id(&answer, "1")["body"]["value"][0],
        &by_id(&answer, "2")["body"],
    ] {
        assert_eq!(item["size"], 5000);
        assert_eq!(item["file"]["hashes"]["quickXorHash"], hash(&whole));
    }
    assert_eq!(by_id(&answer, "3")["status"], 302);
}

#[test]
fn what_is_refused_is_answered_inside_and_what_depends_on_it_too() {
    let gate = Gate::new();
    let (status, answer, inner) = batch(
        &gate,
        &json!([
            {"id": "a", "method": "GET", "url": "/me/drive/root/children"},
            {"id": "b", "method": "PUT", "url": "/me/drive/root:/x:/content", "body": "cGxhaW4="},
            {"id": "c", "method": "GET", "url": "/me/drive/root:/x", "dependsOn": ["b"]},
            {"id": "d", "method": "GET", "url": "/me/drive/root:/x", "dependsOn": ["c"]},
            {"id": "e", "method": "POST", "url": "/me/drive/items/1/preview"},
            {"id": "f", "method": "POST", "url": "/me/drive/root/children", "body": {"name": "x", "file": {}}},
            {"id": "g", "method": "GET", "url": "/me"},
            {"id": "h", "method": "POST", "url": "/$batch", "body": {"requests": []}},
            {"id": "i", "method": "GET", "url": "/me/drive/root/children?$search=words"},
            {"id": "j", "method": "POST", "url": "/me/drive/root/children", "headers": {"X-HTTP-Method-Override": "PUT"}},
        ]),
    );
    assert_eq!(status, 200);
    assert_eq!(inner.len(), 1);
    assert_eq!(inner[0]["id"], "a");
    for (id, status) in [
        ("c", 424),
        ("d", 424),
        ("b", 403),
        ("e", 403),
        ("f", 403),
        ("g", 403),
        ("h", 403),
        ("i", 403),
        ("j", 400),
    ] {
        assert_eq!(by_id(&answer, id)["status"], status, "{id}");
        assert!(by_id(&answer, id)["body"]["error"]["innerError"]["code"].is_string());
    }
    assert_eq!(by_id(&answer, "a")["status"], 200);
}

#[test]
fn a_session_of_a_batch_takes_fragments() {
    let gate = Gate::with(settings(), &["directory"], Provider::default());
    let url = "/me/drive/root:/a.bin:/createUploadSession";
    let body = json!({"item": {"fileSize": 1000}});
    let (_, answer, inner) = batch(
        &gate,
        &json!([{"id": "1", "method": "POST", "url": url, "body": body, "headers": {"Content-Type": "application/json"}}]),
    );
    assert_eq!(inner[0]["body"]["item"]["fileSize"], 1528);
    let session = by_id(&answer, "1")["body"]["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    let range = [("content-range", "bytes 0-999/1000")];
    assert_eq!(
        gate.follow("PUT", &session, &range, &plain(1000)).status,
        201
    );
}

#[test]
fn what_is_no_batch_is_refused() {
    let gate = Gate::new();
    let one = json!({"id": "1", "method": "GET", "url": "/me/drive"});
    let many: Vec<Value> = (0..21)
        .map(|n| json!({"id": n.to_string(), "method": "GET", "url": "/me/drive"}))
        .collect();
    for document in [
        "[]".to_owned(),
        json!({"requests": []}).to_string(),
        json!({"requests": many}).to_string(),
        json!({"requests": [one, one]}).to_string(),
        json!({"requests": [one], "other": 1}).to_string(),
        json!({"requests": [{"id": "1", "method": "GET", "url": "/me/drive", "more": 1}]})
            .to_string(),
        r#"{"requests":[{"id":"1","method":"GET","url":"/me/drive","url":"/me"}]}"#.to_owned(),
    ] {
        let answer = gate.send("POST", "/v1.0/$batch", &[JSON], document.as_bytes());
        assert_eq!(answer.status, 400, "{document}");
    }
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
}

#[test]
fn an_inner_answer_that_leads_past_the_gateway_is_replaced() {
    let gate = Gate::new();
    let document = json!({"responses": [
        {"id": "1", "status": 302, "headers": {"Location": "https://elsewhere.example/x"}},
        {"id": "2", "status": 200, "headers": {}, "body": "c2VhbGVk"},
    ]});
    let fields = vec![("content-type", "application/json".to_owned())];
    let canned = (200, fields, document.to_string().into_bytes());
    *gate.provider.canned.lock().unwrap() = vec![("POST", "/v1.0/$batch", canned)];
    let url = "/me/drive/root:/a:/content";
    let (_, answer, _) = batch(
        &gate,
        &json!([{"id": "1", "method": "GET", "url": url}, {"id": "2", "method": "GET", "url": url}]),
    );
    assert_eq!(by_id(&answer, "1")["status"], 502);
    assert_eq!(by_id(&answer, "2")["status"], 502);
}
