//! How near the energy comes to the truth.

use std::time::Duration;

use crate::child::{Child, Report};
use crate::machine::{LEAD, Machine, Observed, ROUND, board, uuid};
use crate::{Row, per_cent};
use nvidia_ml::Board;
use sootprint_benches::Failure;

/// Windows of one case, whose phases are spread over the round of the power.
const WINDOWS: u32 = 8;

/// They overlap, but for their ends, at which the sampler has work to do.
const STAGGER: Duration = Duration::from_millis(250);

/// What is measured and how near it should come.
struct Case {
    name: &'static str,
    what: &'static str,
    /// Part of the truth.
    goal: f64,
    window: Duration,
    /// `CUDA_VISIBLE_DEVICES`.
    visible: Option<&'static str>,
    /// The machine's boards, for a run that starts at this time of the script.
    boards: fn(Duration) -> Vec<Board>,
    judge: fn(&Observed) -> Result<Judgement, Failure>,
}

/// The relative error, and what is wrong besides.
type Judgement = (f64, Vec<String>);

const WINDOW: Duration = Duration::from_secs(5);
const LONG_WINDOW: Duration = Duration::from_secs(20);
const FAST: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_millis(100);
/// What reading the counter of an H100 takes.
const DEAR: Duration = Duration::from_millis(5);

const CASES: [Case; 11] = [
    Case {
        name: "fast-counter",
        what: "energy counter with a tick of 20 ms, 5 s",
        goal: 0.0005,
        window: WINDOW,
        visible: None,
        boards: |_| vec![board(0, 1).counter(FAST)],
        judge: |run| whole(run, &[0]),
    },
    Case {
        name: "slow-counter",
        what: "energy counter with a tick of 100 ms, 5 s",
        goal: 0.005,
        window: WINDOW,
        visible: None,
        boards: |_| vec![board(0, 1).counter(SLOW)],
        judge: |run| whole(run, &[0]),
    },
    Case {
        name: "dear-counter",
        what: "energy counter with a tick of 100 ms of which each reading takes 5 ms, 5 s",
        goal: 0.005,
        window: WINDOW,
        visible: None,
        boards: |_| vec![board(0, 1).counter(SLOW).slow_counter(DEAR)],
        judge: |run| whole(run, &[0]),
    },
    Case {
        name: "instant-power",
        what: "no energy counter, power of the moment, 5 s",
        goal: 0.01,
        window: WINDOW,
        visible: None,
        boards: |_| vec![board(0, 1).instant()],
        judge: |run| whole(run, &[0]),
    },
    Case {
        name: "mean-power",
        what: "no energy counter, power averaged over 1 s, 8 s",
        goal: 0.03,
        window: Duration::from_secs(8),
        visible: None,
        boards: |_| vec![board(0, 1).average(Duration::from_secs(1))],
        judge: |run| whole(run, &[0]),
    },
    Case {
        name: "by-index",
        what: "two of four boards by index, tick of 20 ms, 5 s",
        goal: 0.0005,
        window: WINDOW,
        visible: Some("2,0"),
        boards: four,
        judge: |run| whole(run, &[2, 0]),
    },
    Case {
        name: "by-uuid",
        what: "two of four boards by UUID, tick of 20 ms, 5 s",
        goal: 0.0005,
        window: WINDOW,
        visible: Some("GPU-dddddddd-0000-0000-0000-000000000000,GPU-bbbbbbbb-0000-0000-0000-000000000000"),
        boards: four,
        judge: |run| whole(run, &[3, 1]),
    },
    Case {
        name: "by-prefix",
        what: "one of four boards by the beginning of its UUID, tick of 20 ms, 5 s",
        goal: 0.0005,
        window: WINDOW,
        visible: Some("GPU-bbbb"),
        boards: four,
        judge: |run| whole(run, &[1]),
    },
    Case {
        name: "lost",
        what: "one of two boards lost midway, tick of 20 ms, 5 s: the other one's energy, and its own up to the last \
               tick before its last good reading",
        goal: 0.0005,
        window: WINDOW,
        visible: None,
        boards: |start| vec![board(0, 1).counter(FAST).lost(start + WINDOW / 2), board(1, 2).counter(FAST)],
        judge: lost,
    },
    Case {
        name: "restart",
        what: "counter restarts midway, tick of 20 ms, 20 s",
        goal: 0.01,
        // What a load that jumps by 300 W used in the up to 0.2 s before the restart is known to 30 J.
        window: LONG_WINDOW,
        visible: None,
        boards: |start| vec![board(0, 1).counter(FAST).counter_start(5_000).reset(start + LONG_WINDOW / 2)],
        judge: restarted,
    },
    Case {
        name: "short",
        what: "window of 0.15 s, tick of 100 ms",
        goal: 0.05,
        window: Duration::from_millis(150),
        visible: None,
        boards: |_| vec![board(0, 1).counter(SLOW)],
        judge: |run| whole(run, &[0]),
    },
];

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    CASES.iter().map(|case| Row::new(case.what, format!("≤ {} %", case.goal * 100.0), case.row()))
}

/// One window of a case, in this process: the relative error and the seconds to which the window's ends are
/// known.
pub(crate) fn measure(case: &str, window: &str) -> Result<Report, Failure> {
    let case = CASES.iter().find(|it| it.name == case).ok_or("there is no such case")?;
    let phase = ROUND * window.parse()? / WINDOWS;
    let observed = Machine::new((case.boards)(LEAD + phase), phase)?.observe(case.window)?;
    let (error, flaws) = (case.judge)(&observed)?;
    Ok(Report { figures: vec![error, observed.slack.as_secs_f64()], flaws })
}

impl Case {
    fn row(&self) -> Result<(String, bool), Failure> {
        let start = |window: u32| {
            std::thread::sleep(STAGGER);
            Child::start(&["accuracy", self.name, &window.to_string()], self.visible)
        };
        let children: Vec<Child> = (0..WINDOWS).map(start).collect::<Result<_, _>>()?;
        let reports: Vec<Report> = children.into_iter().map(Child::report).collect::<Result<_, _>>()?;
        let figures: Vec<[f64; 2]> = reports.iter().map(Report::exactly).collect::<Result<_, _>>()?;
        let mut errors: Vec<f64> = figures.iter().map(|[error, _]| *error).collect();
        errors.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
        let (median, worst) = (errors[errors.len() / 2].abs(), errors[errors.len() - 1]);
        let slack = figures.iter().map(|[_, slack]| *slack).fold(0.0, f64::max) * 1e6;
        let flaw = reports.iter().flat_map(|report| &report.flaws).next();
        let measured = format!(
            "{}, worst of {WINDOWS} windows; median {}; their ends are known to {slack:.0} µs{}",
            per_cent(worst),
            per_cent(median),
            flaw.map_or_else(String::new, |flaw| format!("; {flaw}"))
        );
        Ok((measured, worst.abs() <= self.goal && flaw.is_none()))
    }
}

/// Four boards of different power.
fn four(_start: Duration) -> Vec<Board> {
    (0..4).map(|index| board(index, u32::from(index) + 1).counter(FAST)).collect()
}

/// Exactly these boards, from the first moment to the last.
fn whole(run: &Observed, boards: &[u8]) -> Result<Judgement, Failure> {
    let truth: f64 = boards.iter().map(|index| run.truth(usize::from(*index))).sum();
    let counted: Vec<&str> = run.footprint.components.iter().map(|it| it.id.as_str()).collect();
    let mut flaws = Vec::new();
    for index in 0..4 {
        if counted.contains(&uuid(index).as_str()) != boards.contains(&index) {
            flaws.push(format!("board {index} is counted wrongly"));
        }
    }
    Ok((run.footprint.energy.gpu.joules() / truth - 1.0, flaws))
}

/// The whole energy of a board whose counter restarted, and that it was told.
fn restarted(run: &Observed) -> Result<Judgement, Failure> {
    let (error, mut flaws) = whole(run, &[0])?;
    let (resets, notes) = (run.board(0)?.resets, &run.footprint.notes);
    if resets != 1 || !notes.iter().any(|note| note.contains("began again")) {
        flaws.push(format!("{resets} resets reported, in {notes:?}"));
    }
    Ok((error, flaws))
}

/// The energy of the first board up to its last good reading, of the second in full, and that the loss was
/// told.
fn lost(run: &Observed) -> Result<Judgement, Failure> {
    /// A counter is read five times a second; the rest is for a thread that was woken late.
    const LONGEST_SILENCE: Duration = Duration::from_millis(250);
    let (lost, other) = (run.board(0)?, run.board(1)?);
    let last_reading = run.from + Duration::try_from_secs_f64(lost.measured_s)?;
    let [least, most] = [last_reading - FAST, last_reading].map(|to| run.true_energy(0, to));
    let counted = lost.energy.joules();
    let error = if counted < least { counted / least - 1.0 } else { (counted / most - 1.0).max(0.0) };
    let other = other.energy.joules() / run.truth(1) - 1.0;

    let mut flaws = Vec::new();
    let unmeasured = Duration::try_from_secs_f64(lost.unmeasured_s)?;
    let longest = run.to.saturating_sub(LEAD + WINDOW / 2) + LONGEST_SILENCE;
    if unmeasured > longest {
        flaws.push(format!("{unmeasured:?} are unmeasured, at most {longest:?} need be"));
    }
    let report = run.footprint.to_string();
    if !report.lines().take(3).any(|line| line.contains("lost")) {
        flaws.push("the loss is not in the first lines of the report".to_owned());
    }
    Ok((if other.abs() > error.abs() { other } else { error }, flaws))
}
