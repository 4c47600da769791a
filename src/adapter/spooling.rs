//! A sealed body that goes to the disk first, because what the provider wants to know of it stands before it.

use crate::body::{Cleared, Outbound, SealedTail};
use crate::error::Refusal;
use crate::seal::{ObjectId, SealedBytes};
use crate::state::{Spool, SpoolReceipt};

/// Spools a body to its end; `each` sees every piece. Gives the body that goes up, which has a length, and the receipt to
/// delete the spool with when it was sent.
///
/// # Errors
/// What broke the body, what `each` refuses, or a spool that can't be written. Nothing stays on the disk then.
pub(super) async fn spooled(
    spool: &Spool,
    own: ObjectId,
    tenant: &str,
    mut body: Cleared<Outbound>,
    mut each: impl FnMut(&[u8]) -> Result<(), Refusal> + Send,
) -> Result<(Cleared<Outbound>, SpoolReceipt), Refusal> {
    let mut writer = spool.create(&own.0, tenant).await?;
    while let Some(bytes) = body.next_sealed().await? {
        each(bytes.as_bytes())?;
        writer.write(bytes).await?;
    }
    let receipt = writer.finish().await?;
    let reader = spool.read(&receipt).await?;
    let nothing = SealedBytes::from_seal(Vec::new());
    let body = Cleared::sealed_tail(SealedTail::new(Some(reader), 0, nothing));
    Ok((body, receipt))
}
