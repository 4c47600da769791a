//! Opening a stored object with nothing but its bytes, the records of the key directory and the recovery identity.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::DemoError;
use crate::keyring::offline::{self, OfflineEpochs};
use crate::seal::OpenError;
use crate::seal::layout::{HEADER, LOCATOR};
use crate::seal::object::{Fed, ObjectReader};
use crate::seal::run::RunHeader;
use crate::seal::trailer::{self, Trailer};
use crate::secret::SecretBytes;

/// Reads the records of the working directory `gateway` with the recovery identity that it was made with.
///
/// # Errors
/// A file is missing or does not open.
pub fn epochs(gateway: &Path) -> Result<Arc<OfflineEpochs>, DemoError> {
    let passphrase = SecretBytes::new(fs::read(gateway.join("recovery/passphrase"))?);
    let identity = offline::identity(&gateway.join("recovery/recovery.identity"), &passphrase)?;
    let epochs = OfflineEpochs::read(&[gateway.join("keys")], identity)?;
    Ok(Arc::new(epochs))
}

/// The plaintext of a whole sealed object, of one run or several.
///
/// # Errors
/// Anything in it that does not authenticate.
pub fn open(epochs: &Arc<OfflineEpochs>, mut sealed: Vec<u8>) -> Result<Vec<u8>, OpenError> {
    let length = sealed.len() as u64;
    let header = sealed.first_chunk::<HEADER>().ok_or(OpenError::Length)?;
    let epoch = RunHeader::parse(header)?.epoch;
    let context = Arc::new(
        epochs
            .context(epoch)
            .ok_or(OpenError::UnknownEpoch)?
            .clone(),
    );
    let locator = sealed.last_chunk::<LOCATOR>().ok_or(OpenError::Length)?;
    let last =
        usize::try_from(trailer::locate(*locator, length)?).map_err(|_| OpenError::Length)?;
    let end = sealed.len() - LOCATOR;
    let start = end.checked_sub(last).ok_or(OpenError::Trailer)?;
    let mut copy = sealed.get(start..end).ok_or(OpenError::Trailer)?.to_vec();
    let trailer = Arc::new(Trailer::open(epochs.as_ref(), &context, &mut copy, length)?);

    let mut reader = ObjectReader::with_trailer(epochs.clone(), context, length, trailer)?;
    let mut plain = Vec::new();
    let mut rest = sealed.as_mut_slice();
    while reader.want() > 0 {
        let (chunk, after) = rest
            .split_at_mut_checked(reader.want())
            .ok_or(OpenError::Length)?;
        match reader.feed(chunk)? {
            Fed::Plain(range) | Fed::Held(range) => {
                plain.extend_from_slice(chunk.get(range).ok_or(OpenError::Length)?);
            }
            Fed::Nothing | Fed::Finished => {}
        }
        rest = after;
    }
    Ok(plain)
}
