//! What must be sealed, what may pass: the only place that can release a body unsealed.

/// Says that a body may travel as it is. Made in this module alone.
///
/// ```compile_fail
/// let permit = sceau::policy::RelayPermit(());
/// ```
#[derive(Debug)]
pub struct RelayPermit(());

/// Says that a document which the gateway itself wrote (a list of parts, say) may travel. Made in this module alone.
#[derive(Debug)]
pub struct DocumentPermit(());

/// How an adapter's table classes an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Payload or metadata that is sealed and opened.
    Transform,
    /// Carries no payload; passes re-signed.
    Pass,
    /// Passes only if the service's configuration names the group.
    ByPolicy(&'static str),
    /// Known, never served; the text says why.
    Deny(&'static str),
}

/// What is to happen with a request. No default arm: whoever matches handles each.
#[derive(Debug)]
pub enum Verdict {
    /// Seal and open payloads; gateway-made documents may travel.
    Protect(DocumentPermit),
    /// The request and its answer pass as they are.
    Relay(RelayPermit),
    /// Refused, with the reason for the client.
    Refuse(String),
}

/// A service's policy: the groups of operations that its operator lets pass.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allowed: Vec<String>,
}

impl Policy {
    pub fn new(allowed: Vec<String>) -> Self {
        Self { allowed }
    }

    /// Whether the operator lets the group pass.
    pub fn allows(&self, group: &str) -> bool {
        self.allowed.iter().any(|name| name == group)
    }

    pub fn decide(&self, class: Class) -> Verdict {
        match class {
            Class::Transform => Verdict::Protect(DocumentPermit(())),
            Class::Pass => Verdict::Relay(RelayPermit(())),
            Class::ByPolicy(group) if self.allows(group) => Verdict::Relay(RelayPermit(())),
            Class::ByPolicy(group) => Verdict::Refuse(format!(
                "The service's policy does not allow the group `{group}`."
            )),
            Class::Deny(why) => Verdict::Refuse(why.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_passes_only_when_named() {
        let policy = Policy::new(vec!["tagging".into()]);
        assert!(matches!(
            policy.decide(Class::ByPolicy("tagging")),
            Verdict::Relay(_)
        ));
        assert!(matches!(
            policy.decide(Class::ByPolicy("acl")),
            Verdict::Refuse(_)
        ));
        assert!(matches!(
            policy.decide(Class::Deny("no")),
            Verdict::Refuse(_)
        ));
        assert!(matches!(
            policy.decide(Class::Transform),
            Verdict::Protect(_)
        ));
    }
}
