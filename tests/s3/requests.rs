//! What is common to all requests: signatures, body forms, presigned URLs, verdicts, what goes up.

use sceau::adapter::s3::checksum::{self, Algorithm};
use sceau::adapter::s3::settings::Integrity;
use sceau::adapter::s3::sigv4::{SigningKey, sha256_hex};
use sceau::adapter::s3::time;
use sceau::body::Plain;
use sceau::secret::SecretBytes;

use super::client::{Answer, Config, Gateway, SECRET, bytes};
use super::pieces::Pieces;
use super::provider::Twist;

const PART: usize = 5 << 20;

#[tokio::test]
async fn all_five_forms_of_a_body() {
    let gateway = Gateway::new();
    let content = bytes(100_000, 1);
    gateway.put("/bucket/k", content.clone()).send().await.ok();
    assert!(gateway.read("k").await == content);

    let hash: &'static str = sha256_hex(&content).leak();
    let put = gateway.put("/bucket/h", content.clone()).payload(hash);
    put.send().await.ok();
    assert!(gateway.read("h").await == content);
    let other: &'static str = sha256_hex(b"other").leak();
    let put = gateway.put("/bucket/x", content.clone()).payload(other);
    assert_eq!(put.send().await.refused().1, "XAmzContentSHA256Mismatch");

    let crc = checksum::of(Algorithm::Crc32, &content).base64();
    let framed = |crc: &str| {
        let mut body = format!("{:x}\r\n", content.len()).into_bytes();
        body.extend_from_slice(&content);
        body.extend(format!("\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n").into_bytes());
        gateway
            .put("/bucket/u", body)
            .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .header("x-amz-decoded-content-length", "100000")
            .without_length()
    };
    let put = framed(&crc).send().await.ok();
    assert_eq!(put.header("x-amz-checksum-crc32"), crc);
    let got = gateway.get("/bucket/u").send().await.ok();
    assert!(got.body == content);
    assert_eq!(got.header("content-encoding"), "");
    let head = gateway
        .head("/bucket/u")
        .header("x-amz-checksum-mode", "ENABLED");
    assert_eq!(head.send().await.ok().header("x-amz-checksum-crc32"), crc);
    // its trailer is warm now, so that a GET knows the checksum too
    let warm = gateway
        .get("/bucket/u")
        .header("x-amz-checksum-mode", "ENABLED");
    assert_eq!(warm.send().await.ok().header("x-amz-checksum-crc32"), crc);
    gateway.provider.seen();
    assert_eq!(framed("AAAAAA==").send().await.refused().1, "BadDigest");
    assert!(gateway.provider.seen()[0].broken);

    for trailer in [false, true] {
        let answer = signed_chunks(&gateway, &content, trailer, false).await;
        answer.ok();
        assert!(gateway.read("s").await == content);
        let answer = signed_chunks(&gateway, &content, trailer, true).await;
        assert_eq!(answer.refused().1, "SignatureDoesNotMatch");
    }
    for absent in ["x", "a"] {
        let got = gateway.get(&format!("/bucket/{absent}")).send().await;
        assert_eq!(got.refused().0, 404);
    }
}

/// A body whose chunks are signed, with a signed trailer or without; `forged` changes a byte of the second chunk.
async fn signed_chunks(gateway: &Gateway, content: &[u8], trailer: bool, forged: bool) -> Answer {
    let form = match trailer {
        true => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        false => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    };
    let mut ask = gateway
        .put("/bucket/s", "")
        .payload(form)
        .header("x-amz-decoded-content-length", content.len().to_string())
        .without_length();
    if trailer {
        ask = ask.header("x-amz-trailer", "x-amz-checksum-crc32");
    }
    let now = gateway.tick();
    let head = ask.signed(now);
    let authorization = head.headers["authorization"].to_str().unwrap();
    let mut previous = authorization
        .rsplit_once("Signature=")
        .unwrap()
        .1
        .to_owned();
    let date = time::basic(now);
    let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
    let secret = SecretBytes::new(SECRET.to_vec());
    let key = SigningKey::derive(&secret, &date[..8], "us-east-1");
    let mut body = Vec::new();
    for (at, chunk) in content.chunks(65_536).chain([b"".as_slice()]).enumerate() {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{}\n{}",
            sha256_hex(b""),
            sha256_hex(chunk)
        );
        previous = key.sign(text.as_bytes());
        body.extend(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).into_bytes());
        let start = body.len();
        body.extend_from_slice(chunk);
        if forged && at == 1 {
            body[start] ^= 1;
        }
        if !chunk.is_empty() || !trailer {
            body.extend(b"\r\n");
        }
    }
    if trailer {
        let crc = checksum::of(Algorithm::Crc32, content).base64();
        let line = format!("x-amz-checksum-crc32:{crc}\n");
        let text = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{}",
            sha256_hex(line.as_bytes())
        );
        body.extend(line.trim_end().as_bytes());
        body.extend(
            format!(
                "\r\nx-amz-trailer-signature:{}\r\n\r\n",
                key.sign(text.as_bytes())
            )
            .into_bytes(),
        );
    }
    let body = Plain::new(Pieces::of(body, 10_000));
    gateway.exchange(head, body, now).await
}

#[tokio::test]
async fn presigned_urls_carry_headers_in_their_query_and_none_of_it_goes_up() {
    let gateway = Gateway::with(Config {
        policy: vec!["tagging"],
        ..Config::default()
    });
    let put = gateway
        .put("/bucket/k", "content")
        .header("content-type", "text/plain")
        .header("x-amz-meta-secret", "secret value")
        .header("x-amz-tagging", "a=b")
        .header("x-amz-storage-class", "STANDARD_IA");
    put.send_presigned().await.ok();
    let seen = &gateway.provider.seen()[0];
    assert_eq!(seen.uri.query(), None);
    assert_eq!(seen.header("x-amz-tagging"), Some("a=b"));
    assert_eq!(seen.header("x-amz-storage-class"), Some("STANDARD_IA"));
    assert!(!format!("{:?}{}", seen.headers, seen.uri).contains("secret"));
    let got = gateway.get("/bucket/k").send_presigned().await.ok();
    assert_eq!(got.header("x-amz-meta-secret"), "secret value");
    gateway.head("/bucket/k").send_presigned().await.ok();
    // SDKs bake the checksum of nothing into a presigned PUT; S3 refuses the body then
    let put = gateway
        .put("/bucket/k", "content")
        .header("x-amz-checksum-crc32", "AAAAAA==");
    assert_eq!(put.send_presigned().await.refused().1, "BadDigest");
}

/// What it asks for was decided without that field: it would write nothing over the object.
#[tokio::test]
async fn a_presigned_url_carries_no_field_that_names_another_operation() {
    let gateway = Gateway::new();
    gateway.put("/bucket/s", "content").send().await.ok();
    gateway.provider.seen();
    let copy = gateway.put("/bucket/k", "");
    let copy = copy.header("x-amz-copy-source", "/bucket/s");
    let refused = copy.send_presigned().await.refused();
    assert_eq!(refused, (501, "NotImplemented".into()));
    assert!(gateway.provider.seen().is_empty());
}

#[tokio::test]
async fn only_the_regions_of_the_service_are_accepted() {
    use sceau::adapter::s3::sigv4::Signer;
    let gateway = Gateway::new();
    for (region, good) in [
        ("us-east-1", true),
        ("auto", true),
        ("region-1", false),
        ("", false),
    ] {
        let secret = SecretBytes::new(SECRET.to_vec());
        let signer = Signer::new(super::client::ACCESS, secret, region);
        let now = gateway.tick();
        let mut head = gateway.get("/").unsigned();
        signer.sign(&mut head, "UNSIGNED-PAYLOAD", now).unwrap();
        let answer = gateway.exchange(head, Plain::empty(), now).await;
        if good {
            answer.ok();
        } else {
            let refused = answer.refused();
            assert_eq!(refused, (400, "AuthorizationHeaderMalformed".into()));
        }
    }
}

#[tokio::test]
async fn nobody_and_strangers_are_refused_and_nothing_goes_up() {
    let gateway = Gateway::new();
    let refused = gateway.put("/bucket/k", "x").send_unsigned().await;
    assert_eq!(refused.refused(), (403, "AccessDenied".into()));
    let now = gateway.tick();
    let mut head = gateway.put("/bucket/k", "x").signed(now);
    head.uri = "/bucket/other".parse().unwrap();
    let body = || Plain::new(Pieces::of("x", 1));
    let refused = gateway.exchange(head, body(), now).await.refused();
    assert_eq!(refused, (403, "SignatureDoesNotMatch".into()));
    let late = now + std::time::Duration::from_secs(1000);
    let head = gateway.put("/bucket/k", "x").signed(now);
    let refused = gateway.exchange(head, body(), late).await.refused();
    assert_eq!(refused, (403, "RequestTimeTooSkewed".into()));
    let other = gateway.get("/bucket/k").header("host", "elsewhere.example");
    assert_eq!(other.send().await.refused().0, 400);
    assert!(gateway.provider.seen().is_empty());
}

#[tokio::test]
async fn what_is_unknown_is_not_implemented_and_what_is_denied_says_why() {
    let gateway = Gateway::new();
    for (method, target) in [
        ("GET", "/bucket/k?unheard-of"),
        ("GET", "/bucket?list-type=3"),
        ("POST", "/bucket/k"),
        ("PUT", "/bucket/k?versionId=1"),
        ("GET", "/bucket/k?versionId=1&partNumber=1&new=1"),
    ] {
        let refused = gateway.ask(method, target).send().await.refused();
        assert_eq!(refused, (501, "NotImplemented".into()), "{target}");
    }
    for (method, target) in [
        ("GET", "/bucket?website"),
        ("PUT", "/bucket?replication"),
        ("PUT", "/bucket?notification"),
        ("PUT", "/bucket/k?renameObject"),
        ("POST", "/bucket/k?select&select-type=2"),
        ("GET", "/bucket/k?tagging"),
        ("GET", "/bucket?acl"),
    ] {
        let refused = gateway.ask(method, target).send().await.refused();
        assert_eq!(refused, (403, "AccessDenied".into()), "{target}");
    }
    for (name, value) in [
        ("x-amz-server-side-encryption-customer-key", "k"),
        ("x-amz-write-offset-bytes", "1"),
        ("x-amz-mfa", "serial 123456"),
        ("x-amz-if-match-size", "1"),
    ] {
        let ask = gateway.ask("DELETE", "/bucket/k").header(name, value);
        assert_eq!(ask.send().await.refused().0, 501, "{name}");
    }
    assert!(gateway.provider.seen().is_empty());
}

#[tokio::test]
async fn the_provider_gets_a_digest_of_the_sealed_bytes_where_it_wants_one() {
    for integrity in [Integrity::TrailerCrc32c, Integrity::SpoolMd5] {
        let gateway = Gateway::with(Config {
            integrity,
            ..Config::default()
        });
        let content = bytes(300_000, 1);
        let put = gateway.put("/bucket/k", content.clone());
        put.header("x-amz-object-lock-mode", "COMPLIANCE")
            .send()
            .await
            .ok();
        assert!(gateway.read("k").await == content);
        let parts = [bytes(PART, 2), bytes(300, 3)];
        gateway.upload("m", &[&parts[0], &parts[1]]).await.ok();
        assert!(gateway.read("m").await == parts.concat());
        gateway.put("/bucket/dir/", "").send().await.ok();
        for seen in gateway.provider.seen() {
            if seen.method == "PUT" {
                let trailer = seen.header("x-amz-trailer").is_some();
                assert!(trailer || seen.header("content-md5").is_some());
            }
        }
        assert!(gateway.spools().is_empty());
        let wrong = gateway
            .put("/bucket/w", "x")
            .header("x-amz-checksum-crc32", "AAAAAA==");
        assert_eq!(wrong.send().await.refused().1, "BadDigest");
        assert!(gateway.provider.object("bucket", "w").is_none());
        assert!(gateway.spools().is_empty());
    }
}

#[tokio::test]
async fn the_providers_errors_are_the_clients_and_its_own_are_not() {
    let gateway = Gateway::new();
    let missing = gateway.put("/missing/k", "x").send().await.refused();
    assert_eq!(missing, (404, "NoSuchBucket".into()));
    for (status, code, shown) in [
        (403, "SignatureDoesNotMatch", 502),
        (403, "InvalidAccessKeyId", 502),
        (301, "PermanentRedirect", 502),
        (307, "TemporaryRedirect", 502),
        (503, "SlowDown", 503),
        (403, "AccessDenied", 403),
        (204, "Odd", 502),
    ] {
        for ask in [
            gateway.put("/bucket/k", "x"),
            gateway.get("/bucket?list-type=2"),
        ] {
            gateway
                .provider
                .twist(|_| true, Twist::Instead(status, code));
            let answer = ask.send().await;
            assert_eq!(answer.refused().0, shown, "{status} {code}");
            assert!(!answer.text().contains("provider.example"));
        }
    }
}

#[tokio::test]
async fn who_owns_and_who_pays_goes_along() {
    let gateway = Gateway::new();
    gateway.put("/bucket/k", "x").send().await.ok();
    async fn said(ask: super::client::Ask<'_>) -> Answer {
        ask.header("x-amz-expected-bucket-owner", "111122223333")
            .header("x-amz-request-payer", "requester")
            .send()
            .await
    }
    gateway.provider.seen();
    said(gateway.get("/bucket/k")).await.ok();
    said(gateway.head("/bucket/k")).await.ok();
    said(gateway.get("/bucket?list-type=2")).await.ok();
    said(gateway.put("/bucket/k", "y")).await.ok();
    for seen in gateway.provider.seen() {
        assert_eq!(
            seen.header("x-amz-expected-bucket-owner"),
            Some("111122223333")
        );
        assert_eq!(seen.header("x-amz-request-payer"), Some("requester"));
    }
    let copy = gateway
        .put("/elsewhere/k", "")
        .header("x-amz-copy-source", "bucket/k")
        .header("x-amz-source-expected-bucket-owner", "444455556666");
    said(copy).await.ok();
    let seen = gateway.provider.seen();
    let owner = |at: usize| seen[at].header("x-amz-expected-bucket-owner");
    assert_eq!(
        (owner(0), owner(1)),
        (Some("444455556666"), Some("111122223333"))
    );
}
