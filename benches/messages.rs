//! What messages cost: tokens, the scanner over text without any, JSON documents by rules.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sceau::adapter::json::{Path, Paths, Wrong, rewrite};
use sceau::seal::scan::{Encoding, Language, Opens, Output, Reading, Scanner};
use sceau::seal::token::{self, Field, OneContext};
use sceau::seal::{Context, EpochKeys, EpochSecret, EpochShort, KeyLookup, LookupError, Salt};
use sceau::secret::Secret;

const MIB: usize = 1 << 20;

struct One(Arc<EpochKeys>);

impl KeyLookup for One {
    fn epoch(&self, _: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        Ok(self.0.clone())
    }
}

fn keys() -> Arc<EpochKeys> {
    let secret = Secret::from_slice(&[7; 48]).unwrap();
    Arc::new(EpochSecret::new(secret).keys())
}

fn context() -> Context {
    Context::new("min-interieur", "chat", "default").unwrap()
}

fn tokens(c: &mut Criterion) {
    let (keys, context, field) = (keys(), context(), Field::named("content.body"));
    let lookup = One(keys.clone());
    let text = [b'a'; 256];
    let salt = Salt::of_test_vector([3; 32]);
    let sealed = token::seal(&keys, &context, field, salt, &text).unwrap();
    let mut group = c.benchmark_group("token of 256 bytes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("seal", |b| {
        b.iter(|| token::seal(&keys, &context, field, salt, black_box(&text)).unwrap());
    });
    group.bench_function("open", |b| {
        b.iter(|| token::open(&lookup, &context, black_box(sealed.as_bytes())).unwrap());
    });
    group.finish();
}

fn scanner(c: &mut Criterion) {
    let text = Bytes::from("Le préfet a signé; la suite au prochain courrier. \n".repeat(MIB / 51));
    let reading = Reading {
        keys: Arc::new(OneContext {
            lookup: Arc::new(One(keys())),
            context: Arc::new(context()),
        }),
        encoding: Encoding::Json,
        language: Language::French,
    };
    let mut group = c.benchmark_group("scanner");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("1 MiB without tokens", |b| {
        b.iter(|| {
            let mut scanner = Scanner::new(reading.clone(), Opens::Anything);
            let mut out = Output::default();
            for chunk in text.chunks(64 * 1024) {
                scanner.push(text.slice_ref(chunk), &mut out);
                while let Some(piece) = out.pop() {
                    black_box(piece);
                }
            }
        });
    });
    group.finish();
}

fn json(c: &mut Criterion) {
    let message = r#"{"id":"m-0001","room":42,"sent":1764000000.125,"author":{"name":"A. Martin","role":null},"body":"Le dossier est complet, voir la pièce jointe.","tags":["a","b"],"edited":false}"#;
    let mut document = String::from("{\"messages\":[");
    while document.len() < MIB {
        document.push_str(message);
        document.push(',');
    }
    document.push_str(message);
    document.push_str("]}");
    let body = Path::parse("$.messages[*].body").unwrap();
    let rest: Vec<Path> = ["id", "room", "sent", "author", "tags", "edited"]
        .iter()
        .map(|name| Path::parse(&format!("$.messages[*].{name}")).unwrap())
        .collect();
    let paths = Paths::new([&body], &rest).unwrap();
    let mut group = c.benchmark_group("JSON");
    group.throughput(Throughput::Bytes(document.len() as u64));
    group.bench_function("rules on 1 MiB", |b| {
        b.iter(|| {
            rewrite::<Wrong>(black_box(document.as_bytes()), &paths, |picked| {
                black_box(&picked.span);
                Ok(None)
            })
            .unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, tokens, scanner, json);
criterion_main!(benches);
