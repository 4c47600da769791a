//! kill -9 at many points: afterwards there is the old state or the new one, and running the command again completes it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sceau::keyring::record::Record;

use crate::sandbox::{Sandbox, content};

const UNLOCK: &str = "--directory keys --passphrase-file ministry.pass";

/// Names, sizes and times of what lies in a directory.
fn glimpse(directory: &Path) -> Vec<(String, u64, Option<std::time::SystemTime>)> {
    let mut seen: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name, metadata.len(), metadata.modified().ok()))
        })
        .collect();
    seen.sort();
    seen
}

/// Runs a command and kills it `delay` after something changed in `watched`, or after it began. Says whether it was killed.
fn killed(sandbox: &Sandbox, line: &str, watched: Option<&Path>, delay: Duration) -> bool {
    let before = watched.map(glimpse);
    let mut child = sandbox
        .command(line)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while before.is_some() && watched.map(glimpse) == before && child.try_wait().unwrap().is_none()
    {
        std::hint::spin_loop();
    }
    let changed = Instant::now();
    while changed.elapsed() < delay && child.try_wait().unwrap().is_none() {
        std::hint::spin_loop();
    }
    let _ = child.kill();
    child.wait().unwrap().signal() == Some(9)
}

fn records(sandbox: &Sandbox) -> Vec<Record> {
    sandbox
        .record_files()
        .iter()
        .map(|file| Record::decode(&fs::read(file).unwrap()).expect("every record is whole"))
        .collect()
}

fn opens(sandbox: &Sandbox, identity: &str) {
    let line = format!("open dump --verify --records keys/records {identity} --json");
    let said = sandbox.run(&line).exits(0).json();
    assert_eq!(said["failed"].as_array().unwrap().len(), 0);
}

#[test]
fn rewrap_and_recipients_leave_the_old_state_or_the_new_one() {
    let sandbox = Sandbox::new();
    let keyring = sandbox.keyring();
    for number in 0..24 {
        use sceau::seal::Epochs;
        let keys = keyring.epochs(crate::sandbox::context()).current().unwrap();
        let sealed = crate::sandbox::object(&keys, &[&content(number)]);
        crate::sandbox::write(&sandbox.path(&format!("dump/{number}")), &sealed);
    }
    let made = sandbox
        .run("key identity second.identity --passphrase-file ministry.pass --json")
        .exits(0)
        .json();
    let recipient = made["recipient"].as_str().unwrap();
    let add = format!("key recipients add second {recipient} --role recovery --directory keys");
    let remove = "key recipients remove second --directory keys";
    let rewrap = format!("key rewrap {UNLOCK}");
    let recipients = sandbox.path("keys/recipients.toml");
    let old = fs::read(&recipients).unwrap();
    sandbox.run(&add).exits(0);
    let new = fs::read(&recipients).unwrap();
    sandbox.run(remove).exits(0);
    assert!(fs::read(&recipients).unwrap() == old);

    let (mut kills, mut mixed) = (0, 0);
    for round in 0..24u64 {
        let (line, watched) = if round % 2 == 0 {
            (add.as_str(), &old)
        } else {
            (remove, &new)
        };
        for attempt in 0.. {
            let delay = Duration::from_micros(300 * attempt);
            kills += u64::from(killed(&sandbox, line, None, delay));
            let now = fs::read(&recipients).unwrap();
            assert!(now == old || now == new, "recipients are whole");
            if now != *watched {
                break;
            }
        }
        let folder = sandbox.path("keys/records");
        let delay = Duration::from_micros(round * round * 150);
        kills += u64::from(killed(&sandbox, &rewrap, Some(&folder), delay));
        let wraps: Vec<usize> = records(&sandbox).iter().map(|r| r.wraps.len()).collect();
        assert_eq!(wraps.len(), 24);
        assert!(wraps.iter().all(|wraps| [2, 3].contains(wraps)));
        mixed += u64::from(wraps.contains(&2) && wraps.contains(&3));
    }
    assert!(
        kills > 0 && mixed > 0,
        "{kills} kills, {mixed} in the middle"
    );
    opens(
        &sandbox,
        "--identity recovery.identity --passphrase-file recovery.pass",
    );
    opens(
        &sandbox,
        "--identity keys/identities/ministry.identity --passphrase-file ministry.pass",
    );
    // the next run completes what was interrupted
    sandbox.run(&rewrap).exits(0);
    let present = if fs::read(&recipients).unwrap() == old {
        2
    } else {
        3
    };
    assert!(
        records(&sandbox)
            .iter()
            .all(|record| record.wraps.len() == present)
    );
}

#[test]
fn rotate_and_shred_can_be_repeated() {
    let sandbox = Sandbox::new();
    let keyring = sandbox.keyring();
    for _ in 0..12 {
        use sceau::seal::Epochs;
        keyring.epochs(crate::sandbox::context()).current().unwrap();
    }
    let mut kills = 0;
    for step in 0..40 {
        let delay = Duration::from_micros(step * 250);
        kills += u64::from(killed(&sandbox, "key rotate --directory keys", None, delay));
        let list = sandbox
            .run("key list --directory keys --json")
            .exits(0)
            .json();
        let ordered = &list["rotation_ordered"];
        assert!(ordered.is_null() || ordered.as_u64() > Some(1_000_000));
    }
    let files = sandbox.record_files();
    for (step, file) in files.iter().enumerate() {
        let whole = fs::read(file).unwrap();
        let id = file.file_stem().unwrap().to_string_lossy().into_owned();
        let line = format!("key shred {id} --yes --in-use --directory keys");
        let delay = Duration::from_micros(step as u64 * 400);
        kills += u64::from(killed(&sandbox, &line, None, delay));
        match fs::read(file) {
            Ok(bytes) => {
                assert!(bytes == whole || bytes.iter().all(|byte| *byte == 0));
                sandbox.run(&line).exits(0);
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
        assert!(!file.exists());
    }
    // a shred that was stopped between overwriting and removing
    let keyring = sandbox.keyring();
    let _ = keyring.session(&crate::sandbox::context()).unwrap();
    let file = sandbox.record_files().remove(0);
    let id = file.file_stem().unwrap().to_string_lossy().into_owned();
    fs::write(&file, vec![0; 2000]).unwrap();
    sandbox
        .run(&format!("key shred {id} --yes --directory keys"))
        .exits(0);
    assert!(!file.exists() && kills > 0);
}

#[test]
fn an_interrupted_init_is_no_key_directory_and_is_completed_by_another() {
    let sandbox = Sandbox::empty();
    let init = format!(
        "key init {UNLOCK} --recovery-identity recovery.identity --recovery-passphrase-file recovery.pass"
    );
    let began = Instant::now();
    sandbox
        .run(
            &init
                .replace("--directory keys", "--directory other")
                .replace("recovery.identity", "other.identity"),
        )
        .exits(0);
    let whole = began.elapsed();
    let mut kills = 0;
    for step in 0..14u32 {
        kills += u64::from(killed(&sandbox, &init, None, whole * step / 12));
        let list = sandbox.run("key list --directory keys --json");
        if list.code == 4 {
            assert!(!sandbox.path("keys/recipients.toml").exists());
            if step % 4 == 3 {
                sandbox.run(&init).exits(0);
            }
        }
        if sandbox.path("keys/recipients.toml").exists() {
            sandbox.keyring();
            let rewrap = format!("key rewrap {UNLOCK}");
            sandbox.run(&rewrap).exits(0);
            sandbox.run(&init).exits(2);
            sandbox
                .run("key rewrap --directory keys --identity recovery.identity --passphrase-file recovery.pass")
                .exits(0);
            fs::remove_dir_all(sandbox.path("keys")).unwrap();
            fs::remove_file(sandbox.path("recovery.identity")).unwrap();
        }
    }
    assert!(kills > 0);
}

#[test]
fn an_interrupted_working_directory_is_absent_or_whole() {
    let sandbox = Sandbox::empty();
    let began = Instant::now();
    sandbox.run("init first").exits(0);
    let whole = began.elapsed();
    let mut kills = 0;
    for step in 0..8u32 {
        let name = format!("gateway{step}");
        kills += u64::from(killed(
            &sandbox,
            &format!("init {name}"),
            None,
            whole * step / 6,
        ));
        if sandbox.path(&name).exists() {
            sandbox.run(&format!("check --config {name}")).exits(0);
        }
    }
    assert!(kills > 0);
}

#[test]
fn an_interrupted_open_or_seal_leaves_nothing_under_the_final_name() {
    let sandbox = Sandbox::new();
    let plain = content(24 << 20);
    sandbox.seal("a.sealed", &plain);
    fs::write(sandbox.path("plain"), &plain).unwrap();
    let open = "open a.sealed --out out/a --keys keys --passphrase-file ministry.pass";
    let seal =
        "seal plain --out out/s --keys keys --passphrase-file ministry.pass --tenant t --service s";
    fs::create_dir(sandbox.path("out")).unwrap();
    let mut kills = 0;
    for step in 0..12u64 {
        let delay = Duration::from_millis(step * 2);
        for (line, name) in [(open, "out/a"), (seal, "out/s")] {
            kills += u64::from(killed(&sandbox, line, Some(&sandbox.path("out")), delay));
            if let Ok(bytes) = fs::read(sandbox.path(name)) {
                let verify = "open out/s --verify --keys keys --passphrase-file ministry.pass";
                match name {
                    "out/a" => assert!(bytes == plain),
                    _ => drop(sandbox.run(verify).exits(0)),
                }
                fs::remove_file(sandbox.path(name)).unwrap();
            }
        }
    }
    assert!(kills > 0);
}
