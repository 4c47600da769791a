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

/// The entry that the provider holds, and the file that keeps its name.
fn stored(gate: &Gate) -> [String; 2] {
    let files = gate.provider.files.lock().unwrap();
    let paths: Vec<String> = files.keys().cloned().collect();
    let paths: [String; 2] = paths.try_into().unwrap();
    assert_eq!(paths[1], replaced_last(&paths[0]));
    paths
}

/// The path of the file beside an entry.
fn replaced_last(path: &str) -> String {
    let (above, digest) = path.rsplit_once('/').unwrap();
    format!("{above}/{}", digest.replacen("n2", "n3", 1))
}

/// A gateway without the state of the one that wrote.
fn another(first: &Gate, paths: &[&String]) -> Gate {
    let other = gate("/dav/*");
    for path in paths {
        other
            .provider
            .store(path, &first.provider.file(path).unwrap());
    }
    other
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
        let [stored, _] = stored(&gate);
        let sealed: Vec<&str> = stored.split('/').skip(3).collect();
        assert!(
            sealed
                .iter()
                .all(|name| name.starts_with("n2") && name.len() == 54)
        );
        let shown = listing(&gate);
        assert!(shown.text().contains(&format!("<D:href>{path}</D:href>")));
        assert!(!shown.text().contains("n2") && !shown.text().contains("n3"));
        assert_eq!(shown.text().matches("response>").count(), 4);
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
    let xml = vec![("content-type", "text/xml".to_owned())];
    let document = b"<D:error xmlns:D=\"DAV:\"/>".to_vec();
    gate.provider.answer_with("PUT", (403, xml, document));
    assert_eq!(gate.send("PUT", &path, &[], b"").status, 403);
    assert_eq!(gate.send("OPTIONS", &path, &[], b"").status, 204);
    assert_eq!(gate.send("GET", &path, &[], b"").status, 404);
    let asked = gate.provider.seen.lock().unwrap()[1].path.clone();
    gate.provider.store(&asked, b"");
    assert!(listing(&gate).text().contains(&asked));
}

#[test]
fn without_the_state_names_are_read_beside_their_entries() {
    let first = gate("/dav/*");
    let path = format!("/dav/alice/short/{}", "%C3%A9".repeat(120));
    first.send("PUT", &path, &[], b"text");
    let [entry, file] = stored(&first);
    let other = another(&first, &[&entry, &file]);
    let shown = listing(&other);
    assert!(shown.text().contains(&path) && !shown.text().contains("/n3"));
    assert_eq!(other.provider.methods(), ["PROPFIND", "GET"]);
    // once is enough
    assert!(listing(&other).text().contains(&path));
    assert_eq!(other.provider.methods().len(), 3);
    // the directory was moved at the provider, its files with it
    let moved = another(&first, &[]);
    for old in [&entry, &file] {
        let new = old.replace("/alice/", "/alice/elsewhere/");
        moved
            .provider
            .store(&new, &first.provider.file(old).unwrap());
    }
    let path = path.replace("/alice/", "/alice/elsewhere/");
    assert!(listing(&moved).text().contains(&path));
}

#[test]
fn a_file_that_keeps_a_name_goes_with_its_entry() {
    let gate = gate("/dav/*");
    let path = format!("/dav/alice/{}", "a".repeat(200));
    gate.send("PUT", &path, &[], b"text");
    let [entry, _] = stored(&gate);
    assert_eq!(gate.send("DELETE", &path, &[], b"").status, 204);
    assert!(gate.provider.files.lock().unwrap().is_empty());
    gate.send("PUT", &path, &[], b"text");
    let to = [("destination", "/dav/alice/b")];
    assert_eq!(gate.send("MOVE", &path, &to, b"").status, 204);
    let left = gate.provider.files.lock().unwrap();
    assert_eq!(left.keys().collect::<Vec<_>>(), [&entry]);
}

#[test]
fn a_name_that_nothing_keeps_is_learned_from_whoever_uses_it() {
    let first = gate("/dav/*");
    let path = long_path();
    first.send("PUT", &path, &[], b"text");
    let [stored, _] = stored(&first);
    let gate = another(&first, &[&stored]);
    assert!(listing(&gate).text().contains(&stored));
    // under its digest it can be read and moved, and nothing be written
    assert_eq!(gate.send("GET", &stored, &[], b"").bytes(), b"text");
    assert_eq!(gate.send("PUT", &stored, &[], b"").status, 403);
    let to = [("destination", stored.as_str())];
    assert_eq!(gate.send("COPY", "/dav/alice/x", &to, b"").status, 403);
    assert_eq!(gate.send("GET", &path, &[], b"").bytes(), b"text");
    assert!(listing(&gate).text().contains(&path));
}

#[test]
fn a_file_that_keeps_another_name_breaks_the_listing_off() {
    let first = gate("/dav/*");
    let path = |letter: &str| format!("/dav/alice/{}", letter.repeat(200));
    first.send("PUT", &path("a"), &[], b"text");
    let [entry, file] = stored(&first);
    let second = gate("/dav/*");
    second.send("PUT", &path("b"), &[], b"text");
    let [_, others] = stored(&second);
    let good = first.provider.file(&file).unwrap();
    for (bytes, code) in [
        (second.provider.file(&others).unwrap(), "object-substituted"),
        (path("a").into_bytes(), "object-unsealed"),
        (good[..good.len() - 1].to_vec(), "object-damaged"),
    ] {
        let gate = another(&first, &[&entry]);
        gate.provider.store(&file, &bytes);
        let fault = listing(&gate).body.unwrap_err();
        assert_eq!(fault.code.name, code);
    }
    let gate = another(&first, &[&entry]);
    gate.provider.answer_with("GET", (503, vec![], vec![]));
    assert!(listing(&gate).body.is_err());
}

/// A client that synchronizes would take files whose names are missing for deleted.
#[test]
fn a_listing_is_broken_off_when_the_names_cant_be_read() {
    let gate = gate("/dav/*");
    gate.send("PUT", &long_path(), &[], b"text");
    let [_, file] = stored(&gate);
    gate.provider.files.lock().unwrap().remove(&file);
    gate.sessions.0.store(true, Ordering::Relaxed);
    let fault = listing(&gate).body.unwrap_err();
    assert_eq!(fault.code.name, "key-unavailable");
}
