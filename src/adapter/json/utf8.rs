//! UTF-8 that arrives in pieces.

/// Checks a text whose pieces end anywhere.
#[derive(Debug, Default)]
pub struct Utf8 {
    /// The beginning of a character that the last piece cut.
    cut: Vec<u8>,
}

impl Utf8 {
    /// # Errors
    /// Where in the piece the text ceases to be UTF-8.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while !self.cut.is_empty() && at < piece.len() {
            self.cut.push(piece[at]);
            at += 1;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(at - 1),
            }
        }
        let rest = &piece[at..];
        if let Err(error) = std::str::from_utf8(rest) {
            let valid = error.valid_up_to();
            if error.error_len().is_some() {
                return Err(at + valid);
            }
            self.cut.extend_from_slice(&rest[valid..]);
        }
        Ok(())
    }

    /// Whether no character is cut.
    pub fn complete(&self) -> bool {
        self.cut.is_empty()
    }
}
