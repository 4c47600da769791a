//! From a TOML value to a parsed one. Errors say what is expected; they never repeat a value that could be a secret.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::de::DeValue;

/// A host, its port and whether TLS is spoken to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub tls: bool,
    /// Lower case; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// `host` or `host:port`, as the `Host` header has it.
    pub authority: String,
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn expected<T>(what: &str, value: &DeValue<'_>) -> Result<T, String> {
    Err(format!("expected {what}, found {}", found(value)))
}

fn text<'v>(value: &'v DeValue<'_>, what: &str) -> Result<&'v str, String> {
    match value {
        DeValue::String(text) => Ok(text),
        _ => expected(what, value),
    }
}

/// Any text that is not empty.
pub(super) fn string(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(value, "a string")?;
    if text.is_empty() {
        return Err("is empty".into());
    }
    Ok(text.to_owned())
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(flag) => Ok(*flag),
        _ => expected("true or false", value),
    }
}

/// A list whose items all satisfy `item`.
pub(super) fn list<T>(
    item: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> impl Fn(&DeValue<'_>) -> Result<Vec<T>, String> {
    move |value| match value {
        DeValue::Array(items) => items.iter().map(|each| item(each.get_ref())).collect(),
        _ => expected("a list", value),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        let names: Vec<String> = words
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let names = names.join(", ");
        let what = format!("one of {names}");
        let text = text(value, &what)?;
        match words.iter().find(|(name, _)| *name == text) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(format!("expected {what}")),
        }
    }
}

/// A whole number of at least 1.
pub(super) fn count(value: &DeValue<'_>) -> Result<u64, String> {
    match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| "expected a whole number of at least 1".into()),
        _ => expected("a whole number", value),
    }
}

/// [`count`], for what is held in memory.
pub(super) fn small_count(value: &DeValue<'_>) -> Result<usize, String> {
    let number = count(value)?;
    u32::try_from(number)
        .ok()
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("{number} is too large"))
}

const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A number and its unit: `5 GiB`, `24h`.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Bytes: a number, or text such as `"5 GiB"`.
pub(super) fn size(value: &DeValue<'_>) -> Result<u64, String> {
    const WHAT: &str = "a size such as \"16 KiB\" or \"5 GiB\"";
    match value {
        DeValue::Integer(_) => count(value),
        _ => measure(text(value, WHAT)?, SIZE_UNITS)
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| format!("expected {WHAT}")),
    }
}

/// [`size`], for what is held in memory.
pub(super) fn small_size(value: &DeValue<'_>) -> Result<usize, String> {
    u32::try_from(size(value)?)
        .ok()
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| "expected less than 4 GiB".into())
}

/// A time such as `"24h"`. Above zero, at most ten years: further arithmetic can't overflow.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    const WHAT: &str = "a time such as \"500ms\", \"30s\", \"5m\", \"24h\" or \"30d\"";
    measure(text(value, WHAT)?, TIME_UNITS)
        .filter(|milliseconds| (1..=3650 * 86_400_000).contains(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("expected {WHAT}"))
}

pub(super) fn socket(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    const WHAT: &str = "an address and a port such as \"0.0.0.0:443\" or \"[::]:443\"";
    text(value, WHAT)?
        .parse()
        .map_err(|_| format!("expected {WHAT}"))
}

/// A DNS name: given back in lower case. No port, no wildcard, no address.
pub(super) fn host(value: &DeValue<'_>) -> Result<String, String> {
    const WHAT: &str = "a host name such as \"s3.example.fr\", without scheme, port or `*`";
    let name = text(value, WHAT)?.to_ascii_lowercase();
    if is_dns_name(&name) && name.parse::<IpAddr>().is_err() {
        Ok(name)
    } else {
        Err(format!("expected {WHAT}"))
    }
}

/// A DNS name or an address.
pub(super) fn is_host(name: &str) -> bool {
    is_dns_name(name) || name.parse::<IpAddr>().is_ok()
}

fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// `https://host[:port]`; `http://` for loopback addresses only.
pub(super) fn endpoint(value: &DeValue<'_>) -> Result<Endpoint, String> {
    const WHAT: &str = "a URL such as \"https://s3.example.fr\", without path, query or user";
    let wrong = || format!("expected {WHAT}");
    let text = text(value, WHAT)?.to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err(wrong()),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (address, tail) = inner.split_once(']').ok_or_else(wrong)?;
            let port = match tail {
                "" => None,
                tail => Some(tail.strip_prefix(':').ok_or_else(wrong)?),
            };
            (address, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let address = host.parse::<IpAddr>().ok();
    if address.is_none() && !is_dns_name(host) {
        return Err(wrong());
    }
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    if !tls && !loopback {
        return Err("plain http is accepted for loopback addresses only: use https".into());
    }
    let port = match port {
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(wrong)?,
        None if tls => 443,
        None => 80,
    };
    Ok(Endpoint {
        tls,
        host: host.to_owned(),
        port,
        authority: authority.to_owned(),
    })
}

/// An immutable identifier, bound in keys.
pub(super) fn identifier(value: &DeValue<'_>) -> Result<String, String> {
    const WHAT: &str = "an identifier: 1 to 255 characters of a-z, 0-9, `-`, `_` and `.`";
    let text = text(value, WHAT)?;
    let legal = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if (1..=255).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected {WHAT}"))
    }
}

/// The public half of a key pair, or a region: visible ASCII without `/`, `,` and spaces.
pub(super) fn word(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(value, "a string")?;
    let legal = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b',' | b'=');
    if (1..=128).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 128 visible characters without `/`, `,`, `=` and spaces".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
        literal: &str,
    ) -> Result<T, String> {
        parse(DeValue::parse(literal).unwrap().get_ref())
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(with(size, "\"5 GiB\""), Ok(5 << 30));
        assert_eq!(with(size, "\"16kib\""), Ok(16384));
        assert_eq!(with(size, "1_000"), Ok(1000));
        assert_eq!(with(duration, "\"24h\""), Ok(Duration::from_secs(86400)));
        assert_eq!(with(duration, "\"500ms\""), Ok(Duration::from_millis(500)));
        for bad in [
            "\"\"",
            "\"5 XiB\"",
            "\"GiB\"",
            "0",
            "-1",
            "1.5",
            "\"99999999999999999999\"",
            "\"20000000 TiB\"",
        ] {
            assert!(with(size, bad).is_err(), "{bad}");
        }
        for bad in ["\"24\"", "24", "\"0s\"", "\"-1s\"", "\"1y\"", "\"9999d\""] {
            assert!(with(duration, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_names_in_lower_case() {
        assert_eq!(with(host, "\"S3.Example.FR\""), Ok("s3.example.fr".into()));
        assert_eq!(with(host, "\"localhost\""), Ok("localhost".into()));
        for bad in [
            "\"\"",
            "\"a..b\"",
            "\"-a.fr\"",
            "\"a:443\"",
            "\"*.a.fr\"",
            "\"https://a\"",
            "\"10.0.0.1\"",
            "\"a_b.fr\"",
            "\"é.fr\"",
        ] {
            assert!(with(host, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints() {
        let parsed = with(endpoint, "\"https://OOS.eu-west-2.outscale.com/\"").unwrap();
        assert_eq!(
            (
                parsed.tls,
                parsed.host.as_str(),
                parsed.port,
                parsed.authority.as_str()
            ),
            (
                true,
                "oos.eu-west-2.outscale.com",
                443,
                "oos.eu-west-2.outscale.com"
            )
        );
        let parsed = with(endpoint, "\"http://[::1]:9000\"").unwrap();
        assert_eq!(
            (
                parsed.tls,
                parsed.host.as_str(),
                parsed.port,
                parsed.authority.as_str()
            ),
            (false, "::1", 9000, "[::1]:9000")
        );
        assert_eq!(with(endpoint, "\"http://127.0.0.1:1\"").unwrap().port, 1);
        for bad in [
            "\"http://example.fr\"",
            "\"http://10.0.0.1\"",
            "\"http://127.0.0.1.evil.fr\"",
            "\"ftp://a.fr\"",
            "\"https://\"",
            "\"https://a.fr/path\"",
            "\"https://a.fr?x\"",
            "\"https://u@a.fr\"",
            "\"https://a.fr:0\"",
            "\"https://a.fr:x\"",
            "\"https://[::1]x\"",
            "\"a.fr\"",
        ] {
            assert!(with(endpoint, bad).is_err(), "{bad}");
        }
    }
}
