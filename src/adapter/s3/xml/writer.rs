//! Writes the gateway's own documents.

use bytes::Bytes;

/// The namespace of S3's documents.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What every document begins with.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Appends escaped elements; the caller nests them rightly.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
}

impl Writer {
    /// Begins with the XML declaration.
    pub fn document() -> Self {
        Self {
            out: String::from(DECLARATION),
        }
    }

    /// A piece to splice into a document.
    pub fn fragment() -> Self {
        Self::default()
    }

    pub fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Opens the root element in S3's namespace.
    pub fn root(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push_str(" xmlns=\"");
        self.out.push_str(NAMESPACE);
        self.out.push_str("\">");
    }

    pub fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    pub fn element(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(text, &mut self.out);
        self.close(name);
    }

    pub fn finish(self) -> Bytes {
        Bytes::from(self.out)
    }

    pub fn into_string(self) -> String {
        self.out
    }
}

/// Appends `text` so that it reads back the same. Characters that XML 1.0 can't carry become U+FFFD.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}
