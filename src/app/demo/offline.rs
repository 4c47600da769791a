//! Opening a stored object with nothing but its bytes, the records of the key directory and the recovery identity.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use super::DemoError;
use crate::app::offline::{OpenFault, open_object};
use crate::keyring::offline::{self, OfflineEpochs};
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

/// The plaintext of a whole sealed object, as `sceau open` opens it.
///
/// # Errors
/// Anything in it that does not authenticate.
pub fn open(epochs: &Arc<OfflineEpochs>, sealed: Vec<u8>) -> Result<Vec<u8>, OpenFault> {
    let mut plain = Vec::new();
    open_object(&mut Cursor::new(sealed), epochs, &mut plain)?;
    Ok(plain)
}
