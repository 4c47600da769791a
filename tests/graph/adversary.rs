//! Messages against clients that write oddly and a provider that means harm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::gate::{Answer, Gate, settings};
use crate::provider::{Canned, Provider};

const SECRET: &str = "Plan Vigipirate: budget 4 711";
const INSIDE: &str = "a@interieur.gouv.fr";
const OUTSIDE: &str = "b@example.com";
const JSON: (&str, &str) = ("content-type", "application/json");
const CHAT: &str = "/v1.0/chats/19:x@thread.v2/messages";

fn answer(status: u16, document: &Value) -> Canned {
    let kind = ("content-type", "application/json".to_owned());
    (status, vec![kind], document.to_string().into_bytes())
}

fn gate(allow: &[&str], canned: Vec<(&'static str, &'static str, Canned)>) -> Gate {
    let gate = Gate::with(settings(), allow, Provider::default());
    *gate.provider.canned.lock().unwrap() = canned;
    gate
}

fn taking() -> Gate {
    let taken = || answer(200, &json!({}));
    gate(&[], vec![("POST", "/", taken()), ("PATCH", "/", taken())])
}

fn send(gate: &Gate, method: &str, target: &str, document: &Value) -> Answer {
    gate.send(method, target, &[JSON], document.to_string().as_bytes())
}

fn sent(gate: &Gate) -> Vec<Value> {
    let seen = gate.provider.seen.lock().unwrap();
    let bodies = seen.iter().filter(|seen| !seen.body.is_empty());
    bodies
        .map(|seen| serde_json::from_slice(&seen.body).unwrap())
        .collect()
}

fn stored(method: &str, target: &str, document: &Value) -> Value {
    let gate = taking();
    assert_eq!(send(&gate, method, target, document).status, 200);
    sent(&gate).remove(0)
}

fn shown(target: &str, document: &Value) -> Value {
    let gate = gate(&[], vec![("GET", "/", answer(200, document))]);
    gate.send("GET", target, &[], b"").json()
}

fn to(address: &str) -> Value {
    json!([{"emailAddress": {"address": address}}])
}

/// Whether an invitation may be passed on: the one such property that goes up.
const FORWARDING: &str = "Boolean {00020329-0000-0000-C000-000000000046} Name DoNotForward";

#[test]
fn a_text_hides_in_no_odd_place() {
    let note = || json!({"note": SECRET});
    for (target, document) in [
        ("/v1.0/me/messages", json!({"body": SECRET})),
        ("/v1.0/me/messages", json!({"body": [{"content": SECRET}]})),
        (
            "/v1.0/me/messages",
            json!({"body": {"content": {"x": SECRET}}}),
        ),
        ("/v1.0/me/messages", json!({"body": {"content": [SECRET]}})),
        (
            "/v1.0/me/messages",
            json!({"body": {"contentType": SECRET, "content": "x"}}),
        ),
        (
            "/v1.0/me/messages",
            json!({"body": {"contentType": "html", "@odata.type": note(), "content": "x"}}),
        ),
        ("/v1.0/me/messages", json!({"Body": {"content": SECRET}})),
        ("/v1.0/me/messages", json!({"subject": [SECRET]})),
        ("/v1.0/me/messages", json!({"subject": note()})),
        ("/v1.0/me/messages", json!({"subject@odata.type": SECRET})),
        ("/v1.0/me/messages", json!({"importance": note()})),
        ("/v1.0/me/messages", json!({"importance": [SECRET]})),
        ("/v1.0/me/messages", json!({"categories": [note()]})),
        ("/v1.0/me/messages", json!({"flag": note()})),
        (
            "/v1.0/me/messages",
            json!({"flag": {"dueDateTime": note()}}),
        ),
        (
            "/v1.0/me/messages",
            json!({"from": {"emailAddress": note()}}),
        ),
        (
            "/v1.0/me/messages",
            json!({"toRecipients": [{"emailAddress": {"address": INSIDE}, "note": SECRET}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"singleValueExtendedProperties": [{"id": "String 0x37", "value": SECRET}]}),
        ),
        (
            "/v1.0/me/events",
            json!({"singleValueExtendedProperties": [{"id": FORWARDING, "value": SECRET}]}),
        ),
        (
            "/v1.0/me/events",
            json!({"SingleValueExtendedProperties": [{"id": SECRET, "value": true}]}),
        ),
        (
            "/v1.0/me/events",
            json!({"singleValueExtendedProperties": [{"id": FORWARDING, "value": true, "note": SECRET}]}),
        ),
        (
            "/v1.0/me/events",
            json!({"singleValueExtendedProperties": {"id": FORWARDING, "value": SECRET}}),
        ),
        (
            "/v1.0/me/messages",
            json!({"multiValueExtendedProperties": [{"id": "x", "value": [SECRET]}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"extensions": [{"extensionName": "x", "note": SECRET}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"internetMessageHeaders": [{"name": "x-a", "value": SECRET}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": [{"item": {"subject": SECRET}}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": {"contentBytes": SECRET}}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": [{"contentBytes": SECRET}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": [{"contentBytes": [SECRET]}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": [{"size": SECRET}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": [{"size": note(), "contentBytes": "AAAA"}]}),
        ),
        (
            "/v1.0/me/messages",
            json!({"attachments": [{"contentBytes": "AAAA", "size": [SECRET]}]}),
        ),
        ("/v1.0/me/messages", json!([{"subject": SECRET}])),
        ("/v1.0/me/messages", json!(SECRET)),
        (
            "/v1.0/me/events",
            json!({"recurrence": {"pattern": note()}}),
        ),
        ("/v1.0/me/events", json!({"start": note()})),
        (
            "/v1.0/me/events",
            json!({"location": {"address": {"street": SECRET}}}),
        ),
        ("/v1.0/me/contacts", json!({"emailAddresses": [note()]})),
        ("/v1.0/me/contacts", json!({"homeAddress": note()})),
        (
            "/v1.0/planner/tasks",
            json!({"assignments": {SECRET: {"orderHint": " !"}}}),
        ),
        (
            "/v1.0/planner/tasks",
            json!({"assignments": {"user-1": note()}}),
        ),
        (
            "/v1.0/planner/tasks",
            json!({"appliedCategories": {SECRET: true}}),
        ),
        (
            "/v1.0/planner/tasks",
            json!({"appliedCategories": {"category1": note()}}),
        ),
        (
            CHAT,
            json!({"body": {"content": "x"}, "mentions": [note()]}),
        ),
        (
            CHAT,
            json!({"body": {"content": "x"}, "mentions": [{"mentioned": {"user": note()}}]}),
        ),
        (
            CHAT,
            json!({"body": {"contentType": "html", "content": format!("<at id=\"0\">{SECRET}</at>")}}),
        ),
        (
            CHAT,
            json!({"body": {"contentType": "html", "content": format!("<at id=\"0\">{SECRET}</at>")},
                      "mentions": [{"id": 0, "mentionText": "Jane"}]}),
        ),
        (
            CHAT,
            json!({"body": {"contentType": "html", "content": format!("<attachment id=\"1\">{SECRET}</attachment>")}}),
        ),
        (
            CHAT,
            json!({"body": {"content": "x"}, "attachments": [{"content": note()}]}),
        ),
        (
            CHAT,
            json!({"body": {"content": "x"}, "hostedContents": [{"contentBytes": note()}]}),
        ),
        (
            CHAT,
            json!({"body": {"content": "x"}, "policyViolation": note()}),
        ),
        ("/v1.0/chats", json!({"members": [note()]})),
        ("/v1.0/me/events/1/accept", json!({"comment": note()})),
        (
            "/v1.0/me/events/1/snoozeReminder",
            json!({"newReminderTime": note()}),
        ),
    ] {
        for method in ["POST", "PATCH"] {
            let one = match (method, target) {
                ("PATCH", "/v1.0/me/messages") => "/v1.0/me/messages/1",
                ("PATCH", _) => continue,
                _ => target,
            };
            let gate = taking();
            let refused = send(&gate, method, one, &document);
            assert!(
                matches!(refused.status, 400 | 403),
                "{document}: {refused:?}"
            );
            assert!(sent(&gate).is_empty(), "{document}");
        }
    }
    let twice = format!(r#"{{"subject":"x","subject":"{SECRET}"}}"#);
    let escaped = format!(r#"{{"subject":"x","s\u0075bject":"{SECRET}"}}"#);
    for document in [twice, escaped] {
        let gate = taking();
        let refused = gate.send("POST", "/v1.0/me/messages", &[JSON], document.as_bytes());
        assert_eq!(refused.status, 400);
        assert!(sent(&gate).is_empty());
    }
    for kind in [
        "text/plain",
        "multipart/related; boundary=x",
        "application/json2",
        "",
    ] {
        let gate = taking();
        let refused = gate.send("POST", CHAT, &[("content-type", kind)], SECRET.as_bytes());
        assert_eq!(refused.status, 400, "{kind}");
        assert!(gate.provider.seen.lock().unwrap().is_empty());
    }
}

#[test]
fn a_part_of_a_message_is_sealed_as_the_whole_is() {
    for (target, document) in [
        ("/v1.0/me/messages/1", json!({"subject": SECRET})),
        ("/v1.0/me/messages/1", json!({"body": {"content": SECRET}})),
        (
            "/v1.0/me/messages/1",
            json!({"s\u{75}bject": SECRET, "body": null, "attachments": null}),
        ),
        (
            "/v1.0/me/events/1",
            json!({"location": {"displayName": SECRET}}),
        ),
        (
            "/v1.0/me/events/1",
            json!({"locations": [{"displayName": SECRET}, {"displayName": SECRET}]}),
        ),
        (
            "/v1.0/chats/19:x@thread.v2/messages/1",
            json!({"body": {"contentType": "HTML", "content": SECRET}}),
        ),
        ("/v1.0/chats/19:x@thread.v2", json!({"topic": SECRET})),
        (
            "/v1.0/planner/tasks/1/details",
            json!({"description": SECRET}),
        ),
    ] {
        let up = stored("PATCH", target, &document);
        assert!(!up.to_string().contains("Vigipirate"), "{up}");
        let down = shown(target, &up);
        let written = document["body"]["contentType"].is_string() || document["body"].is_null();
        assert!(down.to_string().contains(SECRET), "{down}");
        assert!(!written || down == document, "{down}");
    }
}

#[test]
fn fields_and_queries_carry_no_text() {
    let gate = gate(&[], vec![("POST", "/", answer(200, &json!({})))]);
    let fields = [
        JSON,
        ("x-note", SECRET),
        ("slug", SECRET),
        ("prefer", "include-unknown-enum-members"),
    ];
    let document = json!({"body": {"content": "x"}}).to_string();
    gate.send("POST", CHAT, &fields, document.as_bytes());
    let seen = gate.provider.seen.lock().unwrap();
    assert_eq!(seen[0].header("prefer"), "include-unknown-enum-members");
    assert!(
        seen[0]
            .headers
            .values()
            .all(|value| !value.to_str().unwrap().contains("Vigipirate"))
    );
    drop(seen);
    for target in [
        "/v1.0/me/messages?$search=%22budget%22",
        "/v1.0/me/messages?search=budget",
        "/v1.0/me/messages?$filter=contains(subject,%27budget%27)",
        "/v1.0/me/messages?$filter=singleValueExtendedProperties/Any(e:e/id%20eq%20%27String%200x37%27%20and%20contains(e/value,%27budget%27))",
        "/v1.0/me/messages?$expand=attachments($filter=contains(name,%27budget%27))",
        "/v1.0/me/messages?$expand=attachments($search=budget)",
        "/v1.0/me/messages?$orderby=subject",
        "/v1.0/me/messages?$count=true&$filter=startswith(subject,%27b%27)",
        "/v1.0/me/mailFolders/inbox/messages?%24filter=body/content%20eq%20%27budget%27",
        "/v1.0/me/events?$filter=subject%20eq%20%27budget%27",
        "/v1.0/me/calendarView?startDateTime=2026-01-01&$orderby=subject",
        "/v1.0/me/contacts?$filter=contains(personalNotes,%27budget%27)",
        "/v1.0/me/todo/lists/1/tasks?$filter=title%20eq%20%27budget%27",
        "/v1.0/planner/plans/1/tasks?$filter=title%20eq%20%27budget%27",
        "/v1.0/me/chats?$filter=topic%20eq%20%27budget%27",
        "/v1.0/chats/19:x@thread.v2/messages?$filter=contains(body/content,%27budget%27)",
        "/v1.0/teams/1/channels/19:x@thread.tacv2/messages?$search=budget",
        "/v1.0/teams/1/channels/19:x@thread.tacv2/messages/delta?$filter=contains(subject,%27budget%27)",
        "/v1.0/teams/1/channels/getAllMessages?$filter=summary%20eq%20%27budget%27",
    ] {
        let refused = gate.send("GET", target, &[], b"");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "search-sealed"),
            "{target}"
        );
    }
    let query =
        json!({"requests": [{"entityTypes": ["message"], "query": {"queryString": "budget"}}]});
    assert_eq!(
        send(&gate, "POST", "/v1.0/search/query", &query).code(),
        "search-sealed"
    );
    for target in [
        "/v1.0/me/messages/$count",
        "/v1.0/me/messages/$search",
        "/v1.0/me/events/$count",
    ] {
        let refused = gate.send("GET", target, &[], b"");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "operation-unknown"),
            "{target}"
        );
    }
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 1);
}

#[test]
fn nothing_opens_where_a_client_sends_it_back_in_clear() {
    let mail = stored(
        "POST",
        "/v1.0/me/messages",
        &json!({"subject": SECRET, "body": {"contentType": "html", "content": SECRET},
            "attachments": [{"name": SECRET, "contentBytes": ""}]}),
    );
    let subject = &mail["subject"];
    let name = &mail["attachments"][0]["name"];
    let body = &mail["body"]["content"];
    let person = json!({"emailAddress": {"name": name, "address": subject}});
    for (target, document) in [
        (
            "/v1.0/me/messages",
            json!({"value": [{"id": subject, "from": person, "toRecipients": [person],
            "categories": [subject], "webLink": subject, "internetMessageId": subject, "title": subject,
            "displayName": subject, "description": subject, "name": name, "content": body, "unknown": {"subject": subject,
            "body": {"contentType": "html", "content": body}}}], "@odata.nextLink": subject, "subject": subject}),
        ),
        (
            "/v1.0/me/contacts/1",
            json!({"displayName": subject, "title": subject, "subject": subject, "jobTitle": subject,
            "emailAddresses": [{"name": name, "address": name}]}),
        ),
        (
            "/v1.0/me/mailFolders",
            json!({"value": [{"displayName": subject, "name": name}]}),
        ),
        (
            "/v1.0/me/calendars",
            json!({"value": [{"name": name, "owner": {"name": name}}]}),
        ),
        (
            "/v1.0/me/todo/lists",
            json!({"value": [{"displayName": subject}]}),
        ),
        (
            CHAT,
            json!({"value": [{"mentions": [{"mentionText": subject, "mentioned": {"user": {"displayName": subject}}}],
            "from": {"user": {"displayName": subject}}, "attachments": [{"contentUrl": name, "id": name}], "webUrl": subject}]}),
        ),
    ] {
        assert_eq!(shown(target, &document), document, "{target}");
    }
}

#[test]
fn nothing_opens_within_an_address_that_the_client_would_ask_for() {
    let mail = stored(
        "POST",
        "/v1.0/me/messages",
        &json!({"body": {"contentType": "html", "content": format!("<p>{SECRET}</p>")}}),
    );
    let token = mail["body"]["content"].as_str().unwrap();
    let html = format!("<img src=\"https://evil.example/?{token}\"><p>{token}</p>");
    for kind in [json!("html"), json!("HTML"), json!("other"), Value::Null] {
        let body = json!({"contentType": kind, "content": html});
        let document = json!({"body": body, "uniqueBody": body});
        let opened = shown("/v1.0/me/messages/1", &document).to_string();
        assert!(
            !opened.contains("Vigipirate") && opened.contains("code markup"),
            "{opened}"
        );
    }
    let card = stored(
        "POST",
        CHAT,
        &json!({"body": {"content": "x"}, "attachments": [{"content": "{\"text\":\"Vigipirate\"}"}]}),
    );
    let card = card["attachments"][0]["content"].as_str().unwrap();
    let around = json!({"attachments": [{"content": format!("{{\"url\":\"https://evil.example/?{card}\"}}")}]});
    let target = format!("{CHAT}/1");
    assert!(!shown(&target, &around).to_string().contains("Vigipirate"));
    let alone = json!({"attachments": [{"content": card}]});
    assert!(shown(&target, &alone).to_string().contains("Vigipirate"));
}

#[test]
fn an_answer_that_is_no_document_is_no_empty_one() {
    for (kind, body) in [
        ("text/plain", &b"42"[..]),
        ("application/json", b"{\"a\":"),
        ("text/html", b"<p>"),
    ] {
        let canned = (200, vec![("content-type", kind.to_owned())], body.to_vec());
        let gate = gate(&[], vec![("GET", "/", canned)]);
        let shown = gate.send("GET", "/v1.0/me/messages/1", &[], b"");
        assert_eq!(
            (shown.status, shown.code().as_str()),
            (502, "upstream-invalid"),
            "{kind}"
        );
    }
}

#[test]
fn a_reader_without_a_plain_address_is_no_reader_inside() {
    for person in [
        json!({"emailAddress": {"name": "Directorate"}}),
        json!({"emailAddress": {"address": null}}),
        json!({"emailAddress": {"address": 5}}),
        json!({}),
        json!({"emailAddress": {"address": format!("{OUTSIDE},{INSIDE}")}}),
        json!({"emailAddress": {"address": format!("{OUTSIDE} {INSIDE}")}}),
        json!({"emailAddress": {"address": format!("<{OUTSIDE}>{INSIDE}")}}),
        json!({"emailAddress": {"address": format!("\"{OUTSIDE}\"@interieur.gouv.fr")}}),
        json!({"emailAddress": {"address": "@interieur.gouv.fr"}}),
        json!({"emailAddress": {"address": "a@xinterieur.gouv.fr"}}),
    ] {
        let gate = taking();
        let document = json!({"message": {"subject": SECRET, "toRecipients": [person]}});
        let refused = send(&gate, "POST", "/v1.0/me/sendMail", &document);
        assert!(matches!(refused.status, 400 | 403), "{person}");
        assert!(sent(&gate).is_empty(), "{person}");
    }
}

#[test]
fn the_providers_word_does_not_turn_sealing_off() {
    let taken = || answer(202, &json!({}));
    let came = answer(
        200,
        &json!({"from": to(OUTSIDE)[0], "organizer": to(OUTSIDE)[0]}),
    );
    for target in ["/v1.0/me/messages/1/reply", "/v1.0/me/events/1/accept"] {
        let gate = gate(
            &["mail-outside"],
            vec![("GET", "/", came.clone()), ("POST", "/", taken())],
        );
        let refused = send(&gate, "POST", target, &json!({"comment": SECRET}));
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "mail-outside"),
            "{target}"
        );
        assert!(sent(&gate).is_empty());
    }
    // the client says so itself
    let gate = gate(
        &["mail-outside"],
        vec![("GET", "/", came), ("POST", "/", taken())],
    );
    let document = json!({"comment": SECRET, "message": {"toRecipients": to(OUTSIDE)}});
    assert_eq!(
        send(&gate, "POST", "/v1.0/me/messages/1/reply", &document).status,
        202
    );
    assert_eq!(sent(&gate), [document]);
}

#[test]
fn responses_to_invitations_are_sealed() {
    let event = |organizer: &str, attendee: &str| {
        answer(
            200,
            &json!({"organizer": to(organizer)[0], "attendees": to(attendee)}),
        )
    };
    for (action, organizer, attendee, document, status) in [
        (
            "accept",
            INSIDE,
            OUTSIDE,
            json!({"comment": SECRET, "sendResponse": true}),
            202,
        ),
        (
            "tentativelyAccept",
            INSIDE,
            OUTSIDE,
            json!({"Comment": SECRET, "SendResponse": true}),
            202,
        ),
        ("decline", OUTSIDE, INSIDE, json!({"comment": SECRET}), 403),
        (
            "decline",
            OUTSIDE,
            INSIDE,
            json!({"sendResponse": true}),
            202,
        ),
        ("accept", OUTSIDE, INSIDE, json!({"comment": ""}), 202),
        ("cancel", OUTSIDE, INSIDE, json!({"comment": SECRET}), 202),
        ("cancel", INSIDE, OUTSIDE, json!({"comment": SECRET}), 403),
        (
            "forward",
            OUTSIDE,
            OUTSIDE,
            json!({"comment": SECRET, "toRecipients": to(INSIDE)}),
            202,
        ),
        (
            "forward",
            INSIDE,
            INSIDE,
            json!({"comment": SECRET, "ToRecipients": to(OUTSIDE)}),
            403,
        ),
        (
            "microsoft.graph.decline",
            OUTSIDE,
            INSIDE,
            json!({"comment": SECRET}),
            403,
        ),
    ] {
        let done = (202, vec![("content-length", "0".to_owned())], Vec::new());
        let gate = gate(
            &[],
            vec![
                ("GET", "/v1.0/me/events/1?", event(organizer, attendee)),
                ("POST", "/", done),
            ],
        );
        let target = format!("/v1.0/me/events/1/{action}");
        let answered = send(&gate, "POST", &target, &document);
        assert_eq!(answered.status, status, "{action} {document}: {answered:?}");
        let up = sent(&gate);
        assert_eq!(up.len(), usize::from(status == 202));
        assert!(up.iter().all(|up| !up.to_string().contains("Vigipirate")));
    }
}

#[test]
fn a_teams_message_is_measured_without_its_pictures() {
    let picture = STANDARD.encode([b"\x89PNG\r\n\x1a\n".to_vec(), vec![7; 200_000]].concat());
    let message = |length: usize| {
        json!({"body": {"contentType": "html", "content": format!("{}<img src=\"../hostedContents/1/$value\">", "x".repeat(length))},
            "hostedContents": [{"@microsoft.graph.temporaryId": "1", "contentType": "image/png", "contentBytes": picture}]})
    };
    let up = stored("POST", CHAT, &message(19_000));
    let kept = up["hostedContents"][0]["contentBytes"].as_str().unwrap();
    let bytes = STANDARD.decode(kept).unwrap();
    // the service takes pictures alone
    assert!(bytes.starts_with(b"\x89PNG") && !kept.contains(&picture[..1000]));
    assert!(
        up["body"]["content"]
            .as_str()
            .unwrap()
            .ends_with("<img src=\"../hostedContents/1/$value\">")
    );
    let gate = taking();
    let refused = send(&gate, "POST", CHAT, &message(22_000));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (413, "too-large")
    );
    assert!(sent(&gate).is_empty());
    let file = (
        200,
        vec![("content-type", "image/png".to_owned())],
        bytes.clone(),
    );
    let cut = (
        200,
        vec![("content-type", "image/png".to_owned())],
        bytes[..100_000].to_vec(),
    );
    let target = format!("{CHAT}/1/hostedContents/1/$value");
    let told = |(status, mut fields, bytes): (u16, Vec<(&'static str, String)>, Vec<u8>)| {
        fields.push(("content-length", bytes.len().to_string()));
        (status, fields, bytes)
    };
    let answers = [
        (told(file.clone()), true),
        (told(cut.clone()), false),
        (file, true),
        (cut, false),
    ];
    for (canned, opens) in answers {
        *gate.provider.canned.lock().unwrap() = vec![("GET", "/", canned)];
        let shown = gate.send("GET", &target, &[], b"");
        match opens {
            true => assert_eq!(STANDARD.encode(shown.bytes()), picture),
            false => assert_eq!(shown.code(), "object-damaged"),
        }
    }
    // and within a document
    let document =
        json!({"value": [{"id": "1", "contentBytes": kept, "contentType": "image/png"}]});
    let shown = shown(&format!("{CHAT}/1/hostedContents"), &document);
    assert_eq!(shown["value"][0]["contentBytes"], picture);
}

#[test]
fn other_limits_are_kept_here() {
    let gate = taking();
    let attachment = |length: usize| json!({"name": "x", "contentBytes": "A".repeat(length)});
    let target = "/v1.0/me/messages/1/attachments";
    // 3 MiB, 3 bytes for 4
    let refused = send(&gate, "POST", target, &attachment(4 << 20));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "too-large")
    );
    let document =
        json!({"attachments": [attachment(1_999_000), attachment(1_999_000)], "subject": "x"});
    let refused = send(&gate, "POST", "/v1.0/me/messages", &document);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (413, "too-large")
    );
    assert!(sent(&gate).is_empty());
    let small = attachment(3_900_000);
    assert_eq!(send(&gate, "POST", target, &small).status, 200);
}
