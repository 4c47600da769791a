//! A table that is read key by key. What was asked for is the schema: the rest is unknown, and an error.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Decision, Report, Source, nearest};
use super::{guidance, value};

/// Values under their keys, with the place of the key.
type Entries<'t> = BTreeMap<&'t str, (Range<usize>, &'t Spanned<DeValue<'t>>)>;

/// One table of a file.
pub(super) struct Section<'s, 't> {
    report: &'s Report,
    source: &'s Source,
    /// `upstream.`, `listener[0].`, or nothing at the top.
    prefix: String,
    /// What faults call the table.
    title: String,
    span: Range<usize>,
    entries: Entries<'t>,
    asked: Vec<&'static str>,
}

impl<'s, 't> Section<'s, 't> {
    /// The table of a whole file.
    pub fn root(report: &'s Report, source: &'s Source, table: &'t DeTable<'t>) -> Self {
        Self::new(
            report,
            source,
            String::new(),
            "the file".into(),
            0..0,
            table,
        )
    }

    fn new(
        report: &'s Report,
        source: &'s Source,
        prefix: String,
        title: String,
        span: Range<usize>,
        table: &'t DeTable<'t>,
    ) -> Self {
        let entries = entries(table);
        Self {
            report,
            source,
            prefix,
            title,
            span,
            entries,
            asked: Vec::new(),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        self.asked.push(key);
        self.entries.remove(key)
    }

    /// A value that may be absent.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let (_, value) = self.take(key)?;
        self.decide(key, value);
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.report
                    .fault(self.source, &value.span(), format!("`{key}`: {message}"));
                None
            }
        }
    }

    /// A value that must stand.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if self.has(key) {
            return self.optional(key, parse);
        }
        self.asked.push(key);
        self.fault(format!("{} needs `{key}`", self.title));
        None
    }

    /// A value with a default, which is written as TOML and read by the same rule.
    pub fn or<T>(
        &mut self,
        key: &'static str,
        default: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if self.has(key) {
            return self.optional(key, parse);
        }
        self.asked.push(key);
        self.report.decision(Decision {
            file: self.source.name.clone(),
            key: format!("{}{key}", self.prefix),
            value: default.to_owned(),
            line: None,
        });
        let value = DeValue::parse(default).map_err(|error| error.message().to_owned());
        match value.and_then(|value| parse(value.get_ref())) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.fault(format!("the default of `{key}`: {message}"));
                None
            }
        }
    }

    /// The items of a list, each with its place and each with its own fault; `default` as for [`Section::or`], without
    /// one the key must stand.
    pub fn items<T>(
        &mut self,
        key: &'static str,
        default: Option<&str>,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Vec<(Range<usize>, T)>> {
        let (report, source) = (self.report, self.source);
        if !self.has(key) {
            let Some(default) = default else {
                return self.required(key, |_| Ok(Vec::new()));
            };
            let items = self.or(key, default, value::list(parse))?;
            let place = self.span.clone();
            return Some(
                items
                    .into_iter()
                    .map(|item| (place.clone(), item))
                    .collect(),
            );
        }
        let items: Vec<Option<_>> = self.optional(key, |list| match list {
            DeValue::Array(items) => Ok(items
                .iter()
                .map(|item| match parse(item.get_ref()) {
                    Ok(parsed) => Some((item.span(), parsed)),
                    Err(message) => {
                        report.fault(source, &item.span(), format!("`{key}`: {message}"));
                        None
                    }
                })
                .collect()),
            _ => Err("expected a list".to_owned()),
        })?;
        items.into_iter().collect()
    }

    /// A table under this one; when it is absent, one whose keys are all absent.
    pub fn table(&mut self, key: &'static str) -> Section<'s, 't> {
        let mut section = Section {
            report: self.report,
            source: self.source,
            prefix: format!("{}{key}.", self.prefix),
            title: format!("[{key}]"),
            span: self.span.clone(),
            entries: BTreeMap::new(),
            asked: Vec::new(),
        };
        if let Some((span, value)) = self.take(key) {
            section.span = span;
            match value.get_ref() {
                DeValue::Table(table) => section.entries = entries(table),
                _ => section.fault(format!("`{key}` is a table: write [{key}]")),
            }
        }
        section
    }

    /// The tables of an array, none when it is absent.
    pub fn tables(&mut self, key: &'static str) -> Vec<Section<'s, 't>> {
        let Some((span, value)) = self.take(key) else {
            return Vec::new();
        };
        let expected = format!("`{key}` is a list of tables: write [[{key}]] for each");
        let DeValue::Array(items) = value.get_ref() else {
            self.report.fault(self.source, &span, expected);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let DeValue::Table(table) = item.get_ref() {
                let prefix = format!("{}{key}[{index}].", self.prefix);
                let title = format!("[[{key}]]");
                sections.push(Section::new(
                    self.report,
                    self.source,
                    prefix,
                    title,
                    item.span(),
                    table,
                ));
            } else {
                self.report
                    .fault(self.source, &item.span(), expected.clone());
            }
        }
        sections
    }

    /// `[upstream]`, say.
    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Names a key that belongs to the table though nothing reads it now.
    pub fn know(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    pub fn line(&self, span: &Range<usize>) -> usize {
        self.source.place(span.start).0
    }

    /// Where the value of `key` stands, or the table when it is absent. Ask before reading it.
    pub fn place(&self, key: &str) -> Range<usize> {
        self.entries
            .get(key)
            .map_or_else(|| self.span.clone(), |(_, value)| value.span())
    }

    /// A fault of the table as a whole.
    pub fn fault(&self, message: impl Into<String>) {
        self.report.fault(self.source, &self.span, message);
    }

    /// A fault at a place of the table's file.
    pub fn fault_at(&self, span: &Range<usize>, message: impl Into<String>) {
        self.report.fault(self.source, span, message);
    }

    /// Refuses a second `what` of this value, wherever the first stands.
    pub fn unique(&self, span: &Range<usize>, what: &'static str, value: &str) {
        self.report.unique(self.source, span, what, value);
    }

    /// Every key that was not asked for is a fault, with what was probably meant.
    pub fn finish(self) {
        for (key, (span, _)) in &self.entries {
            if self.asked.contains(key) {
                continue;
            }
            let message = format!("unknown key `{key}` in {}{}", self.title, self.hint(key));
            self.report.fault(self.source, span, message);
        }
    }

    fn hint(&self, key: &str) -> String {
        if let Some(advice) = guidance::advice(key) {
            return format!(": {advice}");
        }
        let asked = || self.asked.iter().copied();
        let meant = asked()
            .find(|name| guidance::foreign(key).contains(name))
            .or_else(|| nearest(key, asked()));
        match meant {
            Some(name) => format!(", did you mean `{name}`?"),
            None => String::new(),
        }
    }

    fn decide(&self, key: &str, value: &Spanned<DeValue<'_>>) {
        let span = value.span();
        let text = self.source.text.get(span.clone()).unwrap_or_default();
        self.report.decision(Decision {
            file: self.source.name.clone(),
            key: format!("{}{key}", self.prefix),
            value: text.to_owned(),
            line: Some(self.source.place(span.start).0),
        });
    }
}

fn entries<'t>(table: &'t DeTable<'t>) -> Entries<'t> {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value)))
        .collect()
}
