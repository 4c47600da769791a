//! URLs in headers and documents, mapped between the gateway's host and the provider's.

use std::sync::Arc;

use http::request;

use super::long::Known;
use super::naming::Naming;
use super::upstream::{DESTINATION, text};
use crate::error::{PROTOCOL, Refusal};

/// Both ends of one request.
pub(super) struct Links {
    /// The host and port by which the client reaches the gateway, lower case.
    client: String,
    /// `https://dav.provider.example`.
    provider: String,
    /// Where names are sealed.
    naming: Option<Arc<Naming>>,
    /// Long names that the request names itself.
    long: Known,
}

/// What a URL of the provider's is to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inward {
    /// A path on the host that the client asked.
    Mapped(String),
    /// A URL of some other host.
    Foreign,
    /// No URL over HTTP at all: a lock token, say.
    Other,
}

impl Links {
    /// `authority`: what the client's request names.
    pub fn new(authority: &str, tls: bool, provider: &str, naming: Option<Arc<Naming>>) -> Self {
        Self {
            client: authority.to_ascii_lowercase(),
            provider: origin(if tls { "https" } else { "http" }, provider),
            naming,
            long: Known::new(),
        }
    }

    /// Takes up the long names of the paths that a request names.
    pub fn learn(&mut self, head: &request::Parts) {
        let Some(naming) = self.naming.clone() else {
            return;
        };
        self.long = naming.long(head.uri.path());
        let destination = text(&head.headers, DESTINATION);
        if let Some(Ok(path)) = destination.map(|url| self.own_path(url)) {
            self.long.extend(naming.long(path));
        }
    }

    /// The long names that the request names itself.
    pub fn long(&self) -> &Known {
        &self.long
    }

    /// A path that the client names, at the provider.
    ///
    /// # Errors
    /// A name that can't be sealed.
    pub fn path(&self, path: &str) -> Result<String, Refusal> {
        match &self.naming {
            Some(naming) => naming.outward(path),
            None => Ok(path.to_owned()),
        }
    }

    /// # Errors
    /// Nothing may be written at the client's path.
    pub fn writable(&self, path: &str) -> Result<(), Refusal> {
        match &self.naming {
            Some(naming) => naming.covers(path),
            None => Ok(()),
        }
    }

    /// A name that the provider shows by itself; `found`: long names beside the request's own.
    pub fn name(&self, text: &str, found: &Known) -> Option<String> {
        self.naming.as_ref()?.opened(text, &[&self.long, found])
    }

    /// A URL that a client names (`Destination`, a tag of `If`), at the provider. Its scheme does not count: TLS may
    /// end before the gateway.
    ///
    /// # Errors
    /// Another host's, or no path that [`check_path`] lets pass.
    pub fn outward(&self, url: &str) -> Result<String, Refusal> {
        let path = self.own_path(url)?;
        Ok(format!("{}{}", self.provider, self.path(path)?))
    }

    /// The path of a URL that a client names.
    ///
    /// # Errors
    /// As [`Self::outward`].
    pub fn own_path<'u>(&self, url: &'u str) -> Result<&'u str, Refusal> {
        let path = match split(url) {
            Some((scheme, authority, path)) => {
                let named = origin(scheme, authority);
                if scheme.is_empty() || named != origin(scheme, &self.client) {
                    return Err(elsewhere());
                }
                path
            }
            None => url,
        };
        check_path(path)?;
        Ok(path)
    }

    /// A URL or path of the provider's, as the client is to see it; `found`: long names beside the request's own.
    pub fn inward(&self, href: &str, found: &Known) -> Inward {
        let path = match split(href) {
            // `rclone serve webdav` doubles the first slash
            Some(("", ..)) => &href[1..],
            Some((scheme, authority, path)) if origin(scheme, authority) == self.provider => path,
            Some(_) => return Inward::Foreign,
            None if href.starts_with('/') => href,
            None => return Inward::Other,
        };
        // browsers read a backslash as a slash, and take tabs out
        if path.starts_with("//") || path.starts_with("/\\") || path.contains(char::is_control) {
            return Inward::Foreign;
        }
        Inward::Mapped(match &self.naming {
            Some(naming) => naming.inward(path, &[&self.long, found]),
            None => path.to_owned(),
        })
    }
}

fn elsewhere() -> Refusal {
    let mut refusal =
        Refusal::new(&PROTOCOL).message("The destination is not on this service's host.");
    // RFC 4918, section 9.8.5
    refusal.status = Some(502);
    refusal
}

/// Lower case, without the scheme's own port.
fn origin(scheme: &str, authority: &str) -> String {
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let own = if scheme == "http" { ":80" } else { ":443" };
    let authority = authority.strip_suffix(own).unwrap_or(&authority);
    format!("{scheme}://{authority}")
}

/// Scheme, authority, path of an absolute HTTP URL. `//host/path` counts as one, of no known scheme.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            (scheme, rest)
        }
        _ => ("", url.strip_prefix("//")?),
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    Some((scheme, authority, if path.is_empty() { "/" } else { path }))
}

/// A path as it may go to the provider: absolute, no query, no fragment, no `.` or `..` however written. Paths are
/// never repaired.
///
/// # Errors
/// Any other.
pub(super) fn check_path(path: &str) -> Result<(), Refusal> {
    let wrong = |why: &'static str| Err(Refusal::new(&PROTOCOL).message(why));
    if !path.starts_with('/') {
        return wrong("The path is not absolute.");
    }
    if path.contains(['?', '#']) {
        return wrong("A query or fragment is not allowed here.");
    }
    for segment in path.split('/') {
        let Ok(name) = percent_encoding::percent_decode_str(segment).decode_utf8() else {
            return wrong("The path is not UTF-8.");
        };
        if name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
            return wrong("The path has a segment that servers read differently.");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        Links::new("Gate.example:8443", true, "dav.provider.example", None)
    }

    #[test]
    fn a_destination_becomes_the_providers() {
        for url in [
            "https://gate.example:8443/a%20b/",
            "http://GATE.example:8443/a%20b/",
            "/a%20b/",
        ] {
            assert_eq!(
                links().outward(url).unwrap(),
                "https://dav.provider.example/a%20b/"
            );
        }
    }

    #[test]
    fn a_destination_elsewhere_is_refused() {
        for url in [
            "https://evil.example/a",
            "https://gate.example/a",
            "http://gate.example/a",
            "//gate.example:8443/a",
            "https://gate.example:8443@evil.example/a",
        ] {
            assert_eq!(links().outward(url).unwrap_err().status(), 502, "{url}");
        }
        for url in ["a", "", "/a?b", "/a/../b", "/a/%2e%2E/b", "/a%2fb", "/%ff"] {
            assert_eq!(links().outward(url).unwrap_err().status(), 400, "{url}");
        }
    }

    #[test]
    fn what_the_provider_names() {
        let links = links();
        for href in [
            "https://dav.provider.example/a/",
            "https://DAV.provider.example:443/a/",
        ] {
            assert_eq!(
                links.inward(href, &Known::new()),
                Inward::Mapped("/a/".into())
            );
        }
        assert_eq!(
            links.inward("/a/", &Known::new()),
            Inward::Mapped("/a/".into())
        );
        assert_eq!(
            links.inward("opaquelocktoken:1", &Known::new()),
            Inward::Other
        );
        assert_eq!(links.inward("mailto:a@b", &Known::new()), Inward::Other);
        assert_eq!(
            links.inward("//a", &Known::new()),
            Inward::Mapped("/a".into())
        );
        for foreign in [
            "https://other.example/a",
            "///a",
            "https://dav.provider.example//a",
        ] {
            assert_eq!(links.inward(foreign, &Known::new()), Inward::Foreign);
        }
    }
}
