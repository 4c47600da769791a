//! Attachments that are too long for a document go up in sessions, at Outlook's own host (Microsoft Graph, "Attach large
//! files to Outlook messages or events"). A session's fragments are those of files; only its beginning differs.

use std::sync::LazyLock;

use http::Response;

use super::Graph;
use super::pieces::Sealing;
use super::shape::{ATTACHED, FILE_NAME, quoted};
use crate::adapter::graph::{Call, DOCUMENT};
use crate::adapter::json::{self, Path, Paths, Value};
use crate::body::{Plain, Released};
use crate::error::{INTERNAL, PROTOCOL, Refusal, TOO_LARGE};
use crate::policy::DocumentPermit;
use crate::seal::{SaltSource, layout};

/// The longest attachment that the service takes, in sealed bytes.
const LONGEST: u64 = 150 << 20;

/// Lengths at even places, names at odd ones.
const PICKED: [&str; 4] = [
    "$.AttachmentItem.size",
    "$.AttachmentItem.name",
    "$.attachmentItem.size",
    "$.attachmentItem.name",
];

/// What a client may say of the attachment that a session is to make.
static BEGIN: LazyLock<Option<Paths>> = LazyLock::new(|| {
    const CLEAR: [&str; 5] = [
        "attachmentType",
        "contentId",
        "contentType",
        "isInline",
        "['@odata.type']",
    ];
    let mut clear = Vec::new();
    for item in ["$.AttachmentItem", "$.attachmentItem"] {
        for name in CLEAR {
            let dot = if name.starts_with('[') { "" } else { "." };
            clear.push(Path::parse(&format!("{item}{dot}{name}")).ok()?);
        }
    }
    let picked: Option<Vec<Path>> = PICKED.iter().map(|text| Path::parse(text).ok()).collect();
    Some(Paths::new(picked?.iter(), &clear)?.guarded())
});

impl Graph {
    pub(super) async fn attachment_session(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = body.collect(DOCUMENT).await?;
        self.check_attached(call, 2).await?;
        let keys = self.current()?;
        let salt = || self.draw(call, SaltSource::salt);
        let sealing = Sealing {
            keys: &keys,
            context: &self.context,
            salt: &salt,
        };
        let name = |name: &str| match self.settings.subjects {
            true => sealing.line(ATTACHED, name, FILE_NAME).map(Some),
            false => Ok(None),
        };
        let begun = begun(&document, &name)?;
        self.begin_session(call, permit, Some(begun)).await
    }
}

/// The client's document with the length that the file has at the provider, and with what `name` makes of its name.
fn begun(
    document: &[u8],
    name: &dyn Fn(&str) -> Result<Option<String>, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let paths = BEGIN.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    let mut told = false;
    let begun = json::rewrite::<Refusal>(document, paths, |picked| match picked.value {
        Value::Number(text) if picked.path.is_multiple_of(2) => {
            told = true;
            let length = text.parse().ok().and_then(layout::sealed_len);
            match length.filter(|length| *length <= LONGEST) {
                Some(length) => Ok(Some(length.to_string())),
                None => Err(Refusal::new(&TOO_LARGE)
                    .message("An attachment holds at most 150 MB once it is sealed.")),
            }
        }
        Value::Text(text) if !picked.path.is_multiple_of(2) => {
            Ok(name(&text)?.map(|sealed| quoted(&sealed)))
        }
        _ => Err(Refusal::new(&PROTOCOL)
            .message("An attachment has a `size`, which is a number, and a `name`.")),
    })?;
    match told {
        true => Ok(begun),
        false => Err(Refusal::new(&PROTOCOL).message("The attachment's `size` is missing.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_told_the_sealed_length_and_name() {
        let name = |name: &str| Ok(Some(format!("sealed {}", name.len())));
        let text = r#"{"AttachmentItem": {"attachmentType": "file", "name": "secret", "size": 3500000, "isInline":false}}"#;
        let sent = String::from_utf8(begun(text.as_bytes(), &name).unwrap()).unwrap();
        let want = text.replace("secret", "sealed 6").replace(
            "3500000",
            &layout::sealed_len(3_500_000).unwrap().to_string(),
        );
        assert_eq!(sent, want);
        assert!(begun(text.replace("Att", "att").as_bytes(), &name).is_ok());
        let kept = begun(text.as_bytes(), &|_| Ok(None)).unwrap();
        assert!(String::from_utf8(kept).unwrap().contains("secret"));
        for (from, to) in [
            ("3500000", "\"3500000\""),
            ("3500000", "157286400"),
            ("3500000", "-1"),
            ("\"secret\"", "7"),
            ("\"name\"", "\"Name\""),
            ("\"size\": 3500000, ", ""),
            ("\"AttachmentItem\"", "\"ATTACHMENTITEM\""),
        ] {
            let wrong = text.replace(from, to);
            assert!(begun(wrong.as_bytes(), &name).is_err(), "{wrong}");
        }
    }
}
