//! The verdict on each method; whatever is not named is refused.

use http::{HeaderMap, Method};

use crate::error::{OPERATION_UNKNOWN, PROTOCOL, Refusal};
use crate::policy::Class;

/// Which handler serves a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Options,
    Get,
    Head,
    Put,
    Delete,
    Mkcol,
    Copy,
    Move,
    Propfind,
    Proppatch,
    Lock,
    Unlock,
    /// Known, never served.
    Never,
}

impl Verb {
    /// Whether it changes what lies at the provider.
    pub fn changes(self) -> bool {
        !matches!(
            self,
            Self::Options | Self::Get | Self::Head | Self::Propfind | Self::Never
        )
    }

    /// Whether the provider's yes says that something has the name it was asked for by: some say yes to any OPTIONS.
    pub fn names(self) -> bool {
        !matches!(self, Self::Options | Self::Delete | Self::Never)
    }
}

#[derive(Debug)]
pub(super) struct Row {
    /// The method, and the operation's name in the log.
    pub name: &'static str,
    pub verb: Verb,
    pub class: Class,
}

/// The group that lets clients set properties, which the provider reads.
pub const PROPERTIES: &str = "properties";
/// The group that lets unsealed files be read; set by `legacy`, not named in `allow`.
pub const LEGACY: &str = "legacy";
/// The groups that a policy may name.
pub const GROUPS: &[&str] = &[PROPERTIES];

const SEARCH: &str =
    "Searches and reports are refused: they carry words of the contents to the provider.";
const PARTIAL: &str = "Partial writes are refused: a sealed file is replaced as a whole.";

const fn row(name: &'static str, verb: Verb, class: Class) -> Row {
    Row { name, verb, class }
}

const ROWS: &[Row] = &[
    row("OPTIONS", Verb::Options, Class::Pass),
    row("GET", Verb::Get, Class::Transform),
    row("HEAD", Verb::Head, Class::Transform),
    row("PUT", Verb::Put, Class::Transform),
    row("DELETE", Verb::Delete, Class::Pass),
    row("MKCOL", Verb::Mkcol, Class::Pass),
    row("COPY", Verb::Copy, Class::Pass),
    row("MOVE", Verb::Move, Class::Pass),
    row("PROPFIND", Verb::Propfind, Class::Pass),
    row("PROPPATCH", Verb::Proppatch, Class::ByPolicy(PROPERTIES)),
    row("LOCK", Verb::Lock, Class::Pass),
    row("UNLOCK", Verb::Unlock, Class::Pass),
    row("PATCH", Verb::Never, Class::Deny(PARTIAL)),
    row("SEARCH", Verb::Never, Class::Deny(SEARCH)),
    row("REPORT", Verb::Never, Class::Deny(SEARCH)),
    row(
        "POST",
        Verb::Never,
        Class::Deny("Forms are refused: a share takes files with PUT."),
    ),
];

/// Fields that change what a request means, and that the gateway does not serve.
const REFUSED_FIELDS: &[(&str, &str)] = &[
    ("content-range", PARTIAL),
    ("x-update-range", PARTIAL),
    (
        "oc-chunked",
        "The first version of chunked uploads is refused; clients use the second.",
    ),
    (
        "content-encoding",
        "A coded body is refused: send the file as it is.",
    ),
];

pub(super) fn classify(method: &Method, headers: &HeaderMap) -> Result<&'static Row, Refusal> {
    let row = ROWS
        .iter()
        .find(|row| row.name == method.as_str())
        .ok_or_else(|| Refusal::new(&OPERATION_UNKNOWN))?;
    match REFUSED_FIELDS
        .iter()
        .find(|(name, _)| headers.contains_key(*name))
    {
        Some((_, why)) => Err(Refusal::new(&PROTOCOL).message(*why)),
        None => Ok(row),
    }
}

/// The methods of an `Allow` field that clients are told of.
pub(super) fn allowed(method: &str) -> bool {
    ROWS.iter()
        .any(|row| row.name == method && row.verb != Verb::Never)
}
