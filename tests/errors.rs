//! `docs/errors.md` lists every code, as what it is answered, and every name of the key ring's and the state's errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use sceau::adapter::RefusedRequest;
use sceau::adapter::s3::error::respond;
use sceau::error::{CODES, Refusal};
use sceau::telemetry::RequestId;

const DOCUMENT: &str = include_str!("../docs/errors.md");
const KEYS: &str = include_str!("../src/keyring/error.rs");
const STATE: &str = include_str!("../src/state/error.rs");

/// The cells of each row of the table under a heading.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let row = |line: &'static str| {
        let cells = line.strip_prefix("| `")?.strip_suffix(" |")?;
        Some(
            cells
                .split(" | ")
                .map(|cell| cell.trim_matches('`'))
                .collect(),
        )
    };
    section.lines().filter_map(row).collect()
}

fn names(heading: &str) -> BTreeSet<&'static str> {
    let rows = rows(heading);
    let names: BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    names
}

/// The names that a `name` function gives.
fn given(source: &'static str) -> BTreeSet<&'static str> {
    let (_, function) = source.split_once("pub fn name(").unwrap();
    let function = function.split("\n    }\n").next().unwrap();
    let arm = |line: &'static str| line.split_once("=> \"")?.1.strip_suffix("\",");
    let names: BTreeSet<_> = function.lines().filter_map(arm).collect();
    assert_eq!(names.len(), function.matches("=>").count());
    names
}

#[test]
fn every_code_is_documented_as_it_is_answered() {
    let rows = rows("Codes");
    let documented: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let codes: Vec<&str> = CODES.iter().map(|code| code.name).collect();
    assert_eq!(documented, codes, "all of them, in the same order");
    for (row, code) in rows.iter().zip(CODES) {
        let answer = respond(
            &Refusal::new(code),
            &RefusedRequest {
                request_id: RequestId(1),
                method: &http::Method::GET,
                path: "/",
                accept: None,
            },
        );
        assert_eq!(row[1], answer.status().as_u16().to_string(), "{}", row[0]);
        let document = String::from_utf8(answer.body().to_vec()).unwrap();
        assert!(
            document.contains(&format!("<Code>{}</Code>", row[2])),
            "{document}"
        );
        assert!(document.contains(&format!("<SceauCode>{}</SceauCode>", row[0])));
        assert_eq!(row.len(), 5, "{}: a meaning, and what to do", row[0]);
    }
}

#[test]
fn every_name_of_the_key_ring_is_documented() {
    assert_eq!(names("Keys"), given(KEYS));
}

#[test]
fn every_name_of_the_state_is_documented() {
    assert_eq!(names("State"), given(STATE));
}
