//! Keeps the house: imports go downward only, peers do not import each other, the pure layers stay pure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module and its rank; `src/lib.rs` says what each is for.
const RANKS: &[(&str, u8)] = &[
    ("secret", 0),
    ("error", 0),
    ("telemetry", 0),
    ("seal", 1),
    ("keyring", 2),
    ("policy", 2),
    ("state", 2),
    ("body", 3),
    ("adapter", 4),
    ("proxy", 5),
    ("net", 6),
    ("config", 7),
    ("app", 8),
    ("main", 9),
];

/// What the pure modules must not name outside their tests.
const IMPURE: &[&str] = &[
    "tokio::",
    "hyper::",
    "hyper_util::",
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime::now",
    "Instant::now",
    "getrandom::",
];
const PURE: &[&str] = &["seal", "policy", "adapter"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The file without its trailing unit tests and without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("src is readable");
    let body = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    body.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn rank(module: &str) -> Option<u8> {
    RANKS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, r)| *r)
}

/// The top-level modules that `code` names through `crate::` or, in the binary, `sceau::`.
fn imports(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for prefix in ["crate::", "sceau::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let group = group.split('}').next().unwrap_or_default();
                named.extend(group.split(',').map(|item| first_word(item.trim())));
            } else {
                named.push(first_word(rest));
            }
        }
    }
    named.retain(|name| !name.is_empty());
    named
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn violations(module: &str, code: &str) -> Vec<String> {
    let Some(own) = rank(module) else {
        return vec![format!("module `{module}` has no rank")];
    };
    let mut wrong = Vec::new();
    for named in imports(code) {
        if named == module || (named == "telemetry" && own > 0) {
            continue;
        }
        if rank(&named).is_some_and(|other| other >= own) {
            wrong.push(format!("`{module}` imports `{named}`"));
        }
    }
    if PURE.contains(&module) {
        wrong.extend(
            IMPURE
                .iter()
                .filter(|name| code.contains(**name))
                .map(|name| format!("`{module}` names `{name}`")),
        );
    }
    wrong
}

#[test]
fn imports_go_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut modules = Vec::new();
    for file in &files {
        let relative = file.strip_prefix(&src).expect("found under src");
        let first = relative.iter().next().expect("a file has a name");
        let module = first.to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        wrong.extend(
            violations(&module, &code(file))
                .into_iter()
                .map(|what| format!("{}: {what}", relative.display())),
        );
        modules.push(module);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, _) in RANKS {
        assert!(
            modules.iter().any(|m| m == name),
            "`{name}` is ranked but does not exist"
        );
    }
}

#[test]
fn a_violation_is_seen() {
    assert!(!violations("seal", "use crate::keyring::Keyring;").is_empty());
    assert!(!violations("keyring", "use crate::{policy::Class, secret};").is_empty());
    assert!(!violations("adapter", "let t = std::time::SystemTime::now();").is_empty());
    assert!(!violations("seal", "use tokio::io;").is_empty());
    assert!(violations("adapter", "use crate::{body::Plain, seal};").is_empty());
}
