//! What the demo prints: claims, each checked as it is printed, and tables.

use std::fmt::Display;
use std::io::{self, Write};

/// Counts claims. A demo's exit code is what it says at the end.
pub struct Ledger<W> {
    out: W,
    held: usize,
    failed: usize,
}

impl<W: Write> Ledger<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            held: 0,
            failed: 0,
        }
    }

    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// One claim and whether it held.
    pub fn claim(&mut self, held: bool, text: impl Display) -> io::Result<()> {
        if held {
            self.held += 1;
            self.line(format_args!("   held: {text}"))
        } else {
            self.failed += 1;
            self.line(format_args!("   FAILED: {text}"))
        }
    }

    /// The last line. Whether every claim held; none at all is no proof.
    pub fn close(&mut self) -> io::Result<bool> {
        let Self { held, failed, .. } = *self;
        self.line(format_args!("proof: {held} claims held, {failed} failed"))?;
        Ok(failed == 0 && held > 0)
    }
}

/// Digits in groups of three.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Sixteen bytes as hexadecimal digits and as text.
pub fn hex_line(bytes: &[u8]) -> String {
    let bytes = bytes.get(..16).unwrap_or(bytes);
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = bytes
        .iter()
        .map(|byte| match byte {
            0x20..=0x7E => char::from(*byte),
            _ => '.',
        })
        .collect();
    let line = format!("{:<47}  {text}", digits.join(" "));
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(claims: &[bool]) -> (bool, String) {
        let mut out = Vec::new();
        let mut ledger = Ledger::new(&mut out);
        for held in claims {
            ledger.claim(*held, "a claim").unwrap();
        }
        let good = ledger.close().unwrap();
        (good, String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_broken_claim_fails_the_proof() {
        assert_eq!(
            outcome(&[true, false, true]),
            (
                false,
                "   held: a claim\n   FAILED: a claim\n   held: a claim\nproof: 2 claims held, 1 failed\n".to_owned()
            )
        );
    }

    #[test]
    fn a_proof_needs_claims_that_held() {
        let (good, text) = outcome(&[true, true]);
        assert!(good);
        assert!(text.ends_with("\nproof: 2 claims held, 0 failed\n"));
        assert!(!outcome(&[]).0);
    }

    #[test]
    fn lines_are_aligned() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(7_340_032), "7 340 032");
        assert_eq!(
            hex_line(b"Objet : \xC3\xA9"),
            "4f 62 6a 65 74 20 3a 20 c3 a9                    Objet : .."
        );
        assert_eq!(hex_line(&[0; 32]).len(), 47 + 2 + 16);
    }
}
