//! The sealed format by exhaustion: sizes, flips, truncations, permutations, exchanges, the length function, ranges,
//! blobs, and the two ciphers against each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "sealing/forge.rs"]
mod forge;
#[path = "sealing/reading.rs"]
mod reading;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use sceau::seal::aead::{Aead, Bulk, Portable};
use sceau::seal::layout::{self, HEADER, LOCATOR, MAX_RUNS, MIN_RUN, SEGMENT, TAG};
use sceau::seal::object::{Fed, ObjectReader};
use sceau::seal::range::{RangeReader, RangeSource};
use sceau::seal::run::{RunEntry, RunHeader, RunOpener, RunSealer, RunSpec};
use sceau::seal::trailer::{self as trailers, Digests, seal_trailer};
use sceau::seal::{
    Context, EpochKeys, EpochSecret, KeyLookup, ObjectId, OpenError, Salt, SealError, blob,
};
use sceau::secret::Secret;

use forge::pattern;
use reading::{Secrets, feed, open_whole, trailer_of};

const STEP: usize = SEGMENT + TAG;
const MIN: usize = MIN_RUN as usize;
/// Sealed length of a run of [`MIN`] bytes.
const MIN_SEALED: usize = HEADER + MIN + 6 * TAG;

fn secret(number: u8) -> Vec<u8> {
    vec![number; 48]
}

fn keys(number: u8) -> EpochKeys {
    EpochSecret::new(Secret::from_slice(&secret(number)).unwrap()).keys()
}

fn lookup() -> Arc<Secrets> {
    static SECRETS: OnceLock<Arc<Secrets>> = OnceLock::new();
    SECRETS
        .get_or_init(|| Secrets::new([secret(0), secret(1)]))
        .clone()
}

fn context() -> Arc<Context> {
    Arc::new(Context::new("min-interieur", "s3", "dossiers").unwrap())
}

/// A run to be sealed.
#[derive(Clone)]
struct Part {
    number: u32,
    salt: u8,
    epoch: u8,
    unknown: bool,
    plain: Vec<u8>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of {} bytes", self.number, self.plain.len())
    }
}

impl Part {
    fn new(number: u32, salt: u8, plain: Vec<u8>) -> Self {
        Self {
            number,
            salt,
            epoch: 0,
            unknown: false,
            plain,
        }
    }

    fn seal(&self, object: u8) -> (Vec<u8>, RunEntry) {
        let spec = RunSpec {
            object: ObjectId([object; 16]),
            part: self.number,
            salt: Salt::of_test_vector([self.salt; 32]),
            length: (!self.unknown).then_some(self.plain.len() as u64),
        };
        let mut sealer = RunSealer::new(&keys(self.epoch), &context(), spec).unwrap();
        let mut out = sealer.header().to_vec();
        let mut data = self.plain.clone();
        let mut chunks = data.chunks_exact_mut(SEGMENT);
        for segment in chunks.by_ref() {
            let tag = sealer.seal_segment(segment).unwrap();
            out.extend_from_slice(segment);
            out.extend_from_slice(&tag);
        }
        let last = chunks.into_remainder();
        let (tag, entry) = sealer.finish(last).unwrap();
        out.extend_from_slice(last);
        out.extend_from_slice(&tag);
        (out, entry)
    }
}

fn trailer(object: u8, entries: &[RunEntry]) -> Vec<u8> {
    let salt = Salt::of_test_vector([0x7A; 32]);
    let id = ObjectId([object; 16]);
    seal_trailer(&keys(0), &context(), id, salt, entries, &Digests::default())
        .unwrap()
        .as_bytes()
        .to_vec()
}

/// Runs in this order, zeros, trailer and locator.
fn assemble(runs: &[Vec<u8>], total: usize, trailer: &[u8]) -> Vec<u8> {
    let mut out = runs.concat();
    let end = layout::sealed_len(total as u64).unwrap() as usize;
    out.resize(end - trailer.len(), 0);
    out.extend_from_slice(trailer);
    out
}

fn seal(object: u8, parts: &[Part]) -> Vec<u8> {
    let (runs, entries): (Vec<_>, Vec<_>) = parts.iter().map(|part| part.seal(object)).unzip();
    let total = parts.iter().map(|part| part.plain.len()).sum();
    assemble(&runs, total, &trailer(object, &entries))
}

fn whole(plain: Vec<u8>) -> Part {
    Part::new(0, 0x5A, plain)
}

/// What was released, and how it ended.
fn open(sealed: &[u8]) -> (Vec<u8>, Result<(), OpenError>) {
    let mut released = Vec::new();
    let end = open_whole(lookup(), context(), sealed, None, &mut released).map(|_| ());
    (released, end)
}

fn opens_to(sealed: &[u8], plain: &[u8]) {
    let (released, end) = open(sealed);
    assert_eq!(end, Ok(()));
    assert!(released == plain, "{} bytes", plain.len());
}

/// It is refused, and what was released until then are the first bytes of `plain`, at most `limit` of them.
fn refused(sealed: &[u8], plain: &[u8], limit: usize, what: &dyn Fn() -> String) -> OpenError {
    let (released, end) = open(sealed);
    let error = match end {
        Ok(()) => panic!("{} was accepted", what()),
        Err(error) => error,
    };
    assert!(
        released.len() <= limit,
        "{}: {} bytes",
        what(),
        released.len()
    );
    assert!(plain.starts_with(&released), "{}", what());
    error
}

const BOUNDARIES: [usize; 12] = [
    0,
    1,
    SEGMENT - 1,
    SEGMENT,
    SEGMENT + 1,
    2 * SEGMENT,
    MIN - 1,
    MIN,
    MIN + 1,
    (5 << 20) - 1,
    5 << 20,
    (5 << 20) + 1,
];

#[test]
fn every_boundary_opens_with_known_and_unknown_length_and_as_a_part() {
    for length in BOUNDARIES {
        let plain = pattern(length, length);
        for (number, unknown) in [(0, false), (0, true), (3, false)] {
            let part = Part {
                number,
                unknown,
                ..whole(plain.clone())
            };
            let sealed = seal(1, &[part]);
            let expected = layout::sealed_len(length as u64).unwrap();
            assert_eq!(sealed.len() as u64, expected, "{length}");
            assert_eq!(layout::plain_len(expected), Some(length as u64));
            opens_to(&sealed, &plain);
        }
    }
}

/// Up to four parts, all but the last of at least 320 KiB, and the order in which they are sealed.
fn parts() -> impl Strategy<Value = (Vec<Part>, Vec<usize>)> {
    let extra = prop::sample::select(vec![0usize, 1, 15, SEGMENT - 1, SEGMENT, SEGMENT + 1]);
    let longer = prop::collection::vec((extra, 0..2u8, 1..4u32), 0..4);
    let last = prop::sample::select(vec![0usize, 1, SEGMENT - 1, SEGMENT, MIN - 1, MIN, MIN + 1]);
    (longer, last, 0..2u8)
        .prop_map(|(longer, last, epoch)| {
            let (mut parts, mut number) = (Vec::new(), 0);
            for (i, (extra, epoch, gap)) in longer.into_iter().enumerate() {
                number += gap;
                let mut part = Part::new(number, i as u8, pattern(i, MIN + extra));
                part.epoch = epoch;
                parts.push(part);
            }
            let mut part = Part::new(number + 1, 0x99, pattern(7, last));
            part.epoch = epoch;
            parts.push(part);
            parts
        })
        .prop_flat_map(|parts| {
            let order: Vec<usize> = (0..parts.len()).collect();
            (Just(parts), Just(order).prop_shuffle())
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sizes_near_a_boundary_open(
        boundary in prop::sample::select(BOUNDARIES[..9].to_vec()),
        off in 0usize..40,
        below in any::<bool>(),
        unknown in any::<bool>(),
    ) {
        let length = if below { boundary.saturating_sub(off) } else { boundary + off };
        let part = Part { unknown, ..whole(pattern(off, length)) };
        let sealed = seal(1, std::slice::from_ref(&part));
        prop_assert_eq!(sealed.len() as u64, layout::sealed_len(length as u64).unwrap());
        opens_to(&sealed, &part.plain);
    }

    #[test]
    fn parts_open_in_whatever_order_they_were_sealed(
        (parts, order) in parts(),
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let mut sealed: Vec<(usize, (Vec<u8>, RunEntry))> =
            order.into_iter().map(|i| (i, parts[i].seal(1))).collect();
        sealed.sort_by_key(|(i, _)| *i);
        let (runs, entries): (Vec<_>, Vec<_>) = sealed.into_iter().map(|(_, run)| run).unzip();
        let plain: Vec<u8> = parts.iter().flat_map(|part| part.plain.clone()).collect();
        let object = assemble(&runs, plain.len(), &trailer(1, &entries));
        prop_assert_eq!(object.len() as u64, layout::sealed_len(plain.len() as u64).unwrap());
        opens_to(&object, &plain);
        if !plain.is_empty() {
            let (one, other) = (ends.0.index(plain.len()), ends.1.index(plain.len()));
            let range = one.min(other)..one.max(other) + 1;
            let (released, end) = ranged(&object, range.clone());
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(released == plain[range], true);
        }
    }

    #[test]
    fn both_ciphers_are_one(
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        aad in prop::collection::vec(any::<u8>(), 0..80),
        length in prop::sample::select(vec![0usize, 1, 15, 16, 17, 255, 4095, 65_535, 65_536]),
        more in 0usize..300,
        flip in any::<prop::sample::Index>(),
    ) {
        both_ciphers(key, nonce, &aad, &pattern(more, length + more), flip)?;
    }
}

fn both_ciphers(
    key: [u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    plain: &[u8],
    flip: prop::sample::Index,
) -> Result<(), TestCaseError> {
    let (bulk, portable) = (Bulk::new(&key).unwrap(), Portable::new(&key).unwrap());
    let (mut one, mut other) = (plain.to_vec(), plain.to_vec());
    let tag = bulk.seal(nonce, aad, &mut one).unwrap();
    prop_assert_eq!(portable.seal(nonce, aad, &mut other), Ok(tag));
    prop_assert_eq!(&one, &other);
    one.extend_from_slice(&tag);
    let bit = flip.index(one.len() * 8);
    let mut damaged = one.clone();
    damaged[bit / 8] ^= 1 << (bit % 8);
    prop_assert_eq!(bulk.open(nonce, aad, &mut damaged.clone()).is_err(), true);
    prop_assert_eq!(portable.open(nonce, aad, &mut damaged).is_err(), true);
    let mut other = one.clone();
    prop_assert_eq!(portable.open(nonce, aad, &mut one), Ok(plain.len()));
    prop_assert_eq!(bulk.open(nonce, aad, &mut other), Ok(plain.len()));
    prop_assert_eq!(&one[..plain.len()], plain);
    prop_assert_eq!(&other[..plain.len()], plain);
    Ok(())
}

/// The library's bytes are the specification's.
#[test]
fn the_library_seals_what_the_document_says() {
    let names = ["min-interieur", "s3", "dossiers"];
    for (unknown, length) in [
        (false, 7),
        (true, 7),
        (false, SEGMENT),
        (false, SEGMENT + 1),
    ] {
        let part = Part {
            unknown,
            ..whole(pattern(3, length))
        };
        let mut forged = forge::Object::whole([0; 48], names, &part.plain);
        forged.pieces[0].unknown = unknown;
        assert!(seal(0x0B, &[part]) == forged.sealed(), "{length}");
    }
    let place: [&[u8]; 2] = [b"bucket", b"key"];
    let sealed = seal_blob(&place, b"plaintext");
    let salt = forge::blob_salt(&[0; 48], [0x3C; 32], b"plaintext");
    let forged = forge::blob(&[0; 48], names, &place, [1; 16], salt, b"plaintext");
    assert_eq!(sealed, forged);
}

/// Small objects: every bit of them, through the whole reader.
#[test]
fn every_flipped_bit_of_small_objects_is_refused() {
    let parts = [
        whole(Vec::new()),
        whole(b"x".to_vec()),
        whole(b"bonjour".to_vec()),
        Part {
            unknown: true,
            ..whole(b"bonjour".to_vec())
        },
        Part::new(1, 1, b"bonjour".to_vec()),
        Part::new(9, 1, Vec::new()),
    ];
    for (i, part) in parts.iter().enumerate() {
        let mut sealed = seal(1, std::slice::from_ref(part));
        for bit in 0..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            refused(&sealed, &part.plain, 0, &|| {
                format!("object {i}, bit {bit}")
            });
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        opens_to(&sealed, &part.plain);
    }
}

/// An object of two segments, 66,082 bytes: every bit of headers, tags, the last segment, trailer and locator through the whole
/// reader, and one bit of every byte of the full segment.
#[test]
fn every_flipped_bit_around_and_every_byte_of_a_full_segment_is_refused() {
    let part = whole(pattern(0, SEGMENT + 2));
    let mut sealed = seal(1, std::slice::from_ref(&part));
    for at in 0..sealed.len() {
        let full = (HEADER..HEADER + SEGMENT).contains(&at);
        let bits = if full { at % 8..at % 8 + 1 } else { 0..8 };
        // from the last segment on, the full one was verified and released
        let limit = if at < HEADER + STEP { 0 } else { SEGMENT };
        for bit in bits {
            sealed[at] ^= 1 << bit;
            refused(&sealed, &part.plain, limit, &|| {
                format!("byte {at}, bit {bit}")
            });
            sealed[at] ^= 1 << bit;
        }
    }
    opens_to(&sealed, &part.plain);
}

/// The same object's full segment: every bit, through the opener of its run alone.
#[test]
fn every_flipped_bit_of_a_full_segment_is_refused_and_leaves_no_plaintext() {
    let part = whole(pattern(0, SEGMENT + 2));
    let sealed = seal(1, std::slice::from_ref(&part));
    let (header, rest) = sealed.split_first_chunk().unwrap();
    let opener = RunOpener::new(&keys(0), &context(), RunHeader::parse(header).unwrap()).unwrap();
    let (segment, length) = (&rest[..STEP], part.plain.len() as u64);
    let mut buffer = segment.to_vec();
    assert_eq!(opener.open_at(0, length, &mut buffer), Ok(SEGMENT));
    assert!(buffer[..SEGMENT] == part.plain[..SEGMENT]);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (opener, plain) = (&opener, &part.plain);
            scope.spawn(move || {
                let mut buffer = segment.to_vec();
                for bit in (half..STEP * 8).step_by(2) {
                    buffer.copy_from_slice(segment);
                    buffer[bit / 8] ^= 1 << (bit % 8);
                    let end = opener.open_at(0, length, &mut buffer);
                    assert_eq!(end, Err(OpenError::Segment), "bit {bit}");
                    assert!(buffer[..32] != plain[..32], "bit {bit}: plaintext is left");
                }
            });
        }
    });
}

/// The object's total is what is left of it: for every length.
#[test]
fn every_truncation_is_refused() {
    for unknown in [false, true] {
        for length in [0, 7, SEGMENT - 1, SEGMENT + 2] {
            let part = Part {
                unknown,
                ..whole(pattern(0, length))
            };
            let sealed = seal(1, std::slice::from_ref(&part));
            let limit = length / SEGMENT * SEGMENT;
            for keep in 0..sealed.len() {
                refused(&sealed[..keep], &part.plain, limit, &|| {
                    format!("{keep} of {}, unknown {unknown}", sealed.len())
                });
            }
        }
    }
    let part = Part::new(4, 1, b"bonjour".to_vec());
    let sealed = seal(1, std::slice::from_ref(&part));
    for keep in 0..sealed.len() {
        refused(&sealed[..keep], &part.plain, 0, &|| format!("part, {keep}"));
    }
}

/// The total is right and the stream ends too soon: the reader still wants bytes, and holds the last segment back.
#[test]
fn a_stream_that_ends_too_soon_never_finishes() {
    let part = whole(pattern(0, 2 * SEGMENT + 5));
    let sealed = seal(1, std::slice::from_ref(&part));
    let length = sealed.len() as u64;
    for keep in (0..sealed.len())
        .step_by(509)
        .chain(sealed.len() - 400..sealed.len())
    {
        let mut reader = ObjectReader::new(lookup(), context(), length, None).unwrap();
        let mut released = Vec::new();
        let end = feed(&mut reader, &sealed[..keep], &mut released);
        assert_eq!(end, Err(OpenError::Length), "{keep}");
        assert!(reader.want() > 0 && reader.trailer().is_none(), "{keep}");
        assert!(
            released.len() <= 2 * SEGMENT && part.plain.starts_with(&released),
            "{keep}"
        );
    }
}

#[test]
fn a_reader_that_failed_stays_failed() {
    let sealed = seal(1, &[whole(b"bonjour".to_vec())]);
    let mut reader = ObjectReader::new(lookup(), context(), sealed.len() as u64, None).unwrap();
    let mut header = sealed[..HEADER].to_vec();
    header[50] ^= 1;
    assert_eq!(reader.feed(&mut header), Err(OpenError::Commitment));
    assert!(reader.want() > 0, "not finished");
    for mut chunk in [vec![], vec![0], sealed[..HEADER].to_vec()] {
        assert_eq!(reader.feed(&mut chunk), Err(OpenError::Commitment));
    }
}

/// Calls with every order of `0..n` (Heap's algorithm).
fn permutations(n: usize, mut each: impl FnMut(&[usize])) {
    let mut order: Vec<usize> = (0..n).collect();
    let mut counts = vec![0; n];
    each(&order);
    let mut i = 0;
    while i < n {
        if counts[i] < i {
            order.swap(if i % 2 == 0 { 0 } else { counts[i] }, i);
            each(&order);
            counts[i] += 1;
            i = 0;
        } else {
            counts[i] = 0;
            i += 1;
        }
    }
}

#[test]
fn no_other_order_of_up_to_six_segments_opens() {
    for n in 2..=6 {
        let part = whole(pattern(0, n * SEGMENT + 3));
        let sealed = seal(1, std::slice::from_ref(&part));
        let mut seen = 0;
        permutations(n, |order| {
            seen += 1;
            let right = order
                .iter()
                .enumerate()
                .take_while(|(i, j)| i == *j)
                .count();
            if right == n {
                return;
            }
            let mut mixed = sealed.clone();
            for (to, from) in order.iter().enumerate() {
                let at = |i: usize| HEADER + i * STEP..HEADER + (i + 1) * STEP;
                mixed[at(to)].copy_from_slice(&sealed[at(*from)]);
            }
            let error = refused(&mixed, &part.plain, right * SEGMENT, &|| {
                format!("{order:?}")
            });
            assert_eq!(error, OpenError::Segment, "{order:?}");
        });
        assert_eq!(seen, (1..=n).product::<usize>());
    }
}

#[test]
fn no_other_order_of_up_to_six_runs_opens() {
    for n in 2..=6u8 {
        let parts: Vec<Part> = (0..n)
            .map(|i| Part::new(u32::from(i) + 1, i, pattern(usize::from(i), MIN)))
            .collect();
        let plain: Vec<u8> = parts.iter().flat_map(|part| part.plain.clone()).collect();
        let sealed = seal(1, &parts);
        permutations(usize::from(n), |order| {
            let right = order
                .iter()
                .enumerate()
                .take_while(|(i, j)| i == *j)
                .count();
            if right == order.len() {
                return;
            }
            let mut mixed = sealed.clone();
            for (to, from) in order.iter().enumerate() {
                let at = |i: usize| i * MIN_SEALED..(i + 1) * MIN_SEALED;
                mixed[at(to)].copy_from_slice(&sealed[at(*from)]);
            }
            let error = refused(&mixed, &plain, right * MIN, &|| format!("{order:?}"));
            assert_eq!(error, OpenError::Run, "{order:?}");
        });
        opens_to(&sealed, &plain);
    }
}

/// Three parts of one object, each sealed under a salt of its own.
fn three(salts: [u8; 3], shift: usize) -> Vec<Part> {
    vec![
        Part::new(1, salts[0], pattern(shift, MIN)),
        Part::new(2, salts[1], pattern(shift + 1, MIN)),
        Part::new(3, salts[2], pattern(shift + 2, 70_000)),
    ]
}

#[test]
fn runs_of_another_object_or_of_an_older_attempt_do_not_open() {
    let newer = three([1, 2, 3], 0);
    let plain: Vec<u8> = newer.iter().flat_map(|part| part.plain.clone()).collect();
    let sealed = seal(1, &newer);
    let starts = [0, MIN_SEALED, 2 * MIN_SEALED];
    let older = three([11, 12, 13], 5);
    // the same attempt, salts included, at another object; an older attempt at the same one
    for (object, parts, what) in [
        (2, &newer, "another object"),
        (1, &older, "an older attempt"),
    ] {
        let (runs, entries): (Vec<_>, Vec<_>) = parts.iter().map(|part| part.seal(object)).unzip();
        for mask in 1..8u8 {
            let (mut mixed, mut inner) = (sealed.clone(), sealed.clone());
            for (i, run) in runs.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
                mixed[starts[i]..starts[i] + run.len()].copy_from_slice(run);
                let segments = starts[i] + HEADER..starts[i] + run.len();
                inner[segments].copy_from_slice(&run[HEADER..]);
            }
            let before = mask.trailing_zeros() as usize * MIN;
            let error = refused(&mixed, &plain, before, &|| format!("{what}, {mask:b}"));
            assert_eq!(error, OpenError::Run, "{what}, {mask:b}");
            let error = refused(&inner, &plain, before, &|| format!("{what}, {mask:b}"));
            assert_eq!(error, OpenError::Segment, "{what}, {mask:b}");
        }
        let mut ended = sealed.clone();
        let trailer = trailer(object, &entries);
        let start = ended.len() - trailer.len();
        ended[start..].copy_from_slice(&trailer);
        let error = refused(&ended, &plain, 0, &|| what.to_owned());
        assert_eq!(error, OpenError::Run, "the trailer of {what}");
    }
}

/// The provider answers the suffix from one version and the whole from another, which differs in its trailer alone.
#[test]
fn a_trailer_that_is_not_the_one_fetched_before_is_refused() {
    let parts = three([1, 2, 3], 0);
    let (runs, entries): (Vec<_>, Vec<_>) = parts.iter().map(|part| part.seal(1)).unzip();
    let total = parts.iter().map(|part| part.plain.len()).sum();
    let sealed = assemble(&runs, total, &trailer(1, &entries));
    let salt = Salt::of_test_vector([0x7B; 32]);
    let other = seal_trailer(
        &keys(0),
        &context(),
        ObjectId([1; 16]),
        salt,
        &entries,
        &Digests::default(),
    );
    let other = assemble(&runs, total, other.unwrap().as_bytes());
    opens_to(&other, &open(&sealed).0);
    let lookup: Arc<dyn KeyLookup> = lookup();
    let fetched = trailer_of(lookup.as_ref(), &context(), &sealed).unwrap();
    let length = sealed.len() as u64;
    let mut reader = ObjectReader::with_trailer(lookup, context(), length, fetched).unwrap();
    let mut released = Vec::new();
    let end = feed(&mut reader, &other, &mut released);
    assert_eq!(end, Err(OpenError::Trailer));
    assert!(released.len() < total, "the last segment is held back");
}

#[test]
fn a_locator_is_plausible_or_refused() {
    let most = layout::trailer_len(MAX_RUNS).unwrap();
    let least = layout::trailer_len(1).unwrap();
    let locate = |length: u64, object: u64| trailers::locate(length.to_be_bytes(), object);
    for (length, object, plausible) in [
        (least, 1 << 40, true),
        (least - 1, 1 << 40, false),
        (most, 1 << 40, true),
        (most + 1, 1 << 40, false),
        (least, least + 8, true),
        (least, least + 7, false),
        (least, 0, false),
    ] {
        let expected = plausible.then_some(length).ok_or(OpenError::NotSealed);
        assert_eq!(locate(length, object), expected, "{length} of {object}");
    }
}

#[test]
fn several_runs_are_not_read_before_their_trailer() {
    let sealed = seal(1, &three([1, 2, 3], 0));
    let mut reader = ObjectReader::new(lookup(), context(), sealed.len() as u64, None).unwrap();
    let mut released = Vec::new();
    let end = feed(&mut reader, &sealed, &mut released);
    assert_eq!((end, released.len()), (Err(OpenError::NeedsTrailer), 0));
}

#[test]
fn a_run_longer_than_a_run_can_be_is_refused_at_its_header() {
    let part = Part {
        unknown: true,
        ..whole(Vec::new())
    };
    let mut header = seal(1, &[part])[..HEADER].to_vec();
    let most = (layout::MAX_SEGMENTS * SEGMENT as u64) - 1;
    for (length, end) in [(most, Ok(Fed::Nothing)), (most + 1, Err(OpenError::Length))] {
        let total = layout::sealed_len(length).unwrap();
        let mut reader = ObjectReader::new(lookup(), context(), total, None).unwrap();
        assert_eq!(reader.feed(&mut header), end, "{length}");
    }
}

fn ranged(sealed: &[u8], range: Range<usize>) -> (Vec<u8>, Result<(), OpenError>) {
    let lookup: Arc<dyn KeyLookup> = lookup();
    let trailer = match trailer_of(lookup.as_ref(), &context(), sealed) {
        Ok(trailer) => trailer,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut out = Vec::new();
    let end = range_by(RangeSource::Trailer(trailer), sealed, range, &mut out);
    (out, end)
}

fn range_by(
    source: RangeSource,
    sealed: &[u8],
    range: Range<usize>,
    released: &mut Vec<u8>,
) -> Result<(), OpenError> {
    let range = range.start as u64..range.end as u64;
    let mut reader = RangeReader::new(lookup(), context(), source, sealed.len() as u64, range)?;
    let fetched = reader.sealed();
    let mut rest = &sealed[fetched.start as usize..fetched.end as usize];
    while reader.want() > 0 {
        let (chunk, after) = rest.split_at(reader.want());
        rest = after;
        let mut chunk = chunk.to_vec();
        if let Fed::Plain(range) = reader.feed(&mut chunk)? {
            released.extend_from_slice(&chunk[range]);
        }
    }
    assert!(rest.is_empty(), "what is fetched is what is needed");
    Ok(())
}

/// Every segment damaged in turn, every range from one segment to another: a range that holds the damaged segment
/// releases what lies before it and fails, every other one opens.
#[test]
fn a_range_releases_nothing_of_a_damaged_segment() {
    let parts = three([1, 2, 3], 0);
    let plain: Vec<u8> = parts.iter().flat_map(|part| part.plain.clone()).collect();
    let sealed = seal(1, &parts);
    // the plaintext and the sealed place of every segment that holds any
    let mut segments = Vec::new();
    let (mut before, mut base) = (0, 0);
    for part in &parts {
        for i in 0..part.plain.len().div_ceil(SEGMENT) {
            let end = part.plain.len().min((i + 1) * SEGMENT);
            segments.push((before + i * SEGMENT..before + end, base + HEADER + i * STEP));
        }
        before += part.plain.len();
        base += layout::run_len(part.plain.len() as u64).unwrap() as usize;
    }
    assert_eq!(segments.len(), 12);
    for damaged in 0..segments.len() {
        let mut changed = sealed.clone();
        changed[segments[damaged].1 + 11] ^= 0x40;
        for first in 0..segments.len() {
            for last in first..segments.len() {
                let range = segments[first].0.start + 1..segments[last].0.end - 1;
                let (released, end) = ranged(&changed, range.clone());
                let what = format!("{damaged} in {first}..={last}");
                if (first..=last).contains(&damaged) {
                    assert_eq!(end, Err(OpenError::Segment), "{what}");
                    let until = segments[damaged].0.start.max(range.start);
                    assert!(released == plain[range.start..until], "{what}");
                } else {
                    assert_eq!(end, Ok(()), "{what}");
                    assert!(released == plain[range], "{what}");
                }
            }
        }
    }
}

fn damaged_three() -> &'static (Vec<u8>, Vec<u8>) {
    static SEALED: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    SEALED.get_or_init(|| {
        let parts = three([1, 2, 3], 0);
        let plain = parts.iter().flat_map(|part| part.plain.clone()).collect();
        (seal(1, &parts), plain)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_flipped_a_range_releases_right_bytes_or_none(
        bit in any::<prop::sample::Index>(),
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let (sealed, plain) = damaged_three();
        let mut changed = sealed.clone();
        let bit = bit.index(changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        let (one, other) = (ends.0.index(plain.len()), ends.1.index(plain.len()));
        let range = one.min(other)..one.max(other) + 1;
        let (released, end) = ranged(&changed, range.clone());
        prop_assert_eq!(plain[range.start..].starts_with(&released), true);
        prop_assert_eq!(end.is_ok(), released.len() == range.len());
    }
}

#[test]
fn a_range_of_a_run_of_unknown_length_opens_by_its_trailer_alone() {
    let part = Part {
        unknown: true,
        ..whole(pattern(0, SEGMENT + 9))
    };
    let sealed = seal(1, std::slice::from_ref(&part));
    let (released, end) = ranged(&sealed, 5..SEGMENT + 8);
    assert_eq!(end, Ok(()));
    assert!(released == part.plain[5..SEGMENT + 8]);
    let header = Box::new(*sealed.first_chunk().unwrap());
    let mut none = Vec::new();
    let end = range_by(
        RangeSource::Header(header.clone()),
        &sealed,
        0..1,
        &mut none,
    );
    assert_eq!(end, Err(OpenError::NeedsTrailer));
    let mut filled = header;
    filled[80..88].copy_from_slice(&(part.plain.len() as u64).to_be_bytes());
    let end = range_by(RangeSource::Header(filled), &sealed, 0..1, &mut none);
    assert_eq!((end, none.len()), (Err(OpenError::Commitment), 0));
}

#[test]
fn a_trailer_of_another_length_plans_no_range() {
    let sealed = seal(1, &three([1, 2, 3], 0));
    let lookup: Arc<dyn KeyLookup> = lookup();
    let trailer = trailer_of(lookup.as_ref(), &context(), &sealed).unwrap();
    let length = sealed.len() as u64 + 1;
    let source = RangeSource::Trailer(trailer);
    let end = RangeReader::new(lookup, context(), source, length, 0..1).map(|_| ());
    assert_eq!(end, Err(OpenError::Length));
}

fn seal_blob(place: &[&[u8]], plain: &[u8]) -> Vec<u8> {
    let salt = Salt::of_test_vector([0x3C; 32]);
    blob::seal(&keys(0), &context(), place, ObjectId([1; 16]), salt, plain).unwrap()
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_blob_is_refused() {
    let place: [&[u8]; 2] = [b"bucket", b"key"];
    for plain in [&b""[..], b"x", &pattern(0, 300)] {
        let sealed = seal_blob(&place, plain);
        let open = |bytes: &[u8]| blob::open(lookup().as_ref(), &context(), &place, bytes);
        assert_eq!(open(&sealed).unwrap().plaintext, plain);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&changed).is_err(), "bit {bit}");
        }
        for keep in 0..sealed.len() {
            assert!(open(&sealed[..keep]).is_err(), "{keep}");
        }
    }
}

#[test]
fn a_repeated_salt_gives_another_text_another_key() {
    let place: [&[u8]; 1] = [b"p"];
    let (one, other) = (seal_blob(&place, b"oui"), seal_blob(&place, b"non"));
    assert_ne!(one[40..104], other[40..104]);
    assert_eq!(one, seal_blob(&place, b"oui"));
}

#[test]
fn a_place_that_its_counts_cannot_say_is_refused() {
    let (most, more) = (vec![b'k'; 65_535], vec![b'k'; 65_536]);
    let sealed = seal_blob(&[b"b", &most], b"x");
    let open = |place: &[&[u8]]| {
        blob::open(lookup().as_ref(), &context(), place, &sealed).map(|opened| opened.plaintext)
    };
    assert_eq!(open(&[b"b", &most]), Ok(b"x".to_vec()));
    assert_eq!(open(&[b"b", &more]), Err(OpenError::Commitment));
    let salt = Salt::of_test_vector([0; 32]);
    let place: [&[u8]; 2] = [b"b", &more];
    let end = blob::seal(&keys(0), &context(), &place, ObjectId([1; 16]), salt, b"x");
    assert_eq!(end, Err(SealError::Length));
}

/// What an object of so much plaintext and so many runs needs at most, zeros left out: each further run can add a tag, and
/// does where all runs but the last are whole segments.
fn needed(plain: u64, runs: u64) -> u64 {
    let tags = 16 * (plain / SEGMENT as u64 + runs);
    let headers = HEADER as u64 * runs;
    plain + tags + headers + layout::trailer_len(runs).unwrap() + LOCATOR as u64
}

/// The most runs that an object may have.
fn most_runs(plain: u64) -> u64 {
    (plain / MIN_RUN + 1).min(MAX_RUNS)
}

/// Every length up to 3,000,000 with every number of runs allowed, in the cut that needs most.
#[test]
fn the_length_function_has_room_for_every_cut_of_up_to_three_million_bytes() {
    let mut least = u64::MAX;
    let mut last = 0;
    for plain in 0..=3_000_000u64 {
        let sealed = layout::sealed_len(plain).unwrap();
        assert!(sealed > last, "strictly increasing at {plain}");
        last = sealed;
        for runs in 1..=most_runs(plain) {
            let cut = (1..runs)
                .map(|_| MIN_RUN)
                .chain([plain - (runs - 1) * MIN_RUN]);
            let zeros = layout::zeros_len(cut).unwrap_or_else(|| panic!("{plain} in {runs}"));
            assert_eq!(zeros, sealed - needed(plain, runs), "{plain} in {runs}");
            assert!(plain >= MIN_RUN || zeros == 0, "{plain}");
            least = least.min(zeros);
        }
    }
    assert_eq!(least, 0);
}

/// The inverse, for every sealed length up to that of 3,000,000 bytes: exactly the lengths of objects have one.
#[test]
fn the_inverse_is_exact() {
    let mut plain = 0;
    for sealed in 0..=layout::sealed_len(3_000_000).unwrap() {
        let found = layout::plain_len(sealed);
        if layout::sealed_len(plain) == Some(sealed) {
            assert_eq!(found, Some(plain), "{sealed}");
            plain += 1;
        } else {
            assert_eq!(found, None, "{sealed}");
        }
    }
    assert_eq!(plain, 3_000_001);
}

/// Every step of both divisions up to 5 TiB, as one run and in as many as are allowed. Between two steps the length and the
/// need grow alike, so the slack at a step is that of all lengths up to the next one.
#[test]
fn the_length_function_holds_at_every_step_up_to_five_tebibytes() {
    const END: u64 = 5 << 40;
    std::thread::scope(|scope| {
        for half in [0..END / 2, END / 2..END] {
            scope.spawn(move || {
                let mut plain = half.start;
                while plain < half.end {
                    plain += SEGMENT as u64;
                    let sealed = layout::sealed_len(plain).unwrap();
                    assert!(layout::sealed_len(plain - 1) < Some(sealed), "{plain}");
                    // one run of more than a tebibyte is none, and is counted all the same
                    for runs in [1, most_runs(plain)] {
                        assert!(sealed >= needed(plain, runs), "{plain} in {runs}");
                    }
                }
            });
        }
    });
    for power in 0..64 {
        for off in [0, 1, 2] {
            let plain = (1u64 << power).saturating_sub(off);
            if let Some(sealed) = layout::sealed_len(plain) {
                assert_eq!(layout::plain_len(sealed), Some(plain));
            }
        }
    }
}

/// Every number of runs, at the least plaintext that allows it.
#[test]
fn there_is_room_for_every_number_of_runs() {
    for runs in 1..=MAX_RUNS {
        for plain in [
            (runs - 1) * MIN_RUN,
            (runs - 1) * MIN_RUN + 1,
            runs * MIN_RUN - 1,
        ] {
            assert!(
                layout::sealed_len(plain).unwrap() >= needed(plain, runs),
                "{runs}"
            );
        }
    }
    assert_eq!(layout::trailer_len(MAX_RUNS + 1), None);
    assert_eq!(
        layout::zeros_len([MIN_RUN - 1, 0]),
        None,
        "a run that is too short"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_cuts_have_room_and_need_no_more_than_the_worst(
        longer in prop::collection::vec(0u64..(3 << 20), 0..400),
        last in 0u64..(1 << 20),
    ) {
        let cut: Vec<u64> = longer.iter().map(|more| MIN_RUN + more).chain([last]).collect();
        let (total, runs) = (cut.iter().sum(), cut.len() as u64);
        let zeros = layout::zeros_len(cut).expect("room");
        let least = layout::sealed_len(total).unwrap() - needed(total, runs);
        prop_assert_eq!(zeros >= least, true);
    }
}
