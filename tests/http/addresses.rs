//! Addresses in answers: a client goes on to the gateway, or gets none.

use serde_json::{Value, json};

use crate::gate::{Answer, Gate, load};

const RULES: &str = r#"
[[rule]]
name = "login"
methods = ["POST"]
path = "/login"
request = "json"
answer = ["json"]
clear = ["$.user"]
opens = ["$"]
addresses = ["$.well_known..base_url", "$.next"]
[[rule.seal]]
json = "$.note"

[[rule]]
name = "other"
methods = ["POST"]
path = "/other"
request = "json"
answer = ["json"]
clear = ["$.user"]
"#;

fn login(gate: &Gate, status: u16, answer: &str) -> Answer {
    gate.provider
        .can("/login", status, "application/json", answer);
    gate.json("POST", "/login", "{\"user\":\"alice\"}")
}

fn named(address: &str) -> String {
    let server = json!({ "base_url": address });
    json!({"token": "t", "well_known": {"m.homeserver": server}}).to_string()
}

#[test]
fn a_client_is_led_to_the_gateway_alone() {
    let gate = Gate::new(RULES);
    for (sent, shown) in [
        ("https://forum.example.net/", "https://forum.example.fr/"),
        ("https://forum.example.fr", "https://forum.example.fr"),
        ("/_matrix", "/_matrix"),
    ] {
        let answer = login(&gate, 200, &named(sent));
        assert_eq!((answer.status, answer.text()), (200, &*named(shown)));
    }
    for status in [200, 403] {
        let answer = login(&gate, status, &named("https://elsewhere.example/"));
        assert_eq!(
            (answer.status, answer.code()),
            (502, "upstream-invalid".into())
        );
        assert!(!answer.text().contains("elsewhere"));
    }
    // a rule that does not name it lets it pass
    let answer = named("https://elsewhere.example/");
    gate.provider
        .can("/other", 200, "application/json", answer.clone());
    let passed = gate.json("POST", "/other", "{\"user\":\"alice\"}");
    assert_eq!(passed.text(), answer);
}

/// A provider that moves what somebody sealed to where an address stands.
#[test]
fn an_address_is_judged_with_its_tokens_opened() {
    let gate = Gate::new(RULES);
    let token = |text: &str| {
        gate.json("POST", "/login", &json!({ "note": text }).to_string());
        let sent: Value = gate.provider.last().json();
        sent["note"].as_str().unwrap().to_owned()
    };
    let (away, path) = (token("https://elsewhere.example/"), token("/next"));
    assert_eq!(login(&gate, 200, &named(&away)).code(), "upstream-invalid");
    let answer = login(&gate, 200, &named(&path));
    assert_eq!(answer.text(), named("/next"));
}

#[test]
fn nothing_of_an_answer_that_is_too_long_or_no_json_reaches_the_client() {
    let gate = Gate::new(RULES);
    let long = format!("{{\"a\":\"{}\",\"next\":\"//x\"}}", "a".repeat(64 << 10));
    for answer in [
        long.as_str(),
        "{\"next\":\"/a\"",
        "{\"next\":\"/a\"}{\"next\":\"//x\"}",
        "{\"next\":\"/a\",\"next\":\"//x\"}",
        "{\"Next\":\"//x\"}",
    ] {
        let answer = login(&gate, 200, answer);
        assert_eq!(answer.code(), "upstream-invalid");
        assert!(!String::from_utf8_lossy(&answer.came).contains("//x"));
    }
    assert_eq!(login(&gate, 200, "").text(), "");
}

#[test]
fn only_json_that_is_read_whole_has_addresses() {
    for answer in [
        "[\"json\", \"html\"]",
        "[\"events\"]",
        "[\"text\"]",
        "[\"none\"]",
        "[\"websocket\"]",
        "[\"relay\"]",
    ] {
        let rules = format!(
            "[[rule]]\nname = \"r\"\nmethods = [\"GET\"]\npath = \"/\"\nanswer = {answer}\naddresses = [\"$.a\"]"
        );
        let faults = load(&rules).err().unwrap();
        assert!(
            faults.contains("JSON and nothing else"),
            "{answer} {faults}"
        );
    }
    let wrong = RULES.replace("\"$.next\"", "\"next\"");
    assert!(load(&wrong).err().unwrap().contains("expected a JSON path"));
}
