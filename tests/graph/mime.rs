//! Messages in MIME, in both directions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use serde_json::{Value, json};

use crate::gate::{Answer, Gate, settings};
use crate::provider::{Canned, Provider};

const SECRET: &str = "Plan Vigipirate: budget 4 711, été";
const INSIDE: &str = "a@interieur.gouv.fr";
const OUTSIDE: &str = "b@example.com";
const MIME: (&str, &str) = ("content-type", "text/plain");

fn gate(allow: &[&str], canned: Vec<(&'static str, &'static str, Canned)>) -> Gate {
    let gate = Gate::with(settings(), allow, Provider::default());
    *gate.provider.canned.lock().unwrap() = canned;
    gate
}

fn taken() -> Canned {
    (202, vec![("content-length", "0".to_owned())], Vec::new())
}

fn whole(message: &[u8]) -> Vec<(&'static str, &'static str, Canned)> {
    let kind = ("content-type", "text/plain".to_owned());
    vec![("GET", "/", (200, vec![kind], message.to_vec()))]
}

fn send(gate: &Gate, target: &str, message: &str) -> Answer {
    let body = STANDARD.encode(message.replace('\n', "\r\n"));
    // in lines, as some encoders write it
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(76)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    gate.send("POST", target, &[MIME], lines.join("\r\n").as_bytes())
}

/// What went up last, decoded.
fn sent(gate: &Gate) -> Vec<u8> {
    let seen = gate.provider.seen.lock().unwrap();
    let last = seen.iter().rfind(|told| !told.body.is_empty()).unwrap();
    assert_eq!(last.header("content-type"), "text/plain");
    let digits = last.body.iter().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Vec<u8> = digits.copied().collect();
    STANDARD.decode(digits).unwrap()
}

fn went_up(gate: &Gate) -> usize {
    let seen = gate.provider.seen.lock().unwrap();
    seen.iter().filter(|told| !told.body.is_empty()).count()
}

fn shown(gate: &Gate, message: &[u8]) -> Answer {
    *gate.provider.canned.lock().unwrap() = whole(message);
    gate.send("GET", "/v1.0/me/messages/1/$value", &[], b"")
}

/// A message of every kind of part, as a mail program writes it.
fn letter(to: &str) -> String {
    let base64 = STANDARD.encode(SECRET);
    format!(
        "From: =?utf-8?Q?Ad=C3=A8le?= <adele@interieur.gouv.fr>\n\
         To: {to}\n\
         Cc: \"Service, DSI\" <dsi@interieur.gouv.fr>,\n\x20Nora <nora@interieur.gouv.fr>\n\
         Subject: =?utf-8?B?{base64}?=\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0100\n\
         Message-ID: <1@interieur.gouv.fr>\n\
         References: <a@x> <b@x>\n\
         Importance: high\n\
         X-Note: {SECRET}\n\
         Comments: {SECRET}\n\
         MIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=outer; note=\"{SECRET}\"\n\
         \n\
         {SECRET}\n\
         --outer\n\
         Content-Type: multipart/related; boundary=\"in ner\"; type=\"multipart/alternative\"\n\
         \n\
         --in ner\n\
         Content-Type: multipart/alternative; boundary=alt\n\
         \n\
         --alt\n\
         Content-Type: text/plain; charset=utf-8; format=flowed\n\
         Content-Transfer-Encoding: base64\n\
         \n\
         {base64}\n\
         --alt\n\
         Content-Type: text/html; charset=iso-8859-15\n\
         Content-Description: {SECRET}\n\
         Content-Transfer-Encoding: quoted-printable\n\
         \n\
         <p>Plan Vigi=\n\
         pirate: budget 4 711, =E9t=E9</p><img src=3D\"cid:p@x\">\n\
         --alt--\n\
         --in ner\n\
         Content-Type: image/png; name=\"Vigipirate.png\"\n\
         Content-ID: <p@x>\n\
         Content-Disposition: inline; filename=\"Vigipirate.png\"\n\
         Content-Transfer-Encoding: base64\n\
         \n\
         {base64}\n\
         --in ner--\n\
         --outer\n\
         Content-Type: application/pdf\n\
         Content-Disposition: attachment; filename*=utf-8''Vigipirate%20%C3%A9t%C3%A9.pdf; size=36\n\
         Content-Transfer-Encoding: base64\n\
         \n\
         {base64}\n\
         --outer\n\
         Content-Type: message/rfc822\n\
         \n\
         Subject: Vigipirate\n\
         \n\
         {SECRET}\n\
         --outer--\n\
         {SECRET}\n"
    )
}

/// Fails where some of the secret can be read.
fn holds_nothing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "");
    for secret in [SECRET, "Vigipirate", "4 711", "=E9t"] {
        for at in 0..3 {
            let shifted = STANDARD.encode([&b"xyz"[..at], secret.as_bytes()].concat());
            let inner = &shifted[at + 1..shifted.len() - 4];
            assert!(
                inner.len() < 6 || !text.contains(inner),
                "{secret} in base64"
            );
        }
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

fn parts<'m>(message: &'m Message<'_>) -> Vec<(String, &'m PartType<'m>)> {
    let kind = |part: &mail_parser::MessagePart<'_>| {
        part.content_type().map_or("none".to_owned(), |kind| {
            format!(
                "{}/{}",
                kind.c_type,
                kind.c_subtype.as_deref().unwrap_or_default()
            )
        })
    };
    message
        .parts
        .iter()
        .map(|part| (kind(part), &part.body))
        .collect()
}

#[test]
fn a_message_in_mime_goes_up_sealed_and_comes_down_as_it_was() {
    let gate = gate(&[], vec![("POST", "/", taken())]);
    let answered = send(&gate, "/v1.0/me/sendMail", &letter(&format!("<{INSIDE}>")));
    assert_eq!(answered.status, 202, "{answered:?}");
    let stored = sent(&gate);
    holds_nothing(&stored);
    let read = MessageParser::new().parse(&stored).unwrap();
    let kinds: Vec<String> = parts(&read).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds,
        [
            "multipart/mixed",
            "multipart/related",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "image/png",
            "application/pdf",
            "application/octet-stream",
        ]
    );
    assert_eq!(read.from().unwrap().first().unwrap().name(), Some("Adèle"));
    assert_eq!(read.to().unwrap().first().unwrap().address(), Some(INSIDE));
    let cc: Vec<_> = read
        .cc()
        .unwrap()
        .iter()
        .map(|one| (one.name(), one.address()))
        .collect();
    let want = [
        (Some("Service, DSI"), Some("dsi@interieur.gouv.fr")),
        (Some("Nora"), Some("nora@interieur.gouv.fr")),
    ];
    assert_eq!(cc, want);
    assert_eq!(read.message_id(), Some("1@interieur.gouv.fr"));
    assert_eq!(read.header_raw("Importance").map(str::trim), Some("high"));
    assert_eq!(read.references().as_text_list().unwrap().len(), 2);
    assert_eq!(
        read.date().unwrap().to_rfc3339(),
        "2026-11-24T10:00:00+01:00"
    );
    assert!(read.header("X-Note").is_none() && read.header("Comments").is_none());

    let shown = shown(&gate, &stored);
    let read = MessageParser::new().parse(shown.bytes()).unwrap();
    assert_eq!(read.subject(), Some(SECRET));
    assert_eq!(read.body_text(0).unwrap(), SECRET);
    let html = format!("<p>{SECRET}</p><img src=\"cid:p@x\">");
    assert_eq!(read.body_html(0).unwrap(), html);
    let files: Vec<_> = read
        .attachments()
        .map(|part| (part.attachment_name(), part.content_id(), part.contents()))
        .collect();
    let nested = format!("Subject: Vigipirate\r\n\r\n{SECRET}");
    assert_eq!(
        files,
        [
            (Some("Vigipirate.png"), Some("p@x"), SECRET.as_bytes()),
            (Some("Vigipirate été.pdf"), None, SECRET.as_bytes()),
            (Some("message.eml"), None, nested.as_bytes()),
        ]
    );
    let text = &read.parts[3];
    assert_eq!(
        text.content_type().unwrap().attribute("format"),
        Some("flowed")
    );
}

#[test]
fn what_the_service_makes_of_a_message_opens_in_both_forms() {
    let gate = gate(&[], vec![("POST", "/", taken())]);
    send(&gate, "/v1.0/me/messages", &letter(INSIDE));
    let stored = sent(&gate);
    let read = MessageParser::new().parse(&stored).unwrap();
    let (subject, html) = (read.subject().unwrap(), read.body_html(0).unwrap());
    let file = read.attachment(1).unwrap();
    // JSON of what was MIME
    let document = json!({
        "subject": subject,
        "body": {"contentType": "html", "content": format!("<html>{html}</html>")},
        "attachments": [{"name": file.attachment_name(), "contentBytes": STANDARD.encode(file.contents())}],
    });
    let kind = ("content-type", "application/json".to_owned());
    let canned = (200, vec![kind], document.to_string().into_bytes());
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", canned)];
    let json: Value = gate.send("GET", "/v1.0/me/messages/1", &[], b"").json();
    assert_eq!(json["subject"], SECRET);
    assert_eq!(
        json["body"]["content"],
        format!("<html><p>{SECRET}</p><img src=\"cid:p@x\"></html>")
    );
    assert_eq!(json["attachments"][0]["name"], "Vigipirate été.pdf");
    assert_eq!(
        json["attachments"][0]["contentBytes"],
        STANDARD.encode(SECRET)
    );
    // MIME of the service's own making
    let quoted: Vec<&str> = html
        .as_bytes()
        .chunks(70)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    let own = format!(
        "Received: from x\r\n\tby y\r\nSubject: RE: {subject}\r\nThread-Topic: {subject}\r\nX-Own: {subject}\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\nkept as it is\r\n--b\r\n\
         content-transfer-encoding: quoted-printable\r\nContent-Type: text/html; charset=\"us-ascii\"\r\n\r\n\
         <html>{}</html>\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: {subject}\r\n\r\n{html}\r\n--b\r\n\
         Content-Type: application/pdf; name=\"{name}\"\r\nContent-Description: {name}\r\n\
         Content-Disposition: attachment; filename=\"{name}\"; size=999\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {bytes}\r\n--b--\r\n",
        quoted.join("=\r\n"),
        name = file.attachment_name().unwrap(),
        bytes = STANDARD.encode(file.contents()),
    );
    let shown = shown(&gate, own.as_bytes());
    let text = String::from_utf8_lossy(shown.bytes()).into_owned();
    for kept in [
        "Received: from x\r\n\tby y\r\n",
        "\r\n\r\nkept as it is\r\n--b\r\n",
        "\r\n--b--\r\n",
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    // opened where it was sealed for alone
    assert!(text.contains(&format!("X-Own: {subject}\r\n")));
    let read = MessageParser::new().parse(shown.bytes()).unwrap();
    assert_eq!(read.subject().unwrap(), format!("RE: {SECRET}"));
    assert!(text.contains("Thread-Topic: =?utf-8?Q?Plan_Vigipirate"));
    assert_eq!(
        read.body_html(0).unwrap(),
        format!("<html><p>{SECRET}</p><img src=\"cid:p@x\"></html>")
    );
    let file = read.attachments().last().unwrap();
    assert_eq!(file.attachment_name(), Some("Vigipirate été.pdf"));
    assert_eq!(file.contents(), SECRET.as_bytes());
    assert!(!text.contains("size=999"));
    let nested = read.attachments().find_map(|part| part.message()).unwrap();
    assert_eq!(nested.subject(), Some(SECRET));
    assert!(nested.body_text(0).unwrap().contains(SECRET));
}

#[test]
fn readers_outside_are_judged_in_mime_too() {
    let plain = |fields: &str| {
        format!("{fields}Subject: {SECRET}\nContent-Type: text/plain; charset=utf-8\n\n{SECRET}\n")
    };
    let strict = gate(&[], vec![("POST", "/", taken())]);
    for fields in [
        format!("To: {OUTSIDE}\n"),
        format!("To: {INSIDE}\nCc: X <{OUTSIDE}>\n"),
        format!("To: {INSIDE}\nbcc: {OUTSIDE}\n"),
        format!("To: {INSIDE}\nTo: {OUTSIDE}\n"),
        format!("To: {INSIDE}\nReply-To: {OUTSIDE}\n"),
        format!("To: \"{INSIDE}\" <{OUTSIDE}>\n"),
        format!("To: friends: {INSIDE}, {OUTSIDE};\n"),
        format!("To: {INSIDE} ({INSIDE}),\n\t{OUTSIDE}\n"),
        "To: nobody\n".to_owned(),
    ] {
        for target in ["/v1.0/me/sendMail", "/v1.0/me/messages"] {
            let refused = send(&strict, target, &plain(&fields));
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (403, "mail-outside"),
                "{fields}"
            );
        }
    }
    assert_eq!(went_up(&strict), 0);
    let open = gate(&["mail-outside"], vec![("POST", "/", taken())]);
    let fields = format!("To: {OUTSIDE}\nX-Mine: kept\n");
    assert_eq!(
        send(&open, "/v1.0/me/sendMail", &plain(&fields)).status,
        202
    );
    assert_eq!(
        sent(&open),
        plain(&fields).replace('\n', "\r\n").into_bytes()
    );
}

#[test]
fn answers_in_mime_go_to_whoever_wrote() {
    let letter = format!("To: {INSIDE}\nContent-Type: text/plain; charset=utf-8\n\n{SECRET}\n");
    for (from, action, status) in [
        (INSIDE, "reply", 202),
        (INSIDE, "createReplyAll", 202),
        (OUTSIDE, "reply", 403),
        (OUTSIDE, "forward", 202),
    ] {
        let came = json!({"from": {"emailAddress": {"address": from}}});
        let kind = ("content-type", "application/json".to_owned());
        let came = (200, vec![kind], came.to_string().into_bytes());
        let gate = gate(&[], vec![("GET", "/", came), ("POST", "/", taken())]);
        let answered = send(&gate, &format!("/v1.0/me/messages/1/{action}"), &letter);
        assert_eq!(answered.status, status, "{from} {action}");
        assert_eq!(went_up(&gate), usize::from(status == 202));
        if status == 202 {
            holds_nothing(&sent(&gate));
        }
    }
}

#[test]
fn a_draft_is_replaced_in_mime_alone() {
    let target = "/v1.0/me/messages/1/$value";
    let gate = gate(&[], vec![("PUT", target, taken())]);
    let letter = STANDARD.encode(letter(INSIDE).replace('\n', "\r\n"));
    let answered = gate.send("PUT", target, &[MIME], letter.as_bytes());
    assert_eq!(answered.status, 202);
    holds_nothing(&sent(&gate));
    let json = [("content-type", "application/json")];
    let refused = gate.send("PUT", target, &json, b"{\"subject\":\"x\"}");
    assert_eq!(refused.code(), "request-refused");
    assert_eq!(
        gate.send("PUT", target, &[MIME], b"").code(),
        "request-refused"
    );
    let refused = gate.send("PATCH", "/v1.0/me/messages/1", &[MIME], letter.as_bytes());
    assert_eq!(refused.code(), "request-refused");
    let refused = gate.send("POST", "/v1.0/me/events", &[MIME], letter.as_bytes());
    assert_eq!(refused.code(), "request-refused");
    assert_eq!(went_up(&gate), 1);
}

#[test]
fn what_is_malformed_does_not_go_up() {
    let gate = gate(&[], vec![("POST", "/", taken())]);
    let whole = letter(INSIDE);
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replacen(from, to, 1)
    };
    for message in [
        "\n".to_owned(),
        format!("{SECRET}\n"),
        with("--outer--", "--outer"),
        with("; boundary=outer", ""),
        with("charset=iso-8859-15", "charset=big5"),
        with("boundary=alt", "boundary=\"\""),
        with("base64\n\nUGxh", "base64\n\nU*xh"),
        with("Content-ID: <p@x>", "Content-Type: text/plain"),
        with("quoted-printable", "x-uuencode"),
        with(&format!("To: {INSIDE}"), "To: \"a b\"@interieur.gouv.fr"),
        with(
            &format!("To: {INSIDE}"),
            "To: <b@example.com@interieur.gouv.fr>",
        ),
        with(
            &format!("To: {INSIDE}"),
            "To: b@[example].interieur.gouv.fr",
        ),
    ] {
        let refused = send(&gate, "/v1.0/me/sendMail", &message);
        assert!(refused.status >= 400, "{message}");
        let code = refused.code();
        assert!(
            refused.status == 400 || code == "mail-outside",
            "{refused:?} {message}"
        );
    }
    let refused = gate.send(
        "POST",
        "/v1.0/me/sendMail",
        &[MIME],
        b"To: a@interieur.gouv.fr\r\n\r\nx",
    );
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "request-refused")
    );
    assert_eq!(went_up(&gate), 0);
}

#[test]
fn what_can_not_be_sealed_is_refused() {
    let gate = gate(&[], vec![("POST", "/", taken())]);
    let message = |kind: &str, parts: &str| {
        format!("To: {INSIDE}\nContent-Type: {kind}; boundary=b\n\n--b\n{parts}\n--b--\n")
    };
    let text = format!("Content-Type: text/plain; charset=utf-8\n\n{SECRET}");
    for refused in [
        message(
            "multipart/signed; protocol=\"application/pkcs7-signature\"",
            &text,
        ),
        message("multipart/report", &text),
        message(
            "multipart/mixed",
            "Content-Type: text/calendar\n\nBEGIN:VCALENDAR",
        ),
        message(
            "multipart/mixed",
            &format!(
                "{text}\n--b\nContent-Disposition: attachment; filename=\"{}\"\n\nx",
                "x".repeat(200)
            ),
        ),
    ] {
        let refused = send(&gate, "/v1.0/me/sendMail", &refused);
        let codes = ["rule-violated", "field-too-long"];
        assert!(codes.contains(&refused.code().as_str()), "{refused:?}");
    }
    let signed = send(
        &gate,
        "/v1.0/me/sendMail",
        &message("multipart/signed", &text),
    );
    let said = signed.json()["error"]["message"].clone();
    assert!(said.as_str().unwrap().contains("signature"), "{said}");
    assert_eq!(went_up(&gate), 0);
    // encrypted ones are files to the gateway, whatever they say of themselves
    let parts = format!(
        "Content-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\n{SECRET}"
    );
    let kind = "multipart/encrypted; protocol=\"application/pgp-encrypted\"";
    send(&gate, "/v1.0/me/sendMail", &message(kind, &parts));
    let stored = sent(&gate);
    holds_nothing(&stored);
    let shown = shown(&gate, &stored);
    let read = MessageParser::new().parse(shown.bytes()).unwrap();
    let kind = read.content_type().unwrap();
    assert_eq!(
        (kind.c_subtype.as_deref(), kind.attribute("protocol")),
        (Some("encrypted"), Some("application/pgp-encrypted"))
    );
    let bodies: Vec<&[u8]> = read.attachments().map(|part| part.contents()).collect();
    assert_eq!(bodies, [b"Version: 1", SECRET.as_bytes()]);
    let opaque = format!(
        "To: {INSIDE}\nContent-Type: application/pkcs7-mime; smime-type=signed-data\n\n{SECRET}\n"
    );
    send(&gate, "/v1.0/me/sendMail", &opaque);
    holds_nothing(&sent(&gate));
}

#[test]
fn what_was_not_sealed_passes_byte_for_byte() {
    let gate = gate(&[], vec![]);
    let signed = letter(INSIDE)
        .replace("multipart/mixed", "multipart/signed")
        .replace('\n', "\r\n");
    for message in [
        "",
        "no field",
        "Subject: x\n\nbody",
        &signed,
        &signed[..signed.len() - 40],
    ] {
        assert_eq!(shown(&gate, message.as_bytes()).bytes(), message.as_bytes());
    }
    // the same as a file that is attached
    let kind = ("content-type", "message/rfc822".to_owned());
    let canned = (200, vec![kind], signed.clone().into_bytes());
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", canned)];
    let file = gate.send("GET", "/v1.0/me/messages/1/attachments/2/$value", &[], b"");
    assert_eq!(file.bytes(), signed.as_bytes());
}

#[test]
fn what_is_damaged_in_mime_shows() {
    let gate = gate(&[], vec![("POST", "/", taken())]);
    send(&gate, "/v1.0/me/sendMail", &letter(INSIDE));
    let stored = String::from_utf8(sent(&gate)).unwrap();
    // in the middle of a file
    let at = stored.find("application/pdf").unwrap();
    let at = at + stored[at..].find("\r\n\r\n").unwrap() + 400;
    let mut damaged = stored.clone().into_bytes();
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    let answer = shown(&gate, &damaged);
    assert!(answer.status >= 500, "{answer:?}");
    assert!(["object-damaged", "object-substituted"].contains(&answer.code().as_str()));
    // a token in another field's place
    let read = MessageParser::new().parse(stored.as_bytes()).unwrap();
    let (subject, text) = (read.subject().unwrap(), read.body_text(0).unwrap());
    let moved = format!("Subject: {text}\r\n\r\n{subject}");
    let answer = shown(&gate, moved.as_bytes());
    let read = MessageParser::new().parse(answer.bytes()).unwrap();
    let marker = "[Sceau : texte illisible, code field]";
    assert_eq!(read.subject(), Some(marker));
    assert_eq!(read.body_text(0).unwrap().trim(), marker);
}
