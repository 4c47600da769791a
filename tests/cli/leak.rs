//! No secret in what commands say, traced or not, or on the disk, after kill -9 too.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sceau::keyring::protected::{self, Kind};
use sceau::keyring::record::Record;
use sceau::keyring::{admin, offline};

use crate::sandbox::{MINISTRY, RECOVERY, Sandbox, pass};

/// A secret and every form in which it could be found.
struct Planted {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Planted {
    fn new(name: &'static str, secret: &[u8]) -> Self {
        // a part that begins at another offset has another base64
        let mut forms = vec![
            secret.to_vec(),
            hex::encode(secret).into_bytes(),
            hex::encode_upper(secret).into_bytes(),
        ];
        for at in 0..3 {
            let whole = &secret[at..at + (secret.len() - at) / 3 * 3];
            forms.push(STANDARD.encode(whole).into_bytes());
            forms.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
        }
        forms.push(format!("{secret:?}").into_bytes());
        Self { name, forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms
            .iter()
            .any(|form| memchr::memmem::find(bytes, form).is_some())
    }
}

fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut folders = vec![sandbox.root.path().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

fn secrets(sandbox: &Sandbox) -> Vec<Planted> {
    let mut planted = vec![
        Planted::new("passphrase", MINISTRY.as_bytes()),
        Planted::new("recovery passphrase", RECOVERY.as_bytes()),
    ];
    let keys = sandbox.path("keys");
    for (path, passphrase) in [
        (admin::identity_path(&keys, "ministry"), MINISTRY),
        (sandbox.path("recovery.identity"), RECOVERY),
    ] {
        let identity = offline::identity(&path, &pass(passphrase)).unwrap();
        let text = identity.to_text();
        let armoured = std::str::from_utf8(text.expose()).unwrap();
        let key = URL_SAFE_NO_PAD
            .decode(armoured.strip_prefix("SCEAU-IDENTITY-1-").unwrap())
            .unwrap();
        planted.push(Planted::new("identity", &key[..32]));
        for file in sandbox.record_files() {
            let record = Record::decode(&fs::read(file).unwrap()).unwrap();
            let secret = record.open(&identity).unwrap();
            planted.push(Planted::new("epoch", secret.secret().expose()));
        }
    }
    let seed =
        protected::open(&keys.join("edge/writer.key"), Kind::Writer, &pass(MINISTRY)).unwrap();
    planted.push(Planted::new("writer", seed.expose()));
    planted
}

#[test]
fn no_secret_is_said_traced_or_left_on_the_disk() {
    let sandbox = Sandbox::empty();
    fs::write(sandbox.path("plain"), "bonjour").unwrap();
    let mut said = Vec::new();
    let mut run = |line: &str, code: i32| {
        let output = sandbox
            .command(line)
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}");
        said.extend_from_slice(&output.stdout);
        said.extend_from_slice(&output.stderr);
        output.stdout
    };
    run(
        "key init --directory keys --passphrase-file ministry.pass --recovery-identity recovery.identity --recovery-passphrase-file recovery.pass --json",
        0,
    );
    let seal =
        "seal plain --keys keys --passphrase-file ministry.pass --tenant t --service s --out";
    run(&format!("{seal} a.sealed"), 0);
    run("key list --directory keys --json", 0);
    run("key rotate --directory keys --json", 0);
    let made = run("key identity second --passphrase-file ministry.pass", 0);
    let recipient = String::from_utf8(made).unwrap();
    run(
        &format!(
            "key recipients add second {} --role ministry --directory keys",
            recipient.trim()
        ),
        0,
    );
    run(
        "key rewrap --directory keys --passphrase-file ministry.pass --json",
        0,
    );
    run(
        "key rewrap --directory keys --passphrase-file recovery.pass",
        4,
    );
    run("key recipients remove second --directory keys", 0);
    run(
        "key rewrap --directory keys --identity recovery.identity --passphrase-file recovery.pass",
        0,
    );
    run("key export-recovery bundle --directory keys", 0);
    run(
        "open a.sealed --out opened --bundle bundle --identity recovery.identity --passphrase-file recovery.pass --json",
        0,
    );
    run(
        "open plain --verify --keys keys --passphrase-file ministry.pass",
        7,
    );

    // killed while it holds secrets
    for (line, delay) in [
        (
            "key rewrap --directory keys --passphrase-file ministry.pass",
            150,
        ),
        (&format!("{seal} b.sealed"), 250),
    ] {
        let mut child = sandbox
            .command(line)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
    }

    let planted = secrets(&sandbox);
    assert!(planted.len() >= 7);
    let mut searched = 0;
    for file in files(&sandbox) {
        if file.extension().is_some_and(|ending| ending == "pass") {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        for secret in &planted {
            assert!(
                !secret.is_in(&bytes),
                "{} in {}",
                secret.name,
                file.display()
            );
        }
        searched += 1;
    }
    assert!(searched >= 10, "{searched} files");
    assert!(!said.is_empty());
    for secret in &planted {
        assert!(!secret.is_in(&said), "{} was said", secret.name);
    }

    // the search finds what is there
    let clear = sandbox
        .run("key credential --directory keys --passphrase-file ministry.pass")
        .exits(0);
    let found = |name: &str| {
        planted
            .iter()
            .any(|secret| secret.name == name && secret.is_in(&clear.out))
    };
    assert!(found("identity") && found("writer") && !found("epoch"));
    assert!(planted[0].is_in(&fs::read(sandbox.path("ministry.pass")).unwrap()));
}
