//! The `tracing` spans of a run. This test has its own process: `tracing` caches per callsite, for all threads, whether a
//! subscriber is interested, so it would race with tests without a subscriber.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sootprint::{CarbonIntensity, ComponentKind, Power, Pue, Replay, Run, VirtualClock};
use sootprint_core::sync::lock_ignoring_poison;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Subscriber};

use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// The spans in order of creation, their fields, and the closed ones.
#[derive(Debug, Default)]
struct RecordedSpans {
    names: Vec<(Id, &'static str, Option<Id>)>,
    fields: BTreeMap<u64, BTreeMap<&'static str, String>>,
    closed: Vec<Id>,
}

#[derive(Clone, Default)]
struct SpanRecorder(Arc<Mutex<RecordedSpans>>);

impl SpanRecorder {
    fn recorded(&self) -> MutexGuard<'_, RecordedSpans> {
        lock_ignoring_poison(&self.0)
    }
}

struct FieldRecorder<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for FieldRecorder<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanRecorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent()).map(|parent| parent.id());
        assert_eq!(attributes.metadata().level(), &Level::INFO);
        let mut recorded = self.recorded();
        // A registry reuses the ids of closed spans.
        let key = u64::try_from(recorded.names.len()).unwrap();
        attributes.record(&mut FieldRecorder(recorded.fields.entry(key).or_default()));
        recorded.names.push((id.clone(), attributes.metadata().name(), parent));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut recorded = self.recorded();
        let position = recorded.names.iter().rposition(|(known, ..)| known == id).unwrap();
        values
            .record(&mut FieldRecorder(recorded.fields.entry(u64::try_from(position).unwrap()).or_default()));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.recorded().closed.push(id);
    }
}

#[test]
fn run_and_epochs_become_spans() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = SpanRecorder::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(recorder.clone()), || {
        let clock = VirtualClock::default();
        let steady = [(Duration::from_secs(1), Power::from_watts(400.0))];
        let replay = Replay::new()
            .with_component(ComponentKind::Cpu, "Scripted CPU", steady)
            .with_clock(clock.clone());
        let run = Run::pre_training(dir.path())
            .replay(replay)
            .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(360.0))
            .pue(Pue::new(1.5).unwrap())
            .start();
        for epoch in run.epochs(1..=2_u32) {
            clock.advance(Duration::from_secs(10 * u64::from(epoch)));
        }
        run.handle().start_epoch(3);
        clock.advance(Duration::from_secs(5));
        let _ = run.finish();
    });
    let recorded = recorder.recorded();
    let names: Vec<_> = recorded.names.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(names, ["sootprint.run", "sootprint.epoch", "sootprint.epoch", "sootprint.epoch"]);
    let run = &recorded.names[0].0;
    assert!(recorded.names[1..].iter().all(|(.., parent)| parent.as_ref() == Some(run)), "{recorded:?}");
    assert_eq!(recorded.closed.len(), 4, "a span is left open: {recorded:?}");
    let number = |position: u64, field: &str| recorded.fields[&position][field].parse::<f64>().unwrap();
    // 400 W at a PUE of 1.5 and 360 g/kWh: one joule emits 1.5e-4 g.
    for (position, seconds) in [(1, 10.0), (2, 20.0), (3, 5.0), (0, 35.0)] {
        assert!(is_close(number(position, "duration_s"), seconds), "{:?}", recorded.fields);
        assert!(is_close(number(position, "energy_j"), 400.0 * seconds), "{:?}", recorded.fields);
        assert!(is_close(number(position, "grams"), 400.0 * seconds * 1.5e-4), "{:?}", recorded.fields);
        assert!(is_close(number(position, "power_w"), 400.0), "{:?}", recorded.fields);
    }
    assert_eq!(recorded.fields[&0]["training_type"], "\"pre-training\"");
    assert_eq!(recorded.fields[&0]["outcome"], "\"completed\"");
    let completed: Vec<&str> = (1..=3).map(|epoch| recorded.fields[&epoch]["completed"].as_str()).collect();
    assert_eq!(completed, ["true", "true", "false"]);
}

fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-6 * right.abs().max(1.0)
}
