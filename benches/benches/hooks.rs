//! Cost of the calls that run on the training thread.
//!
//! `cargo bench -p sootprint-benches --bench hooks`; the benchmark `numbers` checks the goals.

use burn::data::dataloader::Progress;
use burn::train::metric::{Metric as _, MetricMetadata};
use sootprint::{Budget, Energy, Run, RunHandle, WindowLength};
use sootprint_burn::{EmissionsMetric, EnergyMetric, PowerMetric};

use divan::Bencher;

fn main() {
    divan::main();
}

/// Runs `measure` within a run on this machine's hardware.
fn measure_with_run(measure: impl FnOnce(&RunHandle)) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let run = Run::pre_training(dir.path()).start();
    measure(&run.handle());
    drop(run.finish());
}

/// The end of an epoch and the start of the next. Goal: at most 100 µs at the 99th percentile.
#[divan::bench(sample_count = 1000, sample_size = 1)]
fn epoch_boundary(bencher: Bencher<'_, '_>) {
    measure_with_run(|run| {
        bencher.bench_local(|| {
            run.end_epoch(true);
            run.start_epoch(1);
        });
    });
}

/// A phase within a step: start and end.
#[divan::bench(sample_count = 1000, sample_size = 1)]
fn phase(bencher: Bencher<'_, '_>) {
    measure_with_run(|run| bencher.bench_local(|| run.phase("forward and backward").end()));
}

/// Counting the samples and tokens of a step.
#[divan::bench]
fn add_samples_and_tokens(bencher: Bencher<'_, '_>) {
    measure_with_run(|run| {
        bencher.bench_local(|| {
            run.add_samples(64);
            run.add_tokens(64 * 512);
        });
    });
}

/// A step of a loop without epochs, checked against a budget.
#[divan::bench]
fn window_step(bencher: Bencher<'_, '_>) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let max_energy = Energy::from_kilowatt_hours(1e6);
    let run =
        Run::pre_training(dir.path()).budget(Budget::max_energy(max_energy).stop_when_exceeded()).start();
    let mut steps = run.windows(WindowLength::steps(1_000_000), 0_u64..);
    bencher.bench_local(|| steps.next());
    drop(steps);
    drop(run.finish());
}

/// The forecast of the whole run, after ten of a hundred epochs.
#[divan::bench]
fn forecast(bencher: Bencher<'_, '_>) {
    measure_with_run(|run| {
        run.set_planned_epochs(100);
        for epoch in 0..10 {
            run.start_epoch(epoch);
            run.end_epoch(true);
        }
        bencher.bench_local(|| run.forecast());
    });
}

/// The three metrics of a batch in a Burn training.
#[divan::bench]
fn burn_metrics(bencher: Bencher<'_, '_>) {
    measure_with_run(|run| {
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

/// A live reading.
#[divan::bench]
fn live_usage(bencher: Bencher<'_, '_>) {
    measure_with_run(|run| bencher.bench_local(|| run.usage()));
}

/// A run without training: start, finish and writing the files.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn start_and_finish() {
    measure_with_run(|_| ());
}
