//! Lengths. The sealed length is a function of the plaintext length alone, so that a listing tells sizes without a
//! further request (`docs/format.md`, "Length").

/// Plaintext bytes of every segment but the last.
pub const SEGMENT: usize = 65_536;
/// Authentication tag of a segment.
pub const TAG: usize = 16;
/// A run's header.
pub const HEADER: usize = 128;
/// The trailer run's length, at the object's end.
pub const LOCATOR: usize = 8;
/// A run before the last holds at least this much plaintext.
pub const MIN_RUN: u64 = 327_680;
/// Segments a run may have (1 TiB).
pub const MAX_SEGMENTS: u64 = 1 << 24;
/// Runs an object may have.
pub const MAX_RUNS: u64 = 65_536;
/// The trailer's plaintext: fixed part, then one entry a run.
pub const TRAILER_FIXED: u64 = 140;
pub const TRAILER_ENTRY: u64 = 92;

/// Sealed length of a run: header, segments, tags. `None`: more than a run can hold.
pub fn run_len(plain: u64) -> Option<u64> {
    let segments = plain / SEGMENT as u64 + 1;
    (segments <= MAX_SEGMENTS).then(|| HEADER as u64 + plain + TAG as u64 * segments)
}

/// The plaintext length of a run of so many sealed bytes, where a run can have as many.
pub fn run_plain_len(sealed: u64) -> Option<u64> {
    let segments = sealed.checked_sub(HEADER as u64)?;
    let step = (SEGMENT + TAG) as u64;
    let plain = segments / step * SEGMENT as u64 + (segments % step).checked_sub(TAG as u64)?;
    (run_len(plain) == Some(sealed)).then_some(plain)
}

/// G(P): sealed length of an object. `None`: overflow.
pub fn sealed_len(plain: u64) -> Option<u64> {
    let tags = (plain / SEGMENT as u64)
        .checked_add(1)?
        .checked_mul(TAG as u64)?;
    let runs = (plain / MIN_RUN).min(MAX_RUNS - 1) * 240;
    plain.checked_add(tags)?.checked_add(512)?.checked_add(runs)
}

/// The plaintext length of which `sealed` is the sealed length. G is strictly increasing, so there is one at most.
pub fn plain_len(sealed: u64) -> Option<u64> {
    let (mut low, mut high) = (0, sealed);
    while low < high {
        let middle = low + (high - low) / 2;
        match sealed_len(middle) {
            Some(length) if length < sealed => low = middle + 1,
            _ => high = middle,
        }
    }
    (sealed_len(low) == Some(sealed)).then_some(low)
}

/// Sealed length of the trailer run of an object of so many runs.
pub fn trailer_len(runs: u64) -> Option<u64> {
    if runs > MAX_RUNS {
        return None;
    }
    run_len(TRAILER_FIXED + TRAILER_ENTRY * runs)
}

/// The zeros between the runs and the trailer. `None`: the runs do not fit the layout.
pub fn zeros_len(runs: impl IntoIterator<Item = u64>) -> Option<u64> {
    let (mut total, mut sealed, mut count) = (0u64, 0u64, 0u64);
    for plain in runs {
        total = total.checked_add(plain)?;
        sealed = sealed.checked_add(run_len(plain)?)?;
        count += 1;
    }
    let used = sealed
        .checked_add(trailer_len(count)?)?
        .checked_add(LOCATOR as u64)?;
    sealed_len(total)?.checked_sub(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_528_bytes() {
        assert_eq!(sealed_len(0), Some(528));
        assert_eq!(zeros_len([0]), Some(0));
    }

    #[test]
    fn a_runs_inverse_is_exact() {
        for plain in [0, 1, 65_535, 65_536, 65_537, 327_680, 10_485_760] {
            assert_eq!(run_plain_len(run_len(plain).unwrap()), Some(plain));
        }
        for none in [0, 127, 143, 128 + 65_552 + 15] {
            assert_eq!(run_plain_len(none), None);
        }
    }

    #[test]
    fn the_inverse_is_exact() {
        for plain in [
            0,
            1,
            65_535,
            65_536,
            65_537,
            327_679,
            327_680,
            327_681,
            5 << 20,
            5 << 40,
        ] {
            let sealed = sealed_len(plain).unwrap();
            assert_eq!(plain_len(sealed), Some(plain));
        }
        assert_eq!(plain_len(527), None);
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(sealed_len(u64::MAX), None);
        assert_eq!(run_len(u64::MAX), None);
        assert_eq!(zeros_len([u64::MAX, 1]), None);
    }
}
