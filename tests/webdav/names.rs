//! Sealed names: the provider sees none, the client sees no sealed one.

use std::sync::atomic::Ordering;

use crate::gate::{Answer, Gate, settings};
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
    let path = format!("/{}", "a".repeat(800));
    assert_eq!(gate.send("PUT", &path, &[], b"").status, 414);
    assert!(gate.provider.methods().is_empty());
}

/// A directory and a file, both with names too long to be sealed in place.
fn long_path() -> String {
    format!(
        "/dav/alice/{}/{}.pdf",
        "Vermerk%20".repeat(20),
        "%C3%A9".repeat(120)
    )
}

fn listing(gate: &Gate) -> Answer {
    gate.send("PROPFIND", "/dav/alice/", &[("depth", "infinity")], b"")
}

/// The one path that the provider holds.
fn stored(gate: &Gate) -> String {
    let files = gate.provider.files.lock().unwrap();
    assert_eq!(files.len(), 1);
    files.keys().next().unwrap().clone()
}

#[test]
fn long_names_are_kept_and_listed_whatever_the_pieces() {
    for piece in [0, 1, 7, 64] {
        let mut settings = settings();
        settings.names_below = Some("/dav/*".into());
        let provider = Provider {
            piece,
            ..Provider::default()
        };
        let gate = Gate::with(settings, &[], provider);
        let path = long_path();
        assert_eq!(gate.send("PUT", &path, &[], b"text").status, 201);
        assert_eq!(gate.send("GET", &path, &[], b"").bytes(), b"text");
        let stored = stored(&gate);
        let sealed: Vec<&str> = stored.split('/').skip(3).collect();
        assert!(
            sealed
                .iter()
                .all(|name| name.starts_with("n2") && name.len() == 54)
        );
        let shown = listing(&gate);
        assert!(shown.text().contains(&format!("<D:href>{path}</D:href>")));
        assert!(!shown.text().contains("n2"), "{}", shown.text());
        // a server that folds case, and one that shows the name by itself
        let xml = vec![("content-type", "text/xml".to_owned())];
        let document = format!(
            "<multistatus xmlns=\"DAV:\"><response><href>{}</href><displayname>{}</displayname>\
             </response></multistatus>",
            stored.to_uppercase().replace("/DAV/ALICE", "/dav/alice"),
            sealed[1],
        );
        gate.provider
            .answer_with("PROPFIND", (207, xml, document.into()));
        let answer = listing(&gate);
        let name = format!("<displayname>{}.pdf</displayname>", "\u{e9}".repeat(120));
        assert!(
            answer
                .text()
                .contains(&format!("<href>{path}</href>{name}"))
        );
        for seen in gate.provider.seen.lock().unwrap().iter() {
            let head = format!("{} {:?}", seen.path, seen.headers);
            assert!(
                !head.contains("Vermerk") && !head.contains("%C3%A9"),
                "{head}"
            );
        }
    }
}

#[test]
fn a_destinations_long_name_is_kept() {
    let gate = gate("/dav/*");
    let path = long_path();
    let to = [("destination", path.as_str())];
    assert_eq!(gate.send("MOVE", "/dav/alice/x", &to, b"").status, 204);
    let moved = gate.provider.seen.lock().unwrap()[0].headers["destination"].clone();
    let moved = moved
        .to_str()
        .unwrap()
        .strip_prefix("https://dav.provider.example");
    gate.provider.store(moved.unwrap(), b"");
    assert!(listing(&gate).text().contains(&path));
}

#[test]
fn only_names_that_the_provider_took_are_kept() {
    let gate = gate("/dav/*");
    let path = long_path();
    gate.provider.answer_with("PUT", (403, vec![], vec![]));
    assert_eq!(gate.send("PUT", &path, &[], b"").status, 403);
    assert_eq!(gate.send("OPTIONS", &path, &[], b"").status, 204);
    assert_eq!(gate.send("GET", &path, &[], b"").status, 404);
    let asked = gate.provider.seen.lock().unwrap()[1].path.clone();
    gate.provider.store(&asked, b"");
    assert!(listing(&gate).text().contains(&asked));
}

#[test]
fn without_the_state_a_long_name_is_learned_from_whoever_uses_it() {
    let first = gate("/dav/*");
    let path = long_path();
    first.send("PUT", &path, &[], b"text");
    let stored = stored(&first);
    let gate = gate("/dav/*");
    gate.provider
        .store(&stored, &first.provider.file(&stored).unwrap());
    assert!(listing(&gate).text().contains(&stored));
    // under its digest it can be read and moved, and nothing be written
    assert_eq!(gate.send("GET", &stored, &[], b"").bytes(), b"text");
    assert_eq!(gate.send("PUT", &stored, &[], b"").status, 403);
    let to = [("destination", stored.as_str())];
    assert_eq!(gate.send("COPY", "/dav/alice/x", &to, b"").status, 403);
    assert_eq!(gate.send("GET", &path, &[], b"").bytes(), b"text");
    assert!(listing(&gate).text().contains(&path));
}

/// A client that synchronizes would take files whose names are missing for deleted.
#[test]
fn a_listing_is_broken_off_when_the_names_cant_be_read() {
    let gate = gate("/dav/*");
    gate.send("PUT", &long_path(), &[], b"text");
    gate.sessions.0.store(true, Ordering::Relaxed);
    let fault = listing(&gate).body.unwrap_err();
    assert_eq!(fault.code.name, "key-unavailable");
}
