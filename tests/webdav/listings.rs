//! Documents rewritten as they stream.

use sceau::seal::layout::sealed_len;

use crate::gate::{Answer, Gate, settings};
use crate::provider::Provider;

fn rewritten(document: &str) -> Answer {
    rewritten_by(document, 1000)
}

/// The document comes in pieces of so many bytes.
fn rewritten_by(document: &str, piece: usize) -> Answer {
    let provider = Provider {
        piece,
        ..Provider::default()
    };
    let gate = Gate::with(settings(), &[], provider);
    let xml = vec![("content-type", "application/xml; charset=utf-8".to_owned())];
    gate.provider
        .answer_with("PROPFIND", (207, xml, document.into()));
    gate.send("PROPFIND", "/", &[("depth", "1")], b"")
}

#[test]
fn sizes_are_the_plaintexts() {
    let gate = Gate::new();
    for (path, length) in [("/d/empty", 0), ("/d/one", 1), ("/d/large", 400_000)] {
        gate.send("PUT", path, &[], &vec![1; length]);
    }
    let answer = gate.send("PROPFIND", "/d/", &[("depth", "infinity")], b"");
    assert_eq!(answer.status, 207);
    for (path, length) in [("/d/empty", 0), ("/d/one", 1), ("/d/large", 400_000)] {
        let expected = format!(
            "<D:href>{path}</D:href><D:propstat><D:prop>\
             <D:getcontentlength>{length}</D:getcontentlength>"
        );
        assert!(answer.text().contains(&expected), "{}", answer.text());
    }
    assert!(
        answer
            .text()
            .contains("<D:quota-used-bytes>70000</D:quota-used-bytes>")
    );
    assert!(!answer.text().contains("provider.example"));
}

#[test]
fn everything_else_stays_byte_for_byte() {
    let sealed = sealed_len(1234).unwrap();
    let document = |length: u64, host: &str, drop: &str| {
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<multistatus xmlns=\"DAV:\" xmlns:o='http://owncloud.org/ns' \
             xmlns:x=\"urn:x\">\n <response a='>'><href>{host}/a%20b/&#x63;</href>\n<propstat><prop>\
             <getcontentlength>{length}</getcontentlength><getetag>&quot;abc&quot;</getetag>\
             <o:size>{length}</o:size>{drop}<x:getcontentlength>{sealed}</x:getcontentlength>\
             <getcontentlength/><x:href>https://dav.provider.example/</x:href>\
             <x:a xmlns='urn:y'><getcontentlength>{sealed}</getcontentlength></x:a><![CDATA[<]]>é</prop>\
             <status>HTTP/1.1 200 OK</status></propstat></response></multistatus>\n"
        )
    };
    let drop = "<o:checksums><o:checksum>SHA1:x<y/></o:checksum></o:checksums><o:downloadURL/>";
    let before = document(sealed, "https://dav.provider.example", drop);
    let after = document(1234, "", "").replace("&#x63;", "c");
    for piece in [1, 2, 3, 7, 64, 100_000] {
        assert_eq!(rewritten_by(&before, piece).text(), after);
    }
}

#[test]
fn lengths_of_collections_and_of_unsealed_files_stay() {
    let sealed = sealed_len(1234).unwrap();
    for (href, length, shown) in [("/d/", sealed, sealed), ("/f", sealed, 1234), ("/f", 5, 5)] {
        let document = format!(
            "<m:multistatus xmlns:m=\"DAV:\"><m:response><m:href>{href}</m:href><m:getcontentlength> {length}\n\
             </m:getcontentlength></m:response></m:multistatus>"
        );
        let expected = format!("<m:getcontentlength>{shown}</m:getcontentlength>");
        let answer = rewritten(&document);
        let text = answer.text().replace([' ', '\n'], "");
        assert!(text.contains(&expected.replace(' ', "")), "{text}");
    }
}

/// RFC 6578, section 3.8: what was changed, what is gone, the token to go on with.
#[test]
fn a_sync_report_is_rewritten_as_a_listing() {
    let gate = Gate::new();
    let document = |length: u64, host: &str| {
        format!(
            "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>{host}/d/a</D:href><D:propstat><D:prop>\
             <D:getcontentlength>{length}</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status>\
             </D:propstat></D:response><D:response><D:href>{host}/d/gone</D:href><D:status>HTTP/1.1 404 Not Found\
             </D:status></D:response><D:sync-token>http://sabre.io/ns/sync/7</D:sync-token></D:multistatus>"
        )
    };
    let xml = vec![("content-type", "application/xml".to_owned())];
    let sealed = document(sealed_len(1234).unwrap(), "https://dav.provider.example");
    gate.provider
        .answer_with("REPORT", (207, xml, sealed.into()));
    let body = "<D:sync-collection xmlns:D=\"DAV:\"><D:sync-token/><D:sync-level>1</D:sync-level><D:prop>\
                <D:getcontentlength/></D:prop></D:sync-collection>";
    let answer = gate.send("REPORT", "/d/", &[("depth", "0")], body.as_bytes());
    assert_eq!((answer.status, answer.text()), (207, &*document(1234, "")));
    let seen = gate.provider.seen.lock().unwrap();
    assert_eq!(seen[0].body, body.as_bytes());
    assert_eq!(seen[0].headers["depth"], "0");
}

#[test]
fn what_is_no_listing_is_broken_off() {
    let good = "<multistatus xmlns=\"DAV:\"><response><href>/a</href></response></multistatus>";
    assert!(rewritten(good).body.is_ok());
    let mut bad: Vec<String> = (0..good.len()).map(|end| good[..end].to_owned()).collect();
    bad.push(good.replace("/a", "https://other.example/a"));
    bad.push(good.replace("/a", "///other.example/a"));
    bad.push(format!(
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{good}"
    ));
    bad.push(good.replace("/a", "&e;"));
    bad.push(format!("<?xml version='1.0' encoding='utf-16'?>{good}"));
    bad.push(format!("{good}{good}"));
    bad.push(format!("{good}text"));
    bad.push(good.replace("</response>", "</response></response></response>"));
    bad.push(good.replace("/a", &"a".repeat(20_000)));
    bad.push(good.replace(
        "<response>",
        &format!("<response a='{}'>", "a".repeat(70_000)),
    ));
    bad.push("<a>".repeat(100) + &"</a>".repeat(100));
    for document in bad {
        let shown = &document[..document.len().min(200)];
        assert!(rewritten(&document).body.is_err(), "{shown}");
    }
}

#[test]
fn a_listing_that_is_no_xml_is_refused() {
    let gate = Gate::new();
    let html = vec![("content-type", "text/html".to_owned())];
    gate.provider
        .answer_with("PROPFIND", (207, html, b"<p>".to_vec()));
    assert_eq!(gate.send("PROPFIND", "/", &[], b"").status, 502);
}
