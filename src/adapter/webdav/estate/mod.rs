//! What lay in a share before the gateway stood before it: listed, looked at, sealed where it lies. The provider is asked
//! directly, by whoever holds an account there. `app::seal_tree` walks; here is what is done to one file or collection.
//!
//! Nothing of a user's is ever deleted: a file is replaced by its sealed form in one MOVE, once that was read back and
//! found equal, and its name is sealed by another MOVE, onto nothing. Each step leaves something that the next run goes
//! on from, so there is no journal.

mod asking;
mod entries;
mod file;
mod manner;
mod measure;
mod names;
mod temporary;

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use percent_encoding::{percent_decode_str, percent_encode};

use self::asking::refused;
pub use self::file::Done;
use self::manner::Manner;
pub use self::names::Leftover;
use self::temporary::Temporary;
use super::links;
use super::naming::{ENCODED, Naming};
use super::pattern::Pattern;
use super::settings::Settings;
use super::uploads::Upload;
use super::upstream::Ask;
use crate::adapter::opening::Opener;
use crate::adapter::range;
use crate::body::{Cleared, Upstream};
use crate::error::{
    INTERNAL, KEY_UNAVAILABLE, OBJECT_SUBSTITUTED, PROTOCOL, Refusal, UPSTREAM_INVALID,
};
use crate::seal::layout::HEADER;
use crate::seal::name::NameKey;
use crate::seal::run::MAGIC;
use crate::seal::{Epochs, KeyLookup, ObjectId, OpenError, Salt, SaltSource};

/// Why something was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum Left {
    #[error(
        "it is sealed for another tenant, service or namespace, or its record is not in the key directory"
    )]
    Foreign,
    #[error("it was changed while it was being sealed; the next run takes it")]
    Changed,
    #[error("what the provider gives back is not what was sealed; the original was left")]
    Unequal,
    #[error("another of its name, sealed, is there already; this one stays under its clear name")]
    NameTaken,
    #[error("the provider misreads characters of its path where that is a destination: rename it")]
    Misread,
    #[error("the provider said that it was replaced, and it was not")]
    Unmoved,
    #[error("what an interrupted run left: it goes once its original is sealed")]
    Waiting,
    #[error("its original is gone, and of its name only the beginning is known: rename it by hand")]
    Nameless,
    #[error("{path}: {why}")]
    Member { path: String, why: Box<Left> },
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Left {
    /// Stable, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Changed => "changed",
            Self::Unequal => "verification-failed",
            Self::NameTaken => "name-taken",
            Self::Misread => "destination-misread",
            Self::Unmoved => "not-replaced",
            Self::Waiting => "waiting",
            Self::Nameless => "nameless",
            Self::Member { why, .. } => why.name(),
            Self::Refused(refusal) => refusal.code.name,
        }
    }

    /// Whether nothing is there any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused(refusal) if is_gone(refusal))
    }
}

/// A file or collection, as the provider names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Encoded, without a slash at its end; the root's is empty.
    path: String,
    /// The last component, decoded.
    name: String,
    pub collection: bool,
    /// Bytes, where the listing tells.
    pub length: Option<u64>,
}

impl Entry {
    fn at(path: String, collection: bool, length: Option<u64>) -> Self {
        let last = path.rsplit('/').next().unwrap_or_default();
        let name = percent_decode_str(last).decode_utf8_lossy().into_owned();
        Self {
            path,
            name,
            collection,
            length,
        }
    }

    fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// As it is asked for.
    fn target(&self) -> String {
        match self.path.is_empty() || self.collection {
            true => format!("{}/", self.path),
            false => self.path.clone(),
        }
    }
}

/// What is in a collection.
#[derive(Debug, Default)]
pub struct Members {
    pub entries: Vec<Entry>,
    /// Paths that no client of the gateway can name: a backslash stands in them, say.
    pub unnameable: Vec<String>,
}

/// What a file is.
#[derive(Debug)]
pub enum Look {
    /// Sealed for this service.
    Sealed,
    /// So many bytes.
    Unsealed(u64),
}

/// A share at its provider.
pub struct Estate {
    upstream: Arc<dyn Upstream>,
    authority: String,
    tls: bool,
    authorization: Option<HeaderValue>,
    epochs: Arc<dyn Epochs>,
    opener: Opener,
    salts: SaltSource,
    key: Arc<NameKey>,
    naming: Option<Naming>,
    uploads: Pattern,
    max_put: u64,
    /// Found out before anything is moved.
    manner: OnceLock<Manner>,
}

/// What an [`Estate`] works with.
pub struct Means {
    pub upstream: Arc<dyn Upstream>,
    /// Who asks the provider.
    pub authorization: Option<HeaderValue>,
    /// To seal under.
    pub epochs: Arc<dyn Epochs>,
    /// To open with. Another than `epochs`, so that reading back proves that the record in the key directory opens.
    pub lookup: Arc<dyn KeyLookup>,
    pub salts: SaltSource,
    pub names: NameKey,
}

impl Estate {
    pub fn new(settings: &Settings, means: Means) -> Self {
        let key = Arc::new(means.names);
        let below = settings.names_below.as_deref();
        Self {
            upstream: means.upstream,
            authority: settings.upstream.authority.clone(),
            tls: settings.upstream.tls,
            authorization: means.authorization,
            epochs: means.epochs,
            opener: Opener {
                lookup: means.lookup,
                context: Arc::new(settings.context.clone()),
            },
            salts: means.salts,
            naming: below.map(|below| Naming::new(key.clone(), below)),
            key,
            uploads: Pattern::new(&settings.uploads_below),
            max_put: settings.max_put,
            manner: OnceLock::new(),
        }
    }

    /// Where an entry lies, for people: names in clear, undecoded bytes replaced.
    pub fn shown(&self, entry: &Entry) -> String {
        let path = match &self.naming {
            Some(naming) => naming.inward(&entry.path, &[]),
            None => entry.path.clone(),
        };
        let shown = printable(&decoded(&path));
        if shown.is_empty() { "/".into() } else { shown }
    }

    /// The members of a collection. Uploads that are under way are none: their chunks are sealed, and no files.
    ///
    /// # Errors
    /// The provider refuses, or lists something else.
    pub async fn list(&self, collection: &Entry) -> Result<Members, Left> {
        let own = decoded(&collection.path);
        let mut members = Members::default();
        for row in self.rows(&collection.target(), "1").await? {
            let path = decoded(row.path.trim_end_matches('/'));
            if path == own {
                continue;
            }
            let beyond = || {
                Refusal::new(&UPSTREAM_INVALID)
                    .message("The provider lists what is not in the collection.")
            };
            let name = path.strip_prefix(&format!("{own}/")).ok_or_else(beyond)?;
            if links::check_path(&row.path).is_err() {
                members.unnameable.push(printable(&path));
                continue;
            }
            if name.is_empty() || name.contains('/') {
                return Err(beyond().into());
            }
            let path = format!("{}/{}", collection.path, encoded(name));
            if Upload::parse(&self.uploads, &path).is_none() {
                let entry = Entry::at(path, row.collection, row.length);
                members.entries.push(entry);
            }
        }
        Ok(members)
    }

    /// What the first bytes of a file say that it is.
    ///
    /// # Errors
    /// The provider refuses, or the file is another's, damaged, or its key can't be had.
    pub async fn look(&self, entry: &Entry) -> Result<Look, Left> {
        let (front, length) = self.front(entry).await?;
        match self.opener.file(&front, length) {
            Ok(Some(_)) => Ok(Look::Sealed),
            Ok(None) => Ok(Look::Unsealed(length)),
            Err(refusal) => Err(foreign(refusal)),
        }
    }

    /// A file's first bytes and its length.
    async fn front(&self, entry: &Entry) -> Result<(Vec<u8>, u64), Refusal> {
        let ask = self.ask(Method::GET, entry).range(&(0..HEADER as u64));
        let response = self.send(ask, Cleared::empty()).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            // there is no first byte
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok((Vec::new(), 0)),
            _ => return Err(refused(response)),
        }
        let length = range::total(response.headers()).ok_or_else(no_length)?;
        let (front, _) = response.into_body().peek(HEADER).await.map_err(broken)?;
        Ok((front.to_vec(), length))
    }

    /// Whether it begins as something that a run was about to write, or has nothing yet.
    async fn begins_sealed(&self, entry: &Entry) -> Result<bool, Refusal> {
        let (front, _) = self.front(entry).await?;
        Ok(front.is_empty() || front.starts_with(&MAGIC))
    }

    fn temporary(&self, name: &str, now: SystemTime) -> Result<String, Refusal> {
        let drawn: ObjectId = self.object_id(name, now)?;
        temporary::temporary(&self.key, name, drawn)
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    fn object_id(&self, request: &str, now: SystemTime) -> Result<ObjectId, Refusal> {
        let id = self.salts.object_id(nanos(now), request.as_bytes());
        id.map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    fn salt(&self, request: &str, now: SystemTime) -> Result<Salt, Refusal> {
        let salt = self.salts.salt(nanos(now), request.as_bytes());
        salt.map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    /// Whether a run made this name.
    pub fn is_temporary(&self, entry: &Entry) -> bool {
        Temporary::parse(&self.key, &entry.name).is_some()
    }
}

fn is_gone(refusal: &Refusal) -> bool {
    [404, 410].contains(&refusal.status())
}

fn nanos(now: SystemTime) -> u128 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

fn encoded(name: &str) -> String {
    percent_encode(name.as_bytes(), ENCODED).to_string()
}

/// Whoever named it is not to write on the terminal.
fn printable(path: &str) -> String {
    path.replace(char::is_control, "\u{fffd}")
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// Another's file by its key or its epoch, else the refusal.
fn foreign(refusal: Refusal) -> Left {
    let unknown = refusal.code == &KEY_UNAVAILABLE
        && refusal
            .cause
            .as_ref()
            .and_then(|cause| cause.downcast_ref())
            .is_some_and(|error| matches!(error, OpenError::UnknownEpoch));
    match unknown || refusal.code == &OBJECT_SUBSTITUTED {
        true => Left::Foreign,
        false => Left::Refused(refusal),
    }
}

fn no_length() -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message("The provider gave no length.")
}

fn broken(fault: crate::body::Fault) -> Refusal {
    Refusal::new(fault.code).message(fault.detail)
}

/// A type that tells nothing.
fn opaque(ask: Ask) -> Ask {
    ask.header(CONTENT_TYPE, "application/octet-stream")
}

/// A path that an operator names, each component encoded in one way.
///
/// # Errors
/// One that may not go to a provider.
fn normal(path: &str) -> Result<String, Refusal> {
    if path.contains(char::is_control) {
        return Err(Refusal::new(&PROTOCOL).message("The path has a control character."));
    }
    links::check_path(path)?;
    let parts: Vec<String> = path
        .trim_end_matches('/')
        .split('/')
        .map(|part| encoded(&decoded(part)))
        .collect();
    Ok(parts.join("/"))
}
