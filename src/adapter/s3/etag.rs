//! Entity tags. The provider's tag is a digest of ciphertext; a client that is shown 32 hex digits takes them for the
//! plaintext's MD5 and refuses the object. So `hex32` is shown as `hex32-0` (a form no store makes), reversibly;
//! tags that hold a dash already pass unchanged, unless the state keeps an alias.

/// What the client is shown for the provider's tag. Both are without quotes.
pub fn to_client(upstream: &str) -> String {
    if is_md5(upstream) {
        format!("{upstream}-0")
    } else {
        upstream.to_owned()
    }
}

/// The provider's tag that [`to_client`] made this of; a tag of another form passes unchanged.
pub fn to_upstream(client: &str) -> &str {
    match client.strip_suffix("-0") {
        Some(digest) if is_md5(digest) => digest,
        _ => client,
    }
}

/// Whether the tag has the form of a plain MD5, as a single PUT's has.
pub fn is_md5(tag: &str) -> bool {
    tag.len() == 32 && tag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Takes the quotes (and a weak mark) off.
pub fn unquote(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(tag)
}

pub fn quote(tag: &str) -> String {
    format!("\"{tag}\"")
}

/// An object's tag, without quotes: the provider's, and what clients are shown for it.
#[derive(Debug, Clone, Copy)]
pub struct Tags<'a> {
    pub upstream: &'a str,
    pub client: &'a str,
}

impl Tags<'_> {
    /// Whether an `If-Match` or `If-None-Match` list names the object (RFC 9110 section 13.1). Clients may hold
    /// another form than the one that is shown now: from a listing before an alias was lost, say.
    pub fn listed(&self, list: &str) -> bool {
        list.split(',').any(|item| {
            let item = unquote(item);
            item == "*" || item == self.client || to_upstream(item) == self.upstream
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn a_plain_md5_is_never_shown() {
        let shown = to_client(MD5);
        assert!(shown.contains('-'));
        assert_eq!(to_upstream(&shown), MD5);
    }

    #[test]
    fn other_forms_pass_both_ways() {
        for tag in ["d41d8cd98f00b204e9800998ecf8427e-12", "abc", "x-0"] {
            assert_eq!(to_client(tag), tag);
            assert_eq!(to_upstream(tag), tag);
        }
    }

    #[test]
    fn lists_match_quoted_weak_and_star() {
        let tags = Tags {
            upstream: MD5,
            client: "b",
        };
        assert!(tags.listed("\"a\", W/\"b\""));
        assert!(tags.listed("*"));
        assert!(!tags.listed("\"a\""));
        assert!(tags.listed(&quote(MD5)));
        assert!(tags.listed(&quote(&to_client(MD5))));
    }
}
