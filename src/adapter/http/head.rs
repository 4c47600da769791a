//! Heads of requests and answers: what passes, and under which host's name.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN,
    REFERER, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::leading::unreported;
use super::settings::Settings;

/// Fields of a request that pass as they are; the service file names others.
const SENT: [&str; 22] = [
    "accept",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "cookie",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "last-event-id",
    "pragma",
    "prefer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "upgrade-insecure-requests",
    "user-agent",
    "x-csrf-token",
    "x-requested-with",
];

/// Fields that a service file can't name: they frame the message, or the gateway writes them.
pub const RESERVED: [&str; 29] = [
    "accept-encoding",
    "alt-svc",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-type",
    "digest",
    "content-digest",
    "repr-digest",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields of an answer that do not pass: the connection's own, digests of what is not what the client gets, what
/// would lead past the gateway, and what makes a server in front of the gateway answer with a file of its own.
const WITHHELD: [&str; 14] = [
    "alt-svc",
    "content-encoding",
    "content-length",
    "accept-ranges",
    "connection",
    "expect-ct",
    "nel",
    "report-to",
    "reporting-endpoints",
    "content-security-policy-report-only",
    "x-accel-redirect",
    "x-lighttpd-send-file",
    "x-reproxy-url",
    "x-sendfile",
];

/// Fields of an answer in which the provider's own address becomes the gateway's.
const RENAMED: [&str; 5] = [
    "access-control-allow-origin",
    "content-location",
    "link",
    "location",
    "refresh",
];

/// The two names of one service.
pub(super) struct Names<'a> {
    /// `https://host[:port]`, as clients know it.
    gateway: String,
    /// `scheme://host[:port]`, and the host with and without port.
    provider: String,
    authority: &'a str,
    hosts: &'a [String],
    origins: &'a [String],
}

impl<'a> Names<'a> {
    /// `host`: the authority that the client asked for.
    pub fn new(settings: &'a Settings, host: &str) -> Self {
        let upstream = &settings.upstream;
        let scheme = if upstream.tls { "https" } else { "http" };
        Self {
            gateway: format!("https://{host}"),
            provider: format!("{scheme}://{}", upstream.authority),
            authority: &upstream.authority,
            hosts: &settings.hosts,
            origins: &settings.origins,
        }
    }

    /// The head of the request to the provider. `named`: further fields that pass.
    pub fn outward(&self, from: &HeaderMap, named: &[HeaderName]) -> HeaderMap {
        let mut out = HeaderMap::with_capacity(from.len() + 2);
        let usual = SENT.iter().map(|name| HeaderName::from_static(name));
        for name in usual.chain(named.iter().cloned()) {
            if name == COOKIE {
                if let Some(value) = crate::adapter::cookie(from) {
                    out.insert(name, value);
                }
                continue;
            }
            for value in from.get_all(&name) {
                out.append(name.clone(), value.clone());
            }
        }
        if let Some(origin) = from.get(ORIGIN) {
            let own = origin.as_bytes() == self.gateway.as_bytes();
            let renamed = HeaderValue::from_str(&self.provider);
            out.insert(
                ORIGIN,
                if own {
                    renamed.unwrap_or_else(|_| origin.clone())
                } else {
                    origin.clone()
                },
            );
        }
        // the page's path and query can hold what a person typed
        if from.contains_key(REFERER)
            && let Ok(value) = HeaderValue::try_from(format!("{}/", self.provider))
        {
            out.insert(REFERER, value);
        }
        out.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Ok(host) = HeaderValue::from_str(self.authority) {
            out.insert(HOST, host);
        }
        out
    }

    /// The head of the answer to the client, without the body's length.
    pub fn inward(&self, from: &HeaderMap) -> HeaderMap {
        let nominated: Vec<String> = from
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        let mut out = HeaderMap::with_capacity(from.len());
        for (name, value) in from {
            let framing = RESERVED.contains(&name.as_str()) && *name != CONTENT_TYPE;
            if framing
                || WITHHELD.contains(&name.as_str())
                || nominated.iter().any(|n| n == name.as_str())
            {
                continue;
            }
            let value = match (name, value.to_str()) {
                (name, Ok(text)) if *name == CONTENT_SECURITY_POLICY => {
                    HeaderValue::try_from(self.renamed(&unreported(text)))
                }
                (name, Ok(text)) if RENAMED.contains(&name.as_str()) => {
                    HeaderValue::try_from(self.renamed(text))
                }
                (name, Ok(text)) if *name == SET_COOKIE => {
                    HeaderValue::try_from(Self::cookie(text))
                }
                _ => Ok(value.clone()),
            };
            if let Ok(value) = value {
                out.append(name.clone(), value);
            }
        }
        out
    }

    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// What URLs that lead to the service begin with: as the client called it, or another of its hosts at the same port.
    pub fn origins_here(&self) -> impl Iterator<Item = String> {
        let asked = &self.gateway["https://".len()..];
        let port = asked.rfind(':').filter(|at| !asked[*at..].contains(']'));
        let port = port.map_or("", |at| &asked[at..]);
        let others = self.hosts.iter().map(move |host| format!("{host}{port}"));
        std::iter::once(asked.to_owned())
            .chain(others)
            .flat_map(|host| ["https", "wss"].map(|scheme| format!("{scheme}://{host}")))
    }

    /// Of pages that may read answers, beside the gateway's own.
    pub fn origins(&self) -> &[String] {
        self.origins
    }

    /// The provider's address, wherever it stands, becomes the gateway's.
    pub fn renamed(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(self.authority) {
            let (before, found) = rest.split_at(at);
            let after = &found[self.authority.len()..];
            let schemes = ["https://", "http://", "wss://", "ws://", "//"];
            let scheme = schemes.iter().find(|scheme| before.ends_with(**scheme));
            match scheme {
                Some(scheme) if ends_host(after) => {
                    out.push_str(&before[..before.len() - scheme.len()]);
                    if scheme.starts_with("ws") {
                        out.push_str("wss://");
                        out.push_str(&self.gateway["https://".len()..]);
                    } else {
                        out.push_str(&self.gateway);
                    }
                }
                _ => {
                    out.push_str(before);
                    out.push_str(self.authority);
                }
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// A cookie is the gateway's host's alone, not that of others under its domain.
    fn cookie(text: &str) -> String {
        let domain = |attribute: &&str| {
            let name = attribute.split('=').next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case("domain")
        };
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let kept = attributes
            .split(';')
            .filter(|one| !domain(one) && !one.is_empty());
        let parts: Vec<&str> = std::iter::once(pair).chain(kept).collect();
        parts.join(";")
    }
}

/// Whether a host name that stands before `rest` is complete.
fn ends_host(rest: &str) -> bool {
    !rest.starts_with(|c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '@' | '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::http::tests::settings;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn only_named_fields_go_out_and_under_the_providers_name() {
        let settings = settings();
        let names = Names::new(&settings, "chat.example.fr");
        let from = map(&[
            ("authorization", "Bearer x"),
            ("x-secret", "plaintext"),
            ("x-mine", "1"),
            ("connection", "x-mine"),
            ("origin", "https://chat.example.fr"),
            ("referer", "https://chat.example.fr/search?q=secret"),
            ("accept-encoding", "gzip"),
            ("host", "chat.example.fr"),
            ("content-md5", "x"),
        ]);
        let out = names.outward(&from, &[HeaderName::from_static("x-mine")]);
        assert_eq!(out["authorization"], "Bearer x");
        assert_eq!(out["x-mine"], "1");
        assert_eq!(out["origin"], "https://chat.example.net");
        assert_eq!(out["referer"], "https://chat.example.net/");
        assert_eq!(out["accept-encoding"], "identity");
        assert_eq!(out["host"], "chat.example.net");
        assert_eq!(out.len(), 6);
        let foreign = names.outward(&map(&[("origin", "https://evil.example")]), &[]);
        assert_eq!(foreign["origin"], "https://evil.example");
    }

    #[test]
    fn the_providers_name_does_not_come_back() {
        let settings = settings();
        let names = Names::new(&settings, "chat.example.fr:8443");
        let from = map(&[
            ("location", "https://chat.example.net/a?b"),
            (
                "link",
                "<https://chat.example.net/p>; rel=next, <http://chat.example.net>",
            ),
            (
                "content-security-policy",
                "connect-src wss://chat.example.net https://chat.example.net.evil.org; report-uri https://evil.example",
            ),
            (
                "set-cookie",
                "s=1; Domain=.example.net; Secure; domain=example.fr",
            ),
            ("nel", "{\"report_to\":\"a\"}"),
            ("x-accel-redirect", "/etc/passwd"),
            ("alt-svc", "h3=\":443\""),
            ("content-length", "3"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-type", "text/plain"),
            ("x-kept", "chat.example.net"),
        ]);
        let out = names.inward(&from);
        assert_eq!(out["location"], "https://chat.example.fr:8443/a?b");
        assert_eq!(
            out["link"],
            "<https://chat.example.fr:8443/p>; rel=next, <https://chat.example.fr:8443>"
        );
        assert_eq!(
            out["content-security-policy"],
            "connect-src wss://chat.example.fr:8443 https://chat.example.net.evil.org"
        );
        assert_eq!(out["set-cookie"], "s=1; Secure");
        assert_eq!(out["content-type"], "text/plain");
        assert_eq!(out.len(), 6);
    }
}
