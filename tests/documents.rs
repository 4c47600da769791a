//! The documents hold to the code: tests that they name exist, files that they link to exist.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs")).expect("docs is readable") {
        let path = entry.expect("docs is readable").path();
        if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `file: function`, in backticks.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|quoted| quoted.split_once(".rs: "))
        .collect()
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = read(&root().join("docs/threat-model.md"));
    let named = named_tests(&text);
    assert!(named.len() > 30, "the tables were not understood");
    for (file, function) in named {
        let path = match file.strip_prefix("tests/") {
            Some(_) => root().join(format!("{file}.rs")),
            None => root().join(format!("src/{file}.rs")),
        };
        let code = read(&path);
        let declared = format!("fn {function}(");
        let at = code
            .find(&declared)
            .unwrap_or_else(|| panic!("{file}.rs has no test {function}"));
        let before = &code[..at];
        let attributes = &before[before.rfind("\n\n").unwrap_or(0)..];
        assert!(
            attributes.contains("test"),
            "{file}.rs: {function} is no test"
        );
    }
}

#[test]
fn every_defence_names_its_test() {
    let text = read(&root().join("docs/threat-model.md"));
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2)
        .filter(|line| !line.starts_with("| attack") && !line.starts_with("| mistake"));
    for row in rows {
        let tests = row.rsplit(" | ").next().unwrap_or_default();
        assert!(
            tests.contains(".rs") || row.contains("there is no such setting"),
            "{row}"
        );
    }
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        for (_, rest) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let target = rest.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = document.parent().unwrap_or(root()).join(file);
            assert!(path.exists(), "{} links to {target}", document.display());
        }
    }
}
