//! Which service and which path a URL names, and who asks there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::app::outcome::Failure;
use crate::config::{Kind, Service};
use crate::secret::SecretBytes;

/// The service, by its place in the list, and the path, absolute. The port does not count.
pub(super) fn find(url: &str, services: &[Service]) -> Result<(usize, String), Failure> {
    let wrong = || {
        Failure::usage(format!(
            "{url}: give a URL such as https://share.example.fr/path"
        ))
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if !["https", "http"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(wrong());
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Failure::usage(
            "no user and no password belong in the URL: give --user",
        ));
    }
    if path.contains(['?', '#']) {
        return Err(wrong());
    }
    let host = authority.split(':').next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let mut numbered = services.iter().enumerate();
    let found = numbered.find(|(_, service)| service.hosts.contains(&host));
    let Some((number, service)) = found else {
        return Err(Failure::usage(format!(
            "no service is configured for the host `{host}`"
        )));
    };
    if !matches!(service.kind, Kind::WebDav(_)) {
        return Err(no_share(&service.name));
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((number, path.to_owned()))
}

pub(super) fn no_share(service: &str) -> Failure {
    Failure::usage(format!(
        "`{service}` is no WebDAV service: what lies elsewhere is sealed by sending it through the gateway"
    ))
}

/// RFC 7617, section 2.
pub(super) fn basic(user: &str, password: &SecretBytes) -> Result<HeaderValue, Failure> {
    if user.contains(':') || user.contains(char::is_control) {
        return Err(Failure::usage("--user: a name has no colon in it"));
    }
    let mut pair = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.expose().len()));
    pair.extend_from_slice(user.as_bytes());
    pair.push(b':');
    pair.extend_from_slice(password.expose());
    let coded = Zeroizing::new(STANDARD.encode(&*pair));
    let text = Zeroizing::new(format!("Basic {}", *coded));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| Failure::usage("the password can't be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}
