//! What a training pays for being measured: the calls that its own thread makes.
//!
//! `cargo bench -p sootprint-benches --bench hooks`; `numbers` judges them.

use divan::Bencher;
use sootprint::{Run, RunHandle};

fn main() {
    divan::main();
}

/// A run on this machine's hardware, as a training starts it.
fn with_run(measure: impl FnOnce(&RunHandle)) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let run = Run::pre_training(dir.path()).start();
    measure(&run.handle());
    drop(run.finish());
}

/// The end of one epoch and the beginning of the next. The goal: at most 100 µs at the 99th percentile.
#[divan::bench(sample_count = 1000, sample_size = 1)]
fn epoch_edge(bencher: Bencher<'_, '_>) {
    with_run(|run| {
        bencher.bench_local(|| {
            run.epoch_ended(true);
            run.epoch_started(1);
        });
    });
}

/// One live reading, as each batch asks for in a Burn training.
#[divan::bench]
fn live_reading(bencher: Bencher<'_, '_>) {
    with_run(|run| bencher.bench_local(|| run.live()));
}

/// A whole run without any training: start, finish and the files.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn start_and_finish() {
    with_run(|_| ());
}
