//! What never reaches the provider, and what of its answers never reaches the client.

use crate::gate::{Gate, settings};
use crate::provider::Provider;

/// Method, path, fields; status and code of the refusal.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    &'static str,
);

#[test]
fn what_is_not_known_is_refused_with_its_code() {
    let cases: &[Case] = &[
        ("PATCH", "/a", &[], 403, "operation-denied"),
        ("POST", "/a", &[], 403, "operation-denied"),
        ("REPORT", "/a", &[], 400, "request-refused"),
        ("SEARCH", "/a", &[], 403, "operation-denied"),
        ("PROPPATCH", "/a", &[], 403, "operation-denied"),
        ("ACL", "/a", &[], 501, "operation-unknown"),
        ("TRACE", "/a", &[], 501, "operation-unknown"),
        ("BREW", "/a", &[], 501, "operation-unknown"),
        (
            "PUT",
            "/a",
            &[("content-range", "bytes 0-1/5")],
            400,
            "request-refused",
        ),
        (
            "PUT",
            "/a",
            &[("x-update-range", "append")],
            400,
            "request-refused",
        ),
        ("PUT", "/a", &[("oc-chunked", "1")], 400, "request-refused"),
        (
            "PUT",
            "/a",
            &[("content-encoding", "gzip")],
            400,
            "request-refused",
        ),
        ("GET", "/a?x=1", &[], 400, "request-refused"),
        ("GET", "/a/%2e%2e/b", &[], 400, "request-refused"),
        ("MOVE", "/a", &[], 400, "request-refused"),
    ];
    for (method, path, fields, status, code) in cases {
        let gate = Gate::new();
        let answer = gate.send(method, path, fields, b"");
        assert_eq!(answer.status, *status, "{method} {path}");
        assert!(answer.text().contains(code), "{method} {}", answer.text());
        assert!(answer.text().contains("xmlns:D=\"DAV:\""));
        assert!(gate.provider.methods().is_empty(), "{method} {path}");
    }
}

#[test]
fn bodies_only_where_they_belong() {
    for method in ["DELETE", "COPY", "MOVE", "MKCOL", "OPTIONS", "UNLOCK"] {
        let gate = Gate::new();
        let fields = [("destination", "/b")];
        assert_eq!(
            gate.send(method, "/a", &fields, b"text").status,
            415,
            "{method}"
        );
        assert!(gate.provider.methods().is_empty());
    }
    for (method, body) in [
        ("PROPFIND", "text"),
        ("PROPFIND", "<lockinfo xmlns=\"DAV:\"/>"),
        ("LOCK", "<propfind xmlns=\"DAV:\"/>"),
    ] {
        let gate = Gate::new();
        assert_eq!(gate.send(method, "/a", &[], body.as_bytes()).status, 400);
        assert!(gate.provider.methods().is_empty());
    }
}

#[test]
fn reports_other_than_listings_are_refused() {
    for (namespace, root) in [
        ("DAV:", "expand-property"),
        ("DAV:", "version-tree"),
        ("DAV:", "principal-property-search"),
        ("DAV:", "basicsearch"),
        ("http://owncloud.org/ns", "filter-files"),
        ("http://owncloud.org/ns", "sync-collection"),
        ("urn:ietf:params:xml:ns:caldav", "calendar-query"),
    ] {
        let gate = Gate::new();
        let body = format!("<x:{root} xmlns:x=\"{namespace}\"><word>secret</word></x:{root}>");
        let answer = gate.send("REPORT", "/d/", &[], body.as_bytes());
        assert_eq!(answer.status, 403, "{root}");
        assert!(answer.text().contains("operation-denied"));
        assert!(gate.provider.methods().is_empty());
    }
    let gate = Gate::new();
    let body = "<sync-collection xmlns=\"DAV:\"/><sync-collection xmlns=\"DAV:\"/>";
    assert_eq!(gate.send("REPORT", "/d/", &[], body.as_bytes()).status, 400);
    assert!(gate.provider.methods().is_empty());
}

#[test]
fn no_property_carries_a_digest_of_the_contents() {
    let gate = Gate::with(settings(), &["properties"], Provider::default());
    let document = |property: &str| {
        format!(
            "<D:propertyupdate xmlns:D=\"DAV:\" xmlns:oc=\"http://owncloud.org/ns\"><D:set><D:prop>\
             <D:lastmodified>5</D:lastmodified>{property}</D:prop></D:set></D:propertyupdate>"
        )
    };
    for property in [
        "<oc:checksums><oc:checksum>SHA1:00</oc:checksum></oc:checksums>",
        "<checksum xmlns=\"http://owncloud.org/ns\">SHA1:00</checksum>",
    ] {
        let answer = gate.send("PROPPATCH", "/a", &[], document(property).as_bytes());
        assert_eq!(answer.status, 400);
        assert!(gate.provider.methods().is_empty());
    }
    let answer = gate.send("PROPPATCH", "/a", &[], document("").as_bytes());
    assert_eq!(answer.status, 204);
    // asking for one is another thing
    let asked = "<propfind xmlns=\"DAV:\"><prop><checksums xmlns=\"http://owncloud.org/ns\"/></prop></propfind>";
    let answer = gate.send("PROPFIND", "/", &[], asked.as_bytes());
    assert_eq!(answer.status, 207);
}

#[test]
fn unknown_fields_are_not_sent_on() {
    let gate = Gate::new();
    let fields = [
        ("authorization", "Basic YTpi"),
        ("depth", "0"),
        ("x-forwarded-for", "10.0.0.1"),
        ("range", "bytes=0-1"),
        ("content-md5", "x"),
    ];
    gate.send("PROPFIND", "/", &fields, b"");
    let seen = gate.provider.seen.lock().unwrap();
    let mut names: Vec<&str> = seen[0].headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "authorization", "depth", "host"]);
}

#[test]
fn redirects_lead_to_the_gateway_or_nowhere() {
    let gate = Gate::new();
    let to = |url: &str| (301, vec![("location", url.to_owned())], vec![]);
    gate.provider
        .answer_with("GET", to("https://dav.provider.example/a/"));
    let answer = gate.send("GET", "/a", &[], b"");
    assert_eq!((answer.status, answer.header("location")), (301, "/a/"));
    for elsewhere in ["https://other.example/a", "//other.example/a", "ftp://x/"] {
        gate.provider.answer_with("GET", to(elsewhere));
        let answer = gate.send("GET", "/a", &[], b"");
        assert_eq!((answer.status, answer.header("location")), (502, ""));
    }
}

#[test]
fn the_providers_errors() {
    let gate = Gate::new();
    let challenge = vec![
        ("www-authenticate", "Basic realm=\"x\"".to_owned()),
        ("content-type", "text/html".to_owned()),
        ("server", "secret/1.0".to_owned()),
    ];
    gate.provider.answer_with(
        "GET",
        (
            401,
            challenge,
            b"<html>dav.provider.example</html>".to_vec(),
        ),
    );
    let answer = gate.send("GET", "/a", &[], b"");
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, "Basic realm=\"x\"")
    );
    assert!(
        answer.text().contains("provider-error") && !answer.text().contains("provider.example")
    );
    assert_eq!(answer.header("server"), "");

    let body = "<D:error xmlns:D=\"DAV:\"><D:lock-token-submitted><D:href>https://dav.provider.example/a</D:href>\
                </D:lock-token-submitted></D:error>";
    let xml = vec![("content-type", "text/xml".to_owned())];
    gate.provider.answer_with("DELETE", (423, xml, body.into()));
    let answer = gate.send("DELETE", "/a", &[], b"");
    assert_eq!(answer.status, 423);
    assert!(answer.text().contains("<D:href>/a</D:href>"));
}

#[test]
fn options_promises_what_is_served() {
    let gate = Gate::new();
    let fields = vec![
        (
            "allow",
            "OPTIONS, GET,PUT,PATCH,POST,TRACE,LOCK,REPORT".to_owned(),
        ),
        ("dav", "1, 2, access-control".to_owned()),
        ("dav", "sabredav-partialupdate, 3".to_owned()),
    ];
    gate.provider.answer_with("OPTIONS", (200, fields, vec![]));
    let answer = gate.send("OPTIONS", "/", &[], b"");
    assert_eq!(answer.header("allow"), "OPTIONS, GET, PUT, LOCK, REPORT");
    assert_eq!(answer.header("dav"), "1, 2, 3");
}
