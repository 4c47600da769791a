//! Addresses in answers in JSON: a client goes on to the server that one names, which may be another than the gateway.

use super::answer::invalid;
use super::head::Names;
use super::values::quoted;
use crate::adapter::json::{self, Paths, Picked, Value, Wrong};
use crate::error::Refusal;

impl Names<'_> {
    /// The document as the client gets it: where `addresses` picks one of the provider's own, the gateway's stands.
    ///
    /// # Errors
    /// An address leads elsewhere, is none, or the document could be read in two ways.
    pub fn addressed(&self, document: Vec<u8>, addresses: &Paths) -> Result<Vec<u8>, Refusal> {
        // some providers give a type to nothing
        if document.trim_ascii().is_empty() {
            return Ok(document);
        }
        let own = |picked: Picked<'_>| self.own_address(&picked);
        json::rewrite(&document, addresses, own).map_err(|stray| match stray {
            Stray::Document(Wrong::Unnamed(at)) => invalid(format!(
                "The provider's answer holds a name that merely resembles one of `addresses`, at byte {at}."
            )),
            Stray::Document(wrong) => invalid(wrong.to_string()),
            Stray::Address(at) => invalid(format!(
                "The provider's answer names an address that is not this service's, at byte {at}."
            )),
        })
    }

    /// What stands in an address's place; `None`: it stays.
    fn own_address(&self, picked: &Picked<'_>) -> Result<Option<String>, Stray> {
        let stray = || Stray::Address(picked.span.start);
        let address = match &picked.value {
            Value::Null => return Ok(None),
            Value::Text(address) => address,
            Value::Number(_) | Value::Other => return Err(stray()),
        };
        let own = self.renamed(address);
        if !self.leads_here(&own) {
            return Err(stray());
        }
        if own == **address {
            return Ok(None);
        }
        quoted(&own).map(Some).map_err(|_| stray())
    }

    /// Whether whoever goes there comes to the gateway: nothing, a path, or a URL of one of the service's hosts. What readers of
    /// URLs understand differently (white space, backslashes, user names) leads nowhere that is known.
    fn leads_here(&self, address: &str) -> bool {
        if address.is_empty() {
            return true;
        }
        if !address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return false;
        }
        address.starts_with('/') && !address.starts_with("//")
            || self.origins_here().any(|origin| {
                let rest = address.strip_prefix(&origin);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
            })
    }
}

/// Why an answer with addresses does not go to the client.
enum Stray {
    Document(Wrong),
    /// The byte where it begins.
    Address(usize),
}

impl From<Wrong> for Stray {
    fn from(wrong: Wrong) -> Self {
        Self::Document(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::http::tests::settings;
    use crate::adapter::json::Path;

    fn addressed(document: &str) -> Result<String, Refusal> {
        let mut settings = settings();
        settings.hosts = vec!["chat.example.fr".into(), "other.example.fr".into()];
        let names = Names::new(&settings, "chat.example.fr:8443");
        let parse = |text| Path::parse(text).unwrap();
        let paths = Paths::new(&[parse("$.a"), parse("$..b")], &[parse("$")]);
        let document = names.addressed(document.into(), &paths.unwrap().guarded())?;
        Ok(String::from_utf8(document).unwrap())
    }

    #[test]
    fn an_address_of_the_services_own_passes_and_no_other() {
        for own in [
            "https://chat.example.fr:8443",
            "https://chat.example.fr:8443/",
            "https://chat.example.fr:8443/x?y#z",
            "https://other.example.fr:8443/",
            "wss://chat.example.fr:8443/live",
            "/path",
            "",
        ] {
            let document = format!("{{\"a\":\"{own}\"}}");
            assert_eq!(addressed(&document).unwrap(), document);
        }
        for stray in [
            "https://evil.example/",
            "https://chat.example.fr",
            "https://chat.example.fr:84430/",
            "https://chat.example.fr:8443.evil.example/",
            "https://chat.example.fr:8443@evil.example/",
            "http://chat.example.fr:8443/",
            "HTTPS://chat.example.fr:8443/",
            "//evil.example/",
            "/\\\\evil.example/",
            "/\\t/evil.example/",
            " https://chat.example.fr:8443/",
            "https://chat.example.fr:8443/é",
            "evil.example:8448",
            "evil.example",
            "javascript:x",
        ] {
            let refused = addressed(&format!("{{\"a\":\"{stray}\"}}")).err();
            let code = refused.map(|refusal| refusal.code.name);
            assert_eq!(code, Some("upstream-invalid"), "{stray}");
        }
    }

    #[test]
    fn the_providers_own_address_becomes_the_gateways() {
        for (sent, shown) in [
            (
                "https://chat.example.net/x",
                "https://chat.example.fr:8443/x",
            ),
            ("http://chat.example.net", "https://chat.example.fr:8443"),
            (
                "wss:\\/\\/chat.example.net\\/",
                "wss://chat.example.fr:8443/",
            ),
        ] {
            let document =
                |address| format!("{{ \"n\":[1.0,{{\"b\": \"{address}\"}}] ,\"c\":\"x\"}}");
            assert_eq!(addressed(&document(sent)).unwrap(), document(shown));
        }
    }

    #[test]
    fn what_could_hide_an_address_is_refused() {
        for document in [
            "{\"a\":\"/\",\"a\":\"https://evil.example/\"}",
            "{\"A\":\"https://evil.example/\"}",
            "{\"x\":{\"B\":\"https://evil.example/\"}}",
            "{\"a\":{\"url\":\"https://evil.example/\"}}",
            "{\"a\":[\"https://evil.example/\"]}",
            "{\"a\":7}",
            "{\"\\u0061\":\"https://evil.example/\"}",
            "{\"a\":\"/\"} {\"a\":\"https://evil.example/\"}",
            "{\"a\":\"/\"",
        ] {
            assert!(addressed(document).is_err(), "{document}");
        }
        for document in [
            "",
            " \n",
            "{\"a\":null,\"other\":\"https://evil.example/\"}",
        ] {
            assert_eq!(addressed(document).unwrap(), document);
        }
    }
}
