use std::path::Path;

use sootprint_core::{Kind, Method};
use sootprint_power::{Reading, Tally, Tolerance};

use super::*;
use crate::settings::{Arguments, Machine, Settings};

/// A board of 100 W with a limit of 700 W.
fn board() -> Component {
    Component {
        kind: Kind::Gpu,
        id: "gpu".into(),
        name: "Board".into(),
        method: Method::Counter,
        board: None,
        limit: Some(Power::from_watts(700.0)),
        share: 1.0,
        tolerance: Tolerance::of(0.0),
        note: None,
    }
}

/// The book of a run on the board, which was read at these seconds.
struct Read {
    book: Book,
    tally: Tally,
    components: [Component; 1],
}

impl Read {
    fn at(dir: &Path, seconds: impl IntoIterator<Item = f64>) -> Self {
        let settings = Settings::resolve(Arguments::default(), &Machine::silent(2026, None));
        let identity = Identity { training_type: None, base_model: None };
        let (mut book, problem) = Book::open(dir, identity, settings, Asked::default());
        assert!(problem.is_none(), "{problem:?}");
        book.begin(vec![board()], Vec::new(), 0.0);
        let mut read = Self { book, tally: Tally::new([(&board(), false)]), components: [board()] };
        seconds.into_iter().for_each(|second| read.sample(second));
        read
    }

    fn sample(&mut self, second: f64) {
        let reading = Reading::Counter(Energy::from_joules(100.0 * second));
        self.tally.observe(Duration::from_secs_f64(second), 0, Ok(reading));
        let Self { book, tally, components } = self;
        book.sampled(&Moment { now: Duration::from_secs_f64(second), tally, components }, &[]);
    }

    fn end(&mut self, second: f64) {
        let Self { book, tally, components } = self;
        book.read_last(
            &Moment { now: Duration::from_secs_f64(second), tally, components },
            Counts::default(),
        );
    }

    fn close(mut self) -> Footprint {
        self.book.close(None, Duration::from_secs(60));
        self.book.footprint()
    }
}

#[test]
fn of_a_driver_that_hangs_the_last_reading_stands_and_the_time_since_counts_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    // After a minute a line is written each minute, and a heartbeat with each reading.
    let mut read = Read::at(dir.path(), (0..=90).map(f64::from));
    read.book.not_read(100.0);
    let footprint = read.close();
    let energy = &footprint.energy;
    let joules = [energy.total, energy.high].map(|energy| format!("{:.0} J", energy.joules()));
    // Ten seconds at 700 W.
    assert_eq!(joules, ["9000 J", "16000 J"]);
    assert!((footprint.run.duration_s - 100.0).abs() < 1e-9, "{:?}", footprint.run);
    assert!(footprint.notes.iter().any(|note| note.contains("did not answer at the end")));
}

#[test]
fn a_reading_after_the_end_makes_no_run_longer() {
    let dir = tempfile::tempdir().unwrap();
    let mut read = Read::at(dir.path(), (0..=3).map(f64::from));
    read.book.await_last();
    // The counter is waited for after the end.
    read.sample(4.2);
    read.end(4.0);
    let footprint = read.close();
    assert!((footprint.run.duration_s - 4.0).abs() < 1e-9, "{:?}", footprint.run);
    assert!((footprint.energy.total.joules() - 400.0).abs() < 1e-6, "{:?}", footprint.energy);
}
