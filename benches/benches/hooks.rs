//! What a training pays for being measured: the calls that its own thread makes.
//!
//! `cargo bench -p sootprint-benches --bench hooks`; `numbers` judges them.

use burn::data::dataloader::Progress;
use burn::train::metric::{Metric as _, MetricMetadata};
use sootprint::{Budget, Energy, Every, Run, RunHandle};
use sootprint_burn::{EmissionsMetric, EnergyMetric, PowerMetric};

use divan::Bencher;

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

/// A phase within a step: its beginning and its end.
#[divan::bench(sample_count = 1000, sample_size = 1)]
fn phase(bencher: Bencher<'_, '_>) {
    with_run(|run| bencher.bench_local(|| run.phase("forward and backward").end()));
}

/// A step's samples and tokens.
#[divan::bench]
fn samples_and_tokens(bencher: Bencher<'_, '_>) {
    with_run(|run| {
        bencher.bench_local(|| {
            run.samples(64);
            run.tokens(64 * 512);
        });
    });
}

/// A step of a loop without epochs that is held against a budget.
#[divan::bench]
fn step_of_a_slice(bencher: Bencher<'_, '_>) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let much = Energy::from_kilowatt_hours(1e6);
    let run = Run::pre_training(dir.path()).budget(Budget::energy(much).stop()).start();
    let mut steps = run.slices(Every::steps(1_000_000), 0_u64..);
    bencher.bench_local(|| steps.next());
    drop(steps);
    drop(run.finish());
}

/// What the whole run will come to, after ten epochs of a hundred.
#[divan::bench]
fn prediction(bencher: Bencher<'_, '_>) {
    with_run(|run| {
        run.plan_epochs(100);
        for epoch in 0..10 {
            run.epoch_started(epoch);
            run.epoch_ended(true);
        }
        bencher.bench_local(|| run.prediction());
    });
}

/// The three metrics of a batch in a Burn training.
#[divan::bench]
fn burn_s_metrics(bencher: Bencher<'_, '_>) {
    with_run(|run| {
        let (mut energy, mut power, mut emissions) = (
            EnergyMetric::new(run.clone()),
            PowerMetric::new(run.clone()),
            EmissionsMetric::new(run.clone()),
        );
        let progress = Progress { items_processed: 1, items_total: 1, unit: None };
        let batch = MetricMetadata { progress, iteration: None, lr: None };
        bencher.bench_local(|| {
            (energy.update(&(), &batch), power.update(&(), &batch), emissions.update(&(), &batch))
        });
    });
}

/// One live reading.
#[divan::bench]
fn live_reading(bencher: Bencher<'_, '_>) {
    with_run(|run| bencher.bench_local(|| run.live()));
}

/// A whole run without any training: start, finish and the files.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn start_and_finish() {
    with_run(|_| ());
}
