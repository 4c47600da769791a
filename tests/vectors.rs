//! `tests/vectors/`: every case opens, or is refused with exactly its class (`docs/format.md`, "Vectors").
//!
//! The files are made by `tests/sealing/cases/`, from constants and without the library's sealing code. After a change of
//! the cases: `SCEAU_WRITE_VECTORS=1 cargo test --test vectors`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "sealing/cases/mod.rs"]
mod cases;
#[path = "sealing/forge.rs"]
mod forge;
#[path = "sealing/opening.rs"]
mod opening;
#[path = "sealing/reading.rs"]
mod reading;
#[path = "sealing/two_keys.rs"]
mod two_keys;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use cases::Collection;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Names of the files, without their ending.
fn listed(folder: &std::path::Path, ending: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
        // tests/token_vectors.rs makes and holds those
        .filter(|name| !name.starts_with("token-") && !name.starts_with("index-"))
        .collect()
}

fn write(all: &Collection) {
    let folder = folder();
    fs::create_dir_all(folder.join("objects")).unwrap();
    for name in listed(&folder, ".json") {
        fs::remove_file(folder.join(format!("{name}.json"))).unwrap();
    }
    for case in &all.cases {
        let text = serde_json::to_string_pretty(&case.value).unwrap() + "\n";
        fs::write(folder.join(format!("{}.json", case.name)), text).unwrap();
    }
    for (name, bytes) in &all.files {
        fs::write(folder.join("objects").join(name), bytes).unwrap();
    }
}

#[test]
fn the_files_are_the_cases_and_each_has_its_outcome() {
    let all = Collection::all();
    if std::env::var_os("SCEAU_WRITE_VECTORS").is_some() {
        write(&all);
    }
    let folder = folder();
    let names: BTreeSet<String> = all.cases.iter().map(|case| case.name.clone()).collect();
    assert_eq!(names.len(), all.cases.len(), "two cases of one name");
    assert_eq!(listed(&folder, ".json"), names, "files and cases");
    let files: BTreeSet<String> = all.files.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        listed(&folder.join("objects"), ""),
        files,
        "files and cases"
    );
    for (name, bytes) in &all.files {
        assert!(
            fs::read(folder.join("objects").join(name)).unwrap() == *bytes,
            "{name}"
        );
    }
    let mut wrong = Vec::new();
    for case in &all.cases {
        let text = fs::read_to_string(folder.join(format!("{}.json", case.name))).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert!(
            read == case.value,
            "{} is not what the cases make",
            case.name
        );
        let outcome = opening::outcome(&read, &folder);
        if outcome != read["expect"] {
            wrong.push(format!("{}: {outcome}, not {}", case.name, read["expect"]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} of {}",
        wrong.join("\n"),
        wrong.len(),
        names.len()
    );
    assert!(names.len() >= 300, "{} cases", names.len());
}
