//! `sceau key list`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::custody::DirectoryArgs;
use super::super::outcome::{Answer, Failure};
use crate::keyring::admin::{self, Survey};
use crate::keyring::identity::{Recipient, RecipientId};
use crate::keyring::recipients::Recipients;
use crate::keyring::recipients_path;
use crate::keyring::record::Record;

/// Shows recipients, writers and records; needs no passphrase
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &ListArgs) -> Result<Answer, Failure> {
    let directory = args.keys.resolve()?.directory;
    let recipients = Recipients::read(&recipients_path(&directory))?;
    let mut present = Vec::new();
    let mut names = HashMap::new();
    for entry in &recipients.entries {
        let key = Recipient::parse(&entry.key)?;
        names.insert(key.id(), entry.name.clone());
        present.push(key);
    }
    let writers = admin::writers(&directory)?;
    let found = admin::survey(&directory)?;
    let view = View {
        names,
        present,
        writers,
        rotated: admin::rotation_ordered(&directory),
    };
    Ok(Answer::new(
        view.text(&recipients, &found),
        view.json(&directory, &recipients, &found),
    ))
}

struct View {
    names: HashMap<RecipientId, String>,
    present: Vec<Recipient>,
    writers: Vec<[u8; 32]>,
    rotated: Option<u64>,
}

impl View {
    fn wrapped_to(&self, record: &Record) -> Vec<String> {
        record
            .wraps
            .iter()
            .map(|wrap| match self.names.get(&wrap.recipient) {
                Some(name) => name.clone(),
                None => format!("?{}", hex::encode(&wrap.recipient[..4])),
            })
            .collect()
    }

    fn text(&self, recipients: &Recipients, found: &Survey) -> String {
        let mut text = String::new();
        for entry in &recipients.entries {
            let _ = writeln!(text, "recipient {} ({})", entry.name, entry.role.name());
        }
        for writer in &self.writers {
            let _ = writeln!(text, "writer    {}", hex::encode(writer));
        }
        if let Some(at) = self.rotated {
            let _ = writeln!(text, "rotation ordered {}", moment(at));
        }
        for record in &found.records {
            let _ = write!(
                text,
                "{} {:7} {}/{}/{} from {} until {} for {}",
                hex::encode(record.id.0),
                record.kind.name(),
                record.context.tenant(),
                record.context.service(),
                record.context.namespace(),
                moment(record.not_before),
                moment(record.not_after),
                self.wrapped_to(record).join(", "),
            );
            if !record.is_wrapped_to(&self.present) {
                text.push_str(" [rewrap]");
            }
            if record.verify(&self.writers).is_err() {
                text.push_str(" [SIGNATURE DOES NOT HOLD]");
            }
            text.push('\n');
        }
        for path in &found.malformed {
            let _ = writeln!(text, "{} [NO RECORD]", path.display());
        }
        let _ = write!(text, "{} records", found.records.len());
        text
    }

    fn json(&self, directory: &Path, recipients: &Recipients, found: &Survey) -> Value {
        let recipients: Vec<Value> = recipients
            .entries
            .iter()
            .map(|entry| json!({"name": entry.name, "role": entry.role.name(), "key": entry.key}))
            .collect();
        let records: Vec<Value> = found
            .records
            .iter()
            .map(|record| {
                json!({
                    "id": hex::encode(record.id.0),
                    "kind": record.kind.name(),
                    "tenant": record.context.tenant(),
                    "service": record.context.service(),
                    "namespace": record.context.namespace(),
                    "not_before": record.not_before,
                    "not_after": record.not_after,
                    "writer": hex::encode(record.writer),
                    "wrapped_to": self.wrapped_to(record),
                    "stale": !record.is_wrapped_to(&self.present),
                    "signature": record.verify(&self.writers).is_ok(),
                })
            })
            .collect();
        json!({
            "directory": directory,
            "recipients": recipients,
            "writers": self.writers.iter().map(hex::encode).collect::<Vec<_>>(),
            "rotation_ordered": self.rotated,
            "records": records,
            "malformed": found.malformed,
        })
    }
}

/// Unix seconds as people read them.
fn moment(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "for ever".to_owned())
}
