//! Messages in MIME (RFC 5322, RFC 2045 to 2049), as Microsoft Graph takes and gives them beside JSON. What goes up is written
//! anew from what was read, so nothing passes that was not looked at; what comes down stays byte for byte what it was but where
//! something sealed is opened.

mod fields;
mod opened;
mod sealed;
mod structure;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) use self::opened::open;
use self::structure::Entity;
use crate::error::{PROTOCOL, Refusal};

/// Characters of a line in base64 (RFC 2045, section 6.8).
const LINE: usize = 76;

/// Why a message can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(&'static str);

impl From<Malformed> for Refusal {
    fn from(Malformed(why): Malformed) -> Self {
        Refusal::new(&PROTOCOL).message(format!("The message in MIME is malformed. {why}"))
    }
}

/// A message that a client wrote.
pub(super) struct Outgoing {
    message: Vec<u8>,
    entity: Entity,
}

impl Outgoing {
    /// `body`: of a request, the message in base64.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let digits = body.iter().filter(|byte| !byte.is_ascii_whitespace());
        let digits: Vec<u8> = digits.copied().collect();
        let message = STANDARD
            .decode(digits)
            .map_err(|_| Refusal::new(&PROTOCOL).message("A message in MIME is sent in base64."))?;
        let entity = structure::read(&message, 0..message.len())?;
        if entity.head.fields.is_empty() {
            return Err(Malformed("It has no header.").into());
        }
        Ok(Self { message, entity })
    }
}

/// Lines of base64, without the end of the last one.
fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for (n, piece) in bytes.chunks(LINE / 4 * 3).enumerate() {
        if n > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(STANDARD.encode(piece).as_bytes());
    }
}
