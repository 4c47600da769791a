//! Messages within `$batch`: sealed and opened as if each came alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::gate::{Gate, settings};
use crate::provider::{Canned, Provider};

const SECRET: &str = "Plan Vigipirate: budget 4 711";
const JSON: (&str, &str) = ("content-type", "application/json");

fn answer(document: &Value) -> Canned {
    let kind = ("content-type", "application/json".to_owned());
    (200, vec![kind], document.to_string().into_bytes())
}

fn gate(canned: Vec<(&'static str, &'static str, Canned)>) -> Gate {
    gate_with(&["mail-outside"], canned)
}

fn gate_with(allow: &[&str], canned: Vec<(&'static str, &'static str, Canned)>) -> Gate {
    let gate = Gate::with(settings(), allow, Provider::default());
    *gate.provider.canned.lock().unwrap() = canned;
    gate
}

/// What the client is answered, by the inner requests' ids, and the inner requests that went up.
fn batch(gate: &Gate, requests: &Value) -> (Value, Vec<Value>) {
    let document = json!({"requests": requests}).to_string();
    let answer = gate.send("POST", "/v1.0/$batch", &[JSON], document.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let answers = answer.json()["responses"].clone();
    let by_id: serde_json::Map<String, Value> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone()))
        .collect();
    let seen = gate.provider.seen.lock().unwrap();
    let sent = seen.iter().filter(|seen| seen.target.ends_with("$batch"));
    let inner = sent.flat_map(|seen| {
        let sent: Value = serde_json::from_slice(&seen.body).unwrap();
        sent["requests"].as_array().unwrap().clone()
    });
    (by_id.into(), inner.collect())
}

fn post(id: &str, url: &str, body: &Value) -> Value {
    json!({"id": id, "method": "POST", "url": url, "headers": {"Content-Type": "application/json"}, "body": body})
}

fn to(address: &str) -> Value {
    json!([{"emailAddress": {"address": address}}])
}

#[test]
fn documents_go_up_sealed_and_answers_come_down_opened() {
    let text = json!({"contentType": "html", "content": format!("<p>{SECRET}</p>")});
    let requests = json!([
        post("mail", "/me/messages", &json!({"subject": SECRET, "body": text, "toRecipients": to("a@interieur.gouv.fr")})),
        post("event", "/me/events", &json!({"subject": SECRET, "body": text, "location": {"displayName": SECRET}})),
        post("contact", "/me/contacts", &json!({"givenName": "Nora", "personalNotes": SECRET})),
        post("task", "/me/todo/lists/1/tasks", &json!({"title": SECRET, "body": text})),
        post("chat", "chats/19:x@unq.gbl.spaces/messages", &json!({"body": text})),
        {"id": "plan", "method": "PATCH", "url": "/planner/tasks/1/details", "dependsOn": ["task"],
         "headers": {"Content-Type": "application/json", "If-Match": "W/\"1\"", "X-Note": SECRET}, "body": {"description": SECRET}},
    ]);
    let none: Vec<Value> = ["mail", "event", "contact", "task", "chat", "plan"]
        .iter()
        .map(|id| json!({"id": id, "status": 204, "headers": {}}))
        .collect();
    let first = gate(vec![(
        "POST",
        "/v1.0/$batch",
        answer(&json!({"responses": none})),
    )]);
    let (_, sent) = batch(&first, &requests);
    assert_eq!(sent.len(), 6);
    let all = Value::from(sent.clone()).to_string();
    assert!(
        !all.contains("Vigipirate") && !all.contains("4 711"),
        "{all}"
    );
    assert_eq!(sent[5]["dependsOn"], json!(["task"]));
    let headers = json!({"Content-Type": "application/json", "If-Match": "W/\"1\""});
    assert_eq!(sent[5]["headers"], headers);
    // the service stores what it got, and answers it
    let made: Vec<Value> = sent
        .iter()
        .rev()
        .map(|one| json!({"id": one["id"], "status": 201, "headers": {"Content-Type": "application/json"}, "body": one["body"]}))
        .collect();
    let second = gate(vec![(
        "POST",
        "/v1.0/$batch",
        answer(&json!({"responses": made})),
    )]);
    let (answers, _) = batch(&second, &requests);
    for asked in requests.as_array().unwrap() {
        let id = asked["id"].as_str().unwrap();
        assert_eq!(answers[id]["body"], asked["body"], "{id}");
    }
}

#[test]
fn what_is_read_is_opened_and_files_too() {
    let store = gate(vec![
        ("GET", "/v1.0/me", answer(&json!({}))),
        ("POST", "/v1.0/me", answer(&json!({}))),
    ]);
    let file = STANDARD.encode(SECRET);
    let attached = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": SECRET, "contentBytes": file});
    let url = "/v1.0/me/messages/1/attachments";
    store.send("POST", url, &[JSON], attached.to_string().as_bytes());
    let stored: Value =
        serde_json::from_slice(&store.provider.seen.lock().unwrap().last().unwrap().body).unwrap();
    let answers = json!({"responses": [
        {"id": "1", "status": 200, "headers": {}, "body": {"value": [stored]}},
        {"id": "2", "status": 200, "headers": {"Content-Type": "text/plain"}, "body": stored["contentBytes"]},
        {"id": "3", "status": 404, "headers": {}, "body": {"error": {"code": "ErrorItemNotFound"}}},
        {"id": "4", "status": 200, "headers": {}, "body": "bm8gZG9jdW1lbnQ="},
        {"id": "5", "status": 200, "headers": {}, "body": stored["contentBytes"].as_str().unwrap()[..400]},
    ]});
    let gate = gate(vec![("POST", "/v1.0/$batch", answer(&answers))]);
    let get = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    let (answers, _) = batch(
        &gate,
        &json!([
            get("1", "/me/messages/1/attachments"),
            get("2", "/me/messages/1/attachments/2/$value"),
            get("3", "/me/messages/9"),
            get("4", "/me/messages/1"),
            get("5", "/me/messages/1/attachments/2/$value"),
        ]),
    );
    assert_eq!(answers["1"]["body"]["value"][0], attached);
    assert_eq!(answers["2"]["body"], file);
    assert_eq!(answers["3"]["status"], 404);
    let code = |id: &str| answers[id]["body"]["error"]["innerError"]["code"].clone();
    assert_eq!(
        (code("4"), code("5")),
        ("upstream-invalid".into(), "object-damaged".into())
    );
}

#[test]
fn what_is_refused_alone_is_refused_within() {
    let draft =
        json!({"toRecipients": to("b@example.com"), "subject": "x", "body": {"content": "x"}});
    let fine = json!({"responses": [{"id": "fine", "status": 202, "headers": {}}]});
    let gate = gate_with(
        &[],
        vec![
            ("POST", "/v1.0/$batch", answer(&fine)),
            ("GET", "/v1.0/me/messages/1?", answer(&draft)),
        ],
    );
    let mail = |address: &str| json!({"message": {"subject": SECRET, "toRecipients": to(address)}});
    let mut base64 = post(
        "mime",
        "/me/sendMail",
        &STANDARD.encode("Subject: x").into(),
    );
    base64["headers"] = json!({"Content-Type": "text/plain"});
    let get = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    let dependent =
        json!({"id": "early", "method": "GET", "url": "/me/messages/1", "dependsOn": ["outside"]});
    let (answers, sent) = batch(
        &gate,
        &json!([
            dependent,
            post("fine", "/me/sendMail", &mail("a@interieur.gouv.fr")),
            post("outside", "/me/sendMail", &mail("b@example.com")),
            post("draft", "/me/messages/1/send", &Value::Null),
            post("unknown", "/me/messages", &json!({"note": SECRET})),
            post("text", "/me/messages", &SECRET.into()),
            base64,
            get("search", "/me/messages?$search=%22budget%22"),
            get(
                "filter",
                "/chats/19:x@thread.v2/messages?$filter=contains(body/content,'budget')"
            ),
            get("count", "/me/messages/$count"),
            post("query", "/search/query", &json!({"requests": []})),
        ]),
    );
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(answers["fine"]["status"], 202);
    for (id, status, code) in [
        ("early", 424, "request-refused"),
        ("outside", 403, "mail-outside"),
        ("draft", 403, "mail-outside"),
        ("unknown", 403, "rule-violated"),
        ("text", 400, "request-refused"),
        ("mime", 400, "request-refused"),
        ("search", 403, "search-sealed"),
        ("filter", 403, "search-sealed"),
        ("count", 403, "operation-unknown"),
        ("query", 403, "search-sealed"),
    ] {
        assert_eq!(answers[id]["status"], status, "{id}");
        assert_eq!(
            answers[id]["body"]["error"]["innerError"]["code"], code,
            "{id}"
        );
    }
}

#[test]
fn readers_outside_get_nothing_out_of_a_batch() {
    let gate = gate(vec![]);
    let mail = json!({"message": {"subject": SECRET, "toRecipients": to("b@example.com")}});
    let (answers, sent) = batch(&gate, &json!([post("1", "/me/sendMail", &mail)]));
    assert!(sent.is_empty());
    assert_eq!(
        answers["1"]["body"]["error"]["innerError"]["code"],
        "mail-outside"
    );
}

#[test]
fn a_batch_that_grows_too_long_is_refused_here() {
    let gate = gate(vec![]);
    let contact = |n: usize| {
        post(
            &n.to_string(),
            "/me/contacts",
            &json!({"personalNotes": "x".repeat(65_000)}),
        )
    };
    let contacts: Vec<Value> = (0..20).map(contact).collect();
    let files: Vec<Value> = (0..3)
        .map(|n| {
            post(
                &n.to_string(),
                "/me/messages/1/attachments",
                &json!({"name": "x", "contentBytes": "A".repeat(1_360_000)}),
            )
        })
        .collect();
    for (requests, status) in [(contacts, 502), (files, 413)] {
        let document = json!({"requests": requests}).to_string();
        let answer = gate.send("POST", "/v1.0/$batch", &[JSON], document.as_bytes());
        // the provider here answers such batches with nothing that could be opened
        assert_eq!(answer.status == 413, status == 413, "{}", answer.status);
    }
}

#[test]
fn answers_that_lack_or_stand_twice_are_no_answer() {
    let one = |id: &str| json!({"id": id, "status": 200, "headers": {}, "body": {}});
    for responses in [
        json!([one("1")]),
        json!([one("1"), one("1")]),
        json!([one("1"), one("2"), one("2")]),
    ] {
        let gate = gate(vec![(
            "POST",
            "/v1.0/$batch",
            answer(&json!({"responses": responses})),
        )]);
        let get = |id: &str| json!({"id": id, "method": "GET", "url": "/me/messages"});
        let document = json!({"requests": [get("1"), get("2")]}).to_string();
        let answer = gate.send("POST", "/v1.0/$batch", &[JSON], document.as_bytes());
        assert_eq!(answer.code(), "upstream-invalid");
    }
}
