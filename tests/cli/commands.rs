//! Usage, the manual, completions, version, configurations.

use std::fs;

use crate::sandbox::Sandbox;

const COMMANDS: [&str; 10] = [
    "run",
    "check",
    "init",
    "key",
    "seal",
    "seal-tree",
    "open",
    "version",
    "man",
    "completions",
];

#[test]
fn help_manual_and_completions_name_every_command() {
    let sandbox = Sandbox::empty();
    let help = sandbox.run("--help").exits(0).text();
    let man = sandbox.run("man").exits(0).text();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command}")), "{command}");
        assert!(
            man.contains(&format!("sceau\\-{}(1)", command.replace('-', "\\-"))),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(&format!("completions {shell}")).exits(0).text();
        for word in COMMANDS
            .iter()
            .chain(&["rewrap", "export-recovery", "shred"])
        {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    sandbox.run("man --out pages").exits(0);
    let page = fs::read_to_string(sandbox.path("pages/sceau-key-shred.1")).unwrap();
    assert!(page.contains("in\\-use"));
    for command in COMMANDS {
        assert!(sandbox.path(&format!("pages/sceau-{command}.1")).exists());
    }
}

#[test]
fn the_version_says_what_is_spoken() {
    let sandbox = Sandbox::empty();
    let version = sandbox.run("version --json").exits(0).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["format"], 1);
    assert_eq!(version["suites"]["object"][0]["id"], 1);
    let text = sandbox.run("version").exits(0).text();
    assert!(text.starts_with(&format!("sceau {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_is_2_and_a_missing_configuration_3() {
    let sandbox = Sandbox::empty();
    for line in [
        "",
        "nonsense",
        "key",
        "seal-tree",
        "seal-tree https://share.example.fr/ --jobs 0",
        "seal-tree https://share.example.fr/ --password-file x",
        "open",
        "open x",
        "open x --out y --verify",
        "open x --out y --records z",
        "key list --directory keys --config c",
        "key rewrap --recovery some --directory keys",
        "key shred 00 --directory keys",
        "completions tcsh",
    ] {
        let said = sandbox.run(line).exits(2);
        assert!(!said.err.is_empty(), "{line}");
    }
    let said = sandbox.run("key list").exits(3);
    assert!(said.err.contains("gateway.toml"), "{}", said.err);
    let said = sandbox.run("key list --json").exits(3);
    assert_eq!(said.json()["code"], "configuration-refused");
    let output = sandbox
        .command("version")
        .env("RUST_LOG", "sceau=[=")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_working_directory_is_made_checked_and_used_by_its_configuration() {
    let sandbox = Sandbox::empty();
    let made = sandbox
        .run("init gateway --host s3.example.fr --json")
        .exits(0);
    assert_eq!(made.json()["host"], "s3.example.fr");
    sandbox.run("init gateway").exits(2);
    let check = sandbox.run("check --config gateway --json").exits(0);
    assert_eq!(check.json()["accepted"], true);

    fs::write(sandbox.path("plain"), "bonjour").unwrap();
    let sealed = sandbox
        .run("seal plain --out sealed --config gateway --service example --json")
        .exits(0);
    assert_eq!(sealed.json()["plain_bytes"], 7);
    sandbox
        .run("seal plain --out other --config gateway --service nobody")
        .exits(2);
    assert!(!sandbox.path("other").exists());
    sandbox
        .run("open sealed --out opened --config gateway")
        .exits(0);
    assert_eq!(fs::read(sandbox.path("opened")).unwrap(), b"bonjour");
    let list = sandbox.run("key list --config gateway --json").exits(0);
    assert_eq!(
        list.json()["records"][0]["service"],
        sealed_service(&sandbox)
    );
    sandbox.run("key rotate --config gateway").exits(0);
    sandbox.run("key rewrap --config gateway").exits(0);
    // the gateway's own identity must stay a recipient, and a recovery one too
    for name in ["ministry", "recovery"] {
        let said = sandbox
            .run(&format!(
                "key recipients remove {name} --config gateway --json"
            ))
            .exits(4);
        assert_eq!(said.json()["code"], "recipients-refused");
    }
    sandbox.run("check --config gateway").exits(0);
}

/// `service` of the one service file.
fn sealed_service(sandbox: &Sandbox) -> String {
    let text = fs::read_to_string(sandbox.path("gateway/services.d/10-example.toml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("service "))
        .unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn a_configuration_without_recovery_is_refused_unless_it_says_so() {
    let sandbox = Sandbox::empty();
    sandbox.run("init gateway").exits(0);
    let recipients = sandbox.path("gateway/keys/recipients.toml");
    let text = fs::read_to_string(&recipients).unwrap();
    let at = text.rfind("[[recipient]]").unwrap();
    assert!(text[at..].contains("\"recovery\""));
    fs::write(&recipients, &text[..at]).unwrap();
    let said = sandbox.run("check --config gateway --json").exits(1);
    let fault = said.json()["faults"][0]["message"].to_string();
    assert!(
        fault.contains("recipients-refused") && fault.contains("recovery = "),
        "{fault}"
    );
    sandbox.run("key rewrap --config gateway").exits(4);

    let gateway = sandbox.path("gateway/gateway.toml");
    let text = fs::read_to_string(&gateway).unwrap();
    let said_so = text.replacen("[keys]", "[keys]\nrecovery = \"none\"", 1);
    assert_ne!(text, said_so);
    fs::write(&gateway, said_so).unwrap();
    sandbox.run("check --config gateway").exits(0);
    sandbox.run("key rewrap --config gateway").exits(0);
}

#[test]
fn seal_tree_takes_a_url_of_a_share_and_asks_before_it_changes_anything() {
    let sandbox = Sandbox::empty();
    sandbox.run("init gateway --host s3.example.fr").exits(0);
    // nothing listens there
    fs::write(
        sandbox.path("gateway/services.d/20-share.toml"),
        "kind = \"webdav\"\nname = \"share\"\ntenant = \"t\"\nservice = \"s\"\nhosts = [\"share.example.fr\"]\n\
         [upstream]\nurl = \"http://127.0.0.1:1\"\n",
    )
    .unwrap();
    let records = fs::read_dir(sandbox.path("gateway/keys/records"))
        .unwrap()
        .count();
    for (url, why) in [
        ("share.example.fr/", "https://"),
        ("ftp://share.example.fr/", "https://"),
        ("https://share.example.fr/a?b", "https://"),
        ("https://other.example.fr/", "`other.example.fr`"),
        ("https://s3.example.fr/bucket", "no WebDAV service"),
        ("https://alice:secret@share.example.fr/", "--user"),
    ] {
        let said = sandbox
            .run(&format!("seal-tree {url} --config gateway"))
            .exits(2);
        assert!(said.err.contains(why), "{url}: {}", said.err);
        assert!(!said.err.contains("secret"));
    }
    let records_after = fs::read_dir(sandbox.path("gateway/keys/records"))
        .unwrap()
        .count();
    assert_eq!(records, records_after, "nothing was made");
    let said = sandbox
        .run("seal-tree HTTPS://SHARE.example.fr:8443/a --config gateway --json")
        .exits(6);
    assert_eq!(said.json()["code"], "upstream-unreachable");
    sandbox
        .run("seal-tree https://share.example.fr/a/../b --config gateway")
        .exits(2);
    sandbox.run("seal-tree https://share.example.fr/").exits(3);
}
