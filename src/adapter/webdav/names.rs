//! Which element a tag is: namespaces, as they are declared and go out of scope.

use quick_xml::events::BytesStart;

use super::markup::Malformed;

/// Deepest nesting that is followed.
const DEPTH: usize = 64;
/// Most declarations in scope at once.
const DECLARATIONS: usize = 256;

/// The namespaces that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    Dav,
    /// `http://owncloud.org/ns`
    Owncloud,
    Other,
}

/// The elements that are open, as kinds of the caller's, and what their prefixes mean.
pub(super) struct Open<K> {
    stack: Vec<K>,
    declared: Vec<(usize, String, Namespace)>,
}

impl<K: Copy> Open<K> {
    pub fn new() -> Self {
        Self {
            stack: Vec::new(),
            declared: Vec::new(),
        }
    }

    pub fn depth(&self) -> usize {
        self.stack.len()
    }

    #[cfg(test)]
    pub fn declarations(&self) -> usize {
        self.declared.len()
    }

    pub fn innermost(&self) -> Option<K> {
        self.stack.last().copied()
    }

    /// What the innermost element stands in.
    pub fn parent(&self) -> Option<K> {
        self.stack.iter().rev().nth(1).copied()
    }

    /// Opens an element, whose kind `kind` tells from its namespace and local name.
    ///
    /// # Errors
    /// Attributes that are not well-formed, or too deep a nesting.
    pub fn open(
        &mut self,
        tag: &BytesStart<'_>,
        kind: impl FnOnce(Namespace, &str) -> K,
    ) -> Result<K, Malformed> {
        let depth = self.stack.len() + 1;
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|_| Malformed("an attribute is malformed"))?;
            let key: &str = attribute.key.as_ref();
            let prefix = match key.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) if rest.starts_with(':') => &rest[1..],
                _ => continue,
            };
            // a namespace in references would be another one here than to the document's reader
            if attribute.value.contains('&') {
                return Err(Malformed("a namespace holds a reference"));
            }
            let namespace = match attribute.value.as_ref() {
                "DAV:" => Namespace::Dav,
                "http://owncloud.org/ns" => Namespace::Owncloud,
                _ => Namespace::Other,
            };
            self.declared.push((depth, prefix.to_owned(), namespace));
        }
        if depth > DEPTH || self.declared.len() > DECLARATIONS {
            return Err(Malformed("the document nests too deep"));
        }
        let name = tag.name();
        let name: &str = name.as_ref();
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let namespace = self
            .declared
            .iter()
            .rev()
            .find(|(_, known, _)| known == prefix)
            .map_or(Namespace::Other, |(_, _, namespace)| *namespace);
        let kind = kind(namespace, local);
        self.stack.push(kind);
        Ok(kind)
    }

    /// # Errors
    /// Nothing is open.
    pub fn close(&mut self) -> Result<K, Malformed> {
        let depth = self.stack.len();
        let kind = self
            .stack
            .pop()
            .ok_or(Malformed("an end tag has no start"))?;
        self.declared.retain(|(level, _, _)| *level < depth);
        Ok(kind)
    }
}
