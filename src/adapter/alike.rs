//! Names that some servers take for one another: Go's JSON reader and ASP.NET fold case, PHP and Rails read `q[]` as `q`.

/// Whether two names differ in nothing but case.
pub fn folded(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
        // upper case first: the long s becomes s
        text.chars()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
    }
    fold(one).eq(fold(other))
}

/// Whether a form's or query's `name` may be taken for `sealed`.
pub fn parameter(name: &str, sealed: &str) -> bool {
    let base = name.split('[').next().unwrap_or_default();
    folded(name.trim(), sealed) || folded(base.trim(), sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_fold() {
        assert!(folded("Text", "tEXT") && folded("Te\u{17f}t", "test") && folded("\u{212a}", "k"));
        assert!(!folded("texts", "text") && !folded("", "a"));
        for name in ["q", "Q", "q[]", " q[0][a]", "q "] {
            assert!(parameter(name, "q"), "{name}");
        }
        assert!(parameter("A[B]", "a[b]") && !parameter("qq", "q") && !parameter("[q]", "q"));
    }
}
