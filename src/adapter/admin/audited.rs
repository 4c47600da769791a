//! A text on its way through the scanner: bounded, and its line in the log written whatever becomes of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::adapter::json::Wrong;
use crate::adapter::text::Text;
use crate::body::{Fault, Guide};
use crate::error::{PROTOCOL, Refusal, TOO_LARGE};
use crate::seal::scan::{Found, Output, Scanner};
use crate::telemetry::{OPENED_OUTSIDE, RequestId};

/// Who had what opened; written when it is dropped.
pub(super) struct Audit {
    id: RequestId,
    subscriber: Arc<str>,
    service: String,
    found: Found,
    whole: bool,
}

impl Audit {
    pub fn begin(id: RequestId, subscriber: Arc<str>, service: String) -> Self {
        Self {
            id,
            subscriber,
            service,
            found: Found::default(),
            whole: false,
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Found {
            opened,
            damaged,
            misplaced,
            kept,
        } = self.found;
        OPENED_OUTSIDE.add(&self.service, opened);
        tracing::info!(
            id = %self.id,
            subscriber = &*self.subscriber,
            service = self.service,
            opened,
            damaged,
            misplaced,
            kept,
            whole = self.whole,
            "sealed text was opened outside of the exchange with its provider"
        );
    }
}

/// See the module.
pub(super) struct Audited {
    text: Text,
    limit: u64,
    left: u64,
    audit: Audit,
}

impl Audited {
    pub fn new(text: Text, limit: u64, audit: Audit) -> Self {
        Self {
            text,
            limit,
            left: limit,
            audit,
        }
    }
}

impl Guide for Audited {
    fn push(&mut self, piece: Bytes, scanner: &mut Scanner, out: &mut Output) -> Result<(), Fault> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| {
            let refusal = too_large(self.limit);
            Fault::new(refusal.code, refusal.message.unwrap_or_default())
        })?;
        let pushed = self.text.push(piece, scanner, out);
        self.audit.found = scanner.found();
        pushed.map_err(malformed)
    }

    fn finish(&mut self, scanner: &mut Scanner, out: &mut Output) -> Result<(), Fault> {
        let finished = self.text.finish(scanner, out);
        self.audit.found = scanner.found();
        finished.map_err(malformed)?;
        self.audit.whole = true;
        Ok(())
    }
}

fn malformed(wrong: Wrong) -> Fault {
    Fault::new(&PROTOCOL, wrong.to_string())
}

pub(super) fn too_large(limit: u64) -> Refusal {
    Refusal::new(&TOO_LARGE).message(format!("A text has at most {limit} bytes here."))
}
