//! Which service a host name belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::adapter::Adapter;
use crate::policy::Policy;

/// A configured service.
pub struct Service {
    /// Its label in the log.
    pub name: Arc<str>,
    pub adapter: Arc<dyn Adapter>,
    pub policy: Policy,
}

/// The host belongs to another service already.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host `{0}` belongs to two services")]
pub struct Duplicate(String);

/// Host names and the services behind them. What is not listed is unknown.
#[derive(Default)]
pub struct Routes {
    exact: HashMap<String, Arc<Service>>,
    below: HashMap<String, Arc<Service>>,
}

impl Routes {
    /// `below`: also every name below the host.
    ///
    /// # Errors
    /// The host is taken.
    pub fn add(
        &mut self,
        host: &str,
        below: bool,
        service: &Arc<Service>,
    ) -> Result<(), Duplicate> {
        let host = host.to_ascii_lowercase();
        if below {
            self.below.insert(host.clone(), service.clone());
        }
        match self.exact.insert(host.clone(), service.clone()) {
            Some(_) => Err(Duplicate(host)),
            None => Ok(()),
        }
    }

    /// `authority`: a host with or without a port, as the request names it.
    pub fn find(&self, authority: &str) -> Option<&Service> {
        let host = without_port(authority);
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(service) = self.exact.get(host) {
            return Some(service);
        }
        let host = host.to_ascii_lowercase();
        if let Some(service) = self.exact.get(&host) {
            return Some(service);
        }
        let mut rest = host.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(service) = self.below.get(parent) {
                return Some(service);
            }
            rest = parent;
        }
        None
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::{Exchange, Operation, RefusedRequest, Subject};
    use crate::body::{Plain, Released};
    use crate::error::{INTERNAL, Refusal};
    use crate::policy::Verdict;

    struct Nothing;

    #[async_trait::async_trait]
    impl Adapter for Nothing {
        fn classify(&self, _: &http::request::Parts) -> Result<Operation, Refusal> {
            Err(Refusal::new(&INTERNAL))
        }
        fn verify(
            &self,
            _: &Operation,
            _: &http::request::Parts,
            _: std::time::SystemTime,
        ) -> Result<Subject, Refusal> {
            Err(Refusal::new(&INTERNAL))
        }
        async fn perform(
            &self,
            _: &Exchange,
            _: Verdict,
            _: Operation,
            _: Subject,
            _: http::request::Parts,
            _: Plain,
        ) -> Result<http::Response<Released>, Refusal> {
            Err(Refusal::new(&INTERNAL))
        }
        fn refuse(&self, _: &Refusal, _: &RefusedRequest<'_>) -> http::Response<bytes::Bytes> {
            http::Response::default()
        }
    }

    fn service(name: &str) -> Arc<Service> {
        Arc::new(Service {
            name: name.into(),
            adapter: Arc::new(Nothing),
            policy: Policy::default(),
        })
    }

    #[test]
    fn names_are_found_whatever_their_case_port_and_final_dot() {
        let mut routes = Routes::default();
        routes.add("s3.example.fr", true, &service("a")).unwrap();
        routes.add("dav.example.fr", false, &service("b")).unwrap();
        let name = |host| routes.find(host).map(|service| service.name.to_string());
        for host in ["s3.example.fr", "S3.Example.FR:8443", "s3.example.fr."] {
            assert_eq!(name(host).as_deref(), Some("a"));
        }
        assert_eq!(name("my.bucket.s3.example.fr").as_deref(), Some("a"));
        assert_eq!(name("x.dav.example.fr"), None);
        assert_eq!(name("example.fr"), None);
        assert_eq!(name("evil-s3.example.fr"), None);
        assert!(routes.add("S3.example.fr", false, &service("c")).is_err());
    }
}
