//! What a page of a folder's children costs on its way through the adapter: every size and hash in it becomes the
//! plaintext's. The provider is the tests' own; that it copies the page, and that the answer is collected, is part of the
//! figures.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench fails by panicking, and uses a part of what the tests have"
)]

#[path = "../tests/graph/fuse.rs"]
mod fuse;
#[path = "../tests/graph/gate.rs"]
mod gate;
#[path = "../tests/graph/library.rs"]
mod library;
#[path = "../tests/graph/mailbox.rs"]
mod mailbox;
#[path = "../tests/graph/provider.rs"]
mod provider;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};

use gate::Gate;
use provider::Provider;

const ITEMS: usize = 1000;
const CHILDREN: &str = "/v1.0/me/drive/root/children";

/// As the service shows a file, next to what the tests' provider does.
fn dressed(mut item: Value) -> Value {
    let who = json!({"user": {
        "email": "a.martin@interieur.gouv.fr",
        "id": "8f9b2c1e-5d34-4c0a-9f6e-0123456789ab",
        "displayName": "Adèle Martin",
    }});
    let times = json!({
        "createdDateTime": "2026-11-02T09:14:07Z",
        "lastModifiedDateTime": "2026-11-24T16:52:31Z",
    });
    let name = item["name"].as_str().unwrap().to_owned();
    let url =
        format!("https://contoso-my.sharepoint.com/personal/a_martin/Documents/Dossiers/{name}");
    let own = item.as_object_mut().unwrap();
    own.insert("createdBy".into(), who.clone());
    own.insert("lastModifiedBy".into(), who);
    own.insert("fileSystemInfo".into(), times.clone());
    own.insert("webUrl".into(), url.into());
    own.insert("shared".into(), json!({"scope": "users"}));
    own.extend(times.as_object().unwrap().clone());
    item
}

fn children(c: &mut Criterion) {
    let gate = Gate::new();
    for number in 0..ITEMS {
        let path = format!("/v1.0/me/drive/root:/Vermerk%20{number:04}.docx:/content");
        assert_eq!(gate.send("PUT", &path, &[], b"text").status, 201);
    }
    let page = |other: bool| {
        let files = gate.provider.files.lock().unwrap();
        let items = files.iter().map(|(id, file)| {
            let id = if other {
                format!("{id}-other")
            } else {
                id.clone()
            };
            dressed(Provider::item(&id, file))
        });
        json!({"value": items.collect::<Vec<_>>()}).to_string()
    };
    let mut group = c.benchmark_group("a page of 1,000 items");
    for (name, page, hashes) in [("known", page(false), ITEMS), ("not known", page(true), 0)] {
        let fields = vec![("content-type", "application/json".to_owned())];
        let canned = (200, fields, page.clone().into_bytes());
        *gate.provider.canned.lock().unwrap() = vec![("GET", CHILDREN, canned)];
        let shown = gate.send("GET", CHILDREN, &[], b"");
        let shown = String::from_utf8(shown.bytes().to_vec()).unwrap();
        assert_eq!(
            shown.matches("\"size\":4,").count() + shown.matches("\"size\":4}").count(),
            ITEMS
        );
        assert_eq!(shown.matches("{\"quickXorHash\":").count(), hashes);
        group.throughput(Throughput::Bytes(page.len() as u64));
        group.bench_function(name, |b| b.iter(|| gate.send("GET", CHILDREN, &[], b"")));
    }
    group.finish();
}

criterion_group!(benches, children);
criterion_main!(benches);
