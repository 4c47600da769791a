//! What clients and providers could write so that the gateway and its peer read two different things.

use crate::gate::{Gate, load};

const RULES: &str = r#"
[[rule]]
name = "send"
methods = ["POST"]
path = "/send"
request = "json"
answer = ["json"]
clear = ["$"]
[[rule.seal]]
json = "$.text"
[[rule.seal]]
header = "x-subject"

[[rule]]
name = "read"
methods = ["GET"]
path = "/read"
answer = ["json", "text"]

[[rule]]
name = "search"
methods = ["GET"]
path = "/search"
answer = ["json"]
query = ["*"]
[[rule.seal]]
query = "q"

[[rule]]
name = "page"
methods = ["GET"]
path = "/static/{rest*}"
answer = ["relay"]

[[rule]]
name = "rename"
methods = ["POST"]
path = "/rooms/{room}"
request = "relay"
answer = ["relay"]

[[rule]]
name = "others"
methods = ["POST"]
path = "/{rest*}"
request = "relay"
answer = ["relay"]
"#;

fn token(gate: &Gate) -> String {
    gate.json("POST", "/send", "{\"text\":\"secret\"}");
    let sent = gate.provider.last().json();
    sent["text"].as_str().unwrap().to_owned()
}

/// A client sends these fields back by itself: what is opened in them would be the provider's to read.
#[test]
fn tokens_do_not_open_in_fields_that_clients_send_back() {
    let gate = Gate::new(RULES);
    let t = token(&gate);
    let fields = [
        "set-cookie",
        "etag",
        "location",
        "link",
        "refresh",
        "www-authenticate",
        "x-next-page",
    ];
    let mut headers = vec![("content-type", "text/plain".to_owned())];
    headers.extend(fields.iter().map(|name| (*name, format!("/a={t}"))));
    let sealed = [
        ("content-type", "application/json"),
        ("x-subject", "secret"),
    ];
    gate.send("POST", "/send", &sealed, b"{}");
    let subject = gate.provider.last().headers["x-subject"].clone();
    headers.push(("x-subject", subject.to_str().unwrap().to_owned()));
    headers.push(("x-subject", t.clone()));
    gate.provider.can_with("/read", 200, headers, "x");
    let answer = gate.get("/read");
    for name in fields {
        assert_eq!(answer.header(name), format!("/a={t}"), "{name}");
    }
    let subjects: Vec<_> = answer.headers.get_all("x-subject").iter().collect();
    let other_field = "[Sceau: this text does not open, code field]";
    assert_eq!(subjects, ["secret", other_field]);
}

#[test]
fn a_type_that_the_sealing_rule_does_not_take_is_not_left_to_one_that_relays() {
    let gate = Gate::new(RULES);
    for kind in [&[][..], &[("content-type", "text/plain")]] {
        let answer = gate.send("POST", "/send", kind, b"{\"text\":\"secret\"}");
        assert_eq!(answer.code(), "encoding-unknown", "{kind:?}");
    }
    assert_eq!(gate.provider.count(), 0);
}

#[test]
fn a_relay_behind_a_sealing_rule_of_the_same_path_is_never_reached() {
    let rules = r#"
[[rule]]
name = "send"
methods = ["POST"]
path = "/send"
request = "json"
answer = ["json"]
[[rule.seal]]
json = "$.text"
[[rule]]
name = "other"
methods = ["POST"]
path = "/send"
request = "relay"
answer = ["relay"]
"#;
    assert!(load(rules).err().unwrap().contains("never reached"));
}

/// Servers whose names fold case would take these for the sealed member.
#[test]
fn a_name_that_resembles_a_sealed_one_does_not_pass_in_clear() {
    let gate = Gate::new(RULES);
    for key in ["Text", "TEXT", "te\\u0058t"] {
        let body = format!("{{\"text\":\"x\",\"{key}\":\"secret\"}}");
        assert_eq!(
            gate.json("POST", "/send", &body).code(),
            "rule-violated",
            "{key}"
        );
    }
    for query in ["Q=secret", "%51=secret", "q[]=secret", "q%5B0%5D=secret"] {
        let answer = gate.get(&format!("/search?{query}"));
        assert_eq!(answer.code(), "rule-violated", "{query}");
    }
    assert_eq!(gate.provider.count(), 0);
    assert_eq!(gate.json("POST", "/send", "{\"texts\":\"x\"}").status, 201);
}

#[test]
fn one_charset_and_that_utf_8() {
    let gate = Gate::new(RULES);
    for kind in [
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset = utf-7",
        "application/json; a=\"charset=utf-8\"; charset=utf-7",
        "application/json; charset*=utf-7''",
    ] {
        let answer = gate.send("POST", "/send", &[("content-type", kind)], b"{}");
        assert_eq!(answer.code(), "encoding-unknown", "{kind}");
    }
    let kind = "application/json; odata=verbose; Charset=\"UTF-8\"";
    let answer = gate.send("POST", "/send", &[("content-type", kind)], b"{}");
    assert_eq!(answer.status, 201);
}

#[test]
fn redirects_that_browsers_read_as_another_host() {
    let gate = Gate::new(RULES);
    for locations in [
        &["/\t/evil.example/x"][..],
        &["/\t\\evil.example/x"],
        &["/ok", "https://evil.example/"],
    ] {
        let mut headers = vec![("content-length", "0".to_owned())];
        headers.extend(locations.iter().map(|at| ("location", (*at).to_owned())));
        gate.provider.can_with("/read", 302, headers, "");
        assert_eq!(
            gate.get("/read").code(),
            "upstream-invalid",
            "{locations:?}"
        );
    }
}

#[test]
fn a_head_leads_nowhere_else_and_shows_the_answer_to_no_foreign_page() {
    let gate = Gate::new(RULES);
    let kind = ("content-type", "application/json".to_owned());
    for refresh in ["0;url=https://evil.example/", "1, //evil.example"] {
        let headers = vec![kind.clone(), ("refresh", refresh.to_owned())];
        gate.provider.can_with("/read", 200, headers, "{}");
        assert_eq!(gate.get("/read").code(), "upstream-invalid", "{refresh}");
    }
    let headers = vec![
        kind,
        ("refresh", "9; url=https://forum.example.net/a".to_owned()),
        ("link", "<https://evil.example/>; rel=next".to_owned()),
        ("content-location", "//evil.example/".to_owned()),
        (
            "access-control-allow-origin",
            "https://evil.example".to_owned(),
        ),
        ("access-control-allow-credentials", "true".to_owned()),
        (
            "reporting-endpoints",
            "a=\"https://evil.example\"".to_owned(),
        ),
        ("referrer-policy", "unsafe-url".to_owned()),
        ("set-cookie", "a=b; Path=/; Domain=example.fr".to_owned()),
    ];
    gate.provider.can_with("/read", 200, headers, "{}");
    let answer = gate.get("/read");
    assert_eq!(
        answer.header("refresh"),
        "9; url=https://forum.example.fr/a"
    );
    assert_eq!(answer.header("set-cookie"), "a=b; Path=/");
    assert_eq!(answer.headers.len(), 3, "{:?}", answer.headers);
}

/// Digest credentials repeat the query and path as the client has them (RFC 7616, section 3.4).
#[test]
fn credentials_that_repeat_a_sealed_query_are_refused() {
    let gate = Gate::new(RULES);
    let digest = "digest username=\"a\", uri=\"/search?q=secret\", response=\"0\"";
    let answer = gate.send("GET", "/search?q=secret", &[("authorization", digest)], b"");
    assert_eq!((answer.status, gate.provider.count()), (403, 0));
    let bearer = [("authorization", "Bearer x")];
    gate.send("GET", "/search?q=secret", &bearer, b"");
    assert_eq!(gate.provider.count(), 1);
}

#[test]
fn paths_that_servers_read_as_others() {
    let gate = Gate::new(RULES);
    for (method, path) in [
        ("GET", "/static/..;/api"),
        ("GET", "/static/..;a=b/api"),
        ("GET", "/static/%2e%2e%3b/api"),
        ("GET", "/static/%252e%252e/api"),
        ("GET", "/static/%252e%252e%252fapi"),
        ("POST", "/rooms/7%2fmessages"),
        ("POST", "/rooms/7%5Cmessages"),
        ("POST", "/rooms/7%252Fmessages"),
    ] {
        let body: &[u8] = if method == "POST" { b"secret" } else { b"" };
        let answer = gate.send(method, path, &[], body);
        assert_eq!(answer.code(), "operation-unknown", "{path}");
    }
    assert_eq!(gate.send("POST", "/rooms/7;a%3b", &[], b"x").status, 201);
}

#[test]
fn a_name_that_is_opened_adds_no_parameter() {
    let gate = Gate::new(RULES);
    gate.json("POST", "/send", "{\"text\":\"a\\\"; filename=\\\"b\"}");
    let sent = gate.provider.last().json();
    let headers = vec![
        ("content-type", "text/plain".to_owned()),
        (
            "content-disposition",
            format!("attachment; filename={}", sent["text"]),
        ),
    ];
    gate.provider.can_with("/read", 200, headers, "x");
    assert_eq!(
        gate.get("/read").header("content-disposition"),
        "attachment; filename*=UTF-8''a%22%3B%20filename%3D%22b"
    );
}

const INDEXED: &str = r#"
[[rule]]
name = "save"
methods = ["POST"]
path = "/save"
request = "json"
answer = ["json"]
clear = ["$"]
[[rule.seal]]
json = "$.title"
index = "exact"
beside = "title_index"
"#;

#[test]
fn the_gateways_index_stands_alone() {
    let gate = Gate::new(INDEXED);
    for body in [
        "{\"title_index\":\"old\"}",
        "{\"title_index\":null}",
        "{\"Title_Index\":\"old\"}",
    ] {
        assert_eq!(gate.json("POST", "/save", body).code(), "rule-violated");
    }
    assert_eq!(gate.provider.count(), 0);
    assert_eq!(
        gate.json("POST", "/save", "{\"title\":\"new\"}").status,
        201
    );
    let elements = INDEXED.replace("$.title\"", "$.titles[*]\"");
    assert!(load(&elements).err().unwrap().contains("`index`"));
}

/// An application that writes a whole record back.
#[test]
fn an_index_that_is_written_back_becomes_the_values_own() {
    let gate = Gate::new(INDEXED);
    let index = |body: &str| {
        assert_eq!(gate.json("POST", "/save", body).status, 201, "{body}");
        let sent = gate.provider.last();
        assert!(!sent.text().contains("secret"), "{}", sent.text());
        assert_eq!(sent.text().matches("title_index").count(), 1);
        sent.json()["title_index"].clone()
    };
    let own = index(r#"{"title":"new"}"#);
    assert_eq!(own.as_str().unwrap().len(), 22);
    for body in [
        r#"{"title":"new","title_index":"secret","a":[1]}"#,
        r#"{"title_index":"secret" , "title":"new"}"#,
        r#"{"title_index":null,"title":"new"}"#,
    ] {
        assert_eq!(index(body), own, "{body}");
    }
    let list = r#"{"title_index":["secret"],"title":"new"}"#;
    assert_eq!(gate.json("POST", "/save", list).code(), "rule-violated");
    // a value that goes takes its index with it
    for (empty, expected) in [
        ("\"\"", serde_json::json!("")),
        ("null", serde_json::json!(null)),
    ] {
        assert_eq!(index(&format!(r#"{{"title":{empty}}}"#)), expected);
        let both = format!(r#"{{"title":{empty},"title_index":"secret"}}"#);
        assert_eq!(index(&both), expected);
    }
    let two = r#"{"title":"a","title_index":"x","title_index":"y"}"#;
    assert_eq!(gate.json("POST", "/save", two).code(), "request-refused");
}

#[test]
fn of_several_records_an_index_is_not_written_back() {
    let gate = Gate::new(&INDEXED.replace("$.title\"", "$.items[*].title\""));
    let foreign = r#"{"items":[{"title":"a"},{"title_index":"x"}]}"#;
    assert_eq!(gate.json("POST", "/save", foreign).code(), "rule-violated");
    assert_eq!(gate.provider.count(), 0);
}

#[test]
fn of_a_form_too_the_gateway_alone_writes_the_index() {
    let form = INDEXED
        .replace("\"json\"\nanswer", "\"form\"\nanswer")
        .replace("clear = [\"$\"]", "clear = [\"status\"]")
        .replace("json = \"$.title\"", "form = \"title\"");
    let gate = Gate::new(&form);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    for body in ["title_index[]=b", "Title_index=b"] {
        let answer = gate.send("POST", "/save", &kind, body.as_bytes());
        assert_eq!(answer.code(), "rule-violated", "{body}");
        assert!(answer.text().contains("equality index"), "{body}");
    }
    assert_eq!(gate.provider.count(), 0);
    for body in [
        "title=a&status=b&title_index=secret",
        "title_index=secret&title=a&status=b",
    ] {
        let answer = gate.send("POST", "/save", &kind, body.as_bytes());
        assert_eq!(answer.status, 201);
        let sent = gate.provider.last().text();
        assert!(
            !sent.contains("secret") && sent.contains("status=b"),
            "{sent}"
        );
        assert_eq!(sent.matches("title_index=").count(), 1, "{sent}");
    }
    for (place, clear) in [(&form, "status"), (&INDEXED.to_owned(), "$")] {
        let name = clear.replace('$', "$.a.").replace("status", "") + "title_index";
        let open = place.replace(
            &format!("clear = [\"{clear}\"]"),
            &format!("clear = [\"{name}\"]"),
        );
        assert!(
            load(&open).err().unwrap().contains("writes an index"),
            "{open}"
        );
    }
    let second = format!(
        "{form}[[rule.seal]]\nform = \"name\"\nindex = \"exact\"\nbeside = \"title_index\"\n"
    );
    assert!(load(&second).err().unwrap().contains("writes an index"));
}
