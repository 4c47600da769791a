//! `sceau demo --once`, as CI and a first-time user run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "demo")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn demo(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sceau"))
        .args(["demo", "--once"])
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// How many claims the last line says were held, none having failed.
fn held(text: &str) -> Option<usize> {
    let last = text.lines().last()?;
    last.strip_prefix("proof: ")?
        .strip_suffix(" claims held, 0 failed")?
        .parse()
        .ok()
}

#[test]
fn the_proof_holds_and_nothing_is_left_behind() {
    let output = demo(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(
        held(&text),
        Some(text.matches("   held: ").count()),
        "{text}"
    );
    assert!(held(&text) >= Some(15), "{text}");
    assert!(text.contains("\n   plaintext found: 0\n"), "{text}");
    assert!(text.lines().count() <= 60, "fits a screen:\n{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
    let root = text
        .lines()
        .find_map(|line| line.trim().strip_suffix(" is removed at the end"))
        .map(PathBuf::from)
        .expect("the directory is named");
    assert!(!root.exists(), "{} is left behind", root.display());
}

#[test]
fn a_chosen_directory_keeps_what_each_side_has_and_is_not_used_twice() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let chosen = parent.path().join("here");
    let output = demo(&[Path::new("--dir"), &chosen]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let key = "Courriers/note de service 2026-114.txt";
    let plain = std::fs::read(chosen.join("files").join(key)).expect("the user's file");
    let sealed = std::fs::read(chosen.join("provider/prefecture").join(key)).expect("the object");
    assert!(plain.starts_with("PRÉFECTURE".as_bytes()));
    assert!(sealed.len() > plain.len());
    let contains = |needle: &[u8]| sealed.windows(needle.len()).any(|window| window == needle);
    for word in ["Marianne", "nominative", "secrétaire"] {
        assert!(!contains(word.as_bytes()), "{word}");
    }

    let output = demo(&[Path::new("--dir"), &chosen]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let again = std::fs::read(chosen.join("files").join(key)).expect("the user's file");
    assert_eq!(again, plain);
}
