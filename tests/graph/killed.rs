//! Upload sessions whose gateway dies at seeded points: before and after each operation on the state, each piece of a
//! body, each answer. The client goes on with another gateway on the same state.

use std::sync::Arc;

use sceau::state::SqliteState;

use crate::fuse::{Fuse, Mortal};
use crate::gate::{Gate, settings};
use crate::provider::{Provider, UNIT};
use crate::sessions::Client;

const POINTS: usize = 500;

/// A gateway that dies, and one on the same state that does not.
struct Pair {
    dies: Gate,
    lives: Gate,
    fuse: Arc<Fuse>,
}

impl Pair {
    fn new() -> Self {
        let fuse = Arc::new(Fuse::default());
        let provider = Arc::new(Provider {
            fuse: Some(fuse.clone()),
            ..Provider::default()
        });
        let rows = Arc::new(SqliteState::in_memory().unwrap());
        let mortal = Arc::new(Mortal {
            rows: rows.clone(),
            fuse: fuse.clone(),
            fails: false,
        });
        let mut dies = Gate::replica(settings(), &[], provider.clone(), mortal);
        dies.fuse = Some(fuse.clone());
        let lives = Gate::replica(settings(), &[], provider, rows);
        Self { dies, lives, fuse }
    }

    /// Sends fragments until the gateway dies or the file is there. Gives the steps that were left.
    fn upload(&self, client: &mut Client, steps: i64) -> i64 {
        self.fuse.light(steps);
        let mut start = 0;
        while start < client.total && matches!(client.send(&self.dies, start), 200..=202) {
            start += client.size(start);
        }
        self.fuse.left()
    }
}

/// Steps of a whole upload.
fn steps(sizes: &[usize]) -> i64 {
    let pair = Pair::new();
    let mut client = Client::of(&pair.lives, sizes);
    let all = i64::MAX / 2;
    all - pair.upload(&mut client, all)
}

/// Whether the client came to the file's end in the session that it began with.
fn dies_at(sizes: &[usize], step: i64) -> bool {
    let pair = Pair::new();
    let mut client = Client::of(&pair.lives, sizes);
    let left = pair.upload(&mut client, step);
    assert!(left <= 0, "it did not die at {step}: {left} left");
    let made = client.finish(&[&pair.lives]);
    if pair.lives.provider.file("a.bin").is_some() {
        client.check(&pair.lives);
    } else {
        assert!(!made);
    }
    made
}

#[test]
fn a_gateway_that_is_killed_at_any_point_leaves_a_session_that_goes_on_or_none() {
    let unit = UNIT as usize;
    let shapes: [&[usize]; 4] = [
        &[unit, unit, 100],
        &[unit + 1, 5],
        &[2 * unit - 17_000, unit, 300_000],
        &[70_000],
    ];
    let counts: Vec<i64> = shapes.iter().map(|sizes| steps(sizes)).collect();
    let mut seed = 20_261_124_u64;
    let mut random = |below: i64| {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        1 + ((seed >> 33) as i64) % below
    };
    let all = shapes.iter().zip(&counts);
    // all of the first shape, seeded ones of the others
    let mut points: Vec<(&[usize], i64)> = (1..=counts[0]).map(|step| (shapes[0], step)).collect();
    for (sizes, count) in all
        .cycle()
        .skip(1)
        .take(POINTS.saturating_sub(points.len()))
    {
        points.push((sizes, random(*count)));
    }
    let whole = points
        .iter()
        .filter(|(sizes, step)| dies_at(sizes, *step))
        .count();
    assert!(points.len() >= POINTS);
    // a few points leave bytes at the provider that nobody can go on from, or no answer that the file is there
    let none = points.len() - whole;
    println!(
        "{} points of {counts:?} steps, {none} sessions begun again",
        points.len()
    );
    assert!(
        none < points.len() / 4 && whole > points.len() / 2,
        "{whole} {none}"
    );
}

#[test]
fn nor_does_one_that_is_killed_between_the_two_requests_of_a_fragment() {
    let unit = UNIT as usize;
    let long = 191 * unit;
    for sizes in [&[638_000, long, 5_000][..], &[638_000, long]] {
        let count = steps(sizes);
        // the pieces of the long body are many, what comes after it is little
        for step in (count - 60..count).step_by(20) {
            dies_at(sizes, step);
        }
    }
}
