//! Reads whole objects with the library.

use std::collections::HashMap;
use std::sync::Arc;

use sceau::seal::layout::LOCATOR;
use sceau::seal::object::{Fed, ObjectReader};
use sceau::seal::trailer::{self, Trailer};
use sceau::seal::{
    Context, EpochKeys, EpochSecret, EpochShort, KeyLookup, LookupError, ObjectId, OpenError,
};
use sceau::secret::Secret;

/// Epochs by secret.
pub struct Secrets(HashMap<EpochShort, Arc<EpochKeys>>);

impl Secrets {
    pub fn new(list: impl IntoIterator<Item = Vec<u8>>) -> Arc<Self> {
        let keys = list.into_iter().map(|bytes| {
            let secret = EpochSecret::new(Secret::from_slice(&bytes).expect("48 bytes"));
            let keys = Arc::new(secret.keys());
            (keys.id.short(), keys)
        });
        Arc::new(Self(keys.collect()))
    }
}

impl KeyLookup for Secrets {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        self.0.get(&short).cloned().ok_or(LookupError::Unknown)
    }
}

/// Feeds a whole object to a reader and appends what is released; the last segment only when the reader has finished.
pub fn feed(
    reader: &mut ObjectReader,
    mut sealed: &[u8],
    released: &mut Vec<u8>,
) -> Result<(), OpenError> {
    let mut held = Vec::new();
    while reader.want() > 0 {
        let (chunk, rest) = sealed
            .split_at_checked(reader.want())
            .ok_or(OpenError::Length)?;
        sealed = rest;
        let mut chunk = chunk.to_vec();
        match reader.feed(&mut chunk)? {
            Fed::Plain(range) => released.extend_from_slice(&chunk[range]),
            Fed::Held(range) => held.extend_from_slice(&chunk[range]),
            Fed::Nothing => {}
            Fed::Finished => released.append(&mut held),
        }
    }
    sealed.is_empty().then_some(()).ok_or(OpenError::Length)
}

/// Fetches the trailer of a whole object.
pub fn trailer_of(
    lookup: &dyn KeyLookup,
    context: &Context,
    sealed: &[u8],
) -> Result<Arc<Trailer>, OpenError> {
    let (body, locator) = sealed
        .split_last_chunk::<LOCATOR>()
        .ok_or(OpenError::Length)?;
    let length = trailer::locate(*locator, sealed.len() as u64)? as usize;
    let mut run = body[body.len() - length..].to_vec();
    Trailer::open(lookup, context, &mut run, sealed.len() as u64).map(Arc::new)
}

/// Opens a whole object of either kind; gives its trailer.
pub fn open_whole(
    lookup: Arc<dyn KeyLookup>,
    context: Arc<Context>,
    sealed: &[u8],
    expected: Option<ObjectId>,
    released: &mut Vec<u8>,
) -> Result<Arc<Trailer>, OpenError> {
    let length = sealed.len() as u64;
    let mut reader = ObjectReader::new(lookup.clone(), context.clone(), length, expected)?;
    match feed(&mut reader, sealed, released) {
        Err(OpenError::NeedsTrailer) => {
            let trailer = trailer_of(lookup.as_ref(), &context, sealed)?;
            if expected.is_some_and(|object| object != trailer.object) {
                return Err(OpenError::Run);
            }
            reader = ObjectReader::with_trailer(lookup, context, length, trailer)?;
            feed(&mut reader, sealed, released)?;
        }
        other => other?,
    }
    Ok(reader.trailer().expect("a finished reader has it").clone())
}
