//! Objects of several runs, and ranges.

use serde_json::{Value, json};

use super::objects::{bonjour, fields, inline};
use super::trailers::one_part;
use super::{Collection, NAMES, Stretch, counting, fails, hexed, opens, secrets, stretches};
use crate::forge::{Object, Piece, SEGMENT, pattern};

const FULL: usize = 5 * SEGMENT;
/// Sealed length of a run of [`FULL`] bytes.
const RUN: usize = 128 + FULL + 6 * 16;

fn three(object: u8, first_salt: u8) -> Object {
    let piece = |part, salt, secret: u8, plain| Piece {
        secret: counting(secret),
        part,
        salt,
        unknown: false,
        plain,
    };
    Object {
        object: [object; 16],
        pieces: vec![
            piece(1, first_salt, 0x00, pattern(usize::from(first_salt), FULL)),
            piece(2, 0x52, 0x30, pattern(1000, FULL)),
            piece(9, 0x53, 0x00, b"bonjour".to_vec()),
        ],
        ..bonjour()
    }
}

pub fn add(all: &mut Collection) {
    let object = three(0x0B, 0x51);
    let sealed = object.sealed();
    let end = sealed.len();
    all.files.insert("three-parts.bin", sealed);
    // an older attempt at part 1: everything as in the newer one but salt and plaintext
    let older = three(0x0B, 0x41).runs().swap_remove(0);
    all.files.insert("older-part-1.bin", older);
    let file = |from, to| Stretch::File("three-parts.bin", from, to);
    let whole = [file(0, end)];
    let about = "the parts 1, 2 and 9 of 327,680, 327,680 and 7 bytes, the second of another epoch";
    all.push(
        "object",
        "three-parts",
        about,
        fields(&whole, opens(&super::plain(&object))),
    );
    let about = "a multipart upload of one part";
    all.push(
        "object",
        "one-part",
        about,
        fields(&inline(&one_part().sealed()), opens(b"bonjour")),
    );
    let mut empty = one_part();
    empty.pieces[0].plain.clear();
    let about = "a multipart upload of one empty part";
    all.push(
        "object",
        "one-empty-part",
        about,
        fields(&inline(&empty.sealed()), opens(b"")),
    );
    let mut with_id = fields(&inline(&one_part().sealed()), fails("run"));
    with_id["object"] = hexed([0x0C; 16]);
    let about = "an object of parts; the object id that is known beforehand is another one";
    all.push("object", "parts-unexpected-id", about, with_id);
    faults(all, &object, end);
    ranges(all, &object, end);
}

fn faults(all: &mut Collection, object: &Object, end: usize) {
    let file = |from, to| Stretch::File("three-parts.bin", from, to);
    let third = 2 * RUN;
    let zeros = third + 128 + 7 + 16;
    let trailer = object.trailer_of(&object.trailer_plain());
    let start = end - 8 - trailer.len();
    let hex = |bytes: &[u8]| Stretch::Hex(bytes.to_vec());
    let mut put = |name: &str, about: &str, sealed: &[Stretch], class: &str| {
        all.push("object", name, about, fields(sealed, fails(class)));
    };
    let swapped = [file(RUN, third), file(0, RUN), file(third, end)];
    put(
        "runs-swapped",
        "the runs 1 and 2 exchanged",
        &swapped,
        "run",
    );
    let twice = [file(0, RUN), file(0, RUN), file(third, end)];
    put(
        "run-twice",
        "the run 1 in the place of the run 2",
        &twice,
        "run",
    );
    let older = [Stretch::File("older-part-1.bin", 0, RUN), file(RUN, end)];
    put(
        "older-attempt",
        "the run of an older attempt at part 1",
        &older,
        "run",
    );
    let body = [
        file(0, 128),
        Stretch::File("older-part-1.bin", 128, RUN),
        file(RUN, end),
    ];
    put(
        "older-segments",
        "the segments of an older attempt under the newer header",
        &body,
        "segment",
    );
    let missing = [file(0, RUN), file(third, end)];
    put("run-missing", "without the run 2", &missing, "trailer");
    let last = [file(0, third), file(zeros, end)];
    put(
        "last-run-missing",
        "without the last run: no object is so long",
        &last,
        "length",
    );
    let mut other = object.clone();
    other.object = [0x0C; 16];
    let runs = other.runs();
    let mixed = [file(0, third), hex(&runs[2]), file(zeros, end)];
    put(
        "run-of-another-object",
        "the last run is another object's, its part and length the same",
        &mixed,
        "run",
    );
    let foreign = other.trailer_of(&other.trailer_plain());
    let ended = [file(0, start), hex(&foreign), file(end - 8, end)];
    put(
        "parts-trailer-of-another-object",
        "the trailer of another object of the same parts",
        &ended,
        "run",
    );
    let (at, mut first) = (zeros + 1, [0u8; 1]);
    first[0] = 1;
    let padded = [file(0, at), hex(&first), file(at + 1, end)];
    put(
        "parts-zeros",
        "the padding before the trailer is not zero",
        &padded,
        "zeros",
    );
    let moved = [
        file(0, zeros),
        hex(&trailer),
        file(zeros, start),
        file(end - 8, end),
    ];
    put(
        "zeros-behind-the-trailer",
        "the trailer first, the padding behind it",
        &moved,
        "not-sealed",
    );
    put(
        "parts-cut",
        "without the last byte",
        &[file(0, end - 1)],
        "not-sealed",
    );
    for (name, about, order) in [
        (
            "parts-unordered",
            "the trailer lists the parts 2, 1, 9, and so they lie",
            [1, 0, 2],
        ),
        ("parts-equal", "the trailer lists part 1 twice", [0, 0, 2]),
    ] {
        let mut listed = object.clone();
        listed.pieces = order.map(|i| object.pieces[i].clone()).to_vec();
        let trailer = listed.trailer_of(&listed.trailer_plain());
        let run = |i: usize| file([0, RUN, third][i], [RUN, third, zeros][i]);
        let sealed = [
            run(order[0]),
            run(order[1]),
            run(2),
            file(zeros, start),
            hex(&trailer),
            file(end - 8, end),
        ];
        put(name, about, &sealed, "trailer");
    }
    let mut first = object.clone();
    first.pieces[0].part = 0;
    let runs = first.runs();
    let trailer = first.trailer_of(&first.trailer_plain());
    let sealed = [
        hex(&runs[0][..128]),
        file(128, start),
        hex(&trailer),
        file(end - 8, end),
    ];
    put(
        "part-0-among-parts",
        "the first of three runs is of part 0",
        &sealed,
        "length",
    );
    for (name, about, at, class) in [
        (
            "parts-header",
            "a reserved byte in the header of the run 2",
            RUN + 12,
            "header",
        ),
        (
            "parts-salt",
            "the salt in the header of the run 2",
            RUN + 48,
            "run",
        ),
        (
            "parts-length",
            "the length in the header of the run 2",
            RUN + 87,
            "run",
        ),
        (
            "parts-commitment",
            "the commitment in the header of the run 2",
            RUN + 96,
            "run",
        ),
        (
            "parts-segment",
            "the last segment of the run 2",
            third - 1,
            "segment",
        ),
        ("parts-magic", "the magic of the run 3", third, "not-sealed"),
    ] {
        let byte = all_byte(object, at) ^ 1;
        let changed = [file(0, at), hex(&[byte]), file(at + 1, end)];
        put(name, about, &changed, class);
    }
}

fn all_byte(object: &Object, at: usize) -> u8 {
    object.sealed()[at]
}

fn ranges(all: &mut Collection, object: &Object, end: usize) {
    let plain = super::plain(object);
    let total = plain.len();
    let three = [Stretch::File("three-parts.bin", 0, end)];
    let mut put = |name: &str,
                   about: &str,
                   sealed: &[Stretch],
                   by: &str,
                   range: [usize; 2],
                   expect: Value| {
        let value = json!({
            "secrets": secrets(&[counting(0x00), counting(0x30)]),
            "context": NAMES,
            "sealed": stretches(sealed),
            "by": by,
            "range": range,
            "expect": expect,
        });
        all.push("range", name, about, value);
    };
    let hex = |bytes: &[u8]| vec![Stretch::Hex(bytes.to_vec())];
    for (name, about, from, to) in [
        ("first-byte", "the first byte", 0, 1),
        ("inside", "some bytes inside of a segment", 70_000, 70_010),
        (
            "segments",
            "over the border of two segments",
            SEGMENT - 1,
            SEGMENT + 1,
        ),
        ("segment", "exactly one segment", SEGMENT, 2 * SEGMENT),
        ("runs", "over the border of two runs", FULL - 1, FULL + 1),
        ("last-run", "exactly the last run", 2 * FULL, total),
        ("last-byte", "the last byte", total - 1, total),
        ("all", "everything", 0, total),
    ] {
        put(
            name,
            about,
            &three,
            "trailer",
            [from, to],
            opens(&plain[from..to]),
        );
    }
    let file = |from, to| Stretch::File("three-parts.bin", from, to);
    let damaged = |at: usize| {
        [
            file(0, at),
            hex(&[all_byte(object, at) ^ 1]).remove(0),
            file(at + 1, end),
        ]
    };
    let at = 128 + 70_000 + 16;
    put(
        "damaged",
        "a damaged segment inside of the range",
        &damaged(at),
        "trailer",
        [70_000, 70_001],
        fails("segment"),
    );
    put(
        "damaged-elsewhere",
        "a damaged segment outside of the range is not looked at",
        &damaged(at),
        "trailer",
        [0, 10],
        opens(&plain[..10]),
    );
    put(
        "header-passed",
        "the header between two runs is damaged",
        &damaged(RUN + 48),
        "trailer",
        [FULL - 1, FULL + 1],
        fails("run"),
    );
    put(
        "header-not-passed",
        "a damaged header that lies outside of what is fetched",
        &damaged(RUN + 48),
        "trailer",
        [FULL, FULL + 1],
        opens(&plain[FULL..=FULL]),
    );
    put(
        "beyond",
        "more than there is",
        &three,
        "trailer",
        [0, total + 1],
        fails("length"),
    );
    put(
        "empty",
        "no byte",
        &three,
        "trailer",
        [5, 5],
        fails("length"),
    );
    let whole = bonjour().sealed();
    put(
        "by-header",
        "an object of one run, by its header",
        &hex(&whole),
        "header",
        [3, 7],
        opens(b"jour"),
    );
    put(
        "by-trailer",
        "an object of one run, by its trailer",
        &hex(&whole),
        "trailer",
        [3, 7],
        opens(b"jour"),
    );
    put(
        "header-beyond",
        "more than an object of one run has",
        &hex(&whole),
        "header",
        [3, 8],
        fails("length"),
    );
    let mut cut = whole.clone();
    cut.pop();
    put(
        "header-cut",
        "the object is not as long as its header says",
        &hex(&cut),
        "header",
        [0, 1],
        fails("length"),
    );
    let mut changed = whole.clone();
    changed[48] ^= 1;
    put(
        "header-salt",
        "the header's salt was changed",
        &hex(&changed),
        "header",
        [0, 1],
        fails("commitment"),
    );
    let part = one_part().sealed();
    put(
        "header-of-a-part",
        "the header of a part",
        &hex(&part),
        "header",
        [0, 1],
        fails("header"),
    );
    let trailer = whole[whole.len() - 384..].to_vec();
    put(
        "header-of-a-trailer",
        "the header of a trailer",
        &hex(&trailer),
        "header",
        [0, 1],
        fails("header"),
    );
    let mut unknown = bonjour();
    unknown.pieces[0].unknown = true;
    let sealed = unknown.sealed();
    put(
        "unknown-by-header",
        "a header without a length",
        &hex(&sealed),
        "header",
        [0, 1],
        fails("needs-trailer"),
    );
    put(
        "unknown-by-trailer",
        "a run of unknown length, by the trailer",
        &hex(&sealed),
        "trailer",
        [3, 7],
        opens(b"jour"),
    );
    let mut named = sealed.clone();
    named[80..88].copy_from_slice(&7u64.to_be_bytes());
    put(
        "header-length-filled-in",
        "the true length written where it was unknown",
        &hex(&named),
        "header",
        [0, 1],
        fails("commitment"),
    );
}
