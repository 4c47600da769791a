//! A spool on its way out.

use std::fs::File;
use std::future::poll_fn;
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::StateError;
use super::spool::SpoolReceipt;
use crate::seal::SealedBytes;

const CHUNK: u64 = 256 << 10;

/// Gives a spool's bytes in order. The last chunk comes only once all bytes are known to be those that
/// were written; an error is final and never turns into an end.
pub struct SpoolReader {
    at: At,
    length: u64,
}

enum At {
    Rest(Source),
    Reading(JoinHandle<Result<(Source, Bytes), StateError>>),
    End,
    Failed(StateError),
}

impl SpoolReader {
    pub(super) fn open(path: &Path, receipt: &SpoolReceipt) -> Result<Self, StateError> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StateError::SpoolMissing,
            _ => error.into(),
        })?;
        if file.metadata()?.len() != receipt.length() {
            return Err(StateError::SpoolDamaged);
        }
        let source = Source {
            file,
            hash: digest::Context::new(&digest::SHA256),
            expected: *receipt.digest(),
            remaining: receipt.length(),
        };
        source.settled()?;
        Ok(Self {
            length: source.remaining,
            at: At::Rest(source),
        })
    }

    /// Sealed bytes in all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next chunk, at most 256 KiB; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<SealedBytes>, StateError> {
        poll_fn(|cx| self.poll_next(cx)).await.transpose()
    }

    /// As [`next`](Self::next), for a body.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<SealedBytes, StateError>>> {
        loop {
            let at = std::mem::replace(&mut self.at, At::Failed(StateError::Stopped));
            self.at = match at {
                At::Rest(source) if source.remaining == 0 => At::End,
                At::Rest(source) => At::Reading(tokio::task::spawn_blocking(|| source.step())),
                At::Reading(mut task) => {
                    let Poll::Ready(done) = Pin::new(&mut task).poll(cx) else {
                        self.at = At::Reading(task);
                        return Poll::Pending;
                    };
                    match done.map_err(|_| StateError::Stopped).flatten() {
                        Ok((source, chunk)) => {
                            self.at = At::Rest(source);
                            return Poll::Ready(Some(Ok(SealedBytes::from_seal(chunk))));
                        }
                        Err(error) => At::Failed(error),
                    }
                }
                At::End => {
                    self.at = At::End;
                    return Poll::Ready(None);
                }
                At::Failed(error) => {
                    self.at = At::Failed(error.clone());
                    return Poll::Ready(Some(Err(error)));
                }
            };
        }
    }
}

struct Source {
    file: File,
    hash: digest::Context,
    expected: [u8; 32],
    remaining: u64,
}

impl Source {
    fn step(mut self) -> Result<(Self, Bytes), StateError> {
        let mut chunk = vec![0; self.remaining.min(CHUNK) as usize];
        self.file
            .read_exact(&mut chunk)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => StateError::SpoolDamaged,
                _ => error.into(),
            })?;
        self.hash.update(&chunk);
        self.remaining -= chunk.len() as u64;
        self.settled()?;
        Ok((self, chunk.into()))
    }

    /// Refuses when all is read and it is not what was written.
    fn settled(&self) -> Result<(), StateError> {
        if self.remaining > 0 || self.hash.clone().finish().as_ref() == self.expected {
            return Ok(());
        }
        Err(StateError::SpoolDamaged)
    }
}
