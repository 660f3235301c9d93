//! What one event costs in the pure core, without threads and logs: the door's scan, the signature, the metric fold.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use trunkline_benches::sample;
use trunkline_core::door;
use trunkline_core::signature::{SigningKey, sign, verify};

/// The door's one pass over a body, beside serde_json checking the same bytes.
fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    for size in sample::SIZES {
        let body = sample::updated(1, 0, size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("door::route", size), &body, |bencher, body| {
            bencher.iter(|| door::route(black_box(body.clone())));
        });
        group.bench_with_input(BenchmarkId::new("serde_json skips", size), &body, |bencher, body| {
            bencher.iter(|| serde_json::from_slice::<serde::de::IgnoredAny>(black_box(body)).is_ok());
        });
    }
    group.finish();
}

fn signature(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signature");
    let key = SigningKey::from(sample::KEY);
    for size in sample::SIZES {
        let body = sample::updated(1, 0, size);
        let now = sample::clock();
        let header = sign(&body, &key, now);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("verify", size), &body, |bencher, body| {
            bencher.iter(|| verify(&[header.as_bytes()], black_box(body), std::slice::from_ref(&key), now).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, scan, signature);
criterion_main!(benches);
