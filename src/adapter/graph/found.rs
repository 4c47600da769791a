//! What a document tells of a file, and the keys under which it does.

use std::ops::Range;

/// Offsets in the document.
pub(super) type Span = Range<u64>;

/// A file in the document.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Of the number.
    pub size: Option<(Span, u64)>,
    /// Of the `hashes` object.
    pub hashes: Option<Span>,
    pub id: Option<String>,
    pub ctag: Option<String>,
    pub etag: Option<String>,
    pub drive: Option<String>,
    pub download: Option<String>,
    /// The size is written as text.
    pub quoted: bool,
}

impl Found {
    pub fn first(&self) -> Option<u64> {
        let size = self.size.as_ref().map(|(span, _)| span.start);
        let hashes = self.hashes.as_ref().map(|span| span.start);
        size.into_iter().chain(hashes).min()
    }
}

/// What a document lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Items, wherever they stand; those with a `file` member are files.
    Items,
    /// Versions of a file.
    Versions,
    /// Files of SharePoint's own interface, which have a `Length`, as text.
    Rest,
}

/// The keys that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Size,
    Length,
    File,
    Folder,
    Hashes,
    Id,
    CTag,
    ETag,
    Parent,
    Drive,
    Value,
    Download,
    Other,
}

impl Key {
    pub fn of(text: &[u8]) -> Self {
        match text {
            b"size" => Self::Size,
            b"Length" => Self::Length,
            b"file" => Self::File,
            b"folder" | b"package" | b"bundle" => Self::Folder,
            b"hashes" => Self::Hashes,
            b"id" => Self::Id,
            b"cTag" => Self::CTag,
            b"eTag" => Self::ETag,
            b"parentReference" => Self::Parent,
            b"driveId" => Self::Drive,
            b"value" => Self::Value,
            b"@microsoft.graph.downloadUrl" | b"@content.downloadUrl" => Self::Download,
            _ => Self::Other,
        }
    }

    /// Whether its text is wanted, so that it must be held until it is whole.
    pub fn named(self) -> bool {
        matches!(
            self,
            Self::Length | Self::Id | Self::CTag | Self::ETag | Self::Drive | Self::Download
        )
    }
}
