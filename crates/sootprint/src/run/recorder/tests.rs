use std::path::Path;

use sootprint_core::{ComponentKind, MeasurementMethod};
use sootprint_power::{EnergyAccumulator, SensorReading, SensorTolerance};

use super::*;
use crate::run::label::RunLabel;
use crate::settings::{ProcessEnv, RunArguments, RunSettings};

/// A GPU of 100 W with a power limit of 700 W.
fn test_gpu() -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Gpu,
        id: "gpu".into(),
        name: "GPU".into(),
        method: MeasurementMethod::Counter,
        gpu: None,
        limit: Some(Power::from_watts(700.0)),
        assumed_limit: None,
        min_power: None,
        includes: Vec::new(),
        share: 1.0,
        tolerance: SensorTolerance::from_accuracy(0.0),
        note: None,
    }
}

/// The recorder of a run on that GPU.
struct RecorderFixture {
    recorder: RunRecorder,
    accumulator: EnergyAccumulator,
    components: [ComponentInfo; 1],
}

impl RecorderFixture {
    fn sampled_at(dir: &Path, seconds: impl IntoIterator<Item = f64>) -> Self {
        let settings =
            RunSettings::resolve(RunArguments::default(), &ProcessEnv::without_variables(2026, None));
        let label = RunLabel { training_type: None, base_model: None };
        let (mut recorder, error) = RunRecorder::open(dir, label, settings, RecorderOptions::default());
        assert!(error.is_none(), "{error:?}");
        recorder.start(vec![test_gpu()], Vec::new(), 0, Vec::new(), 0.0);
        let mut fixture = Self {
            recorder,
            accumulator: EnergyAccumulator::new([(&test_gpu(), false)]),
            components: [test_gpu()],
        };
        seconds.into_iter().for_each(|second| fixture.sample(second));
        fixture
    }

    fn sample(&mut self, second: f64) {
        let reading = SensorReading::Counter(Energy::from_joules(100.0 * second));
        self.accumulator.record_reading(Duration::from_secs_f64(second), 0, Ok(reading));
        let Self { recorder, accumulator, components } = self;
        recorder.on_sample(&sample_view(second, accumulator, components), &[]);
    }

    fn end_at(&mut self, second: f64) {
        let Self { recorder, accumulator, components } = self;
        recorder.record_final_sample(&sample_view(second, accumulator, components), WorkCounts::default());
    }

    fn close(mut self) -> Footprint {
        self.recorder.close(None, Duration::from_secs(60));
        self.recorder.footprint()
    }
}

fn sample_view<'a>(
    second: f64,
    accumulator: &'a EnergyAccumulator,
    components: &'a [ComponentInfo],
) -> SampleView<'a> {
    SampleView {
        now: Duration::from_secs_f64(second),
        accumulator,
        components,
        pending_drivers: &[],
        gaps: &[],
    }
}

#[test]
fn hung_driver_gap_counts_at_limit() {
    let dir = tempfile::tempdir().unwrap();
    // After one minute a line is written every minute, and a heartbeat with each sample.
    let mut fixture = RecorderFixture::sampled_at(dir.path(), (0..=90).map(f64::from));
    fixture.recorder.finish_without_sample(100.0);
    let footprint = fixture.close();
    let energy = &footprint.energy;
    let joules = [energy.total, energy.high].map(|energy| format!("{:.0} J", energy.joules()));
    // The high bound adds 10 s at 700 W.
    assert_eq!(joules, ["9000 J", "16000 J"]);
    assert!((footprint.run.duration_s - 100.0).abs() < 1e-9, "{:?}", footprint.run);
    assert!(footprint.notes.iter().any(|note| note.contains("did not answer at the end")));
}

#[test]
fn late_sample_does_not_extend_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut fixture = RecorderFixture::sampled_at(dir.path(), (0..=3).map(f64::from));
    fixture.recorder.expect_final_sample();
    // The sampler waits for a counter update after the end of the run.
    fixture.sample(4.2);
    fixture.end_at(4.0);
    let footprint = fixture.close();
    assert!((footprint.run.duration_s - 4.0).abs() < 1e-9, "{:?}", footprint.run);
    assert!((footprint.energy.total.joules() - 400.0).abs() < 1e-6, "{:?}", footprint.energy);
}
