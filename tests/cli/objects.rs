//! `sceau open` and `sceau seal`.

use std::fs;

use sceau::seal::Epochs;

use crate::sandbox::{Sandbox, content, context, object, write};

const MINISTRY: &str = "--keys keys --passphrase-file ministry.pass";
const RECOVERY: &str = "--identity recovery.identity --passphrase-file recovery.pass";

/// A dump of a bucket: each name with its plaintext.
fn dump(sandbox: &Sandbox) -> Vec<(&'static str, Vec<u8>)> {
    let keys = sandbox.keyring().epochs(context()).current().unwrap();
    let single = [
        ("dump/empty", 0),
        ("dump/one byte", 1),
        ("dump/dir/segment-1", 65_535),
        ("dump/dir/segment", 65_536),
        ("dump/dir/deep/unicodé", 327_681),
    ];
    let mut made = Vec::new();
    for (name, length) in single {
        let plain = content(length);
        write(&sandbox.path(name), &object(&keys, &[&plain]));
        made.push((name, plain));
    }
    let plain = content(2 * 327_680 + 70_000);
    let parts = [
        &plain[..327_680],
        &plain[327_680..655_360],
        &plain[655_360..],
    ];
    write(&sandbox.path("dump/parts"), &object(&keys, &parts));
    made.push(("dump/parts", plain));
    made
}

fn assert_opened(sandbox: &Sandbox, made: &[(&str, Vec<u8>)], out: &str) {
    for (name, plain) in made {
        let opened = sandbox.path(&name.replacen("dump", out, 1));
        assert!(fs::read(&opened).unwrap() == *plain, "{name}");
    }
}

fn leftovers(sandbox: &Sandbox, out: &str) -> Vec<String> {
    let mut folders = vec![sandbox.path(out)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".tmp") {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn with_the_ministrys_identity_lost_recovery_opens_everything_offline() {
    let sandbox = Sandbox::new();
    let made = dump(&sandbox);
    sandbox
        .run("key export-recovery bundle --directory keys")
        .exits(0);
    fs::rename(sandbox.path("keys/records"), sandbox.path("records")).unwrap();
    fs::remove_dir_all(sandbox.path("keys")).unwrap();

    let line = format!("open dump --out a --bundle bundle {RECOVERY} --json");
    let said = sandbox.run(&line).exits(0).json();
    assert_eq!(said["objects"], made.len());
    assert_eq!(said["signatures_checked"], true);
    assert_eq!(said["failed"].as_array().unwrap().len(), 0);
    assert_opened(&sandbox, &made, "a");

    let line = format!("open dump --out b --records records {RECOVERY} --json");
    let said = sandbox.run(&line).exits(0).json();
    assert_eq!(said["signatures_checked"], false);
    assert_opened(&sandbox, &made, "b");

    // a second run overwrites nothing; --resume leaves out what is there
    fs::remove_file(sandbox.path("a/parts")).unwrap();
    let line = format!("open dump --out a --bundle bundle {RECOVERY} --json");
    let said = sandbox.run(&line).exits(1).json();
    assert_eq!(said["objects"], 1);
    fs::remove_file(sandbox.path("a/parts")).unwrap();
    let said = sandbox.run(&format!("{line} --resume")).exits(0).json();
    assert_eq!(
        (&said["objects"], &said["skipped"]),
        (&1.into(), &(made.len() - 1).into())
    );
    assert_opened(&sandbox, &made, "a");
    assert!(leftovers(&sandbox, "a").is_empty());
}

#[test]
fn every_damage_is_seen_reported_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let made = dump(&sandbox);
    for (name, _) in &made {
        let length = fs::read(sandbox.path(name)).unwrap().len();
        for (kind, at) in [
            ("first", 0),
            ("header", 100),
            ("segment", 140),
            ("locator", length - 1),
            ("trailer", length - 30),
        ] {
            let mut bytes = fs::read(sandbox.path(name)).unwrap();
            bytes[at] ^= 1;
            write(&sandbox.path(&format!("bad/{kind}/{name}")), &bytes);
        }
        let bytes = fs::read(sandbox.path(name)).unwrap();
        write(
            &sandbox.path(&format!("bad/cut/{name}")),
            &bytes[..length - 1],
        );
        write(
            &sandbox.path(&format!("bad/half/{name}")),
            &bytes[..length / 2],
        );
        write(
            &sandbox.path(&format!("bad/longer/{name}")),
            &[&bytes[..], b"x"].concat(),
        );
    }
    write(&sandbox.path("bad/plain.txt"), b"never sealed");
    write(&sandbox.path("bad/nothing"), b"");
    // zeros between the runs and the trailer
    let mut bytes = fs::read(sandbox.path("dump/dir/deep/unicodé")).unwrap();
    let at = bytes.len() - 8 - 376 - 1;
    assert_eq!(bytes[at], 0);
    bytes[at] = 1;
    write(&sandbox.path("bad/zeros"), &bytes);
    // runs of one object in another order
    let mut bytes = fs::read(sandbox.path("dump/parts")).unwrap();
    let run = 128 + 327_680 + 16 * 6;
    let first = bytes[..run].to_vec();
    bytes.copy_within(run..2 * run, 0);
    bytes[run..2 * run].copy_from_slice(&first);
    write(&sandbox.path("bad/order"), &bytes);
    let good = fs::read(sandbox.path("dump/one byte")).unwrap();
    write(&sandbox.path("bad/zz-good"), &good);

    let said = sandbox
        .run(&format!("open bad --out out {MINISTRY} --json"))
        .exits(7)
        .json();
    let failed = said["failed"].as_array().unwrap();
    assert_eq!(said["objects"], 1, "the good one, though it comes last");
    assert_eq!(failed.len(), made.len() * 8 + 4);
    let class = |name: &str| {
        let found = failed
            .iter()
            .find(|failure| failure["file"].as_str().unwrap().ends_with(name));
        found.unwrap()["class"].as_str().unwrap().to_owned()
    };
    for (name, expected) in [
        ("bad/plain.txt", "length"),
        ("bad/nothing", "length"),
        ("bad/zeros", "zeros"),
        ("bad/order", "run"),
        ("bad/first/dump/parts", "not-sealed"),
        ("bad/header/dump/parts", "run"),
        ("bad/header/dump/one byte", "commitment"),
        ("bad/locator/dump/one byte", "trailer"),
        ("bad/segment/dump/parts", "segment"),
        ("bad/cut/dump/empty", "length"),
    ] {
        assert_eq!(class(name), expected, "{name}");
    }
    let kept: Vec<_> = fs::read_dir(sandbox.path("out"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .collect();
    assert_eq!(kept.len(), 1);
    assert!(leftovers(&sandbox, "out").is_empty());
    sandbox
        .run(&format!("open bad --verify {MINISTRY}"))
        .exits(7);
}

#[test]
fn a_last_segment_is_withheld_until_the_trailer_verified() {
    let sandbox = Sandbox::new();
    let plain = content(65_536 + 10);
    sandbox.seal("a.sealed", &plain);
    let said = sandbox
        .run(&format!("open a.sealed --out - {MINISTRY}"))
        .exits(0);
    assert!(said.out == plain);
    let mut bytes = fs::read(sandbox.path("a.sealed")).unwrap();
    let at = bytes.len() - 30;
    bytes[at] ^= 1;
    fs::write(sandbox.path("a.sealed"), &bytes).unwrap();
    let said = sandbox
        .run(&format!("open a.sealed --out - {MINISTRY}"))
        .exits(7);
    assert!(said.out == plain[..65_536]);
}

#[test]
fn another_identity_opens_nothing() {
    let sandbox = Sandbox::new();
    sandbox.seal("a.sealed", b"a");
    sandbox
        .run("key identity stranger --passphrase-file recovery.pass")
        .exits(0);
    let said = sandbox
        .run("open a.sealed --out a --keys keys --identity stranger --passphrase-file recovery.pass --json")
        .exits(4)
        .json();
    assert_eq!(said["failed"][0]["class"], "key-unavailable");
    assert!(!sandbox.path("a").exists());
    let said = sandbox
        .run("open absent --out a --keys keys --passphrase-file ministry.pass --json")
        .exits(1);
    assert_eq!(said.json()["failed"][0]["class"], "file");
}

#[test]
fn what_seal_made_open_opens() {
    let sandbox = Sandbox::new();
    for length in [0, 1, 65_536, 65_537, 400_000] {
        let plain = content(length);
        fs::write(sandbox.path("plain"), &plain).unwrap();
        let said = sandbox
            .run(&format!(
                "seal plain --out s{length} {MINISTRY} --tenant t --service s --json"
            ))
            .exits(0)
            .json();
        let sealed = fs::read(sandbox.path(&format!("s{length}"))).unwrap();
        assert_eq!(said["sealed_bytes"], sealed.len());
        let said = sandbox
            .run(&format!("open s{length} --out - {MINISTRY}"))
            .exits(0);
        assert!(said.out == plain);
    }
    for line in [
        format!("seal plain --out s1 {MINISTRY} --tenant t --service s"),
        format!("seal absent --out s2 {MINISTRY} --tenant t --service s"),
    ] {
        sandbox.run(&line).exits(1);
    }
    for line in [
        format!("seal plain --out s2 {MINISTRY} --service s"),
        format!("seal plain --out s2 {MINISTRY} --tenant T! --service s"),
    ] {
        sandbox.run(&line).exits(2);
    }
    sandbox
        .run("seal plain --out s2 --keys keys --passphrase-file recovery.pass --tenant t --service s")
        .exits(4);
    assert!(!sandbox.path("s2").exists());
}

#[test]
fn a_record_that_is_not_believed_is_left_out_and_the_rest_opens() {
    let sandbox = Sandbox::new();
    sandbox.seal("dump/a", b"a");
    let file = sandbox.record_files().remove(0);
    sandbox.seal("dump/b", b"b");
    let mut bytes = fs::read(&file).unwrap();
    bytes[4 + 72] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let said = sandbox
        .run(&format!("open dump --out out {MINISTRY}"))
        .exits(4);
    assert!(said.err.contains("left out"), "{}", said.err);
    assert_eq!(fs::read(sandbox.path("out/b")).unwrap(), b"b");
    assert!(!sandbox.path("out/a").exists());
}

#[test]
fn the_output_inside_of_the_dump_is_not_opened_again() {
    let sandbox = Sandbox::new();
    sandbox.seal("dump/z", b"z");
    std::os::unix::fs::symlink("/etc/passwd", sandbox.path("dump/link")).unwrap();
    let said = sandbox
        .run(&format!("open dump --out dump/a {MINISTRY} --json"))
        .exits(1)
        .json();
    assert_eq!(said["objects"], 1);
    assert_eq!(said["failed"].as_array().unwrap().len(), 1, "the link");
    let said = sandbox
        .run(&format!(
            "open dump --out dump/a {MINISTRY} --json --resume"
        ))
        .exits(1)
        .json();
    assert_eq!((&said["objects"], &said["skipped"]), (&0.into(), &1.into()));
}
