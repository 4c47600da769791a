//! What a recovery needs besides the recovery identity, in one file: records, recipients, enrolled writers.
//!
//! `magic D3 'S' 'C' 'B' | version 01 | 00 00 00 | (u16 length | name | u32 length | content) ... | u16 0 | SHA-256`; names
//! are those of the key directory, numbers big-endian, the SHA-256 over everything before it. It tells damage, not
//! forgery: every record carries its writer's signature.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::recipients::Recipients;
use super::record::Record;
use super::{KeyError, admin, directory, recipients_path};

const MAGIC: [u8; 8] = [0xD3, b'S', b'C', b'B', 1, 0, 0, 0];

/// An exported bundle, read.
#[derive(Debug)]
pub struct Bundle {
    pub records: Vec<Record>,
    /// Enrolled when it was exported.
    pub writers: Vec<[u8; 32]>,
}

/// Writes the bundle; gives how many records it holds.
///
/// # Errors
/// The target exists or can't be written, or a record is not wrapped to every recipient yet.
pub fn export(directory: &Path, target: &Path) -> Result<usize, KeyError> {
    if target.exists() {
        return Err(KeyError::Exists(target.display().to_string()));
    }
    let _lock = admin::existing(directory)?;
    let recipients = Recipients::read(&recipients_path(directory))?;
    let found = admin::survey(directory)?;
    match admin::stale(&found.records, &recipients.checked(true)?) {
        0 => {}
        stale => return Err(KeyError::Stale(stale)),
    }
    let writers = directory::list(&directory.join("writers"), ".pub")?;
    directory::replace_with(target, |file| {
        let mut out = Hashing {
            path: target,
            file,
            hash: Sha256::new(),
        };
        let written = (|| {
            out.put(&MAGIC)?;
            out.entry(
                "recipients.toml",
                &directory::read(&recipients_path(directory))?,
            )?;
            for path in &writers {
                out.entry(&name("writers", path), &directory::read(path)?)?;
            }
            for record in &found.records {
                let name = format!("records/{}.record", hex::encode(record.id.0));
                out.entry(&name, &record.encode())?;
            }
            out.put(&[0, 0])
        })();
        written?;
        let sum = out.hash.finalize();
        out.file.write_all(&sum).map_err(directory::io(target))
    })?;
    Ok(found.records.len())
}

fn name(folder: &str, path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{folder}/{file}")
}

struct Hashing<'a> {
    path: &'a Path,
    file: &'a mut File,
    hash: Sha256,
}

impl Hashing<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(directory::io(self.path))
    }

    fn entry(&mut self, name: &str, content: &[u8]) -> Result<(), KeyError> {
        let too_long = |_| KeyError::Malformed {
            path: PathBuf::from(name),
            what: "too large for a bundle",
        };
        let mut head = u16::try_from(name.len())
            .map_err(too_long)?
            .to_be_bytes()
            .to_vec();
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(
            &u32::try_from(content.len())
                .map_err(too_long)?
                .to_be_bytes(),
        );
        self.put(&head)?;
        self.put(content)
    }
}

/// Whether a file begins as a bundle does.
pub fn is_bundle(path: &Path) -> bool {
    let mut magic = [0; 8];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok() && magic == MAGIC)
}

/// Reads a bundle.
///
/// # Errors
/// It is none, or damaged.
pub fn read(path: &Path) -> Result<Bundle, KeyError> {
    let file = File::open(path).map_err(directory::io(path))?;
    let mut input = Checked {
        path: path.to_owned(),
        file: BufReader::new(file),
        hash: Sha256::new(),
    };
    if input.take(MAGIC.len())? != MAGIC {
        return Err(input.malformed("not a recovery bundle"));
    }
    let mut bundle = Bundle {
        records: Vec::new(),
        writers: Vec::new(),
    };
    loop {
        let size = usize::from(u16::from_be_bytes(input.number()?));
        if size == 0 {
            break;
        }
        let name = input.take(size)?;
        let length = u32::from_be_bytes(input.number()?);
        if u64::from(length) > directory::LIMIT {
            return Err(input.malformed("damaged"));
        }
        let content = input.take(length as usize)?;
        if name.starts_with(b"records/") {
            let record = Record::decode(&content).ok_or_else(|| input.malformed("damaged"))?;
            bundle.records.push(record);
        } else if name.starts_with(b"writers/") {
            let mut key = [0; 32];
            hex::decode_to_slice(content.trim_ascii(), &mut key)
                .map_err(|_| input.malformed("damaged"))?;
            bundle.writers.push(key);
        }
    }
    let sum = std::mem::take(&mut input.hash).finalize();
    if input.take(sum.len())? != sum[..] {
        return Err(input.malformed("damaged"));
    }
    Ok(bundle)
}

struct Checked {
    path: PathBuf,
    file: BufReader<File>,
    hash: Sha256,
}

impl Checked {
    fn take(&mut self, length: usize) -> Result<Vec<u8>, KeyError> {
        let mut bytes = vec![0; length];
        self.file
            .read_exact(&mut bytes)
            .map_err(|_| self.malformed("cut short"))?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let mut number = [0; N];
        number.copy_from_slice(&self.take(N)?);
        Ok(number)
    }

    fn malformed(&self, what: &'static str) -> KeyError {
        KeyError::Malformed {
            path: self.path.clone(),
            what,
        }
    }
}
