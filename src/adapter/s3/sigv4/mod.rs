//! AWS Signature Version 4: clients' signatures are verified, requests to the provider are signed.
//!
//! Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".

mod authorization;
mod canonical;
mod keys;
mod payload;
mod post;
mod sign;
mod verify;

pub use keys::{SigningKey, sha256_hex};
pub use payload::PayloadForm;
pub use post::{FormField, VerifiedForm};
pub use sign::Signer;
pub use verify::{Chain, CredentialLookup, Verified, Verifier};

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::request::Parts;
    use http::{HeaderValue, Request};
    use proptest::prelude::*;

    use super::super::address::encode_path;
    use super::super::error::S3Error;
    use super::super::query::Query;
    use super::super::time;
    use super::*;
    use crate::secret::SecretBytes;

    const ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    struct One(SecretBytes);

    impl CredentialLookup for One {
        fn secret(&self, access_key: &str) -> Option<&SecretBytes> {
            (access_key == ACCESS).then_some(&self.0)
        }
    }

    fn secret() -> SecretBytes {
        SecretBytes::new(SECRET.to_vec())
    }

    fn verifier() -> Verifier {
        Verifier::new(vec!["us-east-1".into(), "auto".into()])
    }

    fn verify(head: &Parts, now: SystemTime) -> Result<Verified, S3Error> {
        let query = Query::parse(head.uri.query())?;
        verifier().verify(head, &query, &One(secret()), now)
    }

    fn code(head: &Parts, now: SystemTime) -> &'static str {
        verify(head, now).unwrap_err().code.name
    }

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn at(text: &str) -> SystemTime {
        time::parse_basic(text).unwrap()
    }

    /// Amazon S3 API Reference, "Example: GET Object".
    fn published(signature: &str) -> Parts {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS}/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature={signature}"
        );
        head(
            "GET",
            "/test.txt",
            &[
                ("host", "examplebucket.s3.amazonaws.com"),
                ("range", "bytes=0-9"),
                (
                    "x-amz-content-sha256",
                    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                ),
                ("x-amz-date", "20130524T000000Z"),
                ("authorization", &authorization),
            ],
        )
    }

    const PUBLISHED: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    #[test]
    fn awss_published_requests_verify() {
        let now = at("20130524T000100Z");
        let verified = verify(&published(PUBLISHED), now).unwrap();
        assert_eq!(verified.access_key, ACCESS);
        assert!(matches!(verified.payload, PayloadForm::Hash(_)));
        assert!(!verified.presigned);

        let presigned = head(
            "GET",
            "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
             aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            &[("host", "examplebucket.s3.amazonaws.com")],
        );
        let verified = verify(&presigned, at("20130524T120000Z")).unwrap();
        assert!(verified.presigned);
        assert_eq!(verified.payload, PayloadForm::Unsigned);
        assert_eq!(code(&presigned, at("20130525T000001Z")), "AccessDenied");
        assert_eq!(code(&presigned, at("20130523T234459Z")), "AccessDenied");
    }

    #[test]
    fn a_changed_request_does_not_verify() {
        let now = at("20130524T000100Z");
        let changes: [fn(&mut Parts); 6] = [
            |head| head.method = http::Method::PUT,
            |head| head.uri = "/test.txt?acl".parse().unwrap(),
            |head| head.uri = "/test.txT".parse().unwrap(),
            |head| {
                head.headers
                    .insert("range", "bytes=0-8".parse().unwrap())
                    .map(drop)
                    .unwrap_or_default()
            },
            |head| {
                head.headers
                    .insert("host", "other.s3.amazonaws.com".parse().unwrap())
                    .map(drop)
                    .unwrap_or_default()
            },
            |head| {
                head.headers
                    .insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap())
                    .map(drop)
                    .unwrap_or_default()
            },
        ];
        for change in changes {
            let mut head = published(PUBLISHED);
            change(&mut head);
            assert_eq!(code(&head, now), "SignatureDoesNotMatch");
        }
        for bad in [
            "",
            "f0",
            &PUBLISHED.replace('f', "e"),
            &format!("{PUBLISHED}00"),
            "zz",
        ] {
            assert_eq!(code(&published(bad), now), "SignatureDoesNotMatch", "{bad}");
        }
    }

    #[test]
    fn unsigned_headers_are_refused() {
        let now = at("20130524T000100Z");
        let mut extra = published(PUBLISHED);
        extra.headers.insert("x-amz-meta-a", "b".parse().unwrap());
        let error = verify(&extra, now).unwrap_err();
        assert_eq!(error.code.name, "AccessDenied");
        assert_eq!(
            error.details,
            [("HeadersNotSigned", "x-amz-meta-a".to_owned())]
        );

        let replace = |from: &str, to: &str| {
            let mut head = published(PUBLISHED);
            let value = head.headers["authorization"]
                .to_str()
                .unwrap()
                .replace(from, to);
            head.headers.insert("authorization", value.parse().unwrap());
            head
        };
        assert_eq!(code(&replace("host;", ""), now), "AccessDenied");
        assert_eq!(
            code(&replace("host;range", "range;host"), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace("host;range", "host;host"), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace("host;range", "Host;range"), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace("us-east-1", "mars-1"), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace("us-east-1", "auto"), now),
            "SignatureDoesNotMatch"
        );
        assert_eq!(
            code(&replace("/s3/", "/ec2/"), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace("20130524", "20130523"), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(code(&replace(ACCESS, "NOBODY"), now), "InvalidAccessKeyId");
        assert_eq!(
            code(&replace("Signature=", "Signature=0,Signature="), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace(",Signature=", ",Other="), now),
            "AuthorizationHeaderMalformed"
        );
        assert_eq!(
            code(&replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), now),
            "NotImplemented"
        );
        assert_eq!(
            code(&replace("AWS4-HMAC-SHA256 ", "AWS AKID:sig"), now),
            "InvalidRequest"
        );
        assert_eq!(
            code(&replace("AWS4-HMAC-SHA256 ", "Bearer x"), now),
            "InvalidRequest"
        );
        assert!(verify(&replace(",", ", "), now).is_ok());
    }

    #[test]
    fn time_is_held() {
        for (now, good) in [
            ("20130524T001500Z", true),
            ("20130524T001501Z", false),
            ("20130523T234500Z", true),
            ("20130523T234459Z", false),
        ] {
            let result = verify(&published(PUBLISHED), at(now));
            assert_eq!(result.is_ok(), good, "{now}");
            if let Err(error) = result {
                assert_eq!(error.code.name, "RequestTimeTooSkewed");
                assert!(
                    error
                        .details
                        .contains(&("MaxAllowedSkewMilliseconds", "900000".to_owned()))
                );
            }
        }
        let mut dateless = published(PUBLISHED);
        dateless.headers.remove("x-amz-date");
        assert_eq!(code(&dateless, at("20130524T000000Z")), "AccessDenied");
    }

    #[test]
    fn who_does_not_sign_is_refused() {
        let now = at("20130524T000100Z");
        assert_eq!(
            code(&head("GET", "/b/k", &[("host", "h")]), now),
            "AccessDenied"
        );
        let v2 = "/b/k?AWSAccessKeyId=A&Expires=9999999999&Signature=x";
        assert_eq!(
            code(&head("GET", v2, &[("host", "h")]), now),
            "InvalidRequest"
        );
        let mut both = published(PUBLISHED);
        both.uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            .parse()
            .unwrap();
        assert_eq!(code(&both, now), "InvalidArgument");
        let mut twice = published(PUBLISHED);
        twice
            .headers
            .append("authorization", "AWS4-HMAC-SHA256 x".parse().unwrap());
        assert_eq!(code(&twice, now), "InvalidArgument");
        let mut token = published(PUBLISHED);
        token
            .headers
            .insert("x-amz-security-token", "x".parse().unwrap());
        assert_eq!(code(&token, now), "InvalidToken");
    }

    #[test]
    fn presigned_parameters_are_checked() {
        let now = at("20130524T000100Z");
        let base = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            (
                "X-Amz-Credential",
                "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            ),
            ("X-Amz-Date", "20130524T000000Z"),
            ("X-Amz-Expires", "60"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Signature", "00"),
        ];
        let with = |name: &str, value: Option<&str>| {
            let pairs: Vec<String> = base
                .iter()
                .filter_map(|(known, text)| match value {
                    Some(value) if *known == name => Some(format!("{known}={value}")),
                    None if *known == name => None,
                    _ => Some(format!("{known}={text}")),
                })
                .collect();
            code(
                &head(
                    "GET",
                    &format!("/b/k?{}", pairs.join("&")),
                    &[("host", "h")],
                ),
                now,
            )
        };
        assert_eq!(with("", None), "SignatureDoesNotMatch");
        for (name, _) in base {
            assert_eq!(
                with(name, None),
                "AuthorizationQueryParametersError",
                "{name}"
            );
        }
        for (name, value) in [
            ("X-Amz-Expires", "604801"),
            ("X-Amz-Expires", "-1"),
            ("X-Amz-Expires", "1e3"),
            ("X-Amz-Expires", ""),
            ("X-Amz-Date", "2013-05-24"),
            ("X-Amz-Date", "20130525T000000Z"),
            ("X-Amz-Credential", "A/B/C"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA1"),
            ("X-Amz-SignedHeaders", ""),
        ] {
            let found = with(name, Some(value));
            let expected = if value == "20130525T000000Z" {
                "AccessDenied"
            } else {
                "AuthorizationQueryParametersError"
            };
            assert_eq!(found, expected, "{name}={value}");
        }
        assert_eq!(
            with("X-Amz-Algorithm", Some("AWS4-ECDSA-P256-SHA256")),
            "NotImplemented"
        );
        assert_eq!(with("X-Amz-SignedHeaders", Some("range")), "AccessDenied");
    }

    fn fixture() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../../tests/data/sigv4.json")).unwrap()
    }

    fn from_fixture(case: &serde_json::Value) -> Parts {
        let url: http::Uri = case["url"].as_str().unwrap().parse().unwrap();
        let mut head = head(
            case["method"].as_str().unwrap(),
            url.path_and_query().unwrap().as_str(),
            &[],
        );
        head.headers
            .insert("host", url.authority().unwrap().as_str().parse().unwrap());
        for pair in case["headers"].as_array().unwrap() {
            let name: http::HeaderName = pair[0].as_str().unwrap().parse().unwrap();
            head.headers
                .insert(name, pair[1].as_str().unwrap().parse().unwrap());
        }
        head
    }

    #[test]
    fn what_botocore_signs_verifies() {
        let fixture = fixture();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(fixture["unix"].as_u64().unwrap());
        let mut kinds = Vec::new();
        for case in fixture["cases"].as_array().unwrap() {
            let kind = case["kind"].as_str().unwrap();
            kinds.push(kind);
            if kind == "form" {
                continue;
            }
            let head = from_fixture(case);
            let verified = verify(&head, now).unwrap_or_else(|error| panic!("{error}: {case}"));
            assert_eq!(verified.presigned, kind == "presigned");
            let mut other = from_fixture(case);
            other.method = http::Method::OPTIONS;
            assert_eq!(code(&other, now), "SignatureDoesNotMatch");
        }
        for kind in ["header", "presigned", "chunked", "chunked-trailer", "form"] {
            assert!(kinds.contains(&kind), "{kind}");
        }
    }

    fn sign_query(uri: &str, headers: &[(&str, &str)], names: &str, date: &str) -> Parts {
        let day = &date[..8];
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let uri = format!(
            "{uri}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS}%2F{}&X-Amz-Date={date}\
             &X-Amz-Expires=60&X-Amz-SignedHeaders={}",
            scope.replace('/', "%2F"),
            names.replace(';', "%3B"),
        );
        let mut head = head("PUT", &uri, headers);
        let query = Query::parse(head.uri.query()).unwrap().canonical(None);
        let signed: Vec<&str> = names.split(';').collect();
        let request = canonical::request(
            &head,
            head.uri.path(),
            &query,
            &signed,
            names,
            "UNSIGNED-PAYLOAD",
        );
        let text = canonical::string_to_sign(date, &scope, &request);
        let signature = SigningKey::derive(&secret(), day, "us-east-1").sign(text.as_bytes());
        head.uri = format!("{uri}&X-Amz-Signature={signature}")
            .parse()
            .unwrap();
        head
    }

    #[test]
    fn hoisted_headers_come_back_as_headers() {
        let date = "20261124T084248Z";
        let uri = "/bucket/k?x-amz-meta-Who=a%20%C3%A9&x-id=PutObject&X-Amz-Tagging=a%3Db&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD";
        let head = sign_query(
            uri,
            &[("host", "h"), ("content-type", "text/plain")],
            "host",
            date,
        );
        let verified = verify(&head, at(date)).unwrap();
        let mut all = head.headers.clone();
        verified.add_hoisted(&mut all);
        assert_eq!(all["x-amz-meta-who"].as_bytes(), "a é".as_bytes());
        assert_eq!(all["x-amz-tagging"], "a=b");
        assert_eq!(all["content-type"], "text/plain");
        assert!(!all.contains_key("x-amz-content-sha256"));
        assert_eq!(verified.hoisted.len(), 2);

        let headers = [("host", "h"), ("x-amz-tagging", "c=d")];
        let contradicting = sign_query(uri, &headers, "host;x-amz-tagging", date);
        assert_eq!(code(&contradicting, at(date)), "InvalidArgument");
        let split = sign_query("/b/k?x-amz-meta-a=b%0D%0Ac", &[("host", "h")], "host", date);
        assert_eq!(code(&split, at(date)), "InvalidArgument");
        let token = sign_query(
            "/b/k?X-Amz-Security-Token=b",
            &[("host", "h")],
            "host",
            date,
        );
        assert_eq!(code(&token, at(date)), "InvalidToken");
    }

    #[test]
    fn a_bare_reserved_character_in_the_path_verifies_as_s3_encodes_it() {
        let date = "20261124T084248Z";
        let mut head = sign_query(
            "/bucket/a%28b%29?x-id=PutObject",
            &[("host", "h")],
            "host",
            date,
        );
        head.uri = head
            .uri
            .to_string()
            .replace("%28", "(")
            .replace("%29", ")")
            .parse()
            .unwrap();
        verify(&head, at(date)).unwrap();
    }

    #[test]
    fn payload_forms() {
        for (text, form) in [
            ("UNSIGNED-PAYLOAD", PayloadForm::Unsigned),
            (
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                PayloadForm::UnsignedTrailer,
            ),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", PayloadForm::Signed),
            (
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                PayloadForm::SignedTrailer,
            ),
        ] {
            assert_eq!(PayloadForm::parse(text).unwrap(), form);
        }
        assert!(matches!(
            PayloadForm::parse(PUBLISHED).unwrap(),
            PayloadForm::Hash(_)
        ));
        for bad in [
            "",
            "unsigned-payload",
            "abc",
            &PUBLISHED[1..],
            "STREAMING-UNSIGNED-PAYLOAD",
        ] {
            assert_eq!(
                PayloadForm::parse(bad).unwrap_err().code.name,
                "InvalidArgument"
            );
        }
        let fourth = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER";
        assert_eq!(
            PayloadForm::parse(fourth).unwrap_err().code.name,
            "NotImplemented"
        );
    }

    fn form_fields() -> Vec<FormField> {
        let fixture = fixture();
        let case = fixture["cases"]
            .as_array()
            .unwrap()
            .iter()
            .find(|case| case["kind"] == "form")
            .unwrap();
        case["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| FormField {
                name: pair[0].as_str().unwrap().to_ascii_lowercase(),
                value: pair[1].as_str().unwrap().to_owned(),
            })
            .collect()
    }

    fn verify_form(fields: &[FormField], bucket: &str, now: &str) -> Result<VerifiedForm, S3Error> {
        verifier().verify_form(fields, bucket, &One(secret()), at(now))
    }

    #[test]
    fn a_form_holds_to_its_policy() {
        let now = "20261124T084300Z";
        let fields = form_fields();
        let form = verify_form(&fields, "bucket", now).unwrap();
        assert_eq!(form.verified.access_key, ACCESS);
        assert_eq!(form.length, Some(1..=1_048_576));

        let code = |fields: &[FormField], bucket: &str, now: &str| {
            let error = verify_form(fields, bucket, now).unwrap_err();
            (error.code.name, error.text().to_owned())
        };
        assert_eq!(
            code(&fields, "bucket", "20261124T094249Z").1,
            "Invalid according to Policy: Policy expired."
        );
        assert!(
            code(&fields, "other", now)
                .1
                .contains("Policy Condition failed")
        );
        let set = |name: &str, value: &str| {
            let mut fields = fields.clone();
            match fields.iter_mut().find(|field| field.name == name) {
                Some(field) => field.value = value.to_owned(),
                None => fields.push(FormField {
                    name: name.into(),
                    value: value.into(),
                }),
            }
            fields
        };
        assert!(
            code(&set("key", "other/photo.jpg"), "bucket", now)
                .1
                .contains("Policy Condition failed")
        );
        assert!(
            code(&set("acl", "public-read"), "bucket", now)
                .1
                .contains("Policy Condition failed")
        );
        assert!(
            code(&set("x-amz-meta-a", "b"), "bucket", now)
                .1
                .contains("Extra input fields: x-amz-meta-a")
        );
        verify_form(&set("x-ignore-a", "b"), "bucket", now).unwrap();
        assert_eq!(
            code(&set("policy", "e30="), "bucket", now).0,
            "SignatureDoesNotMatch"
        );
        assert_eq!(
            code(&set("x-amz-signature", "00"), "bucket", now).0,
            "SignatureDoesNotMatch"
        );
        assert_eq!(
            code(&set("x-amz-security-token", "x"), "bucket", now).0,
            "InvalidToken"
        );
        assert_eq!(code(&[], "bucket", now).0, "AccessDenied");
        let mut twice = fields.clone();
        twice.push(FormField {
            name: "key".into(),
            value: "other/x".into(),
        });
        assert_eq!(code(&twice, "bucket", now).0, "InvalidArgument");
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies(
            key in "\\PC{1,60}",
            value in "[ -~]{0,40}",
            query in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,12}", 0..5),
        ) {
            let mut uri = String::from("https://s3.example.fr:8443/bucket/");
            encode_path(&key, &mut uri);
            let mut encoded = String::new();
            for (name, value) in &query {
                super::super::query::push(&mut encoded, name, value);
            }
            let mut head = head("PUT", &format!("{uri}?{encoded}"), &[("x-amz-meta-a", &value), ("content-type", "a/b"), ("if-match", "x")]);
            let signer = Signer::new(ACCESS, secret(), "us-east-1");
            let now = at("20261124T084248Z");
            signer.sign(&mut head, "UNSIGNED-PAYLOAD", now).unwrap();
            let verified = verify(&head, now).unwrap();
            prop_assert_eq!(verified.payload, PayloadForm::Unsigned);
            head.headers.insert("content-type", "a/c".parse().unwrap());
            prop_assert_eq!(code(&head, now), "SignatureDoesNotMatch");
        }
    }
}
