//! Items in answers.

use serde_json::json;

use crate::content::hash;
use crate::gate::{Gate, plain};

const CHILDREN: &str = "/v1.0/me/drive/root/children?$top=1000";

#[test]
fn a_listing_shows_lengths_and_hashes_of_what_is_known() {
    let gate = Gate::new();
    let whole = plain(70_000);
    gate.send("PUT", "/v1.0/me/drive/root:/a:/content", &[], &whole);
    let other = Gate::new();
    other.send("PUT", "/v1.0/me/drive/root:/b:/content", &[], &plain(5));
    let foreign = other.provider.file("b").unwrap().bytes;
    gate.provider.store("b", &foreign);
    for gate in [&gate, &gate.beside()] {
        let list = gate.send("GET", CHILDREN, &[], b"").json();
        assert_eq!(list["value"][0]["size"], 70_000);
        let hashes = &list["value"][0]["file"]["hashes"];
        assert_eq!(*hashes, json!({"quickXorHash": hash(&whole)}));
        // not written here: its length is known, its hash is not
        assert_eq!(list["value"][1]["size"], 5);
        assert_eq!(list["value"][1]["file"]["hashes"], json!({}));
    }
}

#[test]
fn a_file_that_was_replaced_has_not_the_hash_of_the_old_one() {
    let gate = Gate::new();
    gate.send("PUT", "/v1.0/me/drive/root:/a:/content", &[], &plain(10));
    let sealed = gate.provider.file("a").unwrap().bytes;
    gate.provider.store("a", &sealed);
    let item = gate.send("GET", "/v1.0/me/drive/root:/a", &[], b"").json();
    assert_eq!(item["file"]["hashes"], json!({}));
    assert_eq!(item["size"], 10);
}

#[test]
fn a_thousand_items_wait_for_nothing() {
    let gate = Gate::new();
    for n in 0..1000 {
        gate.provider.store(&format!("f{n}"), &[0; 600]);
    }
    let list = gate.send("GET", CHILDREN, &[], b"").json();
    assert_eq!(list["value"].as_array().unwrap().len(), 1000);
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 1);
}

#[test]
fn what_is_no_document_is_broken_off() {
    let gate = Gate::new();
    let fields = vec![("content-type", "application/json".to_owned())];
    for body in ["{\"value\":[", "{]", ""] {
        let answer = (200, fields.clone(), body.as_bytes().to_vec());
        *gate.provider.canned.lock().unwrap() = vec![("GET", "/v1.0", answer)];
        assert!(gate.send("GET", CHILDREN, &[], b"").body.is_err(), "{body}");
    }
}
