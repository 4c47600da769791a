//! Sealed names: the provider sees none, the client sees no sealed one.

use crate::gate::{Gate, settings};
use crate::provider::Provider;

fn gate(below: &str) -> Gate {
    let mut settings = settings();
    settings.names_below = Some(below.to_owned());
    Gate::with(settings, &[], Provider::default())
}

#[test]
fn a_tree_with_sealed_names() {
    let gate = gate("/dav/*");
    let path = "/dav/alice/Entwurf%20%C3%BC/geheim.txt";
    assert_eq!(gate.send("PUT", path, &[], b"text").status, 201);
    assert_eq!(gate.send("GET", path, &[], b"").bytes(), b"text");
    let to = [
        (
            "destination",
            "https://gate.example/dav/alice/Entwurf%20%C3%BC/anders.txt",
        ),
        (
            "if",
            "<https://gate.example/dav/alice/geheim.txt> (<urn:uuid:1>)",
        ),
    ];
    assert_eq!(gate.send("MOVE", path, &to, b"").status, 204);
    let listing = gate.send("PROPFIND", "/dav/alice/", &[("depth", "infinity")], b"");
    assert!(listing.text().contains(&format!("<D:href>{path}</D:href>")));
    for seen in gate.provider.seen.lock().unwrap().iter() {
        let head = format!("{} {:?}", seen.path, seen.headers);
        assert!(seen.path.starts_with("/dav/alice/"));
        for name in ["Entwurf", "geheim", "anders"] {
            assert!(!head.contains(name), "{head}");
        }
    }
    let stored = gate.provider.files.lock().unwrap();
    let folder = stored
        .keys()
        .next()
        .unwrap()
        .rsplit_once('/')
        .unwrap()
        .0
        .to_owned();
    let seen = gate.provider.seen.lock().unwrap();
    let moved = seen[2].headers["destination"].to_str().unwrap();
    assert!(moved.starts_with(&format!("https://dav.provider.example{folder}/n1")));
}

#[test]
fn names_shown_by_themselves_are_opened() {
    let gate = gate("/");
    gate.send("PUT", "/a%26b", &[], b"");
    let sealed = gate.provider.files.lock().unwrap().keys().next().unwrap()[1..].to_owned();
    let document = format!(
        "<multistatus xmlns=\"DAV:\"><response><href>/{sealed}</href><displayname>{sealed}</displayname>\
         </response><response><href>/clear</href><displayname>clear</displayname></response></multistatus>"
    );
    let xml = vec![("content-type", "text/xml".to_owned())];
    gate.provider
        .answer_with("PROPFIND", (207, xml, document.into()));
    let answer = gate.send("PROPFIND", "/", &[], b"");
    assert_eq!(
        answer.text(),
        "<multistatus xmlns=\"DAV:\"><response><href>/a%26b</href><displayname>a&amp;b</displayname>\
         </response><response><href>/clear</href><displayname>clear</displayname></response></multistatus>"
    );
}

#[test]
fn nothing_is_written_where_names_would_be_clear() {
    for (method, path, fields) in [
        ("PUT", "/other/x", &[][..]),
        ("MKCOL", "/dav/alice", &[]),
        ("LOCK", "/dav/", &[]),
        ("MOVE", "/dav/alice/x", &[("destination", "/other/x")]),
        (
            "COPY",
            "/dav/alice/x",
            &[("destination", "https://gate.example/x")],
        ),
    ] {
        let gate = gate("/dav/*");
        assert_eq!(gate.send(method, path, fields, b"").status, 403, "{method}");
        assert!(gate.provider.methods().is_empty());
    }
}

#[test]
fn a_name_too_long_is_refused() {
    let gate = gate("/");
    let path = format!("/{}", "a".repeat(150));
    assert_eq!(gate.send("PUT", &path, &[], b"").status, 414);
    assert!(gate.provider.methods().is_empty());
}
