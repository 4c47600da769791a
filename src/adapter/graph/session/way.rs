//! The two interfaces at which a session's sealed bytes are sent and counted: ranges that are put to the session's own
//! address, and chunks of SharePoint's own REST interface (SharePoint client object model, "File.StartUpload",
//! "File.ContinueUpload", "File.FinishUpload", "File.GetUploadStatus").

use std::ops::Range;
use std::sync::LazyLock;

use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::ranges::{self, Expected};
use super::rules::Rules;
use crate::adapter::graph::Call;
use crate::adapter::graph::rest::{self, Argument};
use crate::adapter::graph::route::function;
use crate::adapter::graph::upstream::{Ask, is_json};
use crate::adapter::json::{self, Path, Paths, Wrong};
use crate::error::{INTERNAL, Refusal, TOO_LARGE, UPSTREAM_INVALID};

/// What of an upload is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Start,
    /// Answers with the file.
    StartFile,
    Continue,
    Finish,
    Cancel,
    Status,
}

const OPS: [(Op, &str); 6] = [
    (Op::Start, "StartUpload"),
    (Op::StartFile, "StartUploadFile"),
    (Op::Continue, "ContinueUpload"),
    (Op::Finish, "FinishUpload"),
    (Op::Cancel, "CancelUpload"),
    (Op::Status, "GetUploadStatus"),
];

/// The member of a status that says which byte comes next.
const EXPECTED: &str = "ExpectedContentRange";

impl Op {
    pub fn name(self) -> &'static str {
        OPS.iter().find(|(op, _)| *op == self).map_or("", |op| op.1)
    }

    pub fn starts(self) -> bool {
        matches!(self, Self::Start | Self::StartFile)
    }
}

/// A request of a chunked upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub op: Op,
    /// The upload's, in lower case, with its hyphens. `None`: the body may say it.
    pub id: Option<String>,
    /// Where the client's chunk begins in the plaintext.
    pub offset: Option<u64>,
    /// What names the file.
    pub file: String,
    /// The target up to the operation, as the client wrote it.
    before: String,
    /// With its question mark.
    query: String,
}

impl Chunk {
    /// # Errors
    /// A target that can't be read in one way only.
    pub fn read(target: &str) -> Result<Self, Refusal> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.trim_end_matches('/');
        let (before, last) = path.rsplit_once('/').ok_or_else(rest::ambiguous)?;
        let decoded = percent_decode_str(path).decode_utf8();
        let decoded = decoded.map_err(|_| rest::ambiguous())?;
        let read = rest::Path::read(&decoded)?;
        let (word, words) = read.words.split_last().ok_or_else(rest::ambiguous)?;
        // the operation is written anew, so its beginning in the target must be known
        let same = percent_decode_str(last).decode_utf8();
        if same.map_err(|_| rest::ambiguous())? != *word {
            return Err(rest::ambiguous());
        }
        let op = OPS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(function(word)));
        let (op, _) = *op.ok_or_else(rest::ambiguous)?;
        let given = rest::arguments(word, query)?;
        let (mut id, mut offset) = (None, None);
        for (at, Argument { name, value }) in given.iter().enumerate() {
            match (name.as_str(), at) {
                ("uploadid", _) | ("", 0) if id.is_none() => id = Some(guid(value)?),
                ("fileoffset", _) | ("", 1) if offset.is_none() => {
                    let digits = value.strip_suffix(['L', 'l']).unwrap_or(value);
                    offset = Some(number(digits).ok_or_else(rest::ambiguous)?);
                }
                _ => return Err(rest::ambiguous()),
            }
        }
        Ok(Self {
            op,
            id,
            offset,
            file: rest::file(&read.web, words.get(1..).unwrap_or_default(), query)?,
            before: before.to_owned(),
            query: match query {
                "" => String::new(),
                query => format!("?{query}"),
            },
        })
    }

    /// The request of an operation on the same upload. `offset`: in the sealed bytes.
    pub fn ask(&self, call: &Call<'_>, op: Op, offset: Option<u64>) -> Ask {
        let id = self.id.as_deref().unwrap_or_default();
        let offset = offset.map(|offset| format!(",fileOffset={offset}"));
        let target = format!(
            "{}/{}(uploadId=guid'{id}'{}){}",
            self.before,
            op.name(),
            offset.unwrap_or_default(),
            self.query
        );
        Ask::from_client(call).to(target)
    }

    /// The request that sends sealed bytes from there on.
    pub fn send(&self, call: &Call<'_>, offset: u64) -> Ask {
        let offset = (!self.op.starts()).then_some(offset);
        self.ask(call, self.op, offset)
            .header(CONTENT_TYPE, "application/octet-stream")
    }
}

fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// # Errors
/// No GUID.
pub(super) fn guid(text: &str) -> Result<String, Refusal> {
    let braced = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let bare: Vec<u8> = braced
        .unwrap_or(text)
        .bytes()
        .filter(|b| *b != b'-')
        .collect();
    let digits = String::from_utf8(bare)
        .unwrap_or_default()
        .to_ascii_lowercase();
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(rest::ambiguous());
    }
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    Ok(parts.map(|part| &digits[part]).join("-"))
}

/// The interface of one session.
#[derive(Clone)]
pub(super) enum Way {
    Ranges(&'static Rules),
    Chunks(Chunk),
}

impl Way {
    /// Every request but the last holds a multiple of this.
    pub fn unit(&self) -> u64 {
        match self {
            Self::Ranges(rules) => rules.unit,
            Self::Chunks(_) => 1,
        }
    }

    /// The longest request.
    pub fn limit(&self) -> u64 {
        match self {
            Self::Ranges(rules) => rules.limit,
            Self::Chunks(_) => u64::MAX,
        }
    }

    /// A request for a range of the sealed bytes, its end excluded. `whole`: how many there are in all, where that is
    /// known. The address of ranges proves who asks; a credential is refused there.
    ///
    /// # Errors
    /// The length is not known, and must be told.
    pub fn piece(
        &self,
        call: &Call<'_>,
        range: &Range<u64>,
        whole: Option<u64>,
    ) -> Result<Ask, Refusal> {
        match self {
            Self::Ranges(_) => {
                let whole = whole.ok_or_else(|| Refusal::new(&TOO_LARGE))?;
                let value = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                Ok(Ask::at(Method::PUT, &call.address())
                    .header(CONTENT_RANGE, &value)
                    .header(CONTENT_TYPE, "application/octet-stream"))
            }
            Self::Chunks(chunk) => Ok(chunk.send(call, range.start)),
        }
    }

    /// Asks where the session stands.
    pub fn status(&self, call: &Call<'_>) -> Ask {
        match self {
            Self::Ranges(_) => Ask::at(Method::GET, &call.address()),
            Self::Chunks(chunk) => chunk.ask(call, Op::Status, None),
        }
    }

    pub fn cancel(&self, call: &Call<'_>) -> Ask {
        match self {
            Self::Ranges(_) => Ask::at(Method::DELETE, &call.address()),
            Self::Chunks(chunk) => chunk.ask(call, Op::Cancel, None),
        }
    }

    /// Whether an answer says that bytes were taken and others are waited for.
    pub fn goes_on(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let says = match self {
            Self::Ranges(rules) => rules.more.contains(&status),
            Self::Chunks(chunk) => status == StatusCode::OK && chunk.op != Op::Finish,
        };
        says && is_json(headers)
    }

    /// Whether an answer says that the bytes are there. `last`: of all.
    pub fn taken(&self, status: StatusCode, last: bool) -> bool {
        // a name that was taken meanwhile is said once all bytes are there
        let item = matches!(self, Self::Ranges(rules) if !rules.attaches);
        status.is_success() || item && last && status == StatusCode::CONFLICT
    }

    /// What a document about the session says.
    ///
    /// # Errors
    /// It is no such document.
    pub fn expected(&self, document: &[u8]) -> Result<Expected, Refusal> {
        match self {
            Self::Ranges(_) => ranges::expected(document),
            Self::Chunks(_) => counted(document),
        }
    }

    /// The document with places of the plaintext.
    ///
    /// # Errors
    /// It is malformed.
    pub fn shown(
        &self,
        document: &[u8],
        next: u64,
        total: Option<u64>,
    ) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Ranges(_) => ranges::shown(document, next, total),
            Self::Chunks(_) => shown(document, next),
        }
    }
}

static COUNTS: LazyLock<Option<Paths>> = LazyLock::new(|| {
    let counts = ["$.value", "$.d.StartUpload", "$.d.ContinueUpload"];
    let counts: Result<Vec<Path>, String> = counts.iter().map(|text| Path::parse(text)).collect();
    let mut picked = counts.ok()?;
    picked.push(Path::below(EXPECTED));
    Paths::new(&picked, &[Path::parse("$").ok()?])
});

fn malformed() -> Refusal {
    Refusal::new(&UPSTREAM_INVALID)
        .message("The provider does not say clearly what it has of the upload.")
}

/// Each count in the document, with what stands in its place.
fn each(document: &[u8], mut replace: impl FnMut(u64) -> Option<u64>) -> Result<Vec<u8>, Refusal> {
    let paths = COUNTS.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    let mut wrong = false;
    let rewritten = json::rewrite::<Wrong>(document, paths, |picked| {
        let (text, quote) = match &picked.value {
            json::Value::Text(text) => (text.as_ref(), "\""),
            json::Value::Number(text) => (*text, ""),
            _ => return Ok(None),
        };
        // a range may be open at its end
        let (digits, rest) = match text.split_once('-') {
            Some((digits, _)) => (digits, "-"),
            None => (text, ""),
        };
        let Some(count) = number(digits) else {
            wrong = true;
            return Ok(None);
        };
        Ok(replace(count).map(|count| format!("{quote}{count}{rest}{quote}")))
    });
    let rewritten = rewritten.map_err(|wrong| malformed().cause(wrong.to_string()))?;
    match wrong {
        true => Err(malformed()),
        false => Ok(rewritten),
    }
}

fn counted(document: &[u8]) -> Result<Expected, Refusal> {
    let mut found = Vec::new();
    each(document, |count| {
        found.push(count);
        None
    })?;
    match found[..] {
        [] => Ok(Expected::Untold),
        [count] => Ok(Expected::From(count)),
        _ => Err(malformed()),
    }
}

fn shown(document: &[u8], next: u64) -> Result<Vec<u8>, Refusal> {
    each(document, |_| Some(next))
}

/// The answer to a chunk of which the provider need not be told, in the form that the client asked for.
pub(super) fn told(op: Op, next: u64, accept: &str) -> Vec<u8> {
    let document = match rest::is_verbose(accept) {
        true => serde_json::json!({"d": {op.name(): next.to_string()}}),
        false => serde_json::json!({"value": next.to_string()}),
    };
    Value::to_string(&document).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d-0000-1111-2222-333344445555";

    #[test]
    fn every_spelling_is_one_upload() {
        for tail in [
            "ContinueUpload(uploadId=guid'0A1B2C3D-0000-1111-2222-333344445555',fileOffset=70)",
            "continueupload(uploadID='0a1b2c3d-0000-1111-2222-333344445555', fileOffset='70')",
            "ContinueUpload(fileOffset=70L,uploadId=guid%270a1b2c3d-0000-1111-2222-333344445555%27)",
            "continueUpload(guid'{0a1b2c3d-0000-1111-2222-333344445555}',70)",
            "ContinueUpload(uploadId=0a1b2c3d000011112222333344445555,fileOffset=70)/",
            "ContinueUpload(uploadId=@i,fileOffset=@o)?@i=guid'0a1b2c3d-0000-1111-2222-333344445555'&@o=70",
        ] {
            let target = format!("/sites/s/_api/web/GetFileByServerRelativeUrl('/a')/{tail}");
            let chunk = Chunk::read(&target).unwrap();
            assert_eq!((chunk.op, chunk.offset), (Op::Continue, Some(70)), "{tail}");
            assert_eq!((chunk.id.as_deref(), &*chunk.file), (Some(ID), "/a"));
            assert_eq!(
                chunk.before,
                "/sites/s/_api/web/GetFileByServerRelativeUrl('/a')"
            );
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for tail in [
            "ContinueUpload(uploadId=guid'0a1b2c3d',fileOffset=70)",
            "ContinueUpload(uploadId=guid'0a1b2c3d-0000-1111-2222-333344445555',fileOffset=-1)",
            "ContinueUpload(uploadId=guid'0a1b2c3d-0000-1111-2222-333344445555',fileOffset=1,fileOffset=2)",
            "ContinueUpload(uploadId=guid'0a1b2c3d-0000-1111-2222-333344445555',fileOffset=1,more=2)",
            "ContinueUpload(uploadId=@i,fileOffset=1)?@i=1&@i=2",
            "ContinueUpload(uploadId='0a1b2c3d-0000-1111-2222-333344445555',fileOffset=99999999999999999999)",
        ] {
            let target = format!("/_api/web/GetFileById('1')/{tail}");
            assert!(Chunk::read(&target).is_err(), "{tail}");
        }
        let hidden = "/_api/web/GetFileById('1')%2FStartUpload(uploadId='0a1b2c3d-0000-1111-2222-333344445555')";
        assert!(Chunk::read(hidden).is_err());
    }

    #[test]
    fn counts_are_replaced_in_the_providers_form() {
        for (document, want) in [
            (
                r#"{"d":{"StartUpload":"1144"}}"#,
                r#"{"d":{"StartUpload":"1000"}}"#,
            ),
            (
                r#"{"odata.metadata":"x","value" : "1144"}"#,
                r#"{"odata.metadata":"x","value" : "1000"}"#,
            ),
            (r#"{"value":1144}"#, r#"{"value":1000}"#),
            (
                r#"{"d":{"ExpectedContentRange":"1144-","UploadId":"x"}}"#,
                r#"{"d":{"ExpectedContentRange":"1000-","UploadId":"x"}}"#,
            ),
        ] {
            assert_eq!(counted(document.as_bytes()).unwrap(), Expected::From(1144));
            let text = String::from_utf8(shown(document.as_bytes(), 1000).unwrap()).unwrap();
            assert_eq!(text, want);
        }
        assert_eq!(
            counted(br#"{"d":{"Length":"0"}}"#).unwrap(),
            Expected::Untold
        );
        for wrong in [
            r#"{"value":"x"}"#,
            "x",
            r#"{"value":1,"d":{"StartUpload":2}}"#,
        ] {
            assert!(counted(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_gateways_own_answer_has_the_form_that_was_asked_for() {
        let verbose = told(Op::Continue, 7, "application/json; odata=verbose");
        assert_eq!(verbose, br#"{"d":{"ContinueUpload":"7"}}"#);
        assert_eq!(told(Op::Start, 7, ""), br#"{"value":"7"}"#);
    }
}
