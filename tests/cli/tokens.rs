//! `sceau open --token`.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;

use sceau::seal::piece::Head;
use sceau::seal::token::{self, Field};
use sceau::seal::{Context, EpochKeys, Epochs, Salt};
use serde_json::{Value, json};

use crate::sandbox::{Said, Sandbox, context, write};

const KEYS: &str = "--keys keys --passphrase-file ministry.pass";
const SECRET: &str = "Plan \"Vigipirate\"\n";

struct Sealer {
    sandbox: Sandbox,
    keys: Arc<EpochKeys>,
}

fn sealed_by(keys: &EpochKeys, context: &Context, field: &str, plain: &[u8]) -> String {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).unwrap();
    let salt = Salt::of_test_vector(salt);
    token::seal(keys, context, Field::named(field), salt, plain).unwrap()
}

impl Sealer {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let keys = sandbox.keyring().epochs(context()).current().unwrap();
        Self { sandbox, keys }
    }

    fn token(&self, field: &str, plain: &str) -> String {
        sealed_by(&self.keys, &context(), field, plain.as_bytes())
    }

    /// A body of Microsoft 365 in as many pieces.
    fn body(&self, pieces: &[&str]) -> Vec<String> {
        let count = pieces.len() as u16;
        let piece = |(index, text): (usize, &&str)| {
            let head = Head {
                id: [4; 8],
                index: index as u16,
                count,
            };
            let plain = head.write(text);
            sealed_by(&self.keys, &context(), "message.html", &plain)
        };
        pieces.iter().enumerate().map(piece).collect()
    }

    /// With the text on standard input.
    #[track_caller]
    fn piped(&self, line: &str, text: &[u8]) -> Said {
        let mut child = self
            .sandbox
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = text.to_vec();
        let writing = std::thread::spawn(move || {
            // one that gave up reads no more
            let _ = input.write_all(&text);
        });
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!err.contains("panicked"), "{err}");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err,
        }
    }

    fn open(&self, more: &str, text: &str) -> Said {
        self.piped(&format!("open --token {more} {KEYS}"), text.as_bytes())
    }
}

fn marker(code: &str) -> String {
    format!("[Sceau: this text does not open, code {code}]")
}

#[test]
fn a_token_given_as_an_argument_or_on_standard_input_opens() {
    let sealer = Sealer::new();
    let token = sealer.token("title", "Budget");
    let said = sealer.sandbox.run(&format!("open --token {token} {KEYS}"));
    let said = said.exits(0);
    assert_eq!(said.text(), "Budget");
    assert!(said.err.contains("1 tokens opened"), "{}", said.err);
    let text = format!("RE: {token}, {token}\nend\n");
    for line in ["", "-"] {
        let said = sealer.open(line, &text).exits(0);
        assert_eq!(said.text(), "RE: Budget, Budget\nend\n");
    }
    assert_eq!(
        sealer.open("", "no token at all").exits(0).text(),
        "no token at all"
    );
}

#[test]
fn what_does_not_open_is_marked_said_with_its_line_and_fails() {
    let sealer = Sealer::new();
    let token = sealer.token("title", SECRET);
    let flipped = token.replacen("AQ", "BQ", 1);
    let binary = sealed_by(&sealer.keys, &context(), "title", &[0xFF]);
    let other = Context::new("t", "other", "default").unwrap();
    // under the key of this service, as if it were of another
    let swapped = sealed_by(&sealer.keys, &other, "title", b"x");
    let unknown = {
        let strange = Sealer::new();
        strange.token("title", "x")
    };
    for (damaged, code, exit) in [
        (flipped.as_str(), "checksum", 7),
        (&token[..60], "length", 7),
        (&swapped, "commitment", 7),
        (&binary, "not-text", 7),
        (&unknown, "unknown-epoch", 4),
    ] {
        let said = sealer
            .open("", &format!("a\nb {damaged} c\n{token}"))
            .exits(exit);
        assert_eq!(said.text(), format!("a\nb {} c\n{SECRET}", marker(code)));
        let line = format!("open: line 2: a token does not open: {code}\n");
        assert!(said.err.contains(&line), "{}", said.err);
    }
}

#[test]
fn only_the_service_and_the_fields_that_are_named_open() {
    let sealer = Sealer::new();
    let other = Context::new("t", "other", "default").unwrap();
    let keys = sealer
        .sandbox
        .keyring()
        .epochs(other.clone())
        .current()
        .unwrap();
    let theirs = sealed_by(&keys, &other, "title", b"theirs");
    let ours = sealer.token("title", "ours");
    let text = format!("{ours} {theirs}");
    assert_eq!(sealer.open("", &text).exits(0).text(), "ours theirs");
    let said = sealer.open("--service other", &text).exits(4);
    assert_eq!(said.text(), format!("{} theirs", marker("unknown-epoch")));
    sealer.open("--service nobody", &text).exits(4);

    let text = format!("{ours} {}", sealer.token("body", "long"));
    let said = sealer.open("--field title", &text).exits(7);
    assert_eq!(said.text(), format!("ours {}", marker("field")));
    let said = sealer.open("--field title --field body", &text).exits(0);
    assert_eq!(said.text(), "ours long");
}

/// What a subscriber of Microsoft's change notifications with resource data holds once it has opened Microsoft's own
/// envelope: the message as the provider has it.
#[test]
fn a_message_out_of_a_notification_opens() {
    let sealer = Sealer::new();
    let pieces = sealer.body(&["<p>Hi ", ", the \"plan\"</p>"]);
    let content = |pieces: &[String]| pieces.join("<at id=\"0\">Jane</at>");
    let message = |content: String| {
        json!({
            "@odata.context": "https://graph.microsoft.com/$metadata#chats('19%3a1')/messages/$entity",
            "id": "1615971548136",
            "messageType": "message",
            "subject": sealer.token("message.subject", SECRET),
            "body": {"contentType": "html", "content": content},
            "mentions": [{"id": 0, "mentionText": "Jane"}],
        })
    };
    let notice = message(content(&pieces)).to_string();
    let said = sealer.open("--format json", &notice).exits(0);
    let opened: Value = serde_json::from_slice(&said.out).unwrap();
    let mut wanted = message(content(&["<p>Hi ".into(), ", the \"plan\"</p>".into()]));
    wanted["subject"] = SECRET.into();
    assert_eq!(opened, wanted);
    // several, a line each
    let lines = format!("{notice}\n{notice}\n");
    let said = sealer.open("--format json", &lines).exits(0);
    assert_eq!(said.text().lines().count(), 2);

    let notice = message(content(&pieces[..1])).to_string();
    let said = sealer.open("--format json", &notice).exits(7);
    let opened: Value = serde_json::from_slice(&said.out).unwrap();
    let shown = opened["body"]["content"].as_str().unwrap();
    assert_eq!(shown, format!("<p>Hi {}", marker("incomplete")));
    assert!(
        said.err.contains("does not open: incomplete"),
        "{}",
        said.err
    );
}

#[test]
fn what_is_no_json_or_holds_tokens_where_none_opens_fails() {
    let sealer = Sealer::new();
    let token = sealer.token("title", SECRET);
    let said = sealer
        .open("--format json", &format!("{{\"a\": \"{token}\""))
        .exits(1);
    assert!(said.err.contains("no JSON"), "{}", said.err);
    sealer.open("--format json", &token).exits(1);
    let text = format!("{{\"{token}\": 1}}");
    let said = sealer.open("--format json", &text).exits(7);
    assert_eq!(said.text(), text);
    assert!(said.err.contains("1 left sealed"), "{}", said.err);
}

#[test]
fn values_are_written_for_the_text_that_they_stand_in() {
    let sealer = Sealer::new();
    let subject = sealer.token("message.subject", "a < b");
    let body = sealer.body(&["<p>c</p>"]).concat();
    let said = sealer.open("--format html", &format!("<h1>{subject}</h1>{body}"));
    assert_eq!(said.exits(0).text(), "<h1>a &lt; b</h1><p>c</p>");
}

/// Nothing of the text is waited for: what came is opened before its end is there.
#[test]
fn a_text_streams() {
    let sealer = Sealer::new();
    let token = sealer.token("title", "first");
    let mut child = sealer
        .sandbox
        .command(&format!("open --token {KEYS}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    input.write_all(format!("{token}\n").as_bytes()).unwrap();
    let mut shown = [0; 6];
    output.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"first\n");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn files_and_texts_exclude_each_other() {
    let sealer = Sealer::new();
    write(&sealer.sandbox.path("file"), b"x");
    for wrong in [
        "open --token x file",
        "open --token x --out y",
        "open --token x --verify",
        "open --token x --json",
        "open file --out y --field title",
        "open file --out y --service s",
        "open file --out y --format json",
        "open",
    ] {
        let said = sealer.sandbox.run(&format!("{wrong} {KEYS}")).exits(2);
        assert!(said.out.is_empty(), "{wrong}");
    }
}
