//! Where tokens of an answer open: a hostile provider moves them to where a client sends values back in clear.

use serde_json::{Value, json};

use crate::gate::{Answer, Gate, load};

const RULES: &str = r#"
[[rule]]
name = "send"
methods = ["POST"]
path = "/send"
request = "json"
answer = ["json"]
clear = ["$.reply_to"]
[[rule.seal]]
json = "$.text"
[[rule.seal]]
json = "$.author.name"
field = "author"
[[rule.seal]]
json = "$.tags[*]"

[[rule]]
name = "read"
methods = ["GET"]
path = "/read"
answer = ["json", "text"]
sizes = ["$..size"]

[[rule]]
name = "search"
methods = ["GET"]
path = "/search"
answer = ["json"]
opens = ["$.hits[*].text", { path = "$.hits[*].excerpt", fields = ["$.text", "author"] }, "$..any"]

[[rule]]
name = "export"
methods = ["GET"]
path = "/export"
answer = ["json", "events"]
opens = ["$"]

[[rule]]
name = "events"
methods = ["GET"]
path = "/events"
answer = ["events"]
"#;

struct Tokens {
    text: String,
    author: String,
    tag: String,
}

fn tokens(gate: &Gate, text: &str) -> Tokens {
    let body = json!({"text": text, "author": {"name": "Mireille"}, "tags": ["urgent"]});
    assert_eq!(gate.json("POST", "/send", &body.to_string()).status, 201);
    let sent = gate.provider.last().json();
    let of = |pointer: &str| sent.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    Tokens {
        text: of("/text"),
        author: of("/author/name"),
        tag: of("/tags/0"),
    }
}

fn answered(gate: &Gate, path: &str, answer: &Value) -> Value {
    gate.provider
        .can(path, 200, "application/json", answer.to_string());
    let answer = gate.get(path);
    serde_json::from_str(answer.text()).unwrap()
}

const OTHER_FIELD: &str = "[Sceau: this text does not open, code field]";

#[test]
fn by_default_tokens_open_under_the_names_of_what_is_sealed_and_nowhere_else() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret");
    let answer = json!({
        "items": [{"text": t.text, "id": t.text, "author": {"name": t.author, "id": t.author}, "tags": [t.tag, [t.tag]]}],
        "cursor": t.text,
        "next": {"page": format!("/read?before={}", t.text)},
        "text": {"id": t.text},
        "Text": t.text,
        t.text.as_str(): 1,
    });
    let expected = json!({
        "items": [{"text": "secret", "id": t.text, "author": {"name": "Mireille", "id": t.author}, "tags": ["urgent", [t.tag]]}],
        "cursor": t.text,
        "next": {"page": format!("/read?before={}", t.text)},
        "text": {"id": t.text},
        "Text": t.text,
        t.text.as_str(): 1,
    });
    assert_eq!(answered(&gate, "/read", &answer), expected);
    // an error too, whatever the rule's answer is
    gate.provider
        .can("/events", 422, "application/json", answer.to_string());
    let error: Value = serde_json::from_str(gate.get("/events").text()).unwrap();
    assert_eq!(error, expected);
}

#[test]
fn a_member_is_known_by_what_its_name_says_however_it_is_written() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret").text;
    let body = format!(
        "{{\"t\\u0065xt\":\"{t}\",\"id\":\"\\\",\\\"text\\\":\\\"{t}\",\"text\\u0000\":\"{t}\"}}"
    );
    gate.provider.can("/read", 200, "application/json", body);
    assert!(gate.get("/read").body.is_err());
    let body = format!("{{\"t\\u0065xt\":\"{t}\",\"id\":\"\\\",\\\"text\\\":\\\"{t}\"}}");
    gate.provider.can("/read", 200, "application/json", body);
    let expected = format!("{{\"t\\u0065xt\":\"secret\",\"id\":\"\\\",\\\"text\\\":\\\"{t}\"}}");
    assert_eq!(gate.get("/read").text(), expected);
}

#[test]
fn a_token_of_another_field_does_not_open_and_a_quoted_one_does() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret");
    let answer = json!({"text": t.author, "name": t.text, "tags": [t.text, t.tag]});
    assert_eq!(
        answered(&gate, "/read", &answer),
        json!({"text": OTHER_FIELD, "name": OTHER_FIELD, "tags": [OTHER_FIELD, "urgent"]})
    );
    let quoting = tokens(&gate, &format!("> {}\n> {}\nnon", t.text, t.author)).text;
    assert_eq!(
        answered(&gate, "/read", &json!({ "text": quoting })),
        json!({"text": format!("> secret\n> {OTHER_FIELD}\nnon")})
    );
    let markup = format!("<blockquote title=\"é\">\n{}</blockquote>", t.text);
    assert_eq!(
        answered(&gate, "/read", &json!({ "text": markup })),
        json!({"text": "<blockquote title=\"é\">\nsecret</blockquote>"})
    );
}

#[test]
fn a_rule_says_where_and_of_which_fields() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret");
    let every = |token: &str| json!({"text": token, "excerpt": token, "id": token});
    let answer = json!({
        "hits": [every(&t.text), every(&t.author), every(&t.tag)],
        "text": t.text,
        "any": {"of": [t.tag]},
    });
    let expected = json!({
        "hits": [
            {"text": "secret", "excerpt": "secret", "id": t.text},
            {"text": OTHER_FIELD, "excerpt": "Mireille", "id": t.author},
            {"text": OTHER_FIELD, "excerpt": OTHER_FIELD, "id": t.tag},
        ],
        "text": t.text,
        "any": {"of": ["urgent"]},
    });
    assert_eq!(answered(&gate, "/search", &answer), expected);
    let everything = json!({"id": t.text, "a": [[t.author]], t.tag.as_str(): 0});
    assert_eq!(
        answered(&gate, "/export", &everything),
        json!({"id": "secret", "a": [["Mireille"]], t.tag.as_str(): 0})
    );
}

#[test]
fn of_an_event_its_data_opens_by_the_rule() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "a\nb").text;
    let events = |path: &str, text: String| {
        gate.provider.can(path, 200, "text/event-stream", text);
        gate.get(path).text().to_owned()
    };
    let shown = "a\\nb";
    let stream = |text: &str| {
        format!(
            "\u{feff}data:{{\"id\":\"{t}\",\ndata: \"text\":\"{text}\"}}\n\nid: {t}\nevent: {t}\n: {t}\ndata: {{\r\ndata: \"text\":\"{text}\"\rdata: }}\r\r\
             data: [DONE]\n\ndata: {t}\n\ndata: {{\"text\":\"{text}\"}}\n\ndata\ndata2: {{\"text\":\"{t}\"}}\n\ndata: {{\"x\" \"text\":\"{t}\"}}\n\n\
             data: {{\"text\":\"\ndata: {t}\"}}\n\n"
        )
    };
    assert_eq!(events("/events", stream(&t)), stream(shown));
    let everything = events(
        "/export",
        format!("id: {t}\ndata: {t}\n\ndata: \"{t}\"\n\n"),
    );
    assert_eq!(
        everything,
        format!("id: {t}\ndata: {shown}\n\ndata: \"{shown}\"\n\n")
    );
}

/// Behind the mark that browsers drop, the first line is data like any other.
#[test]
fn a_byte_order_mark_hides_no_line() {
    let rules = RULES.replace(
        "path = \"/events\"\n",
        "path = \"/events\"\nopens = [\"$.text\"]\n",
    );
    let gate = Gate::new(&rules);
    let t = tokens(&gate, "secret").text;
    let stream = format!("\u{feff}data: {{\"id\":\ndata: {{\"text\":\"{t}\"}}\ndata: }}\n\n");
    gate.provider
        .can("/events", 200, "text/event-stream", stream.clone());
    assert_eq!(gate.get("/events").text(), stream);
}

#[test]
fn what_is_no_json_is_broken_off() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret").text;
    for body in [
        format!("{{\"id\":\"x\" \"text\":\"{t}\"}}"),
        format!("{{\"id\":'\"text\":\"{t}\"}}"),
        format!("{{\"id\":\"\u{1}\",\"text\":\"{t}\"}}"),
        format!("{{\"text\":\"{t}\"}} x"),
        format!("{{\"text\":\"{t}\""),
        format!("{}\"{t}\"", "[".repeat(65)),
    ] {
        gate.provider.can("/read", 200, "application/json", body);
        let answer = gate.get("/read");
        assert_eq!(answer.body.unwrap_err().code.name, "upstream-invalid");
    }
    let invalid = [&b"{\"id\":\"\xc3\",\"text\":\""[..], t.as_bytes(), b"\"}"].concat();
    gate.provider.can("/read", 200, "application/json", invalid);
    assert!(gate.get("/read").body.is_err());
    gate.provider.can("/read", 200, "application/json", " ");
    assert_eq!(gate.get("/read").text(), " ");
}

#[test]
fn in_an_error_of_a_type_that_the_rule_does_not_name_nothing_opens() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret").text;
    for (path, opens) in [("/search", false), ("/read", true)] {
        gate.provider.can(path, 404, "text/plain", t.clone());
        let answer: Answer = gate.get(path);
        let expected = if opens { "secret" } else { t.as_str() };
        assert_eq!((answer.status, answer.text()), (404, expected));
    }
}

/// Longer than `max_document`: nothing of an answer is held.
#[test]
fn sizes_of_an_answer_of_any_length() {
    let gate = Gate::new(RULES);
    let t = tokens(&gate, "secret").text;
    let sealed = sceau::seal::layout::sealed_len(1000).unwrap();
    let file = |size: u64, text: &str| {
        format!("{{\"size\": {size} ,\"text\":\"{text}\",\"n\":{{\"size\":{size}}},\"m\":{size}}}")
    };
    let many = |file: String| format!("[{}]", vec![file; 300].join(","));
    gate.provider
        .can("/read", 200, "application/json", many(file(sealed, &t)));
    let shown = file(1000, "secret").replace("\"m\":1000", &format!("\"m\":{sealed}"));
    assert_eq!(gate.get("/read").text(), many(shown));
    let odd = "{\"size\":1234567890123456789012345,\"a\":{\"size\":-1,\"size\":\"7\",\"size\":1e3,\"size\":12}}";
    gate.provider.can("/read", 200, "application/json", odd);
    assert_eq!(gate.get("/read").text(), odd);
}

#[test]
fn a_files_name_stays_a_token_where_clients_send_names_in_clear() {
    let keeps = r#"
[[rule]]
name = "upload"
methods = ["POST"]
path = "/upload"
request = "multipart"
answer = ["json"]
[[rule.seal]]
file = "document"
keep_name = true
"#;
    let gate = Gate::new(&format!("{RULES}{keeps}"));
    let t = tokens(&gate, "secret").text;
    let headers = vec![
        ("content-type", "text/plain".to_owned()),
        (
            "content-disposition",
            format!("attachment; filename=\"{t}\""),
        ),
    ];
    gate.provider.can_with("/read", 200, headers.clone(), "x");
    let named = gate.get("/read").header("content-disposition").to_owned();
    assert_eq!(named, headers[1].1);
}

fn faults(rules: &str) -> String {
    load(rules).err().unwrap_or_default()
}

#[test]
fn a_name_that_is_sealed_here_and_clear_there_must_be_decided() {
    let clear = r#"
[[rule]]
name = "rename"
methods = ["POST"]
path = "/rooms/{id}"
request = "json"
answer = ["none"]
clear = ["$.room.text"]
"#;
    let all = format!("{RULES}{clear}");
    let message = faults(&all);
    for rule in ["send", "rename"] {
        assert!(
            message.contains(&format!("by the rule `{rule}`")),
            "{message}"
        );
    }
    let decided = all.replace(
        "answer = [\"json\"]\nclear = [\"$.reply_to\"]",
        "answer = [\"json\"]\nopens = []\nclear = [\"$.reply_to\"]",
    );
    let decided = decided.replace("sizes =", "opens = [\"$.items[*].text\"]\nsizes =");
    let decided = decided.replace(
        "path = \"/events\"\n",
        "path = \"/events\"\nopens = [\"$..text\"]\n",
    );
    assert_eq!(faults(&decided), "");
    let queried = RULES.replace(
        "path = \"/read\"\n",
        "path = \"/read\"\nquery = [\"text\"]\n",
    );
    assert!(faults(&queried).contains("by the rule `read`"));
    let gate = Gate::new(&decided);
    let t = tokens(&gate, "secret").text;
    // an error of a rule that answers no JSON
    let error = json!({ "text": t });
    gate.provider
        .can("/rooms/1", 400, "application/json", error.to_string());
    let answer = gate.json("POST", "/rooms/1", "{\"room\":{\"text\":\"x\"}}");
    assert_eq!(answer.text(), error.to_string());
}

#[test]
fn faults_of_opens() {
    for (opens, expected) in [
        ("[\"text\"]", "expected a JSON path"),
        ("[{ path = \"$.a\" }]", "expected a JSON path"),
        (
            "[{ path = \"$.a\", field = [\"b\"] }]",
            "expected a JSON path",
        ),
        ("[{ path = \"$.a\", fields = \"b\" }]", "expected a list"),
    ] {
        let rules = RULES.replace("opens = [\"$\"]", &format!("opens = {opens}"));
        let faults = faults(&rules);
        assert!(faults.contains(expected), "{faults}");
    }
    let html = "[[rule]]\nname = \"r\"\nmethods = [\"GET\"]\npath = \"/\"\nanswer = [\"html\"]\nopens = [\"$\"]";
    assert!(faults(html).contains("belongs to answers in JSON"));
}
