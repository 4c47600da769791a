//! Listings of objects and versions: sizes and ETags are changed in place, all else stays byte for byte.

use bytes::Bytes;

use super::responses::{is_url_encoded, key};
use super::{Edits, Element, Malformed, parse};

/// One object or version of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Decoded.
    pub key: String,
    pub version: Option<String>,
    /// Of the stored bytes.
    pub size: u64,
    /// The provider's, without quotes.
    pub etag: Option<String>,
}

/// What a client is shown of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Of the plaintext.
    pub size: u64,
    /// Without quotes; `None` leaves the provider's.
    pub etag: Option<String>,
}

/// A `ListBucketResult` or `ListVersionsResult`. ETags have to be looked up elsewhere, so it is two steps: read the
/// entries, then write them changed.
#[derive(Debug)]
pub struct Listing {
    input: Bytes,
    size_max: usize,
    entries: Vec<Entry>,
}

/// Elements that tell of the stored bytes, not of the plaintext.
const DROPPED: [&str; 2] = ["ChecksumAlgorithm", "ChecksumType"];

fn is_entry(element: &Element<'_>) -> bool {
    matches!(element.name, "Contents" | "Version")
}

impl Listing {
    /// # Errors
    /// It is no listing, or an entry lacks its key or size.
    pub fn parse(input: Bytes, size_max: usize) -> Result<Self, Malformed> {
        let root = parse(&input, size_max)?;
        if !matches!(root.name, "ListBucketResult" | "ListVersionsResult") {
            return Err(Malformed("the provider's document is no listing"));
        }
        let encoded = is_url_encoded(&root);
        let mut entries = Vec::new();
        for element in root.children().iter().filter(|child| is_entry(child)) {
            let size = element
                .only("Size")?
                .text()
                .trim()
                .parse()
                .map_err(|_| Malformed("a size is malformed"))?;
            entries.push(Entry {
                key: key(element.only("Key")?.text(), encoded)?,
                version: element.text_of("VersionId").map(str::to_owned),
                size,
                etag: element
                    .text_of("ETag")
                    .map(|etag| etag.trim().trim_matches('"').to_owned()),
            });
        }
        drop(root);
        Ok(Self {
            input,
            size_max,
            entries,
        })
    }

    /// In the document's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The document as the client gets it. `shown` is in the order of [`Listing::entries`].
    ///
    /// # Errors
    /// There are more or fewer of `shown` than entries: nothing is guessed.
    pub fn rewrite(&self, shown: &[Shown]) -> Result<Bytes, Malformed> {
        if shown.len() != self.entries.len() {
            return Err(Malformed("the entries of a listing don't match"));
        }
        let root = parse(&self.input, self.size_max)?;
        let mut edits = Edits::new(&self.input);
        let elements = root.children().iter().filter(|child| is_entry(child));
        for (element, shown) in elements.zip(shown) {
            edits.set_text(element.only("Size")?, &shown.size.to_string());
            if let (Some(etag), Some(text)) = (element.child("ETag"), &shown.etag) {
                edits.set_text(etag, &format!("\"{text}\""));
            }
            for child in element
                .children()
                .iter()
                .filter(|child| DROPPED.contains(&child.name))
            {
                edits.remove(child);
            }
        }
        Ok(Bytes::from(edits.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    const OBJECTS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><EncodingType>url</EncodingType>\
        <KeyCount>2</KeyCount>\n\
        <Contents><Key>a%2B+1</Key><LastModified>t</LastModified><ETag>&quot;e1&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>\
        <ChecksumType>FULL_OBJECT</ChecksumType><Size>1000</Size><Owner><ID>o</ID></Owner></Contents>\
        <Contents><Key>b</Key><ETag>\"e2\"</ETag><Size>0</Size></Contents>\
        <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>";

    #[test]
    fn sizes_and_etags_change_and_nothing_else() {
        let listing = Listing::parse(Bytes::from_static(OBJECTS.as_bytes()), SIZE).unwrap();
        assert_eq!(listing.entries()[0].key, "a+ 1");
        assert_eq!(listing.entries()[0].size, 1000);
        assert_eq!(listing.entries()[0].etag.as_deref(), Some("e1"));
        let shown = [
            Shown {
                size: 900,
                etag: Some("c1-2".into()),
            },
            Shown {
                size: 0,
                etag: None,
            },
        ];
        let expected = OBJECTS
            .replace("&quot;e1&quot;", "&quot;c1-2&quot;")
            .replace("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", "")
            .replace("<ChecksumType>FULL_OBJECT</ChecksumType>", "")
            .replace("<Size>1000<", "<Size>900<");
        assert_eq!(listing.rewrite(&shown).unwrap(), expected);
        assert!(listing.rewrite(&shown[..1]).is_err());
        assert!(listing.rewrite(&[]).is_err());
    }

    #[test]
    fn versions_and_delete_markers() {
        let document = "<ListVersionsResult><Version><Key>k</Key><VersionId>v</VersionId><Size>7</Size><ETag/></Version>\
                        <DeleteMarker><Key>k</Key><VersionId>d</VersionId></DeleteMarker></ListVersionsResult>";
        let listing = Listing::parse(Bytes::from_static(document.as_bytes()), SIZE).unwrap();
        assert_eq!(listing.entries().len(), 1);
        assert_eq!(listing.entries()[0].version.as_deref(), Some("v"));
        let changed = listing
            .rewrite(&[Shown {
                size: 3,
                etag: Some("e".into()),
            }])
            .unwrap();
        let expected = document
            .replace("<Size>7<", "<Size>3<")
            .replace("<ETag/>", "<ETag>&quot;e&quot;</ETag>");
        assert_eq!(changed, expected);
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for bad in [
            "<Error/>",
            "<ListBucketResult>",
            "<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>k</Key><Size>x</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>k</Key><Size>1</Size><Size>2</Size></Contents></ListBucketResult>",
            "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%</Key><Size>1</Size></Contents></ListBucketResult>",
        ] {
            assert!(
                Listing::parse(Bytes::from_static(bad.as_bytes()), SIZE).is_err(),
                "{bad}"
            );
        }
    }
}
