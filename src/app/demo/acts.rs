//! What the demo does, act by act. Each prints what it saw and the claims that it checked.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::client::{Answer, Client, ClientError, Described};
use super::evidence::{Search, entropy};
use super::place::Place;
use super::report::{Ledger, grouped, hex_line};
use super::tree::{File, PART};
use super::{DemoError, offline};
use crate::seal::layout::{HEADER, SEGMENT, TAG, sealed_len};

/// The bucket that the gateway serves.
pub const BUCKET: &str = "prefecture";
/// A bucket into which somebody stores in clear, past the gateway.
const CLEAR_BUCKET: &str = "past-the-gateway";
const BUDGET: &str = "Budget/exécution 2026.csv";
const NOTE: &str = "Courriers/note de service 2026-114.txt";
const PLAN: &str = "Plans/bâtiment A.bmp";
/// The segment of the plan in which the provider changes a bit.
const BAD: usize = 20;
/// Random bytes have 8 bits of entropy a byte; so many of them come this close.
const RANDOM_ENOUGH: (usize, f64) = (SEGMENT, 7.99);

pub struct Acts<'a, W> {
    pub ledger: &'a mut Ledger<W>,
    pub place: &'a Place,
    pub files: &'a [File],
    /// Goes through the gateway.
    pub user: &'a Client,
    /// Goes to the provider itself, with the provider's credential.
    pub bypass: &'a Client,
}

impl<W: Write> Acts<'_, W> {
    /// # Errors
    /// Something kept the demo from checking a claim.
    pub async fn play(&mut self) -> Result<(), DemoError> {
        self.store().await?;
        self.compare().await?;
        self.search().await?;
        self.tamper().await?;
        self.open_offline()
    }

    fn file(&self, key: &str) -> Result<&File, DemoError> {
        let found = self.files.iter().find(|file| file.key == key);
        found.ok_or_else(|| DemoError::Missing(key.to_owned()))
    }

    /// Where the provider keeps an object's bytes.
    fn stored(&self, key: &str) -> PathBuf {
        self.place.provider().join(BUCKET).join(key)
    }

    async fn store(&mut self) -> Result<(), DemoError> {
        self.ledger.line(format_args!(
            "\n1. The user stores {} files through the gateway\n   {:<42}{:>12}{:>12}   {}",
            self.files.len(),
            "name, the same on both sides",
            "user",
            "provider",
            "entropy, bits a byte",
        ))?;
        self.user.create_bucket(BUCKET).await?;
        let (mut lengths, mut random) = (true, true);
        for file in self.files {
            put(self.user, file).await?;
            let sealed = fs::read(self.stored(file.key))?;
            lengths &= sealed_len(file.bytes.len() as u64) == Some(sealed.len() as u64);
            let after = entropy(&sealed);
            random &= sealed.len() < RANDOM_ENOUGH.0 || after >= RANDOM_ENOUGH.1;
            let before = match file.bytes.len() {
                0 => "    -".to_owned(),
                _ => format!("{:.3}", entropy(&file.bytes)),
            };
            self.ledger.line(format_args!(
                "   {:<42}{:>12}{:>12}   {before} -> {after:.3}",
                file.key,
                grouped(file.bytes.len()),
                grouped(sealed.len()),
            ))?;
        }
        let (mut same, mut listed) = (true, Vec::new());
        for file in self.files {
            let answer = self.user.get(BUCKET, file.key).await?;
            let marking = answer.headers.get("x-amz-meta-marking");
            same &= answer.is_whole()
                && answer.body == file.bytes
                && marking.is_some_and(|marking| marking == file.marking);
            listed.push((file.key.to_owned(), file.bytes.len() as u64));
        }
        self.ledger.claim(
            same,
            "over TLS 1.3 each reads back byte for byte, with its metadata; the first went up in parts",
        )?;
        self.ledger.claim(
            self.user.list(BUCKET).await? == listed,
            "the gateway's listing shows the user's names and sizes",
        )?;
        let budget = self.file(BUDGET)?;
        let (first, last) = (SEGMENT - 7, SEGMENT + 8);
        let part = self.user.get_range(BUCKET, BUDGET, first, last).await?;
        self.ledger.claim(
            part.is_whole() && budget.bytes.get(first..=last) == Some(&part.body),
            "a range across two sealed segments brings the user's bytes and no others",
        )?;
        self.ledger.claim(
            lengths && random,
            "what the provider holds looks random (at least 7.99 from 64 KiB on); its length depends on the size alone",
        )?;
        Ok(())
    }

    /// The same of one object, here and there.
    async fn compare(&mut self) -> Result<(), DemoError> {
        let note = self.file(NOTE)?;
        let (plain, marking) = (note.bytes.clone(), note.marking);
        let sealed = fs::read(self.stored(NOTE))?;
        self.ledger.line(format_args!(
            "\n2. {NOTE}: its first bytes, and its metadata"
        ))?;
        for (whose, bytes) in [
            ("user    ", Some(plain.as_ref())),
            ("provider", sealed.get(HEADER..)),
        ] {
            for row in bytes.unwrap_or_default().chunks(16).take(2) {
                self.ledger
                    .line(format_args!("   {whose}  {}", hex_line(row)))?;
            }
        }
        let stored = self.bypass.get(BUCKET, NOTE).await?;
        let blob = stored.headers.get("x-amz-meta-sceau-0");
        let blob = blob.and_then(|blob| blob.to_str().ok()).unwrap_or_default();
        self.ledger.line(format_args!(
            "   user      x-amz-meta-marking: {marking}\n   provider  x-amz-meta-sceau-0: {:.56}...",
            blob
        ))?;
        let clear = stored
            .headers
            .keys()
            .any(|name| name == "x-amz-meta-marking");
        self.ledger.claim(
            !clear && !blob.is_empty(),
            "the provider is sent the metadata sealed",
        )?;
        Ok(())
    }

    async fn search(&mut self) -> Result<(), DemoError> {
        let mut search = Search::default();
        for file in self.files {
            search.learn(&file.bytes);
            search.learn(file.marking.as_bytes());
        }
        let held = everything(&self.place.provider())?;
        let found: usize = held.iter().map(|(_, bytes)| search.count(bytes)).sum();
        self.ledger.line(format_args!(
            "\n3. Everything on the provider's disk is searched for what the user stored: {} files, {} bytes\n   \
             plaintext found: {found}",
            held.len(),
            grouped(held.iter().map(|(_, bytes)| bytes.len()).sum()),
        ))?;
        self.ledger.claim(
            found == 0,
            "no 31 bytes in a row of any file, and none of its metadata, lie at the provider",
        )?;

        let budget = self.file(BUDGET)?;
        self.bypass.create_bucket(CLEAR_BUCKET).await?;
        self.bypass
            .put(
                CLEAR_BUCKET,
                BUDGET,
                described(budget),
                budget.bytes.clone(),
            )
            .await?;
        let pieces = Search::default().learn(&budget.bytes);
        let copy = everything(&self.place.provider().join(CLEAR_BUCKET))?;
        let found: usize = copy.iter().map(|(_, bytes)| search.count(bytes)).sum();
        self.ledger.claim(
            pieces > 0 && found >= pieces,
            format_args!(
                "in a copy stored in clear, past the gateway, the same search finds plaintext at {} places",
                grouped(found)
            ),
        )?;
        let refused = self.user.get(CLEAR_BUCKET, BUDGET).await?;
        self.ledger.claim(
            is_refusal(&refused),
            format_args!(
                "the gateway does not pass that copy on: {}",
                refused.outcome()
            ),
        )?;
        Ok(())
    }

    async fn tamper(&mut self) -> Result<(), DemoError> {
        self.ledger.line("\n4. The provider tampers")?;
        let plan = self.file(PLAN)?.bytes.clone();
        let place = HEADER + BAD * (SEGMENT + TAG) + SEGMENT / 2;
        flip(&self.stored(PLAN), place)?;
        let answer = self.user.get(BUCKET, PLAN).await?;
        let before = BAD * SEGMENT;
        self.ledger.claim(
            cut_short(&answer, &plan, before),
            format_args!(
                "one bit of {PLAN} changed: the read ends after {} true bytes, {} of the bad segment",
                grouped(answer.body.len().min(before)),
                answer.body.len().saturating_sub(before)
            ),
        )?;
        let inside = before + SEGMENT / 2;
        let part = self
            .user
            .get_range(BUCKET, PLAN, inside, inside + 99)
            .await?;
        self.ledger.claim(
            !part.is_whole() && carries_nothing_of(&part, &plan),
            format_args!(
                "a range inside the bad segment brings nothing: {}",
                part.outcome()
            ),
        )?;
        flip(&self.stored(PLAN), place)?;

        self.swap(NOTE, BUDGET)?;
        let answer = self.user.get(BUCKET, NOTE).await?;
        let budget = self.file(BUDGET)?.bytes.clone();
        self.ledger.claim(
            is_refusal(&answer) && carries_nothing_of(&answer, &budget),
            format_args!(
                "two objects exchanged, metadata and all: {}",
                answer.outcome()
            ),
        )?;
        self.swap(NOTE, BUDGET)?;

        let sealed = fs::read(self.stored(NOTE))?;
        fs::write(
            self.stored(NOTE),
            sealed.get(..sealed.len() - 1).unwrap_or_default(),
        )?;
        let answer = self.user.get(BUCKET, NOTE).await?;
        let note = self.file(NOTE)?.bytes.clone();
        self.ledger.claim(
            !answer.is_whole() && carries_nothing_of(&answer, &note),
            format_args!("the last byte cut off: {}", answer.outcome()),
        )?;
        fs::write(self.stored(NOTE), sealed)?;

        let mut again = true;
        for key in [PLAN, NOTE, BUDGET] {
            let answer = self.user.get(BUCKET, key).await?;
            again &= answer.is_whole() && answer.body == self.file(key)?.bytes;
        }
        self.ledger.claim(
            again,
            "with the provider's changes undone all three read again",
        )?;
        Ok(())
    }

    /// The provider exchanges two objects: bytes, metadata and what else it keeps of them.
    fn swap(&self, one: &str, other: &str) -> io::Result<()> {
        exchange(&self.stored(one), &self.stored(other))?;
        let beside = |key: &str, kind: &str| {
            let [bucket, key] = [BUCKET, key].map(|text| URL_SAFE_NO_PAD.encode(text));
            self.place
                .provider()
                .join(format!(".bucket-{bucket}.object-{key}.{kind}.json"))
        };
        for kind in ["metadata", "internal"] {
            exchange(&beside(one, kind), &beside(other, kind))?;
        }
        Ok(())
    }

    fn open_offline(&mut self) -> Result<(), DemoError> {
        self.ledger
            .line("\n5. Without the gateway and without a network: stored bytes, key records, the recovery identity")?;
        let epochs = offline::epochs(&self.place.gateway())?;
        let mut same = true;
        for file in self.files {
            let plain = offline::open(&epochs, fs::read(self.stored(file.key))?)?;
            same &= plain == file.bytes;
        }
        self.ledger.claim(
            same,
            "all files open, byte for byte; the ministry's own identity was not used",
        )?;
        let mut damaged = fs::read(self.stored(NOTE))?;
        if let Some(byte) = damaged.get_mut(HEADER) {
            *byte ^= 1;
        }
        let refused = offline::open(&epochs, damaged);
        let why = match &refused {
            Ok(_) => "it was opened".to_owned(),
            Err(error) => error.to_string(),
        };
        self.ledger.claim(
            refused.is_err(),
            format_args!("a copy with one bit changed is refused here too: {why}"),
        )?;
        Ok(())
    }
}

fn described(file: &File) -> Described<'_> {
    Described {
        content_type: file.content_type,
        metadata: ("marking", file.marking),
    }
}

async fn put(client: &Client, file: &File) -> Result<(), ClientError> {
    if file.bytes.len() > PART {
        return client
            .put_parts(BUCKET, file.key, described(file), &file.bytes, PART)
            .await;
    }
    client
        .put(BUCKET, file.key, described(file), file.bytes.clone())
        .await
}

fn is_refusal(answer: &Answer) -> bool {
    !answer.is_whole() && answer.code().is_some()
}

/// Broken off no later than where the bad segment begins, and right up to there.
fn cut_short(answer: &Answer, plain: &Bytes, bad: usize) -> bool {
    let refused = is_refusal(answer);
    let right = answer.body.len() <= bad && plain.starts_with(&answer.body);
    refused || (answer.broken.is_some() && right)
}

fn carries_nothing_of(answer: &Answer, plain: &[u8]) -> bool {
    let mut search = Search::default();
    search.learn(plain);
    let refused = is_refusal(answer) && search.count(&answer.body) == 0;
    refused || answer.body.is_empty()
}

fn flip(path: &Path, at: usize) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    let byte = bytes.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)?;
    *byte ^= 1;
    fs::write(path, bytes)
}

fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside)?;
    fs::rename(other, one)?;
    fs::rename(aside, other)
}

/// Every file below a folder, with its bytes.
fn everything(root: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut folders = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push((entry.path(), fs::read(entry.path())?));
            }
        }
    }
    Ok(found)
}
