//! Rules that can't be reached, and rules of which neither is clearly meant.

use super::rule::Read;
use crate::adapter::http::settings::Rule;
use crate::config::section::Section;

/// The first rule that fits counts. One that an earlier covers is never reached. Two that meet without one covering the
/// other are ambiguous to whoever reads the file, unless an earlier one takes what both would.
pub(super) fn check<'r>(root: &Section<'_, '_>, rules: impl Iterator<Item = &'r Read>) {
    let mut earlier: Vec<&Rule> = Vec::new();
    for Read { path_at, rule, .. } in rules {
        for (at, before) in earlier.iter().enumerate() {
            if let Some(message) = against(rule, before, &earlier[..at]) {
                root.fault_at(path_at, message);
            }
        }
        earlier.push(rule);
    }
}

fn against(rule: &Rule, before: &Rule, first: &[&Rule]) -> Option<String> {
    // a rule that takes one type of body leaves the others to those behind it, but for those that relay
    if let Some(media) = before.request.media()
        && rule.request.media() != Some(media)
        && !rule.relays_bodies()
    {
        return None;
    }
    let shared: Vec<_> = rule
        .methods
        .iter()
        .filter(|method| before.methods.contains(method))
        .collect();
    let both = before
        .path
        .both(&rule.path)
        .filter(|_| !shared.is_empty())?;
    let (name, path) = (&before.name, before.path.as_str());
    if before.path.covers(&rule.path) {
        return (shared.len() == rule.methods.len())
            .then(|| format!("never reached: the rule `{name}` ({path}) takes everything before"));
    }
    let settled = first.iter().any(|first| {
        first.path.covers(&both) && shared.iter().all(|method| first.methods.contains(method))
    });
    if rule.path.covers(&before.path) || settled {
        return None;
    }
    Some(format!(
        "overlaps with the rule `{name}` ({path}), and neither is the narrower: put a rule for what both take before \
         them, or make one narrower"
    ))
}
