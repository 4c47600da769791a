//! Mail, meetings, tasks and Teams messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::gate::{Answer, Gate, settings};
use crate::provider::{Canned, Provider};

const SECRET: &str = "Plan Vigipirate: budget 4 711";
const INSIDE: &str = "a@interieur.gouv.fr";
const OUTSIDE: &str = "b@example.com";

fn answer(status: u16, document: &Value) -> Canned {
    let kind = ("content-type", "application/json".to_owned());
    (status, vec![kind], document.to_string().into_bytes())
}

fn gate(allow: &[&str], canned: Vec<(&'static str, &'static str, Canned)>) -> Gate {
    let gate = Gate::with(settings(), allow, Provider::default());
    *gate.provider.canned.lock().unwrap() = canned;
    gate
}

fn send(gate: &Gate, method: &str, target: &str, document: &Value) -> Answer {
    let kind = [("content-type", "application/json")];
    gate.send(method, target, &kind, document.to_string().as_bytes())
}

fn sent(gate: &Gate) -> Vec<(String, Vec<u8>)> {
    let seen = gate.provider.seen.lock().unwrap();
    seen.iter()
        .map(|told| (told.target.clone(), told.body.clone()))
        .collect()
}

fn to(address: &str) -> Value {
    json!([{"emailAddress": {"address": address, "name": "Somebody"}}])
}

fn mail(readers: &Value) -> Value {
    json!({
        "subject": SECRET,
        "importance": "high",
        "toRecipients": readers,
        "body": {"contentType": "HTML", "content": format!("<p>{SECRET}</p>")},
        "attachments": [{
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": format!("{SECRET}.txt"),
            "contentType": "text/plain",
            "contentBytes": STANDARD.encode(SECRET),
        }],
    })
}

#[test]
fn mail_goes_up_sealed_and_is_opened_for_its_readers() {
    let made = answer(201, &json!({"id": "1"}));
    let gate = gate(&[], vec![("POST", "/", made)]);
    let answered = send(&gate, "POST", "/v1.0/me/messages", &mail(&to(INSIDE)));
    assert_eq!(answered.status, 201, "{answered:?}");
    let (_, stored) = sent(&gate).remove(0);
    let text = String::from_utf8(stored.clone()).unwrap();
    for marker in ["Vigipirate", "4 711", &STANDARD.encode(SECRET)[..12]] {
        assert!(!text.contains(marker), "{marker} in {text}");
    }
    let mut message: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(message["importance"], "high");
    assert_eq!(message["toRecipients"], to(INSIDE));
    let bytes = STANDARD
        .decode(message["attachments"][0]["contentBytes"].as_str().unwrap())
        .unwrap();
    // what the service makes of it
    let body = message["body"]["content"].as_str().unwrap().to_owned();
    message["id"] = body.clone().into();
    message["subject"] = format!("RE: {}", message["subject"].as_str().unwrap()).into();
    message["body"]["contentType"] = "html".into();
    message["body"]["content"] = format!("<html><body>{body}</body></html>").into();
    message["bodyPreview"] = body[..150].into();
    message["attachments"][0]["size"] = bytes.len().into();
    *gate.provider.canned.lock().unwrap() =
        vec![("GET", "/", answer(200, &json!({"value": [message]})))];
    let shown = gate
        .send("GET", "/v1.0/me/messages?$top=5", &[], b"")
        .json();
    let shown = &shown["value"][0];
    assert_eq!(shown["subject"], format!("RE: {SECRET}"));
    assert_eq!(
        shown["body"]["content"],
        format!("<html><body><p>{SECRET}</p></body></html>")
    );
    assert_eq!(shown["bodyPreview"], SECRET);
    assert_eq!(shown["attachments"][0]["name"], format!("{SECRET}.txt"));
    assert_eq!(
        shown["attachments"][0]["contentBytes"],
        STANDARD.encode(SECRET)
    );
    assert_eq!(shown["attachments"][0]["size"], SECRET.len());
    // a client sends an identifier back in clear
    assert_eq!(shown["id"], body);
    // the bytes of the attachment by themselves
    let file = (200, vec![("content-type", "text/plain".to_owned())], bytes);
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", file)];
    let target = "/v1.0/me/messages/1/attachments/2/$value";
    assert_eq!(
        gate.send("GET", target, &[], b"").bytes(),
        SECRET.as_bytes()
    );
}

#[test]
fn what_is_not_named_does_not_go_up() {
    let gate = gate(&[], vec![("POST", "/", answer(201, &json!({})))]);
    let mut with = mail(&to(INSIDE));
    with["internetMessageHeaders"] = json!([{"name": "x-note", "value": SECRET}]);
    let refused = send(&gate, "POST", "/v1.0/me/messages", &with);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "rule-violated")
    );
    let mut with = mail(&to(INSIDE));
    with["body"]["note"] = SECRET.into();
    let refused = send(&gate, "POST", "/v1.0/me/messages", &with);
    assert_eq!(refused.code(), "rule-violated");
    let mut with = mail(&to(INSIDE));
    with["subject"] = "x".repeat(96).into();
    let refused = send(&gate, "POST", "/v1.0/me/messages", &with);
    assert_eq!(refused.code(), "field-too-long");
    let target = "/v1.0/me/messages?$filter=contains(subject,%27Plan%27)";
    assert_eq!(gate.send("GET", target, &[], b"").code(), "search-sealed");
    assert!(sent(&gate).is_empty());
}

#[test]
fn readers_outside_are_refused_or_named_in_the_policy() {
    let made = || vec![("POST", "/", answer(202, &json!({})))];
    let strict = gate(&[], made());
    for readers in [
        to(OUTSIDE),
        to("c@interieur.gouv.fr.example.com"),
        to("nobody"),
    ] {
        let document = json!({"message": mail(&readers), "saveToSentItems": true});
        let refused = send(&strict, "POST", "/v1.0/me/sendMail", &document);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "mail-outside")
        );
    }
    let invitation = json!({"subject": SECRET, "attendees": to(OUTSIDE)});
    let refused = send(&strict, "POST", "/v1.0/me/events", &invitation);
    assert_eq!(refused.code(), "mail-outside");
    assert!(sent(&strict).is_empty());
    let inside = json!({"message": mail(&to("d@dsi.interieur.gouv.fr"))});
    assert_eq!(
        send(&strict, "POST", "/v1.0/me/sendMail", &inside).status,
        202
    );

    let open = gate(&["mail-outside"], made());
    let document = json!({"message": mail(&to(OUTSIDE))});
    assert_eq!(
        send(&open, "POST", "/v1.0/me/sendMail", &document).status,
        202
    );
    let (_, body) = sent(&open).remove(0);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), document);
}

#[test]
fn a_drafts_readers_are_looked_at_when_it_goes_out() {
    let sealed = {
        let gate = gate(&[], vec![("POST", "/", answer(201, &json!({})))]);
        send(&gate, "POST", "/v1.0/me/messages", &mail(&to(INSIDE)));
        serde_json::from_slice::<Value>(&sent(&gate).remove(0).1).unwrap()
    };
    let draft = |readers: Value| {
        let mut draft = sealed.clone();
        draft["toRecipients"] = readers;
        vec![
            ("GET", "/", answer(200, &draft)),
            (
                "POST",
                "/v1.0/me/messages/1/send",
                (202, vec![("content-length", "0".to_owned())], Vec::new()),
            ),
        ]
    };
    for (readers, allow, status) in [
        (to(INSIDE), &[][..], 202),
        (to(OUTSIDE), &[][..], 403),
        // sealed already: whoever is outside could not read it
        (to(OUTSIDE), &["mail-outside"][..], 403),
    ] {
        let gate = gate(allow, draft(readers));
        let answered = gate.send("POST", "/v1.0/me/messages/1/send", &[], b"");
        assert_eq!(answered.status, status, "{answered:?}");
        assert_eq!(
            gate.provider.count("POST", "/v1.0/me/messages/1/send"),
            usize::from(status == 202)
        );
        assert_eq!(gate.provider.count("GET", "/v1.0/me/messages/1?"), 1);
    }
}

#[test]
fn an_answer_goes_to_whoever_wrote() {
    let came = |from: &str| {
        let from =
            json!({"from": to(from)[0], "toRecipients": to(INSIDE), "ccRecipients": to(OUTSIDE)});
        vec![
            ("GET", "/", answer(200, &from)),
            (
                "POST",
                "/",
                (202, vec![("content-length", "0".to_owned())], Vec::new()),
            ),
        ]
    };
    let comment = json!({"comment": SECRET});
    for (from, action, status) in [
        (INSIDE, "reply", 202),
        (OUTSIDE, "reply", 403),
        (OUTSIDE, "createReply", 403),
        (INSIDE, "replyAll", 403),
    ] {
        let gate = gate(&[], came(from));
        let target = format!("/v1.0/me/messages/1/{action}");
        assert_eq!(
            send(&gate, "POST", &target, &comment).status,
            status,
            "{action}"
        );
        let posted: Vec<_> = sent(&gate)
            .into_iter()
            .filter(|(_, body)| !body.is_empty())
            .collect();
        assert_eq!(posted.len(), usize::from(status == 202));
        assert!(
            posted
                .iter()
                .all(|(_, body)| !String::from_utf8_lossy(body).contains("Vigipirate"))
        );
    }
}

#[test]
fn a_comment_opens_in_the_body_that_the_service_makes_of_it() {
    for name in ["comment", "Comment"] {
        let came = answer(200, &json!({"from": to(INSIDE)[0]}));
        let gate = gate(
            &[],
            vec![("GET", "/", came), ("POST", "/", answer(202, &json!({})))],
        );
        let comment = json!({name: format!("{SECRET} <")});
        send(&gate, "POST", "/v1.0/me/messages/1/reply", &comment);
        let sealed = sent(&gate).pop().unwrap().1;
        assert!(!String::from_utf8_lossy(&sealed).contains("Vigipirate"));
        let sealed: Value = serde_json::from_slice(&sealed).unwrap();
        let comment = sealed[name].as_str().unwrap();
        let html = format!("<html><body>{comment}<hr>From: a</body></html>");
        let body = json!({"body": {"contentType": "html", "content": html}});
        *gate.provider.canned.lock().unwrap() = vec![("GET", "/", answer(200, &body))];
        let shown = gate.send("GET", "/v1.0/me/messages/2", &[], b"").json();
        let want = format!("<html><body>{SECRET} &lt;<hr>From: a</body></html>");
        assert_eq!(shown["body"]["content"], want);
    }
}

#[test]
fn parameters_of_actions_are_judged_in_either_case() {
    let gate = gate(&[], vec![("POST", "/", answer(202, &json!({})))]);
    let target = "/v1.0/me/sendMail";
    let refused = send(
        &gate,
        "POST",
        target,
        &json!({"Message": mail(&to(OUTSIDE))}),
    );
    assert_eq!(refused.code(), "mail-outside");
    let both = json!({"message": mail(&to(INSIDE)), "Message": mail(&to(OUTSIDE))});
    assert_eq!(send(&gate, "POST", target, &both).code(), "mail-outside");
    let refused = send(
        &gate,
        "POST",
        target,
        &json!({"MESSAGE": mail(&to(INSIDE))}),
    );
    assert_eq!(refused.code(), "rule-violated");
    assert!(sent(&gate).is_empty());
    let message = json!({"Message": mail(&to(INSIDE)), "SaveToSentItems": true});
    assert_eq!(send(&gate, "POST", target, &message).status, 202);
    assert!(!String::from_utf8_lossy(&sent(&gate).remove(0).1).contains("Vigipirate"));
}

#[test]
fn a_teams_message_keeps_what_teams_reads() {
    let gate = gate(&[], vec![("POST", "/", answer(201, &json!({"id": "1"})))]);
    let target = "/v1.0/teams/t/channels/19:c@thread.tacv2/messages";
    let html = format!(
        "<div>{SECRET} <at id=\"0\">Jane</at> {SECRET}</div><attachment id=\"7\"></attachment>"
    );
    let message = json!({
        "body": {"contentType": "html", "content": html},
        "mentions": [{"id": 0, "mentionText": "Jane", "mentioned": {"user": {"id": "u"}}}],
        "attachments": [{"id": "7", "contentType": "reference", "contentUrl": "https://contoso.sharepoint.com/a"}],
    });
    assert_eq!(send(&gate, "POST", target, &message).status, 201);
    let stored: Value = serde_json::from_slice(&sent(&gate).remove(0).1).unwrap();
    let content = stored["body"]["content"].as_str().unwrap();
    assert!(!content.contains("Vigipirate"));
    assert!(
        content.contains("<at id=\"0\">Jane</at>")
            && content.ends_with("<attachment id=\"7\"></attachment>")
    );
    *gate.provider.canned.lock().unwrap() =
        vec![("GET", "/", answer(200, &json!({"value": [stored]})))];
    let shown = gate.send("GET", target, &[], b"").json();
    assert_eq!(shown["value"][0]["body"]["content"], html);
    let long = json!({"body": {"content": "x".repeat(22_000)}});
    let refused = send(&gate, "POST", target, &long);
    assert_eq!(refused.code(), "too-large");
}

#[test]
fn tokens_that_the_provider_moves_do_not_open() {
    let gate = gate(&[], vec![("POST", "/", answer(201, &json!({"id": "1"})))]);
    send(&gate, "POST", "/v1.0/me/messages", &mail(&to(INSIDE)));
    let stored: Value = serde_json::from_slice(&sent(&gate).remove(0).1).unwrap();
    let moved = json!({
        "id": stored["subject"],
        "@odata.nextLink": stored["subject"],
        "categories": [stored["subject"]],
        "subject": stored["body"]["content"],
        "body": {"contentType": "text", "content": stored["subject"]},
    });
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", answer(200, &moved))];
    let shown = gate.send("GET", "/v1.0/me/messages/1", &[], b"");
    assert!(!String::from_utf8_lossy(shown.bytes()).contains("Vigipirate"));
    let shown = shown.json();
    assert_eq!(shown["id"], stored["subject"]);
    assert_eq!(shown["subject"], "[Sceau : texte illisible, code field]");
    assert_eq!(
        shown["body"]["content"],
        "[Sceau : texte illisible, code field]"
    );
    // a file that was cut does not come out as if it were whole
    let sealed = stored["attachments"][0]["contentBytes"].as_str().unwrap();
    let cut = STANDARD.decode(sealed).unwrap()[..400].to_vec();
    let document = json!({"contentBytes": STANDARD.encode(&cut)});
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", answer(200, &document))];
    let target = "/v1.0/me/messages/1/attachments/2";
    assert_eq!(gate.send("GET", target, &[], b"").code(), "object-damaged");
    let file = (200, vec![("content-type", "text/plain".to_owned())], cut);
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", file)];
    let shown = gate.send("GET", &format!("{target}/$value"), &[], b"");
    assert_eq!(shown.code(), "object-damaged");
}
