//! What a scanner gives: long stretches of the input without a copy, short ones and values together.

use std::collections::VecDeque;

use bytes::Bytes;

/// Shorter stretches are copied beside their neighbours.
const LONG: usize = 4096;

/// The scanned text, in order.
#[derive(Default)]
pub struct Output {
    ready: VecDeque<Bytes>,
    building: Vec<u8>,
}

impl Output {
    /// The next piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            self.flush();
        }
        self.ready.pop_front()
    }

    pub(super) fn text(&mut self, bytes: Bytes) {
        if bytes.len() < LONG {
            self.building.extend_from_slice(&bytes);
        } else {
            self.flush();
            self.ready.push_back(bytes);
        }
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.building
    }

    fn flush(&mut self) {
        if !self.building.is_empty() {
            self.ready
                .push_back(Bytes::from(std::mem::take(&mut self.building)));
        }
    }
}
