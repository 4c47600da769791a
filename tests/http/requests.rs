//! What leaves for the provider.

use crate::gate::Gate;

const RULES: &str = r#"
[[rule]]
name = "send"
methods = ["POST", "PUT"]
path = "/api/messages/{id}"
request = "json"
answer = ["json"]
query = ["silent"]
clear = ["$.kind", "$.tags"]
[[rule.seal]]
json = "$.text"
max = 300
[[rule.seal]]
json = "$.title"
index = "folded"
beside = "title_index"
field = "title"
[[rule.seal]]
header = "X-Subject"

[[rule]]
name = "form"
methods = ["POST"]
path = "/form"
request = "form"
answer = ["html"]
clear = ["csrf"]
[[rule.seal]]
form = "comment"

[[rule]]
name = "list"
methods = ["GET"]
path = "/api/messages"
answer = ["json"]
query = ["page"]
[[rule.seal]]
query = "title"
index = "folded"
field = "title"
[[rule.seal]]
query = "filter"
index = "folded"
field = "title"
filter = ["(title='{}')", "(title=\"{}\")"]
sends = "(title_index='{}')"

[[rule]]
name = "login"
methods = ["GET", "POST"]
path = "/login"
request = "relay"
answer = ["relay"]

[[rule]]
name = "static"
methods = ["GET", "HEAD"]
path = "/static/{rest*}"
answer = ["relay"]
query = ["*"]
"#;

#[test]
fn named_members_are_sealed_and_the_rest_keeps_its_bytes() {
    let gate = Gate::new(RULES);
    let body = "{ \"kind\":1e3,\"text\" : \"na\\u00efve \\\"plan\\\"\",\"tags\":[ {\"a\":null}] }";
    let answer = gate.json("POST", "/api/messages/7?silent=1", body);
    assert_eq!(answer.status, 201, "{answer:?}");
    let asked = gate.provider.last();
    assert_eq!(asked.target, "/api/messages/7?silent=1");
    let text = asked.text();
    assert!(text.starts_with("{ \"kind\":1e3,\"text\" : \"sc1."));
    assert!(text.ends_with("\",\"tags\":[ {\"a\":null}] }"));
    assert_eq!(
        asked.headers["content-length"],
        asked.body.len().to_string()
    );
    assert_eq!(asked.headers["host"], "forum.example.net");
    // and it opens again
    gate.provider.can(
        "/api/messages",
        200,
        "application/json; charset=UTF-8",
        asked.body,
    );
    assert_eq!(
        gate.get("/api/messages").text(),
        body.replace("\\u00ef", "ï")
    );
}

#[test]
fn two_equal_texts_do_not_look_alike_but_their_indexes_do() {
    let gate = Gate::new(RULES);
    gate.json("POST", "/api/messages/1", "{\"title\":\"Réunion\"}");
    let first = gate.provider.last().json();
    gate.json("POST", "/api/messages/2", "{\"title\":\" RÉUNION \"}");
    let second = gate.provider.last().json();
    assert_ne!(first["title"], second["title"]);
    assert_eq!(first["title_index"], second["title_index"]);
    let index = first["title_index"].as_str().unwrap();
    gate.get("/api/messages?page=2&title=r%C3%A9union");
    assert_eq!(
        gate.provider.last().target,
        format!("/api/messages?page=2&title={index}")
    );
    for quote in ["%27", "%22"] {
        gate.get(&format!(
            "/api/messages?filter=(title%3D{quote}R%C3%A9union{quote})"
        ));
        let target = gate.provider.last().target;
        assert_eq!(
            target,
            format!("/api/messages?filter=%28title_index%3D%27{index}%27%29")
        );
    }
    let mixed = gate.get("/api/messages?filter=(title%3D%27R%C3%A9union%22)");
    assert_eq!(mixed.code(), "rule-violated");
}

#[test]
fn what_no_rule_names_is_refused_and_nothing_is_sent() {
    let gate = Gate::new(RULES);
    let json = [("content-type", "application/json")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (method, path, fields, body, code) in [
        ("GET", "/api/other", &[][..], "", "operation-unknown"),
        ("DELETE", "/api/messages/1", &[], "", "operation-unknown"),
        (
            "GET",
            "/api/messages/../login",
            &[],
            "",
            "operation-unknown",
        ),
        (
            "POST",
            "/api/messages/1",
            &json,
            "{\"text\":\"x\",\"other\":\"plaintext\"}",
            "rule-violated",
        ),
        (
            "POST",
            "/api/messages/1",
            &json,
            "{\"text\":[\"plaintext\"]}",
            "rule-violated",
        ),
        (
            "POST",
            "/api/messages/1",
            &json,
            "{\"plaintext\":{}}",
            "rule-violated",
        ),
        (
            "POST",
            "/api/messages/1",
            &json,
            "{\"text\":\"a\",\"text\":\"b\"}",
            "request-refused",
        ),
        ("POST", "/api/messages/1", &json, "{\"text\":\"a\"} ", ""),
        (
            "POST",
            "/api/messages/1",
            &json,
            "{\"text\":\"a\"",
            "request-refused",
        ),
        (
            "POST",
            "/api/messages/1",
            &form,
            "text=plaintext",
            "encoding-unknown",
        ),
        (
            "POST",
            "/api/messages/1",
            &[("content-type", "application/json; charset=latin1")],
            "{}",
            "encoding-unknown",
        ),
        (
            "POST",
            "/api/messages/1",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            "x",
            "encoding-unknown",
        ),
        (
            "POST",
            "/api/messages/1?note=plaintext",
            &json,
            "{}",
            "rule-violated",
        ),
        (
            "GET",
            "/api/messages?filter=(title!%3D%27a%27)",
            &[],
            "",
            "rule-violated",
        ),
        (
            "GET",
            "/api/messages?filter=(title%3D%27a%27%7C%7Ctext%3D%27b%27)",
            &[],
            "",
            "rule-violated",
        ),
        ("GET", "/api/messages", &[], "plaintext", "rule-violated"),
        ("GET", "/static/a.js", &[], "plaintext", "rule-violated"),
        (
            "POST",
            "/form",
            &form,
            "comment=x&other=plaintext",
            "rule-violated",
        ),
        ("POST", "/form", &form, "comment=%ff", "request-refused"),
    ] {
        let sent = gate.provider.count();
        let answer = gate.send(method, path, fields, body.as_bytes());
        if code.is_empty() {
            assert_eq!(answer.status, 201);
            continue;
        }
        assert_eq!(answer.code(), code, "{method} {path} {body}: {answer:?}");
        assert_eq!(gate.provider.count(), sent, "{path} {body}");
        assert!(!answer.text().contains("plaintext") || path.contains("plaintext"));
    }
}

#[test]
fn a_value_that_would_not_fit_is_refused_here() {
    let gate = Gate::new(RULES);
    let fits = sceau::seal::token::plain_room(300).unwrap();
    let body = |n: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(n));
    assert_eq!(
        gate.json("POST", "/api/messages/1", &body(fits)).status,
        201
    );
    let sealed = gate.provider.last().json()["text"].as_str().unwrap().len();
    assert!(sealed <= 300);
    let answer = gate.json("POST", "/api/messages/1", &body(fits + 1));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "field-too-long")
    );
    assert!(answer.text().contains(&format!("room for {fits}")));
    let huge = gate.json("POST", "/api/messages/1", &body(70_000));
    assert_eq!(huge.code(), "too-large");
}

#[test]
fn forms_and_header_fields_are_sealed() {
    let gate = Gate::new(RULES);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    gate.send(
        "POST",
        "/form",
        &form,
        b"csrf=a%20b&comment=tout+va+bien&comment=",
    );
    let asked = gate.provider.last().text();
    assert!(asked.starts_with("csrf=a%20b&comment=sc1."), "{asked}");
    assert!(asked.ends_with("&comment="));
    let fields = [
        ("content-type", "application/json"),
        ("x-subject", "secret"),
        ("x-app", "1"),
        ("x-other", "secret"),
        ("referer", "https://forum.example.fr/?q=secret"),
    ];
    gate.send("POST", "/api/messages/1", &fields, b"{}");
    let asked = gate.provider.last();
    assert!(
        asked.headers["x-subject"]
            .to_str()
            .unwrap()
            .starts_with("sc1.")
    );
    assert_eq!(asked.headers["x-app"], "1");
    assert!(!format!("{:?}", asked.headers).contains("secret"));
}

#[test]
fn relayed_rules_pass_bodies_only_where_they_say_so() {
    let gate = Gate::new(RULES);
    gate.provider.can("/login", 200, "text/html", "<p>");
    let answer = gate.send(
        "POST",
        "/login",
        &[("content-type", "text/plain")],
        b"user=a&password=b",
    );
    assert_eq!((answer.status, answer.text()), (200, "<p>"));
    assert_eq!(gate.provider.last().body, b"user=a&password=b");
    gate.provider
        .can("/static/a.js", 200, "text/javascript", "sc1.");
    assert_eq!(gate.get("/static/a.js?v=3").text(), "sc1.");
}

#[test]
fn a_document_may_be_absent() {
    let gate = Gate::new(RULES);
    for headers in [&[("content-type", "application/json")][..], &[]] {
        let answer = gate.send("POST", "/api/messages/7", headers, b"");
        assert_eq!(answer.status, 201);
        let sent = gate.provider.last();
        assert!(sent.body.is_empty() && sent.headers["content-length"] == "0");
    }
    let blank = gate.send(
        "POST",
        "/api/messages/7",
        &[("content-type", "application/json")],
        b" ",
    );
    assert_eq!(blank.code(), "request-refused");
}
