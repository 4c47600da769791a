//! What a client is given.

use crate::gate::Gate;

const RULES: &str = r#"
[[rule]]
name = "send"
methods = ["POST"]
path = "/send"
request = "json"
answer = ["json"]
[[rule.seal]]
json = "$.text"

[[rule]]
name = "read"
methods = ["GET", "HEAD"]
path = "/read"
answer = ["json", "html", "text"]

[[rule]]
name = "sized"
methods = ["GET"]
path = "/sized"
answer = ["json"]
sizes = ["$.files[*].size"]

[[rule]]
name = "events"
methods = ["GET"]
path = "/events"
answer = ["events"]

[[rule]]
name = "quiet"
methods = ["GET"]
path = "/quiet"
answer = ["none"]
"#;

fn token(gate: &Gate, text: &str) -> String {
    let body = serde_json::json!({ "text": text }).to_string();
    gate.json("POST", "/send", &body);
    gate.provider.last().json()["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn values_are_written_for_the_text_around_them() {
    let gate = Gate::new(RULES);
    let t = token(&gate, "a <\"b\">\n");
    let quoted = format!("\"{t}\"");
    let member = format!("{{\"text\":{quoted}}}");
    gate.provider
        .can("/read", 200, "application/problem+json", member);
    assert_eq!(gate.get("/read").text(), "{\"text\":\"a <\\\"b\\\">\\n\"}");
    gate.provider
        .can("/read", 200, "text/html; charset=utf-8", quoted.clone());
    assert_eq!(gate.get("/read").text(), "\"a &lt;&quot;b&quot;&gt;\n\"");
    gate.provider.can("/read", 200, "text/plain", quoted);
    assert_eq!(gate.get("/read").text(), "\"a <\"b\">\n\"");
    let event = format!("event: m\ndata: {{\"text\":\"{t}\"}}\n\n");
    gate.provider
        .can("/events", 200, "text/event-stream", event);
    assert_eq!(
        gate.get("/events").text(),
        "event: m\ndata: {\"text\":\"a <\\\"b\\\">\\n\"}\n\n"
    );
}

#[test]
fn a_damaged_token_is_a_marker_and_the_page_stands() {
    let gate = Gate::new(RULES);
    let t = token(&gate, "salut");
    let body = format!("{{\"a\":{{\"text\":\"{}\"}},\"text\":\"{t}\"}}", &t[..80]);
    gate.provider.can("/read", 200, "application/json", body);
    let answer = gate.get("/read");
    let document: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(
        document["a"]["text"],
        "[Sceau: this text does not open, code length]"
    );
    assert_eq!(document["text"], "salut");
}

#[test]
fn answers_that_the_rule_does_not_name_are_not_shown() {
    let gate = Gate::new(RULES);
    for (kind, path) in [
        ("image/png", "/read"),
        ("text/event-stream", "/read"),
        ("text/html", "/sized"),
        ("text/html; charset=iso-8859-1", "/read"),
        ("application/json", "/events"),
    ] {
        gate.provider.can(path, 200, kind, "x");
        let answer = gate.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream-invalid"),
            "{kind}"
        );
    }
    let coded = vec![
        ("content-type", "text/html".to_owned()),
        ("content-encoding", "gzip".to_owned()),
    ];
    gate.provider.can_with("/read", 200, coded, "x");
    assert_eq!(gate.get("/read").code(), "upstream-invalid");
    gate.provider.can("/quiet", 200, "text/html", "whatever");
    let quiet = gate.get("/quiet");
    assert_eq!((quiet.status, quiet.text()), (200, ""));
    // errors are worded by the provider, whatever the rule names
    gate.provider
        .can("/events", 422, "application/json", "{\"message\":\"no\"}");
    let error = gate.get("/events");
    assert_eq!((error.status, error.text()), (422, "{\"message\":\"no\"}"));
}

#[test]
fn sealed_lengths_in_json_become_the_plaintexts() {
    let gate = Gate::new(RULES);
    let sealed = sceau::seal::layout::sealed_len(1000).unwrap();
    let t = token(&gate, "nom");
    let body = format!(
        "{{\"files\":[{{\"size\":{sealed},\"text\":\"{t}\"}},{{\"size\":12}}],\"size\":{sealed}}}"
    );
    gate.provider.can("/sized", 200, "application/json", body);
    let expected = format!(
        "{{\"files\":[{{\"size\":1000,\"text\":\"nom\"}},{{\"size\":12}}],\"size\":{sealed}}}"
    );
    assert_eq!(gate.get("/sized").text(), expected);
}

#[test]
fn heads_without_bodies_and_redirects() {
    let gate = Gate::new(RULES);
    let headers = |location: &str| {
        vec![
            ("location", location.to_owned()),
            ("content-length", "0".to_owned()),
            ("set-cookie", "a=b; Domain=forum.example.net".to_owned()),
        ]
    };
    gate.provider
        .can_with("/read", 302, headers("https://forum.example.net/x?y"), "");
    let answer = gate.get("/read");
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), "https://forum.example.fr/x?y");
    assert_eq!(answer.header("set-cookie"), "a=b");
    gate.provider
        .can_with("/read", 307, headers("https://elsewhere.example/x"), "");
    assert_eq!(gate.get("/read").code(), "upstream-invalid");
    gate.provider
        .can_with("/read", 304, vec![("etag", "\"1\"".to_owned())], "");
    let unchanged = gate.send("HEAD", "/read", &[("if-none-match", "\"1\"")], b"");
    assert_eq!((unchanged.status, unchanged.text()), (304, ""));
    assert_eq!(gate.provider.last().headers["if-none-match"], "\"1\"");
}

#[test]
fn tokens_in_header_fields_open_too() {
    let gate = Gate::new(RULES);
    let t = token(&gate, "rapport.pdf");
    let headers = vec![
        ("content-type", "text/plain".to_owned()),
        (
            "content-disposition",
            format!("attachment; filename=\"{t}\""),
        ),
    ];
    gate.provider.can_with("/read", 200, headers, "x");
    let answer = gate.get("/read");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"rapport.pdf\""
    );
}

#[test]
fn a_files_name_is_written_as_its_characters_need() {
    let gate = Gate::new(RULES);
    let t = token(&gate, "relevé 1.pdf");
    for field in [
        format!("inline; filename={t}"),
        format!("inline; filename*=utf-8''{t}"),
    ] {
        let headers = vec![
            ("content-type", "text/plain".to_owned()),
            ("content-disposition", field),
        ];
        gate.provider.can_with("/read", 200, headers, "x");
        assert_eq!(
            gate.get("/read").header("content-disposition"),
            "inline; filename*=UTF-8''relev%C3%A9%201.pdf"
        );
    }
}

#[test]
fn a_browser_gets_a_page() {
    let gate = Gate::new(RULES);
    let answer = gate.send("GET", "/nowhere", &[("accept", "text/html,*/*")], b"");
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("<h1>Request not forwarded</h1>"));
    assert!(answer.text().contains("help@example.fr"));
}
