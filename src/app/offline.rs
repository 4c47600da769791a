//! Whole objects, opened and sealed from file to file without a gateway, in constant memory.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::keyring::offline::{OfContext, OfflineEpochs};
use crate::seal::layout::{self, HEADER, LOCATOR, SEGMENT, TAG};
use crate::seal::object::{Fed, ObjectReader};
use crate::seal::run::{RunHeader, RunSealer, RunSpec};
use crate::seal::trailer::{self, Digests, Trailer};
use crate::seal::{Context, EpochKeys, ObjectId, OpenError, Salt, SealError};

/// Why an object was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    #[error(transparent)]
    Refused(#[from] OpenError),
    #[error("{0}")]
    File(#[from] io::Error),
}

/// Opens an object of any number of runs. Each segment is authenticated before it is written; the last one is written only after
/// the trailer was verified, so `out` is whole exactly when this returns its length.
///
/// # Errors
/// The failure classes of `docs/format.md`, or a file that can't be read or written.
pub fn open_object(
    source: &mut (impl Read + Seek),
    epochs: &Arc<OfflineEpochs>,
    out: &mut impl Write,
) -> Result<u64, OpenFault> {
    let mut reader = reader(source, epochs)?;
    let mut buffer = vec![0; SEGMENT + TAG];
    let mut last = Vec::new();
    loop {
        let want = reader.want();
        if want == 0 {
            return Err(OpenError::Length.into());
        }
        if buffer.len() < want {
            buffer.resize(want, 0);
        }
        let chunk = &mut buffer[..want];
        source.read_exact(chunk)?;
        match reader.feed(chunk)? {
            Fed::Nothing => {}
            Fed::Plain(range) => out.write_all(&chunk[range])?,
            Fed::Held(range) => last.extend_from_slice(&chunk[range]),
            Fed::Finished => {
                out.write_all(&last)?;
                out.flush()?;
                return Ok(reader.plain_len());
            }
        }
    }
}

/// A reader in the context that the first run's record names; the source is left at its beginning. The trailer of an object
/// of several runs is authenticated first.
fn reader(
    source: &mut (impl Read + Seek),
    epochs: &Arc<OfflineEpochs>,
) -> Result<ObjectReader, OpenFault> {
    let length = source.seek(SeekFrom::End(0))?;
    layout::plain_len(length).ok_or(OpenError::Length)?;
    let mut head = [0; HEADER];
    source.seek(SeekFrom::Start(0))?;
    source.read_exact(&mut head)?;
    let header = RunHeader::parse(&head)?;
    let epochs = OfContext::of(epochs, header.epoch).map_err(OpenError::from)?;
    let context = Arc::new(epochs.context().clone());
    let reader = if header.part == 0 {
        ObjectReader::new(Arc::new(epochs), context, length, None)?
    } else {
        let trailer = read_trailer(source, length, &epochs)?;
        ObjectReader::with_trailer(Arc::new(epochs), context, length, Arc::new(trailer))?
    };
    source.seek(SeekFrom::Start(0))?;
    Ok(reader)
}

fn read_trailer(
    source: &mut (impl Read + Seek),
    length: u64,
    epochs: &OfContext,
) -> Result<Trailer, OpenFault> {
    let mut locator = [0; LOCATOR];
    source.seek(SeekFrom::Start(length - LOCATOR as u64))?;
    source.read_exact(&mut locator)?;
    let size = trailer::locate(locator, length)?;
    let mut sealed = vec![0; usize::try_from(size).map_err(|_| OpenError::Trailer)?];
    source.seek(SeekFrom::Start(length - LOCATOR as u64 - size))?;
    source.read_exact(&mut sealed)?;
    Ok(Trailer::open(
        epochs,
        epochs.context(),
        &mut sealed,
        length,
    )?)
}

/// Why a file was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealFault {
    #[error(transparent)]
    Format(#[from] SealError),
    #[error("{0}")]
    File(#[from] io::Error),
}

/// What an object is sealed with.
pub struct SealWith<'a> {
    pub keys: &'a EpochKeys,
    pub context: &'a Context,
    pub object: ObjectId,
    /// Of the run and of the trailer.
    pub salts: [Salt; 2],
}

/// Seals `length` bytes, which must be all that `source` holds, as an object of one run. Gives the sealed length.
///
/// # Errors
/// `Length` for a source of another length, `TooLarge` beyond 1 TiB, or a file that can't be read or written.
pub fn seal_object(
    source: &mut impl Read,
    length: u64,
    with: &SealWith<'_>,
    out: &mut impl Write,
) -> Result<u64, SealFault> {
    let spec = RunSpec {
        object: with.object,
        part: 0,
        salt: with.salts[0],
        length: Some(length),
    };
    let mut sealer = RunSealer::new(with.keys, with.context, spec)?;
    out.write_all(sealer.header())?;
    let mut buffer = vec![0; SEGMENT];
    let entry = loop {
        let filled = fill(source, &mut buffer)?;
        if filled < SEGMENT {
            let (tag, entry) = sealer.finish(&mut buffer[..filled])?;
            out.write_all(&buffer[..filled])?;
            out.write_all(&tag)?;
            break entry;
        }
        let tag = sealer.seal_segment(&mut buffer)?;
        out.write_all(&buffer)?;
        out.write_all(&tag)?;
    };
    let zeros = layout::zeros_len([length]).ok_or(SealError::Layout)?;
    io::copy(&mut io::repeat(0).take(zeros), out)?;
    let trailer = trailer::seal_trailer(
        with.keys,
        with.context,
        with.object,
        with.salts[1],
        &[entry],
        &Digests::default(),
    )?;
    out.write_all(trailer.as_bytes())?;
    out.flush()?;
    Ok(layout::sealed_len(length).ok_or(SealError::TooLarge)?)
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
