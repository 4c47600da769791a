//! Buffers of one size that connections use while they have something to read or to send. Those that nobody uses wait
//! on their thread for the next one, so that neither an idle connection nor a busy one costs an allocation.

use std::cell::RefCell;

/// Two sealed segments in TLS records, with all that those add: one frame of a sealed body is one send.
const SIZE: usize = 2 * (64 * 1024 + 16) + 9 * 32;
/// Spare buffers a thread.
const SPARE: usize = 16;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that wait, `start..end` of `bytes`. Records are opened in place, so plaintext of an earlier connection may lie
/// outside of that range: only what was filled is ever read.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn filled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// The first `n` bytes are done with.
    pub fn advance(&mut self, n: usize) {
        self.start += n;
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Bytes that still fit without moving or growing anything.
    pub fn room(&self) -> usize {
        self.bytes.len().max(SIZE) - self.end
    }

    /// Space for at least `wanted` bytes behind those that wait.
    pub fn space(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = BUFFERS
                .with_borrow_mut(Vec::pop)
                .unwrap_or_else(|| vec![0; SIZE]);
        }
        if self.bytes.len() - self.end < wanted && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < wanted {
            self.bytes.resize(self.end + wanted, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// `n` bytes of the space are filled.
    pub fn filled_more(&mut self, n: usize) {
        self.end = (self.end + n).min(self.bytes.len());
    }

    /// Gives the memory up, if nothing waits.
    pub fn release(&mut self) {
        if !self.is_empty() || self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        (self.start, self.end) = (0, 0);
        if bytes.len() == SIZE {
            BUFFERS.with_borrow_mut(|spare| {
                if spare.len() < SPARE {
                    spare.push(bytes);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.advance(self.len());
        // a thread that ends has no spares any more
        if BUFFERS.try_with(|_| ()).is_ok() {
            self.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_in_order_and_the_buffer_grows_when_it_must() {
        let mut buffer = Buffer::default();
        for round in 0..5u8 {
            let n = SIZE / 2 + 7;
            buffer.space(n)[..n].fill(round);
            buffer.filled_more(n);
            let behind = buffer.len() - n;
            assert!(buffer.filled()[behind..].iter().all(|b| *b == round));
            if round > 0 {
                buffer.advance(SIZE / 3);
            }
        }
        buffer.advance(buffer.len());
        assert!(buffer.is_empty());
        buffer.release();
        assert_eq!(buffer.bytes.len(), 0);
    }
}
