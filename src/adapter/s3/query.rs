//! The query of a request, decoded once.

use super::address::{decode, encode_query};
use super::error::{INVALID_REQUEST, S3Error};

/// Most parameters that a request may carry.
const PARAMETERS_MAX: usize = 128;

/// Decoded parameters, in the order received. No name occurs twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// `raw` is what follows the `?`. A raw `+` means a space, as S3 reads it.
    ///
    /// # Errors
    /// `InvalidURI` for a bad escape, `InvalidRequest` for a name given twice or too many of them: which one counts
    /// would be a guess that upstream may make otherwise.
    pub fn parse(raw: Option<&str>) -> Result<Self, S3Error> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let Some(raw) = raw else {
            return Ok(Self { pairs });
        };
        for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decode_plus(name)?;
            if pairs.len() == PARAMETERS_MAX || pairs.iter().any(|(known, _)| *known == name) {
                return Err(S3Error::with(
                    &INVALID_REQUEST,
                    "A query parameter is given more than once, or there are too many.",
                ));
            }
            pairs.push((name, decode_plus(value)?));
        }
        Ok(Self { pairs })
    }

    /// The decoded value; empty for a bare name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// An integer of a listing's query, such as `max-keys`; `None` when it is absent.
    ///
    /// # Errors
    /// `InvalidArgument` when it is no integer from 0 to 2^31-1.
    pub fn count(&self, name: &'static str) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse::<i32>().ok().and_then(|n| u32::try_from(n).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(S3Error::argument(
                name,
                text,
                format!("Provided {name} not an integer or within integer range"),
            )),
        }
    }

    /// Refuses an empty `uploadId`, which SDKs send when a variable is unset.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn upload_id(&self) -> Result<&str, S3Error> {
        match self.get("uploadId") {
            Some(id) if !id.is_empty() => Ok(id),
            _ => Err(S3Error::with(
                &INVALID_REQUEST,
                "The upload id is missing or empty.",
            )),
        }
    }

    /// The query to send upstream: everything but what the client's signature brought along and SDK tags.
    pub fn for_upstream(&self) -> String {
        let mut out = String::new();
        for (name, value) in self.iter().filter(|(name, _)| !tolerated(name)) {
            push(&mut out, name, value);
        }
        out
    }

    /// The canonical query of SigV4, without the parameter named `without`.
    pub fn canonical(&self, without: Option<&str>) -> String {
        let mut encoded: Vec<(String, String)> = self
            .iter()
            .filter(|(name, _)| Some(*name) != without)
            .map(|(name, value)| (encoded(name), encoded(value)))
            .collect();
        encoded.sort_unstable();
        let mut out = String::with_capacity(64);
        for (name, value) in &encoded {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(name);
            out.push('=');
            out.push_str(value);
        }
        out
    }
}

/// Whether a parameter belongs to any operation: the presigned form's own, hoisted headers, the SDKs' `x-id`, and
/// those of SigV2, which the signature check refuses with a better reason.
pub fn tolerated(name: &str) -> bool {
    has_amz_prefix(name) || matches!(name, "x-id" | "AWSAccessKeyId" | "Signature" | "Expires")
}

/// Whether the name begins with `x-amz-` in any case.
pub fn has_amz_prefix(name: &str) -> bool {
    name.get(..6)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-amz-"))
}

/// Appends a parameter to an encoded query; a bare name stays bare.
pub fn push(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    encode_query(name, out);
    if !value.is_empty() {
        out.push('=');
        encode_query(value, out);
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_query(text, &mut out);
    out
}

fn decode_plus(raw: &str) -> Result<String, S3Error> {
    if raw.contains('+') {
        decode(&raw.replace('+', " "))
    } else {
        decode(raw)
    }
}

/// The part number of a query: 1 to 10,000.
///
/// # Errors
/// `InvalidArgument`.
pub fn part_number(text: &str) -> Result<u32, S3Error> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (1..=10_000).contains(&number) => Ok(number),
        _ => Err(S3Error::argument(
            "partNumber",
            text,
            "Part number must be an integer between 1 and 10000, inclusive",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_canonicalised() {
        let query = Query::parse(Some(
            "prefix=a%2Fb+c&uploads&x-id=List&b=&a=%C3%A9&X-Amz-Date=1",
        ))
        .unwrap();
        assert_eq!(query.get("prefix"), Some("a/b c"));
        assert_eq!(query.get("uploads"), Some(""));
        assert!(!query.has("nothing"));
        assert_eq!(
            query.canonical(Some("X-Amz-Date")),
            "a=%C3%A9&b=&prefix=a%2Fb%20c&uploads=&x-id=List"
        );
        assert_eq!(query.for_upstream(), "prefix=a%2Fb%20c&uploads&b&a=%C3%A9");
    }

    #[test]
    fn ambiguity_is_refused() {
        for raw in ["a=1&a=2", "a&%61", "a=%", "a=%f", "%ff=1"] {
            assert!(Query::parse(Some(raw)).is_err(), "{raw}");
        }
        let many: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
        assert!(Query::parse(Some(&many.join("&"))).is_err());
        assert_eq!(
            Query::parse(None).unwrap(),
            Query::parse(Some("&&")).unwrap()
        );
    }

    #[test]
    fn numbers() {
        let query = |raw| Query::parse(Some(raw)).unwrap();
        assert_eq!(part_number("10000").unwrap(), 10_000);
        for bad in ["", "0", "10001", "+1", "-1", "1 ", "x", "99999999999"] {
            assert!(part_number(bad).is_err(), "{bad}");
        }
        assert_eq!(query("max-keys=0").count("max-keys").unwrap(), Some(0));
        assert_eq!(query("a=0").count("max-keys").unwrap(), None);
        for bad in [
            "max-keys=",
            "max-keys=-1",
            "max-keys=2147483648",
            "max-keys=a",
        ] {
            assert!(query(bad).count("max-keys").is_err(), "{bad}");
        }
        assert!(query("uploadId=").upload_id().is_err());
    }
}
