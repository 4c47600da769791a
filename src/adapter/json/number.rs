//! Numbers of JSON (RFC 8259, section 6), read in pieces.

/// How far a number was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Its first character is to come.
    Begun,
    Minus,
    /// A leading zero: no digit may follow.
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Number {
    /// Whether it may end here.
    pub fn complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Whole | Self::Fraction | Self::Power
        )
    }

    /// Reads from `at` on, to the number's end or the piece's.
    ///
    /// # Errors
    /// Where something stands that is no number's.
    pub fn read(mut self, piece: &[u8], at: usize) -> Result<(Self, usize), usize> {
        for (next, byte) in piece.iter().enumerate().skip(at) {
            self = match (self, byte) {
                (Self::Begun, b'-') => Self::Minus,
                (Self::Begun | Self::Minus, b'0') => Self::Zero,
                (Self::Begun | Self::Minus | Self::Whole, b'0'..=b'9') => Self::Whole,
                (Self::Zero | Self::Whole, b'.') => Self::Point,
                (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
                (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
                (Self::Exponent, b'+' | b'-') => Self::Sign,
                (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
                _ if self.complete() => return Ok((self, next)),
                _ => return Err(next),
            };
        }
        Ok((self, piece.len()))
    }
}
