//! Sealing of single values: what a client wrote becomes what the provider gets.

use std::sync::{Arc, OnceLock};

use super::Http;
use super::settings::{Filter, Form, Sealing};
use super::urlencoded::{NotText, Treated};
use crate::adapter::json::{Picked, Value, Wrong};
use crate::adapter::{self, Exchange};
use crate::error::{FIELD_TOO_LONG, INTERNAL, PROTOCOL, RULE_VIOLATED, Refusal};
use crate::seal::scan::Encoding;
use crate::seal::token::{self, Index, MAX_PLAIN};
use crate::seal::{Context, EpochKeys, Epochs, ObjectId, Salt, SaltSource};

/// Seals the values of one request.
pub(super) struct Sealer {
    epochs: Arc<dyn Epochs>,
    context: Arc<Context>,
    index: Arc<Index>,
    salts: Arc<SaltSource>,
    exchange: Exchange,
    keys: OnceLock<Arc<EpochKeys>>,
}

/// A value in the provider's form, and the member or field that goes beside it.
pub(super) struct SealedValue {
    pub text: String,
    pub beside: Option<(String, String)>,
}

/// The same of a JSON document, each written as JSON.
pub(super) struct SealedMember {
    pub value: String,
    /// Name, colon and index.
    pub beside: Option<String>,
}

impl Sealer {
    pub fn new(http: &Http, exchange: Exchange) -> Self {
        Self {
            epochs: http.epochs.clone(),
            context: http.context.clone(),
            index: http.index.clone(),
            salts: http.salts.clone(),
            exchange,
            keys: OnceLock::new(),
        }
    }

    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The epoch to seal under, asked for once a request and only where something is sealed.
    pub fn keys(&self) -> Result<&Arc<EpochKeys>, Refusal> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = adapter::current(&*self.epochs)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    pub fn salt(&self) -> Result<Salt, Refusal> {
        self.exchange.draw(&self.salts, SaltSource::salt)
    }

    pub fn object_id(&self) -> Result<ObjectId, Refusal> {
        self.exchange.draw(&self.salts, SaltSource::object_id)
    }

    /// An empty value stays empty: providers take it for the absence of one.
    pub fn seal(&self, sealing: &Sealing, value: &str) -> Result<SealedValue, Refusal> {
        if value.is_empty() {
            let beside = sealing.beside();
            return Ok(SealedValue {
                text: String::new(),
                beside: beside.map(|name| (name.to_owned(), String::new())),
            });
        }
        match &sealing.form {
            Form::Token => Ok(SealedValue {
                text: self.token(sealing, value)?,
                beside: None,
            }),
            Form::Indexed { beside, normal } => {
                let index = self.index(sealing, *normal, value);
                Ok(SealedValue {
                    text: self.token(sealing, value)?,
                    beside: Some((beside.clone(), index)),
                })
            }
            Form::Index { normal, filter } => Ok(SealedValue {
                text: match filter {
                    None => self.index(sealing, *normal, value),
                    Some(filter) => {
                        let (before, behind) = &filter.sent;
                        let index = self.index(sealing, *normal, filtered(filter, sealing, value)?);
                        format!("{before}{index}{behind}")
                    }
                },
                beside: None,
            }),
        }
    }

    /// That of an empty value is empty too: it replaces what stood there.
    fn index(&self, sealing: &Sealing, normal: token::Normal, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        self.index.of(&self.context, sealing.field, normal, value)
    }

    fn token(&self, sealing: &Sealing, value: &str) -> Result<String, Refusal> {
        let room = sealing.max.map_or(MAX_PLAIN, |max| {
            token::plain_room(max).unwrap_or(0).min(MAX_PLAIN)
        });
        if value.len() > room {
            return Err(Refusal::new(&FIELD_TOO_LONG).message(format!(
                "`{}` holds {} bytes; sealed, it has room for {room}.",
                sealing.label,
                value.len()
            )));
        }
        let sealed = token::seal(
            self.keys()?,
            &self.context,
            sealing.field,
            self.salt()?,
            value.as_bytes(),
        );
        sealed.map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    /// What replaces a picked value of a JSON document. `null` stays, and so is its index.
    ///
    /// # Errors
    /// The value is neither a string nor `null`, or is too long.
    pub fn json(&self, sealing: &Sealing, picked: &Picked<'_>) -> Result<SealedMember, Refusal> {
        let beside = match sealing.beside() {
            Some(name) => Some(format!(
                "{}:{}",
                quoted(name)?,
                self.json_index(sealing, picked)?
            )),
            None => None,
        };
        let value = match text(picked)? {
            Some(value) => quoted(&self.seal(sealing, value)?.text)?,
            None => "null".into(),
        };
        Ok(SealedMember { value, beside })
    }

    /// The index of a picked value, as JSON.
    ///
    /// # Errors
    /// As for [`Self::json`].
    pub fn json_index(&self, sealing: &Sealing, picked: &Picked<'_>) -> Result<String, Refusal> {
        match (text(picked)?, &sealing.form) {
            (None, _) => Ok("null".into()),
            (Some(value), Form::Indexed { normal, .. }) => {
                quoted(&self.index(sealing, *normal, value))
            }
            (Some(_), _) => Err(Refusal::new(&INTERNAL)),
        }
    }

    /// What becomes of a pair of a form or query.
    pub fn pair(&self, sealing: &Sealing, value: &str) -> Result<Treated, Refusal> {
        let sealed = self.seal(sealing, value)?;
        Ok(match sealed.beside {
            None => Treated::Replaced(sealed.text),
            Some(beside) => Treated::Extended(sealed.text, beside),
        })
    }
}

/// `None`: `null`.
fn text<'p>(picked: &'p Picked<'_>) -> Result<Option<&'p str>, Refusal> {
    match &picked.value {
        Value::Text(text) => Ok(Some(text)),
        Value::Null => Ok(None),
        Value::Number(_) | Value::Other => Err(Wrong::Kind(picked.span.start).into()),
    }
}

pub(super) fn quoted(text: &str) -> Result<String, Refusal> {
    let mut out = vec![b'"'];
    Encoding::Json.write(text, &mut out);
    out.push(b'"');
    String::from_utf8(out).map_err(|error| Refusal::new(&INTERNAL).cause(error))
}

/// The value in a filter. One that could end the provider's quotation is refused.
fn filtered<'v>(filter: &Filter, sealing: &Sealing, text: &'v str) -> Result<&'v str, Refusal> {
    let value = filter.taken.iter().find_map(|(before, behind)| {
        let value = text.strip_prefix(before)?.strip_suffix(behind)?;
        (!value.contains(['\'', '"', '\\', '`'])).then_some(value)
    });
    value.ok_or_else(|| {
        let forms = filter
            .taken
            .iter()
            .map(|(before, behind)| format!("{before}…{behind}"));
        let forms: Vec<String> = forms.collect();
        Refusal::new(&RULE_VIOLATED).message(format!(
            "`{}` takes a filter of the form {} and no other: the provider has only the index to compare.",
            sealing.label,
            forms.join(" or ")
        ))
    })
}

impl From<NotText> for Refusal {
    fn from(_: NotText) -> Self {
        Refusal::new(&PROTOCOL).message("A query or form holds a pair that is no UTF-8 text.")
    }
}
