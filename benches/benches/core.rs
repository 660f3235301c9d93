//! What one event costs in the pure core, without threads and logs: the door's scan, the signature, the metric fold.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use trunkline_benches::sample;
use trunkline_core::call::Call;
use trunkline_core::door;
use trunkline_core::event::{Event, Reading, read};
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::metric::{Partial, Rules, contribution};
use trunkline_core::record::{Record, Source};
use trunkline_core::signature::{SigningKey, sign, verify};
use uuid::Uuid;

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

/// Reading a stored record, merging it into a call, asking the call, counting it.
fn call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call");
    let rules = Rules::default();
    for size in sample::SIZES {
        let records: Vec<Record> = (0..3).map(|step| stored(sample::updated(1, step, size))).collect();
        let events: Vec<Box<Event>> = records.iter().map(event).collect();
        let mut started = Call::new(events[0].key().clone(), events[0].workspace());
        started.apply(&event(&stored(sample::started(1))));
        let facts = started.facts();
        group.bench_with_input(BenchmarkId::new("read", size), &records, |bencher, records| {
            bencher.iter(|| read(black_box(&records[1])));
        });
        group.bench_with_input(BenchmarkId::new("apply", size), &events, |bencher, events| {
            bencher.iter_batched_ref(|| started.clone(), |call| call.apply(black_box(&events[1])), BatchSize::SmallInput);
        });
        group.bench_with_input(BenchmarkId::new("facts", size), &events, |bencher, events| {
            let mut call = started.clone();
            events.iter().for_each(|event| _ = call.apply(event));
            bencher.iter(|| black_box(&call).facts());
        });
        group.bench_with_input(BenchmarkId::new("contribution", size), &facts, |bencher, facts| {
            bencher.iter(|| contribution(black_box(facts), &rules));
        });
    }
    group.finish();
}

/// A call that speaks and ends on a partial, there and back.
fn partial(criterion: &mut Criterion) {
    let rules = Rules::default();
    let mut call = None;
    let mut adds = Vec::new();
    for body in [sample::started(1), sample::updated(1, 1, 2_000), sample::ended(1, 2_000)] {
        let event = event(&stored(body));
        let call = call.get_or_insert_with(|| Call::new(event.key().clone(), event.workspace()));
        call.apply(&event);
        adds.push(contribution(&call.facts(), &rules));
    }
    let mut sums = Partial::default();
    sums.add(&adds[0]);
    let mut group = criterion.benchmark_group("partial");
    group.bench_function("speaks and back", |bencher| {
        bencher.iter(|| {
            sums.replace(&adds[0], &adds[1]);
            sums.replace(&adds[1], &adds[0]);
        });
    });
    group.bench_function("ends and back", |bencher| {
        bencher.iter(|| {
            sums.replace(&adds[0], &adds[2]);
            sums.replace(&adds[2], &adds[0]);
        });
    });
    group.finish();
}

fn stored(body: Bytes) -> Record {
    let (routed, body) = door::route(body);
    let (tenant, workspace) = (TenantId(Uuid::from_u128(1)), WorkspaceId(Uuid::from_u128(2)));
    door::record(routed, body, sample::clock(), tenant, workspace, Source::Webhook)
}

fn event(record: &Record) -> Box<Event> {
    match read(record) {
        Reading::Event(event) => event,
        other => panic!("a sample is no event: {other:?}"),
    }
}

criterion_group!(benches, scan, signature, call, partial);
criterion_main!(benches);
