//! What a provider or a client could write so that the gateway and its peer read two different things.

use crate::gate::{Gate, settings};
use crate::provider::Provider;

/// Digest credentials repeat the path as the client has it (RFC 7616, section 3.4).
#[test]
fn credentials_that_repeat_a_sealed_name_are_refused() {
    let mut sealed = settings();
    sealed.names_below = Some("/".into());
    let gate = Gate::with(sealed, &[], Provider::default());
    let digest = [("authorization", "digest username=\"a\", uri=\"/secret\"")];
    assert_eq!(gate.send("PUT", "/secret", &digest, b"x").status, 403);
    assert!(gate.provider.methods().is_empty());
    let clear = Gate::new();
    assert_eq!(clear.send("PUT", "/secret", &digest, b"x").status, 201);
}

#[test]
fn redirects_that_browsers_read_as_another_host() {
    for location in ["/\\evil.example/x", "/\t/evil.example/x"] {
        let gate = Gate::new();
        let headers = vec![("location", location.to_owned())];
        gate.provider.answer_with("GET", (302, headers, Vec::new()));
        let answer = gate.send("GET", "/a", &[], b"");
        assert_eq!(answer.status, 502, "{location:?}");
        assert_eq!(answer.header("location"), "");
    }
}

/// `&#68;AV:` is `DAV:` to whoever reads XML.
#[test]
fn a_namespace_that_is_written_in_references_hides_nothing() {
    let gate = Gate::new();
    let xml = vec![("content-type", "text/xml".to_owned())];
    let document = "<D:multistatus xmlns:D=\"&#68;AV:\"><D:response><D:href>https://evil.example/a</D:href>\
                    </D:response></D:multistatus>";
    gate.provider
        .answer_with("PROPFIND", (207, xml, document.into()));
    let answer = gate.send("PROPFIND", "/", &[], b"");
    assert!(answer.body.is_err(), "{answer:?}");
}

/// HTTP/2 splits them (RFC 9113, section 8.2.3).
#[test]
fn several_cookie_fields_become_one() {
    let gate = Gate::new();
    let cookies = [("cookie", "a=1"), ("cookie", "b=2")];
    gate.send("GET", "/a", &cookies, b"");
    let seen = gate.provider.seen.lock().unwrap();
    let sent: Vec<_> = seen[0].headers.get_all("cookie").iter().collect();
    assert_eq!(sent, ["a=1; b=2"]);
}
