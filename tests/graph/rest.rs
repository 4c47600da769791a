//! SharePoint's own REST interface.

use sceau::seal::layout::sealed_len;

use crate::gate::{Gate, plain};
use crate::provider::TENANT;

const FILE: &str = "/sites/s/_api/web/GetFileByServerRelativeUrl('/sites/s/Documents/a')/$value";

fn json(document: &str) -> (u16, Vec<(&'static str, String)>, Vec<u8>) {
    let kind = ("content-type", "application/json;odata=verbose".to_owned());
    (200, vec![kind], document.as_bytes().to_vec())
}

#[test]
fn files_and_attachments_go_up_sealed_and_come_back() {
    let whole = plain(70_000);
    let length = sealed_len(70_000).unwrap();
    for (method, target, field) in [
        (
            "POST",
            "/_api/web/GetFolderByServerRelativeUrl('/sites/s/D')/Files/add(url='a',overwrite=true)",
            None,
        ),
        (
            "POST",
            "/_api/web/GetFolderByServerRelativeUrl('%2Fsites%2Fs%2FD')/Files/add(url='a')",
            None,
        ),
        (
            "POST",
            "/_api/web/GetFolderByServerRelativePath(decodedurl='D')/Files/AddUsingPath(decodedurl='a')",
            None,
        ),
        (
            "POST",
            "/_api/web/lists/GetByTitle('l')/items(1)/AttachmentFiles/add(FileName='a')",
            None,
        ),
        ("POST", FILE, Some(("x-http-method", "PUT"))),
        ("PUT", FILE, None),
    ] {
        let gate = Gate::new();
        let answer = json(&format!(
            "{{\"d\":{{\"Length\":\"{length}\",\"Name\":\"a\"}}}}"
        ));
        *gate.provider.canned.lock().unwrap() =
            vec![(if method == "PUT" { "PUT" } else { "POST" }, "/", answer)];
        let fields: Vec<(&str, &str)> = field.into_iter().collect();
        let answer = gate.at(TENANT, method, target, &fields, &whole);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(answer.bytes(), br#"{"d":{"Length":"70000","Name":"a"}}"#);
        let sent = {
            let told = gate.provider.seen.lock().unwrap();
            assert_eq!(told[0].target, target);
            assert_eq!(
                told[0].header("x-http-method"),
                field.map_or("", |(_, value)| value)
            );
            assert!(told[0].header("accept").contains("json"));
            told[0].body.clone()
        };
        assert_eq!(sent.len() as u64, length);
        let stored = (200, vec![("content-length", length.to_string())], sent);
        *gate.provider.canned.lock().unwrap() = vec![("GET", "/", stored)];
        assert_eq!(gate.at(TENANT, "GET", FILE, &[], b"").bytes(), whole);
    }
}

#[test]
fn lengths_in_lists_are_the_plaintexts() {
    let gate = Gate::new();
    let list = "{\"value\":[{\"Length\":\"528\",\"Name\":\"a\"},{\"Length\":\"529\"}]}";
    *gate.provider.canned.lock().unwrap() = vec![("GET", "/", json(list))];
    let target = "/_api/web/GetFolderByServerRelativeUrl('D')/Files";
    let shown = gate.at(TENANT, "GET", target, &[("accept", "application/xml")], b"");
    assert_eq!(
        shown.bytes(),
        list.replace("528", "0").replace("529", "1").as_bytes()
    );
}

#[test]
fn lengths_in_xml_are_the_plaintexts_too() {
    let gate = Gate::new();
    let feed = "<feed xmlns:d=\"http://schemas.microsoft.com/ado/2007/08/dataservices\"><d:Length>528</d:Length><d:Name>528</d:Name></feed>";
    let answers = |document: &str| {
        let kind = ("content-type", "application/atom+xml;type=feed".to_owned());
        let answer = (200, vec![kind], document.as_bytes().to_vec());
        *gate.provider.canned.lock().unwrap() = vec![("GET", "/", answer)];
        let target = "/_api/web/GetFolderByServerRelativeUrl('D')/Files";
        gate.at(
            TENANT,
            "GET",
            target,
            &[("accept", "application/atom+xml")],
            b"",
        )
    };
    let shown = answers(feed);
    assert_eq!(shown.bytes(), feed.replace("h>528", "h>0").as_bytes());
    assert!(
        shown
            .header("content-type")
            .starts_with("application/atom+xml")
    );
    assert!(answers(&feed[..feed.len() - 3]).body.is_err(), "cut");
    let told = gate.provider.seen.lock().unwrap();
    assert_eq!(told[0].header("accept"), "application/atom+xml");
}

#[test]
fn documents_of_folders_and_items_are_looked_at() {
    let gate = Gate::new();
    let kind = [("content-type", "application/json;odata=verbose")];
    let folder = r#"{"__metadata":{"type":"SP.Folder"},"ServerRelativeUrl":"/sites/s/D/x"}"#;
    *gate.provider.canned.lock().unwrap() = vec![("POST", "/", json("{}"))];
    let send = |target: &str, document: &str| {
        let answer = gate.at(TENANT, "POST", target, &kind, document.as_bytes());
        (answer.status, gate.provider.seen.lock().unwrap().len())
    };
    assert_eq!(send("/_api/web/folders", folder), (200, 1));
    let more = folder.replace("x\"}", "x\",\"WelcomePage\":\"words\"}");
    assert_eq!(send("/_api/web/folders", &more), (403, 1));
    let words = folder.replace("\"ServerRelativeUrl\"", "\"Words\"");
    assert_eq!(send("/_api/web/folders", &words), (403, 1));
    // columns of lists, where the policy does not name them
    assert_eq!(
        send(
            "/_api/web/lists/GetByTitle('l')/items",
            "{\"Title\":\"words\"}"
        ),
        (403, 1)
    );
}

#[test]
fn what_is_not_known_of_it_is_refused() {
    let gate = Gate::new();
    let put = [("x-http-method", "PUT")];
    let merge = [("x-http-method", "MERGE")];
    let twice = [("x-http-method", "PUT"), ("x-http-method", "DELETE")];
    for (method, target, fields) in [
        (
            "POST",
            "/_api/web/GetFileById('1')/StartUpload(uploadId=guid'1')",
            &[][..],
        ),
        (
            "POST",
            "/_api/web/GetFileById('1')/ContinueUpload(uploadId=guid'1',fileOffset=1)",
            &[],
        ),
        ("POST", "/_api/web/GetFileById('1')/$value", &[]),
        ("POST", "/_api/web/lists/GetByTitle('l')/items(1)", &merge),
        ("POST", "/_api/web/lists/GetByTitle('l')/items", &[]),
        ("POST", "/_api/web/GetFileById('1')/$value", &twice),
        ("GET", "/_api/web/GetFileById('1')/$value", &put),
        ("POST", "/_api/SP.Utilities.Utility.SendEmail", &[]),
        ("POST", "/_api/web/x('/GetFileById/$value", &[]),
    ] {
        let answer = gate.at(TENANT, method, target, fields, b"words");
        assert!(
            matches!(answer.status, 400 | 403),
            "{method} {target} {answer:?}"
        );
    }
    let graph = gate.send("POST", "/v1.0/me/drive/root:/a:/content", &put, b"words");
    assert_eq!(graph.status, 403);
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
}
