//! Where an answer's head would lead a client, and to whom it would show the answer.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LOCATION, LINK,
    LOCATION, REFERRER_POLICY, REFRESH,
};
use http::{HeaderMap, HeaderValue};

use super::head::Names;

/// Policies under which a page's images, say, are asked for with its whole URL, query included.
const TELLING: [&str; 2] = ["unsafe-url", "no-referrer-when-downgrade"];

/// Stands for every origin.
const ANY: &str = "*";

impl Names<'_> {
    /// Takes out of an opened answer's head what leads past the gateway or lets a foreign page read it.
    ///
    /// # Errors
    /// The answer sends the client to another host.
    pub fn hold(&self, answer: &mut HeaderMap) -> Result<(), LeadsAway> {
        let sent = answer.get_all(LOCATION).iter().any(|to| self.is_away(to));
        let mut refreshed = answer.get_all(REFRESH).iter();
        if sent || refreshed.any(|value| self.refreshes_away(value)) {
            return Err(LeadsAway);
        }
        retain(answer, &LINK, |value| !self.links_away(value));
        retain(answer, &CONTENT_LOCATION, |value| !self.is_away(value));
        retain(answer, &REFERRER_POLICY, |value| {
            let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
            !TELLING.iter().any(|policy| text.contains(policy))
        });
        let allows = |value: &HeaderValue| self.reads(value);
        if !answer
            .get_all(ACCESS_CONTROL_ALLOW_ORIGIN)
            .iter()
            .all(allows)
        {
            answer.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
            answer.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        }
        Ok(())
    }

    /// Whether pages of this origin may read what was opened.
    fn reads(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let mut origins = self.origins().iter();
        origin == self.gateway() || origins.any(|known| known == origin || known == ANY)
    }

    fn is_away(&self, location: &HeaderValue) -> bool {
        // browsers take a tab out, wherever it stands
        let text = location.to_str().ok().filter(|text| !text.contains('\t'));
        text.is_none_or(|text| self.points_away(text))
    }

    fn points_away(&self, url: &str) -> bool {
        let url = url.trim();
        let absolute = url.starts_with("//")
            || url.starts_with('\\')
            || url.starts_with("/\\")
            || url
                .split_once(':')
                .is_some_and(|(scheme, _)| !scheme.contains(['/', '?', '#']));
        absolute && !(url == self.gateway() || begins(url, self.gateway()))
    }

    /// `5; url=/next` (WHATWG HTML, section 7.4.6): a time, and where to. Without the name, the rest is the URL too.
    fn refreshes_away(&self, value: &HeaderValue) -> bool {
        let Some(text) = value.to_str().ok().filter(|text| !text.contains('\t')) else {
            return true;
        };
        let separator = |c: char| c == ';' || c == ',' || c == ' ';
        let time = |c: char| c.is_ascii_digit() || c == '.' || separator(c);
        let rest = text.trim_start_matches(time);
        let named = rest
            .get(..3)
            .filter(|name| name.eq_ignore_ascii_case("url"));
        let url = named.and_then(|_| rest[3..].trim_start().strip_prefix('='));
        let url = url.unwrap_or(rest).trim_start();
        self.points_away(url.trim_start_matches(['"', '\'']))
    }

    /// Clients follow `next`, load what is preloaded, and send to what is named for that.
    fn links_away(&self, value: &HeaderValue) -> bool {
        let Some(text) = value.to_str().ok().filter(|text| !text.contains('\t')) else {
            return true;
        };
        let mut targets = text.split('<').skip(1);
        targets.any(|rest| self.points_away(rest.split('>').next().unwrap_or_default()))
    }
}

/// The provider sends the client to another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeadsAway;

fn begins(url: &str, origin: &str) -> bool {
    url.strip_prefix(origin)
        .is_some_and(|rest| rest.starts_with(['/', '?', '#']))
}

fn retain(answer: &mut HeaderMap, name: &http::HeaderName, keep: impl Fn(&HeaderValue) -> bool) {
    let values: Vec<HeaderValue> = answer.get_all(name).iter().cloned().collect();
    if values.iter().all(&keep) {
        return;
    }
    answer.remove(name);
    for value in values.into_iter().filter(keep) {
        answer.append(name.clone(), value);
    }
}

/// A page's policy without those to whom browsers would report its URL, query included.
pub(super) fn unreported(policy: &str) -> String {
    let reports = |directive: &&str| {
        let name = directive
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        name.eq_ignore_ascii_case("report-uri") || name.eq_ignore_ascii_case("report-to")
    };
    let separate = policy.split(',').map(|policy| {
        let kept: Vec<&str> = policy.split(';').filter(|one| !reports(one)).collect();
        kept.join(";")
    });
    separate.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::http::tests::settings;

    fn held(name: http::HeaderName, value: &str) -> Result<Option<String>, LeadsAway> {
        let settings = settings();
        let names = Names::new(&settings, "chat.example.fr");
        let mut answer = HeaderMap::new();
        answer.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        names.hold(&mut answer)?;
        let kept = answer.get(name).map(|value| value.to_str().unwrap());
        Ok(kept.map(str::to_owned))
    }

    #[test]
    fn a_redirect_past_the_gateway_is_seen() {
        for (location, away) in [
            ("/a:b", false),
            ("a?b:c", false),
            ("https://chat.example.fr/x", false),
            ("https://chat.example.fr", false),
            ("https://chat.example.net/x", true),
            ("//evil.example/x", true),
            ("/\\evil.example", true),
            ("javascript:x", true),
            ("https:evil.example", true),
            ("https://chat.example.fr.evil.example/", true),
            ("https://chat.example.fr@evil.example/", true),
        ] {
            assert_eq!(held(LOCATION, location).is_err(), away, "{location}");
            for refresh in ["0;url=", "5 ; URL = '", "1.5,", "0; ", "url="] {
                let refresh = format!("{refresh}{location}");
                assert_eq!(held(REFRESH, &refresh).is_err(), away, "{refresh}");
            }
        }
        assert!(held(REFRESH, "5").is_ok());
        assert!(held(REFRESH, "0;url=/\t/evil.example").is_err());
    }

    #[test]
    fn what_else_leads_away_is_left_out() {
        let kept = |name, value: &str| held(name, value).unwrap().is_some();
        assert!(kept(LINK, "</p?a>; rel=next, <https://chat.example.fr/q>"));
        assert!(!kept(
            LINK,
            "</p>; rel=next, <https://evil.example/q>; rel=last"
        ));
        assert!(kept(CONTENT_LOCATION, "/a"));
        assert!(!kept(CONTENT_LOCATION, "https://evil.example/a"));
        assert!(kept(REFERRER_POLICY, "no-referrer, same-origin"));
        assert!(!kept(REFERRER_POLICY, "no-referrer, Unsafe-URL"));
    }

    #[test]
    fn pages_of_known_origins_alone_read_what_was_opened() {
        let mut settings = settings();
        settings.origins.push("https://app.example.fr".into());
        let names = Names::new(&settings, "chat.example.fr");
        for (origin, passes) in [
            ("https://chat.example.fr", true),
            ("https://app.example.fr", true),
            ("https://evil.example", false),
            ("null", false),
            (ANY, false),
        ] {
            let mut answer = HeaderMap::new();
            let value = HeaderValue::from_static(origin);
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
            let yes = HeaderValue::from_static("true");
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            names.hold(&mut answer).unwrap();
            assert_eq!(answer.len(), if passes { 2 } else { 0 }, "{origin}");
        }
    }

    #[test]
    fn nobody_is_told_of_a_pages_url() {
        assert_eq!(
            unreported(
                "default-src 'self'; Report-Uri /r; img-src *;report-to x, script-src 'none'; report-uri"
            ),
            "default-src 'self'; img-src *, script-src 'none'"
        );
    }
}
