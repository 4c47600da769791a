//! A subset of JSONPath (RFC 9535): `$`, `.name`, `['name']`, `[*]`, `.*` and `..name`, matched while a document is read.

use crate::adapter::alike;

/// One segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A member of an object.
    Member(String),
    /// Every element or member.
    Each,
    /// A member of this object or of any below.
    Below(String),
}

/// A path, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

impl Path {
    /// # Errors
    /// What is wrong, for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WHAT: &str = "a JSON path such as \"$.content.body\", \"$.items[*].text\", \"$['a b']\" or \"$..text\"";
        let wrong = || format!("expected {WHAT}");
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = segment(rest).ok_or_else(wrong)?;
            steps.push(step);
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The last member's name in it.
    pub fn last_name(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Member(name) | Step::Below(name) => Some(name.as_str()),
            Step::Each => None,
        })
    }

    /// The member of that name, wherever it stands.
    pub fn below(name: &str) -> Self {
        Self {
            text: format!("$..{name}"),
            steps: vec![Step::Below(name.to_owned())],
        }
    }

    /// The member of that name beside what it picks.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        let mut path = self.clone();
        match path.steps.last_mut() {
            Some(Step::Member(last) | Step::Below(last)) => name.clone_into(last),
            Some(Step::Each) | None => {}
        }
        path
    }

    /// The same member wherever it stands, with the steps behind it. A path that names none stays what it is.
    #[must_use]
    pub fn anywhere(&self) -> Self {
        let named = |step: &Step| matches!(step, Step::Member(_) | Step::Below(_));
        let (Some(name), Some(at)) = (self.last_name(), self.steps.iter().rposition(named)) else {
            return self.clone();
        };
        let mut path = Self::below(name);
        for step in &self.steps[at + 1..] {
            path.text.push_str("[*]");
            path.steps.push(step.clone());
        }
        path
    }

    /// Whether it names one place at most.
    pub fn is_definite(&self) -> bool {
        self.steps
            .iter()
            .all(|step| matches!(step, Step::Member(_)))
    }

    /// Whether what it picks is a member of an object, beside which another can stand.
    pub fn picks_members(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Member(_) | Step::Below(_)))
    }
}

fn segment(rest: &str) -> Option<(Step, &str)> {
    if let Some(after) = rest.strip_prefix("..") {
        let (name, after) = name(after)?;
        return Some((Step::Below(name), after));
    }
    if let Some(after) = rest.strip_prefix(".*").or_else(|| rest.strip_prefix("[*]")) {
        return Some((Step::Each, after));
    }
    if let Some(after) = rest.strip_prefix("['") {
        let (name, after) = after.split_once("']")?;
        let plain = !name.is_empty() && !name.contains(['\'', '\\']);
        return plain.then(|| (Step::Member(name.to_owned()), after));
    }
    let (name, after) = name(rest.strip_prefix('.')?)?;
    Some((Step::Member(name), after))
}

fn name(text: &str) -> Option<(String, &str)> {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '@')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// Which positions of which paths a place in a document satisfies: one bit each.
pub type Places = u128;

/// What is done with a value, by the path that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// By the path of that index.
    Picked(usize),
    /// It and all that it holds stay as they are.
    Clear,
}

/// Several paths, matched together; by default none.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// The step that leads from this bit to the next; none at the end of a path.
    steps: Vec<Option<Step>>,
    start: Places,
    /// The end bit of each picked path, in order.
    picked: Vec<Places>,
    clear: Places,
    /// Positions at which a key must not merely resemble the one that is wanted.
    guarded: Places,
}

impl Paths {
    /// `None`: more steps in all than can be matched together (about 120).
    pub fn new<'a>(picked: impl IntoIterator<Item = &'a Path>, clear: &[Path]) -> Option<Self> {
        let mut paths = Self {
            steps: Vec::new(),
            start: 0,
            picked: Vec::new(),
            clear: 0,
            guarded: 0,
        };
        for path in picked {
            let end = paths.add(path)?;
            paths.picked.push(end);
        }
        for path in clear {
            paths.clear |= paths.add(path)?;
        }
        Some(paths)
    }

    /// Picks nothing and lets everything pass.
    pub fn all_clear() -> Self {
        Self {
            steps: vec![None],
            start: 1,
            picked: Vec::new(),
            clear: 1,
            guarded: 0,
        }
    }

    /// Makes [`Self::resembles`] watch over the picked paths.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        let last = self.picked.last().copied().unwrap_or_default();
        self.guarded = last | last.saturating_sub(1);
        self
    }

    /// Whether the key is, but for its case, one that leads to a picked value: some servers would take it for that.
    pub fn resembles(&self, from: Places, key: &str) -> bool {
        let (mut left, mut resembles) = (from & self.guarded, false);
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            if let Some(Some(Step::Member(name) | Step::Below(name))) = self.steps.get(bit as usize)
            {
                if name == key {
                    return false;
                }
                resembles |= alike::folded(name, key);
            }
        }
        resembles
    }

    fn add(&mut self, path: &Path) -> Option<Places> {
        let first = self.steps.len();
        self.steps.extend(path.steps.iter().cloned().map(Some));
        self.steps.push(None);
        if self.steps.len() > Places::BITS as usize {
            return None;
        }
        self.start |= 1 << first;
        Some(1 << (self.steps.len() - 1))
    }

    /// The document's root.
    pub fn root(&self) -> Places {
        self.start
    }

    /// From an object to the value of its member.
    pub fn member(&self, from: Places, key: &str) -> Places {
        self.advance(from, |step| match step {
            Step::Member(name) => (name == key, false),
            Step::Each => (true, false),
            Step::Below(name) => (name == key, true),
        })
    }

    /// From an array to any of its elements.
    pub fn element(&self, from: Places) -> Places {
        self.advance(from, |step| match step {
            Step::Member(_) => (false, false),
            Step::Each => (true, false),
            Step::Below(_) => (false, true),
        })
    }

    /// `follow` says of a step whether it leads on, and whether it stays in force below.
    fn advance(&self, from: Places, follow: impl Fn(&Step) -> (bool, bool)) -> Places {
        let (mut left, mut to) = (from, 0);
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            if let Some(Some(step)) = self.steps.get(bit as usize) {
                let (on, stays) = follow(step);
                to |= Places::from(on) << (bit + 1) | Places::from(stays) << bit;
            }
        }
        to
    }

    /// Which path names the place; a picked one before a clear one.
    pub fn named(&self, place: Places) -> Option<Named> {
        if let Some(index) = self.picked.iter().position(|end| place & end != 0) {
            return Some(Named::Picked(index));
        }
        (place & self.clear != 0).then_some(Named::Clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(picked: &[&str], clear: &[&str]) -> Paths {
        let parse = |text: &&str| Path::parse(text).unwrap();
        let picked: Vec<Path> = picked.iter().map(parse).collect();
        let clear: Vec<Path> = clear.iter().map(parse).collect();
        Paths::new(&picked, &clear).unwrap()
    }

    /// `*` is an element of an array.
    fn at(paths: &Paths, way: &[&str]) -> Option<Named> {
        let place = way.iter().fold(paths.root(), |place, key| match *key {
            "*" => paths.element(place),
            key => paths.member(place, key),
        });
        paths.named(place)
    }

    #[test]
    fn each_form_of_step() {
        let p = paths(
            &["$.a.b", "$.items[*].text", "$..body", "$['x y'].z"],
            &["$.c", "$.m.*"],
        );
        assert_eq!(at(&p, &["a", "b"]), Some(Named::Picked(0)));
        assert_eq!(at(&p, &["items", "*", "text"]), Some(Named::Picked(1)));
        assert_eq!(at(&p, &["q", "*", "r", "body"]), Some(Named::Picked(2)));
        assert_eq!(at(&p, &["body"]), Some(Named::Picked(2)));
        assert_eq!(at(&p, &["body", "body"]), Some(Named::Picked(2)));
        assert_eq!(at(&p, &["x y", "z"]), Some(Named::Picked(3)));
        assert_eq!(at(&p, &["c"]), Some(Named::Clear));
        assert_eq!(at(&p, &["m", "anything"]), Some(Named::Clear));
        for way in [
            &["a"][..],
            &["b"],
            &["items", "text"],
            &["a", "*", "b"],
            &[],
        ] {
            assert_eq!(at(&p, way), None, "{way:?}");
        }
        assert_eq!(at(&paths(&[], &["$"]), &[]), Some(Named::Clear));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "a",
            "$a",
            "$.",
            "$..",
            "$[0]",
            "$['a",
            "$['']",
            "$[*",
            "$.a b",
            "$..*",
            "$.a.",
            "$['a\\'b']",
        ] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        let many: Vec<Path> = (0..65).map(|_| Path::parse("$.a").unwrap()).collect();
        assert!(Paths::new(&many, &[]).is_none());
    }
}
