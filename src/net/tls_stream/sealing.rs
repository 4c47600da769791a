//! What goes out: records sealed straight into the buffer that is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::unbuffered::{EncodeError, EncodeTlsData, WriteTraffic};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::net::buffer::Buffer;

/// Plaintext of a record (RFC 8446 section 5.1).
pub(super) const RECORD: usize = 16 * 1024;
/// What a record adds at most: header, explicit nonce (TLS 1.2), content type, tag.
pub(super) const OVERHEAD: usize = 5 + 8 + 1 + 16;
/// Buffers that are together no longer go into one record.
const JOINED: usize = 8 * 1024;

impl Buffer {
    /// Plaintext that can still be sealed into the buffer.
    fn seal_room(&self) -> usize {
        let (room, whole) = (self.room(), RECORD + OVERHEAD);
        room / whole * RECORD + (room % whole).saturating_sub(OVERHEAD)
    }

    pub(super) fn poll_send(
        &mut self,
        tcp: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let sent = ready!(Pin::new(&mut *tcp).poll_write(cx, self.filled()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn encode<D>(&mut self, mut data: EncodeTlsData<'_, D>) -> io::Result<()> {
        let mut wanted = RECORD + OVERHEAD;
        loop {
            match data.encode(self.space(wanted)) {
                Ok(n) => {
                    self.filled_more(n);
                    return Ok(());
                }
                Err(EncodeError::InsufficientSize(more)) if more.required_size > wanted => {
                    wanted = more.required_size;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    fn seal<D>(&mut self, writer: &mut WriteTraffic<'_, D>, plain: &[u8]) -> io::Result<()> {
        let records = plain.len().div_ceil(RECORD);
        let space = self.space(plain.len() + records * OVERHEAD);
        let sealed = writer.encrypt(plain, space).map_err(io::Error::other)?;
        self.filled_more(sealed);
        Ok(())
    }

    pub(super) fn close<D>(&mut self, writer: &mut WriteTraffic<'_, D>) -> io::Result<()> {
        let space = self.space(RECORD + OVERHEAD);
        let sealed = writer.queue_close_notify(space).map_err(io::Error::other)?;
        self.filled_more(sealed);
        Ok(())
    }
}

/// Seals what fits; a head and a short body go into one record.
pub(super) fn seal_some<D>(
    outgoing: &mut Buffer,
    writer: &mut WriteTraffic<'_, D>,
    bufs: &[io::IoSlice<'_>],
) -> io::Result<usize> {
    let total: usize = bufs.iter().map(|buf| buf.len()).sum();
    if bufs.len() > 1 && total <= JOINED {
        let mut joined = Vec::with_capacity(total);
        bufs.iter().for_each(|buf| joined.extend_from_slice(buf));
        outgoing.seal(writer, &joined)?;
        return Ok(total);
    }
    let mut sealed = 0;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        let n = buf.len().min(outgoing.seal_room());
        if n > 0 {
            outgoing.seal(writer, &buf[..n])?;
            sealed += n;
        }
        if n < buf.len() {
            break;
        }
    }
    Ok(sealed)
}
