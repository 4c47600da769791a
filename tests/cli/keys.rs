//! `sceau key`.

use std::fs;

use crate::sandbox::{Sandbox, content};

const UNLOCK: &str = "--directory keys --passphrase-file ministry.pass";

#[test]
fn init_refuses_one_recipient_and_overwrites_nothing() {
    let sandbox = Sandbox::empty();
    let said = sandbox.run(&format!("key init {UNLOCK} --json")).exits(2);
    assert_eq!(said.json()["code"], "usage");
    assert!(!sandbox.path("keys").exists());
    let said = sandbox
        .run(&format!("key init {UNLOCK} --recovery sceau-recipient-1-x"))
        .exits(4);
    assert!(said.err.contains("recipient"), "{}", said.err);

    let line = format!(
        "key init {UNLOCK} --recovery-identity recovery.identity --recovery-passphrase-file recovery.pass --json"
    );
    let made = sandbox.run(&line).exits(0).json();
    assert_eq!(made["recipients"][1]["role"], "recovery");
    let before = fs::read(sandbox.path("keys/identities/ministry.identity")).unwrap();
    let again = sandbox.run(&line).exits(2);
    assert_eq!(again.json()["code"], "key-exists");
    assert_eq!(
        fs::read(sandbox.path("keys/identities/ministry.identity")).unwrap(),
        before
    );

    // another directory for the same recovery identity, and one that says none
    let line = line.replace("--directory keys", "--directory second");
    let second = sandbox.run(&line).exits(0).json();
    assert_eq!(second["recipients"][1]["key"], made["recipients"][1]["key"]);
    let line = "key init --directory third --passphrase-file ministry.pass --recovery none --json";
    let third = sandbox.run(line).exits(0).json();
    assert_eq!(third["recipients"].as_array().unwrap().len(), 1);
    sandbox
        .run("key rewrap --directory third --passphrase-file ministry.pass")
        .exits(4);
    sandbox
        .run("key rewrap --directory third --passphrase-file ministry.pass --recovery none")
        .exits(0);
}

#[test]
fn a_directory_that_holds_anothers_keys_is_left_alone() {
    let sandbox = Sandbox::empty();
    fs::create_dir_all(sandbox.path("keys/writers")).unwrap();
    fs::write(sandbox.path("keys/README.md"), "notes").unwrap();
    fs::write(sandbox.path("keys/writers/other.pub"), "x").unwrap();
    let line = format!("key init {UNLOCK} --recovery none");
    sandbox.run(&line).exits(2);
    assert!(sandbox.path("keys/writers/other.pub").exists());
    fs::remove_file(sandbox.path("keys/writers/other.pub")).unwrap();
    sandbox.run(&line).exits(0);
    assert!(sandbox.path("keys/README.md").exists());
}

#[test]
fn commands_on_what_is_no_key_directory_make_nothing() {
    let sandbox = Sandbox::empty();
    for line in [
        "key list --directory absent",
        "key rotate --directory absent",
        "key recipients list --directory absent",
        "key recipients remove x --directory absent",
        "key export-recovery bundle --directory absent",
        "key rewrap --directory absent --passphrase-file ministry.pass",
        "key credential --directory absent --passphrase-file ministry.pass",
    ] {
        let said = sandbox.run(line).exits(4);
        assert!(said.err.contains("absent"), "{line}: {}", said.err);
        assert!(!sandbox.path("absent").exists(), "{line}");
    }
}

#[test]
fn passphrases_come_from_private_files_or_a_terminal_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox
        .run("key rewrap --directory keys --passphrase-file recovery.pass --json")
        .exits(4);
    let path = sandbox.path("ministry.pass");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let said = sandbox.run(&format!("key rewrap {UNLOCK} --json")).exits(4);
    assert_eq!(said.json()["code"], "passphrase-unreadable");
    assert!(said.json()["error"].to_string().contains("chmod 600"));
    // a session of its own has no terminal
    let line = format!(
        "{} key rewrap --directory keys",
        env!("CARGO_BIN_EXE_sceau")
    );
    let output = std::process::Command::new("setsid")
        .arg("--wait")
        .args(line.split_whitespace())
        .current_dir(sandbox.root.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("--passphrase-file"), "{err}");
}

#[test]
fn list_tells_what_there_is_and_what_is_wrong() {
    let sandbox = Sandbox::new();
    sandbox.seal("a.sealed", b"a");
    let list = sandbox
        .run("key list --directory keys --json")
        .exits(0)
        .json();
    let record = &list["records"][0];
    assert_eq!(record["kind"], "epoch");
    assert_eq!(record["tenant"], "t");
    assert_eq!(
        record["wrapped_to"],
        serde_json::json!(["ministry", "recovery"])
    );
    assert_eq!(
        (&record["stale"], &record["signature"]),
        (&false.into(), &true.into())
    );
    assert!(record["not_after"].as_u64() > record["not_before"].as_u64());
    assert_eq!(list["rotation_ordered"], serde_json::Value::Null);

    let file = sandbox.record_files().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[4 + 72] ^= 1;
    fs::write(&file, &bytes).unwrap();
    fs::write(sandbox.path("keys/records/x.record"), "no").unwrap();
    sandbox.run("key rotate --directory keys").exits(0);
    let list = sandbox
        .run("key list --directory keys --json")
        .exits(0)
        .json();
    assert_eq!(list["records"][0]["signature"], false);
    assert_eq!(list["malformed"].as_array().unwrap().len(), 1);
    assert!(list["rotation_ordered"].as_u64().is_some());
    let text = sandbox.run("key list --keys keys").exits(0).text();
    assert!(text.contains("SIGNATURE DOES NOT HOLD") && text.contains("NO RECORD"));
    // what can't be wrapped is left as it is, and said
    let said = sandbox
        .run(&format!("key rewrap {UNLOCK} --json"))
        .exits(4)
        .json();
    assert_eq!(said["wrapped"], 0);
    assert_eq!(said["refused"].as_array().unwrap().len(), 2);
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_new_identity_replaces_the_lost_one_by_the_recovery_identity() {
    let sandbox = Sandbox::new();
    sandbox.seal("a.sealed", b"kept");
    let made = sandbox
        .run("key identity keys/identities/second.identity --passphrase-file ministry.pass --json")
        .exits(0)
        .json();
    let recipient = made["recipient"].as_str().unwrap();
    let add =
        format!("key recipients add second {recipient} --role ministry --directory keys --json");
    let added = sandbox.run(&add).exits(0).json();
    assert_eq!(added["recipients"].as_array().unwrap().len(), 3);
    sandbox.run(&add).exits(4);
    let said = sandbox
        .run("key recipients add third junk --role ministry --directory keys --json")
        .exits(4);
    assert_eq!(said.json()["code"], "recipient-malformed");
    let said = sandbox
        .run("key export-recovery bundle --directory keys --json")
        .exits(4);
    assert_eq!(said.json()["code"], "records-stale");

    fs::remove_file(sandbox.path("keys/identities/ministry.identity")).unwrap();
    sandbox
        .run("key recipients remove ministry --directory keys")
        .exits(0);
    let said = sandbox
        .run("key recipients remove recovery --directory keys --json")
        .exits(4);
    assert_eq!(said.json()["code"], "recipients-refused");
    let wrapped = sandbox
        .run("key rewrap --directory keys --identity recovery.identity --passphrase-file recovery.pass --json")
        .exits(0)
        .json();
    assert_eq!(wrapped["wrapped"], 1);
    sandbox
        .run("open a.sealed --out a --keys keys --identity keys/identities/second.identity --passphrase-file ministry.pass")
        .exits(0);
    assert_eq!(fs::read(sandbox.path("a")).unwrap(), b"kept");
    let listed = sandbox
        .run("key recipients list --directory keys --json")
        .exits(0)
        .json();
    assert_eq!(listed["recipients"][1]["name"], "second");
}

#[test]
fn a_shredded_record_is_gone_and_so_is_what_was_sealed_under_it() {
    let sandbox = Sandbox::new();
    sandbox.seal("a.sealed", &content(100_000));
    sandbox.seal("b.sealed", b"b");
    let list = sandbox
        .run("key list --directory keys --json")
        .exits(0)
        .json();
    let sealed = fs::read(sandbox.path("a.sealed")).unwrap();
    let epoch = hex::encode(&sealed[16..32]);
    let ids: Vec<&str> = list["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect();
    let id = ids.iter().find(|id| id.starts_with(&epoch)).unwrap();

    sandbox
        .run(&format!("key shred {id} --directory keys"))
        .exits(2);
    sandbox
        .run(&format!(
            "key shred {} --yes --in-use --directory keys",
            &id[..63]
        ))
        .exits(4);
    let said = sandbox
        .run(&format!("key shred {id} --yes --directory keys --json"))
        .exits(4);
    assert_eq!(said.json()["code"], "record-in-use");
    sandbox
        .run("open a.sealed --verify --keys keys --passphrase-file ministry.pass")
        .exits(0);

    let said = sandbox
        .run(&format!("key shred {id} --yes --in-use --directory keys"))
        .exits(0);
    assert!(said.text().contains("backup"));
    sandbox
        .run(&format!("key shred {id} --yes --in-use --directory keys"))
        .exits(4);
    let said = sandbox
        .run("open a.sealed b.sealed --out opened --keys keys --passphrase-file ministry.pass --json")
        .exits(4)
        .json();
    assert_eq!(said["failed"][0]["class"], "unknown-epoch");
    assert!(!sandbox.path("opened/a.sealed").exists());
    assert_eq!(fs::read(sandbox.path("opened/b.sealed")).unwrap(), b"b");
}

#[test]
fn a_credential_is_what_the_gateway_reads() {
    use sceau::keyring::{Keyring, Provider, Settings};
    let sandbox = Sandbox::new();
    let said = sandbox.run(&format!("key credential {UNLOCK}")).exits(0);
    let path = sandbox.path("credential");
    fs::write(&path, &said.out).unwrap();
    let provider = Provider::SystemdCredential { path };
    let settings = Settings::new(sandbox.path("keys"), provider);
    assert!(Keyring::open(settings, crate::sandbox::clock).is_ok());
}

#[test]
fn a_damaged_bundle_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.seal("a.sealed", b"a");
    let said = sandbox
        .run("key export-recovery bundle --directory keys --json")
        .exits(0);
    assert_eq!(said.json()["records"], 1);
    sandbox
        .run("key export-recovery bundle --directory keys")
        .exits(2);
    let bundle = fs::read(sandbox.path("bundle")).unwrap();
    let open = "open a.sealed --verify --bundle bundle --identity recovery.identity --passphrase-file recovery.pass";
    sandbox.run(open).exits(0);
    for damage in [12, bundle.len() / 2, bundle.len() - 1] {
        let mut damaged = bundle.clone();
        damaged[damage] ^= 1;
        fs::write(sandbox.path("bundle"), &damaged).unwrap();
        sandbox.run(open).exits(4);
    }
    fs::write(sandbox.path("bundle"), &bundle[..bundle.len() - 10]).unwrap();
    sandbox.run(open).exits(4);
}
