//! PostObject: uploads by a browser's form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sceau::adapter::s3::sigv4::SigningKey;
use sceau::secret::SecretBytes;

use super::client::{ACCESS, Ask, Config, Gateway, SECRET, bytes};

const BOUNDARY: &str = "xYzZY";

/// A form whose policy names each of `fields` exactly, and `conditions` besides.
struct Form {
    fields: Vec<(&'static str, String)>,
    conditions: Vec<String>,
    file: Vec<u8>,
    behind: &'static str,
}

impl Form {
    fn new(key: &str, file: impl Into<Vec<u8>>) -> Self {
        Self {
            fields: vec![("key", key.into())],
            conditions: vec![],
            file: file.into(),
            behind: "",
        }
    }

    fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.into());
        self
    }

    fn body(&self) -> Vec<u8> {
        let scope = "20261124/us-east-1/s3/aws4_request";
        let mut fields = self.fields.clone();
        fields.push(("x-amz-algorithm", "AWS4-HMAC-SHA256".into()));
        fields.push(("x-amz-credential", format!("{ACCESS}/{scope}")));
        fields.push(("x-amz-date", "20261124T120000Z".into()));
        let mut conditions = self.conditions.clone();
        conditions.push("{\"bucket\": \"bucket\"}".into());
        for (name, value) in &fields {
            if !conditions.iter().any(|c| c.contains(&format!("${name}"))) {
                conditions.push(format!("{{\"{name}\": \"{value}\"}}"));
            }
        }
        let policy = format!(
            "{{\"expiration\": \"2026-11-24T13:00:00Z\", \"conditions\": [{}]}}",
            conditions.join(",")
        );
        let policy = STANDARD.encode(policy);
        let secret = SecretBytes::new(SECRET.to_vec());
        let key = SigningKey::derive(&secret, "20261124", "us-east-1");
        fields.push(("x-amz-signature", key.sign(policy.as_bytes())));
        fields.push(("policy", policy));
        let mut body = Vec::new();
        for (name, value) in &fields {
            body.extend(format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ).into_bytes());
        }
        body.extend(format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        ).into_bytes());
        body.extend(&self.file);
        body.extend(format!("\r\n--{BOUNDARY}{}--\r\n", self.behind).into_bytes());
        body
    }

    fn ask<'g>(&self, gateway: &'g Gateway) -> Ask<'g> {
        gateway
            .ask("POST", "/bucket")
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .body(self.body())
    }
}

#[tokio::test]
async fn a_forms_file_is_sealed_at_its_key() {
    let gateway = Gateway::new();
    for size in [0, 1, 100_000] {
        let form = Form::new("photos/x", bytes(size, 1))
            .field("content-type", "image/secret")
            .field("x-amz-meta-title", "secret title");
        for cut in [1, 7, 1000, 200_000] {
            if size > 1000 && cut < 1000 {
                continue;
            }
            let done = form.ask(&gateway).cut(cut).send_unsigned().await;
            assert_eq!(done.status, 204, "{}", done.text());
            let got = gateway.get("/bucket/photos/x").send().await.ok();
            assert!(got.body == bytes(size, 1));
            assert_eq!(got.header("content-type"), "image/secret");
            assert_eq!(got.header("x-amz-meta-title"), "secret title");
            assert_eq!(got.header("etag"), done.header("etag"));
        }
    }
    let stored = gateway.provider.object("bucket", "photos/x").unwrap();
    assert!(!format!("{:?}", stored.headers).contains("secret"));
}

#[tokio::test]
async fn the_file_name_is_filled_in_and_the_answer_is_as_asked() {
    let gateway = Gateway::new();
    let form = |status| {
        Form::new("up/${filename}", "content")
            .condition("[\"starts-with\", \"$key\", \"up/\"]")
            .field("success_action_status", status)
    };
    for (status, expected) in [("200", 200), ("201", 201), ("204", 204), ("500", 204)] {
        let done = form(status).ask(&gateway).send_unsigned().await.ok();
        assert_eq!(done.status, expected);
        assert_eq!(gateway.read("up/photo.jpg").await, b"content");
        if status == "201" {
            assert_eq!(done.element("Key"), "up/photo.jpg");
            assert_eq!(done.element("Bucket"), "bucket");
            let place = "https://s3.example.fr/bucket/up/photo.jpg";
            assert_eq!(done.element("Location"), place);
            assert_eq!(done.element("ETag"), done.header("etag"));
        }
    }
}

#[tokio::test]
async fn a_redirect_leads_only_where_the_policy_says() {
    let gateway = Gateway::new();
    let form = |to: &str| Form::new("k", "x").field("success_action_redirect", to);
    let done = form("https://app.example.fr/done?a=1").ask(&gateway);
    let done = done.send_unsigned().await;
    assert_eq!(done.status, 303);
    let to = done.header("location");
    assert!(to.starts_with("https://app.example.fr/done?a=1&bucket=bucket&key=k&etag=%22"));
    for bad in [
        "javascript:alert(1)",
        "/relative",
        "ftp://host/",
        "https://u@host/",
        "",
    ] {
        let refused = form(bad).ask(&gateway).send_unsigned().await.refused();
        assert_eq!(refused, (400, "InvalidArgument".into()), "{bad}");
    }
    for (prefix, good) in [
        ("", false),
        ("https://", false),
        ("https://app.example.fr", false),
        ("https://app.example.fr/", true),
    ] {
        let condition = format!("[\"starts-with\", \"$success_action_redirect\", \"{prefix}\"]");
        let form = form("https://app.example.fr/x").condition(&condition);
        let done = form.ask(&gateway).send_unsigned().await;
        assert_eq!(done.status == 303, good, "{prefix}");
    }
}

#[tokio::test]
async fn the_length_range_is_about_the_plaintext() {
    let gateway = Gateway::new();
    let form =
        |size| Form::new("k", bytes(size, 1)).condition("[\"content-length-range\", 10, 100]");
    for (size, code) in [(9, "EntityTooSmall"), (101, "EntityTooLarge")] {
        let refused = form(size).ask(&gateway).send_unsigned().await.refused();
        assert_eq!(refused, (400, code.into()));
    }
    for size in [10, 100] {
        form(size).ask(&gateway).send_unsigned().await.ok();
        assert!(gateway.read("k").await == bytes(size, 1));
    }
}

#[tokio::test]
async fn what_the_form_does_not_prove_stores_nothing() {
    let gateway = Gateway::new();
    let good = || Form::new("k", bytes(5000, 1));
    let mut unsigned = good().ask(&gateway).body("");
    let body = String::from_utf8_lossy(&good().body()).replace("x-amz-signature", "x-ignore-s");
    unsigned = unsigned.body(body);
    unsigned.send_unsigned().await.refused();
    let tampered = |from: &str, to: &str| {
        let body = good().body();
        let at = body
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut body = body;
        body.splice(at..at + from.len(), to.bytes());
        good().ask(&gateway).body(body)
    };
    let other = tampered("\r\n\r\nk\r\n", "\r\n\r\nj\r\n")
        .send_unsigned()
        .await;
    assert_eq!(other.refused(), (403, "AccessDenied".into()));
    let more = Form {
        behind: "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nx\r\n--xYzZY",
        ..good()
    };
    let refused = more.ask(&gateway).send_unsigned().await.refused();
    assert_eq!(refused, (400, "MalformedPOSTRequest".into()));
    let unknown = good().ask(&gateway).without_length().send_unsigned().await;
    assert_eq!(unknown.refused(), (411, "MissingContentLength".into()));
    let broken = good().ask(&gateway).broken().send_unsigned().await;
    broken.refused();
    let both = good().ask(&gateway).send().await.refused();
    assert_eq!(both, (400, "InvalidArgument".into()), "two signatures");
    let acl = good().field("acl", "public-read").ask(&gateway);
    assert_eq!(
        acl.send_unsigned().await.refused().0,
        403,
        "a group of the policy"
    );
    let wrong = good()
        .field("x-amz-checksum-crc32", "AAAAAA==")
        .ask(&gateway);
    assert_eq!(wrong.send_unsigned().await.refused().1, "BadDigest");
    for name in [
        "x-amz-server-side-encryption-customer-key",
        "x-amz-website-redirect-location",
    ] {
        let refused = good().field(name, "x").ask(&gateway).send_unsigned().await;
        assert_eq!(refused.refused(), (501, "NotImplemented".into()));
    }
    assert!(gateway.provider.object("bucket", "k").is_none());
    let open = Gateway::with(Config {
        policy: vec!["acl", "tagging"],
        ..Config::default()
    });
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let form = good().field("acl", "public-read").field("tagging", tags);
    form.ask(&open).send_unsigned().await.ok();
    let seen = open.provider.seen();
    assert_eq!(seen[0].header("x-amz-tagging"), Some("a=b"));
    assert_eq!(seen[0].header("x-amz-acl"), Some("public-read"));
}
