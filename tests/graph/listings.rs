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
fn an_index_that_was_lost_is_filled_in_the_background_from_the_sealed_digests() {
    let gate = Gate::new();
    let whole = plain(70_000);
    for name in ["a", "b"] {
        let target = format!("/v1.0/me/drive/root:/{name}:/content");
        gate.send("PUT", &target, &[], &whole);
    }
    gate.provider.store("c", &plain(5_000));
    let lost = Gate::replica(
        crate::gate::settings(),
        &[],
        gate.provider.clone(),
        std::sync::Arc::new(sceau::state::SqliteState::in_memory().unwrap()),
    );
    let hashes = |list: &serde_json::Value, n: usize| list["value"][n]["file"]["hashes"].clone();
    let first = lost.send("GET", CHILDREN, &[], b"").json();
    assert_eq!(hashes(&first, 0), json!({}));
    assert_eq!(first["value"][0]["size"], 70_000);
    // listed again before anything was done: nothing is done twice
    lost.send("GET", CHILDREN, &[], b"");
    let before = gate.provider.count("GET", "download.aspx");
    assert_eq!(lost.work(), 1);
    assert_eq!(gate.provider.count("GET", "download.aspx") - before, 3);
    let then = lost.send("GET", CHILDREN, &[], b"").json();
    for n in [0, 1] {
        assert_eq!(hashes(&then, n), json!({"quickXorHash": hash(&whole)}));
    }
    // what is not sealed is shown as long as it is
    assert_eq!(then["value"][2]["size"], 5_000);
    assert_eq!(hashes(&then, 2), json!({}));
    assert_eq!(lost.work(), 0, "nothing is unknown any more");
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
