//! The format's own costs. `segment` has the raw cipher in the same group: sealing and opening a segment are to be no
//! slower than 95 % of it.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use sceau::body::{OpenBody, Plain, SealBody, SealPlan, Sealed, Tail};
use sceau::seal::aead::{Aead, Bulk, Portable};
use sceau::seal::layout::{self, HEADER, MIN_RUN, SEGMENT, TAG};
use sceau::seal::object::ObjectReader;
use sceau::seal::run::{RunHeader, RunOpener, RunSealer, RunSpec};
use sceau::seal::trailer::Digests;
use sceau::seal::{
    Context, EpochKeys, EpochSecret, EpochShort, KeyLookup, LookupError, ObjectId, Salt, blob,
};
use sceau::secret::Secret;

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

fn context() -> Arc<Context> {
    Arc::new(Context::new("min-interieur", "s3", "dossiers").unwrap())
}

fn spec(length: Option<u64>) -> RunSpec {
    RunSpec {
        object: ObjectId([1; 16]),
        part: 0,
        salt: Salt::of_test_vector([2; 32]),
        length,
    }
}

fn sealer(length: Option<u64>) -> RunSealer {
    RunSealer::new(&keys(), &context(), spec(length)).unwrap()
}

fn segment(c: &mut Criterion) {
    let mut group = c.benchmark_group("segment");
    group.throughput(Throughput::Bytes(SEGMENT as u64));
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).unwrap());
    let nonce = || Nonce::assume_unique_for_key([4; 12]);
    let mut data = vec![5; SEGMENT];
    group.bench_function("seal, aws-lc-rs alone", |b| {
        b.iter(|| {
            raw.seal_in_place_separate_tag(nonce(), Aad::empty(), black_box(&mut data))
                .unwrap()
        });
    });
    let mut run = sealer(None);
    group.bench_function("seal", |b| {
        b.iter(|| run.seal_segment(black_box(&mut data)).unwrap());
    });
    let mut sealed = vec![5; SEGMENT];
    let tag = raw
        .seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed)
        .unwrap();
    sealed.extend_from_slice(tag.as_ref());
    group.bench_function("open, aws-lc-rs alone", |b| {
        b.iter_batched_ref(
            || sealed.clone(),
            |data| {
                raw.open_in_place(nonce(), Aad::empty(), data)
                    .unwrap()
                    .len()
            },
            BatchSize::LargeInput,
        );
    });
    let mut run = sealer(Some(SEGMENT as u64));
    let header: [u8; HEADER] = *run.header();
    let mut sealed = vec![5; SEGMENT];
    let tag = run.seal_segment(&mut sealed).unwrap();
    sealed.extend_from_slice(&tag);
    let opener = RunOpener::new(&keys(), &context(), RunHeader::parse(&header).unwrap()).unwrap();
    group.bench_function("open", |b| {
        b.iter_batched_ref(
            || sealed.clone(),
            |data| opener.open_at(0, SEGMENT as u64, data).unwrap(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn derive(c: &mut Criterion) {
    let (keys, context) = (keys(), context());
    let header = *sealer(Some(7)).header();
    let mut group = c.benchmark_group("derive");
    group.bench_function("run", |b| {
        b.iter(|| RunSealer::new(&keys, &context, black_box(spec(Some(7)))).unwrap());
    });
    group.bench_function("run, to open", |b| {
        b.iter(|| {
            let header = RunHeader::parse(black_box(&header)).unwrap();
            RunOpener::new(&keys, &context, header).unwrap()
        });
    });
    let secret = EpochSecret::new(Secret::from_slice(&[7; 48]).unwrap());
    group.bench_function("epoch", |b| b.iter(|| black_box(&secret).keys()));
    group.finish();
}

fn short(c: &mut Criterion) {
    let mut group = c.benchmark_group("new key and 256 bytes");
    group.throughput(Throughput::Bytes(256));
    fn once<A: Aead>() -> [u8; TAG] {
        let cipher = A::new(black_box(&[3; 32])).unwrap();
        cipher.seal([4; 12], b"", &mut [5; 256]).unwrap()
    }
    group.bench_function("aws-lc-rs", |b| b.iter(once::<Bulk>));
    group.bench_function("aes-gcm", |b| b.iter(once::<Portable>));
    group.finish();
}

fn metadata(c: &mut Criterion) {
    let (keys, context) = (keys(), context());
    let place: [&[u8]; 2] = [b"bucket", b"dossier/rapport final.pdf"];
    let (object, salt) = (ObjectId([1; 16]), Salt::of_test_vector([2; 32]));
    let plain = [6; 300];
    let mut group = c.benchmark_group("blob of 300 bytes");
    group.bench_function("seal", |b| {
        b.iter(|| blob::seal(&keys, &context, &place, object, salt, black_box(&plain)).unwrap());
    });
    let sealed = blob::seal(&keys, &context, &place, object, salt, &plain).unwrap();
    let lookup = One(keys);
    group.bench_function("open", |b| {
        b.iter(|| blob::open(&lookup, &context, &place, black_box(&sealed)).unwrap());
    });
    group.finish();
}

fn lengths(c: &mut Criterion) {
    let mut group = c.benchmark_group("layout");
    let plain = (5 << 30) + 12_345;
    group.bench_function("sealed length", |b| {
        b.iter(|| layout::sealed_len(black_box(plain)));
    });
    let sealed = layout::sealed_len(plain).unwrap();
    group.bench_function("plain length", |b| {
        b.iter(|| layout::plain_len(black_box(sealed)));
    });
    let runs = vec![MIN_RUN; 10_000];
    group.bench_function("zeros of 10,000 runs", |b| {
        b.iter(|| layout::zeros_len(black_box(&runs).iter().copied()));
    });
    group.finish();
}

/// Polls a body that is never pending to its end; gives its frames.
fn drain<B: Body<Data = Bytes, Error = E> + Unpin, E: std::fmt::Debug>(mut body: B) -> Vec<Bytes> {
    let mut task = Task::from_waker(Waker::noop());
    let mut frames = Vec::new();
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut task) {
        frames.push(frame.unwrap().into_data().unwrap());
    }
    frames
}

fn seal_body(plain: &Bytes) -> SealBody {
    let salt = Salt::of_test_vector([2; 32]);
    let plan = SealPlan {
        keys: keys(),
        context: context(),
        object: ObjectId([1; 16]),
        part: 0,
        salt,
        length: Some(plain.len() as u64),
        tail: Tail::Object {
            salt,
            digests: Box::new(Digests::default),
        },
    };
    SealBody::new(Plain::whole(plain.clone()), plan).unwrap()
}

fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("object");
    for size in [4 << 10, 1 << 20, 16 << 20] {
        group.throughput(Throughput::Bytes(size));
        let plain = Bytes::from(vec![8; usize::try_from(size).unwrap()]);
        group.bench_with_input(BenchmarkId::new("seal", size), &plain, |b, plain| {
            b.iter(|| drain(seal_body(plain)));
        });
        let sealed = Bytes::from(drain(seal_body(&plain)).concat());
        let lookup = Arc::new(One(keys()));
        group.bench_with_input(BenchmarkId::new("open", size), &sealed, |b, sealed| {
            b.iter(|| {
                let source = Full::new(sealed.clone()).map_err(|never| match never {});
                let length = sealed.len() as u64;
                let reader = ObjectReader::new(lookup.clone(), context(), length, None).unwrap();
                drain(OpenBody::whole(Sealed::new(Box::pin(source)), reader))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, segment, derive, short, metadata, lengths, whole);
criterion_main!(benches);
