//! Paths that an operator names: components, of which `*` stands for any one.

#[derive(Debug)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(components(text).map(str::to_owned).collect())
    }

    /// The components of a path behind the pattern's. `None`: the path does not begin so.
    pub fn behind<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut parts = components(path);
        let begins = self.0.iter().all(|wanted| {
            parts
                .next()
                .is_some_and(|part| wanted == "*" || wanted == part)
        });
        begins.then(|| parts.collect())
    }

    /// How many components it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}
