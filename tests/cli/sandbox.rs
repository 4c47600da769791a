//! A directory with keys, and the binary to be run on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sceau::keyring::{Keyring, Provider, Settings, admin};
use sceau::seal::layout::{self, SEGMENT};
use sceau::seal::run::{RunSealer, RunSpec};
use sceau::seal::trailer::{Digests, seal_trailer};
use sceau::seal::{Context, EpochKeys, Epochs, ObjectId, Salt};
use sceau::secret::SecretBytes;

pub const MINISTRY: &str = "correct horse";
pub const RECOVERY: &str = "battery staple";

pub struct Sandbox {
    pub root: tempfile::TempDir,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {:?} {}", self.text(), self.err),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{} {}", self.text(), self.err);
        self
    }
}

pub fn pass(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

pub fn clock() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Sandbox {
    /// No keys yet; the passphrases' files are there.
    pub fn empty() -> Self {
        let sandbox = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for (name, text) in [("ministry.pass", MINISTRY), ("recovery.pass", RECOVERY)] {
            let path = sandbox.path(name);
            fs::write(&path, format!("{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        sandbox
    }

    /// A key directory with both recipients.
    pub fn new() -> Self {
        let sandbox = Self::empty();
        admin::init(&admin::Init {
            directory: &sandbox.path("keys"),
            passphrase: &pass(MINISTRY),
            recovery: admin::Recovery::Identity(
                &sandbox.path("recovery.identity"),
                &pass(RECOVERY),
            ),
        })
        .unwrap();
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sceau"));
        command
            .args(line.split_whitespace())
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .env_remove("RUST_LOG")
            .env_remove("CREDENTIALS_DIRECTORY");
        command
    }

    /// Runs a command line, split at white space, in the sandbox.
    #[track_caller]
    pub fn run(&self, line: &str) -> Said {
        let output = self.command(line).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!err.contains("panicked"), "{err}");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err,
        }
    }

    /// A key ring that seals for tenant `t`, service `s`.
    pub fn keyring(&self) -> Arc<Keyring> {
        let provider = Provider::SealOnly {
            passphrase: pass(MINISTRY),
        };
        Arc::new(Keyring::open(Settings::new(self.path("keys"), provider), clock).unwrap())
    }

    /// Seals `name` from `content` under a new epoch of namespace `default`.
    pub fn seal(&self, name: &str, content: &[u8]) {
        let keys = self.keyring().epochs(context()).current().unwrap();
        write(&self.path(name), &object(&keys, &[content]));
    }

    pub fn record_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.path("keys/records"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "record"))
            .collect();
        files.sort();
        files
    }
}

pub fn context() -> Context {
    Context::new("t", "s", "default").unwrap()
}

pub fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Bytes that differ from each other.
pub fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect()
}

/// An object of as many runs as there are parts.
pub fn object(keys: &EpochKeys, parts: &[&[u8]]) -> Vec<u8> {
    let id = ObjectId([7; 16]);
    let mut out = Vec::new();
    let mut entries = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let spec = RunSpec {
            object: id,
            part: if parts.len() == 1 {
                0
            } else {
                number as u32 + 1
            },
            salt: Salt::of_test_vector([number as u8; 32]),
            length: Some(part.len() as u64),
        };
        let mut sealer = RunSealer::new(keys, &context(), spec).unwrap();
        out.extend_from_slice(sealer.header());
        let mut chunks = part.chunks_exact(SEGMENT);
        for chunk in chunks.by_ref() {
            let mut segment = chunk.to_vec();
            let tag = sealer.seal_segment(&mut segment).unwrap();
            out.extend_from_slice(&segment);
            out.extend_from_slice(&tag);
        }
        let mut last = chunks.remainder().to_vec();
        let (tag, entry) = sealer.finish(&mut last).unwrap();
        out.extend_from_slice(&last);
        out.extend_from_slice(&tag);
        entries.push(entry);
    }
    let zeros = layout::zeros_len(entries.iter().map(|entry| entry.length)).unwrap();
    out.resize(out.len() + zeros as usize, 0);
    let salt = Salt::of_test_vector([255; 32]);
    let trailer = seal_trailer(keys, &context(), id, salt, &entries, &Digests::default()).unwrap();
    out.extend_from_slice(trailer.as_bytes());
    out
}
