mod scenarios;

use proptest::prelude::*;
use sootprint_core::{Kind, Method};

use super::*;
use crate::source::Tolerance;

fn board(tolerance: f64) -> Component {
    Component {
        kind: Kind::Gpu,
        id: "GPU-0".into(),
        name: "board".into(),
        method: Method::Counter,
        board: None,
        limit: Some(Power::from_watts(700.0)),
        share: 1.0,
        tolerance: Tolerance::of(tolerance),
        note: None,
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn counter(joules: f64) -> Result<Reading, Unreadable> {
    Ok(Reading::Counter(Energy::from_joules(joules)))
}

fn instant(watts: f64) -> Result<Reading, Unreadable> {
    Ok(Reading::Instant(Power::from_watts(watts)))
}

fn lost() -> Result<Reading, Unreadable> {
    Err(Unreadable::Lost("gone".into()))
}

/// Plays readings to a board with a tolerance of 5 % and gives its total at the last of them.
fn play(readings: impl IntoIterator<Item = (f64, Result<Reading, Unreadable>)>) -> (Total, Vec<Finding>) {
    let mut tally = Tally::new([(&board(0.05), false)]);
    let mut findings = Vec::new();
    let mut end = Duration::ZERO;
    for (time, reading) in readings {
        end = seconds(time);
        findings.extend(tally.observe(end, 0, reading));
    }
    (tally.totals(end)[0], findings)
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * right.abs().max(1.0)
}

#[test]
fn a_counter_s_first_reading_is_its_origin_and_no_energy() {
    let (total, findings) = play([(0.0, counter(5_000.0))]);
    assert_eq!((total, findings), (Total::default(), vec![]));
}

#[test]
fn a_counter_gives_its_difference_within_the_sensor_s_tolerance() {
    let (total, _) = play([(0.0, counter(5_000.0)), (10.0, counter(6_000.0))]);
    assert!(close(total.energy.joules(), 1_000.0) && close(total.low.joules(), 1_000.0 / 1.05));
    assert!(
        close(total.high.joules(), 1_000.0 / 0.95)
            && close(total.measured, 10.0)
            && close(total.unmeasured, 0.0)
    );
}

#[test]
fn instant_readings_join_by_trapezoid_and_averages_tile() {
    let (total, _) = play([(0.0, instant(100.0)), (1.0, instant(300.0)), (2.0, instant(300.0))]);
    assert!(close(total.energy.joules(), 500.0));
    let averaged = |watts| Ok(Reading::Averaged { mean: Power::from_watts(watts), over: None });
    let (total, _) = play([(0.0, averaged(100.0)), (1.0, averaged(300.0)), (2.0, averaged(500.0))]);
    assert!(close(total.energy.joules(), 800.0));
}

#[test]
fn an_averaged_reading_that_is_not_of_its_own_time_has_bounds() {
    let averaged = |watts| Ok(Reading::Averaged { mean: Power::from_watts(watts), over: Some(seconds(1.0)) });
    let bounds = |time| {
        let mut tally = Tally::new([(&board(0.0), false)]);
        tally.observe(seconds(0.0), 0, averaged(100.0));
        tally.observe(seconds(time), 0, averaged(500.0));
        let Total { low, energy, high, .. } = tally.totals(seconds(time))[0];
        [low, energy, high].map(|energy| energy.to_string())
    };
    assert_eq!(bounds(1.0), ["500.0 J"; 3]);
    // Of 500 J in the second at most 700 W × 0.6 s were used before, and at most 700 W × 0.4 s now.
    assert_eq!(bounds(0.4), ["80.0 J", "200.0 J", "280.0 J"]);
    // Half a second is in no reading, between nothing and 700 W.
    assert_eq!(bounds(1.5), ["500.0 J", "750.0 J", "850.0 J"]);
}

#[test]
fn power_readings_far_apart_leave_a_gap_and_no_energy() {
    let (total, _) = play([(0.0, instant(100.0)), (1.0, instant(100.0)), (31.0, instant(100.0))]);
    assert!(
        close(total.energy.joules(), 100.0) && close(total.measured, 1.0) && close(total.unmeasured, 30.0)
    );
}

#[test]
fn a_counter_that_goes_back_is_a_reset_of_which_only_the_new_part_is_known() {
    let (total, findings) = play([(0.0, counter(5_000.0)), (1.0, counter(5_400.0)), (2.0, counter(150.0))]);
    assert_eq!(findings, [Finding::Reset { component: 0 }]);
    assert!(close(total.energy.joules(), 550.0), "{total:?}");
    assert_eq!(total.resets, 1);
    assert!(close(total.measured, 1.0) && close(total.unmeasured, 1.0));
}

#[test]
fn a_reset_to_more_than_the_board_can_draw_adds_nothing() {
    let (total, _) = play([(0.0, counter(5_000.0)), (1.0, counter(4_000.0))]);
    assert!(close(total.energy.joules(), 0.0) && close(total.unmeasured, 1.0));
}

#[test]
fn a_reset_is_bridged_by_the_powers_around_it() {
    let mut tally = Tally::new([(&board(0.05), true)]);
    for (time, joules) in [(0.0, 5_000.0), (0.2, 5_080.0), (0.4, 20.0), (0.6, 100.0)] {
        tally.observe_power(seconds(time), 0, Power::from_watts(400.0));
        tally.observe(seconds(time), 0, counter(joules));
    }
    let total = tally.totals(seconds(0.6))[0];
    // 80 J before, 400 W for the 0.2 s of the restart, of which 20 J were shown, and 80 J after.
    assert!(close(total.energy.joules(), 240.0), "{total:?}");
    // At either end the counter, whose ticks were not seen, may be off by 0.25 s of 700 W, and at the restart by more.
    assert!(close(total.low.joules(), 0.0), "{total:?}");
    assert!(close(total.high.joules(), (160.0 + 700.0 * 0.45) / 0.95 + 2.0 * 700.0 * 0.25), "{total:?}");
    assert_eq!((total.resets, total.unmeasured), (1, 0.0));
}

#[test]
fn a_restart_lies_on_the_line_between_the_powers_on_either_side() {
    let mut tally = Tally::new([(&board(0.0), true)]);
    for (time, joules, watts) in [(0.0, 5_000.0, 100.0), (0.2, 5_020.0, 100.0), (0.4, 10.0, 400.0)] {
        tally.observe_power(seconds(time), 0, Power::from_watts(watts));
        tally.observe(seconds(time), 0, counter(joules));
    }
    // 20 J before, and 0.2 s at 250 W.
    assert!(close(tally.totals(seconds(0.4))[0].energy.joules(), 70.0));
}

#[test]
fn a_reading_beyond_what_the_board_can_draw_is_told_and_not_counted() {
    let (total, findings) = play([(0.0, counter(0.0)), (1.0, counter(90_000.0)), (2.0, counter(90_100.0))]);
    assert_eq!(findings, [Finding::Implausible { component: 0 }]);
    assert!(
        close(total.energy.joules(), 100.0) && close(total.unmeasured, 1.0) && close(total.measured, 1.0)
    );
}

#[test]
fn an_edge_waits_for_the_tick_after_it_and_reckons_back_from_it() {
    let mut tally = Tally::new([(&board(0.0), true)]);
    // A steady 100 W, a counter that ticks at 0.050, 0.150, 0.250 s and so on.
    let shown = |time: f64| 100.0 * (((time + 0.05) / 0.1).floor() * 0.1 - 0.05).max(0.0);
    let mut play = |from: u32, to: u32, step: usize| {
        for millis in (from..=to).step_by(step) {
            let time = f64::from(millis) / 1e3;
            tally.observe(seconds(time), 0, counter(shown(time)));
            tally.observe_power(seconds(time), 0, Power::from_watts(100.0));
        }
        (tally.is_settled(seconds(2.0)), tally.energy_at(seconds(2.0))[0].joules())
    };
    play(0, 60, 5);
    let (is_settled, energy) = play(200, 2_040, 40);
    assert!(!is_settled && (190.0..200.0).contains(&energy), "not yet ticked: {energy} J");
    let (is_settled, energy) = play(2_045, 2_060, 5);
    assert!(is_settled && (energy - 200.0).abs() <= 0.5, "{energy} J of 200 J");
}

#[test]
fn a_lost_board_keeps_what_it_had_and_the_rest_is_unmeasured() {
    let (total, findings) =
        play([(0.0, counter(0.0)), (4.0, counter(400.0)), (5.0, lost()), (6.0, lost()), (9.0, lost())]);
    assert_eq!(findings.len(), 1, "told once: {findings:?}");
    assert!(
        close(total.energy.joules(), 400.0) && close(total.measured, 4.0) && close(total.unmeasured, 5.0)
    );
}

#[test]
fn a_counter_bridges_a_silence_and_a_power_reading_does_not() {
    let (total, findings) =
        play([(0.0, counter(0.0)), (20.0, Err(Unreadable::Failed("busy".into()))), (40.0, counter(4_000.0))]);
    assert_eq!(findings.last(), Some(&Finding::Back { component: 0 }));
    assert!(close(total.energy.joules(), 4_000.0) && close(total.unmeasured, 0.0));
    let (total, _) = play([(0.0, instant(100.0)), (20.0, lost()), (40.0, instant(100.0))]);
    assert!(close(total.energy.joules(), 0.0) && close(total.unmeasured, 40.0));
}

#[test]
fn a_board_that_never_answered_is_unmeasured_from_its_first_silence() {
    let (total, _) = play([(1.0, lost()), (5.0, lost())]);
    assert!(close(total.unmeasured, 4.0) && close(total.measured, 0.0));
}

#[test]
fn an_edge_between_two_readings_lies_on_the_line_between_them() {
    let mut tally = Tally::new([(&board(0.0), false)]);
    for (time, joules) in [(0.0, 0.0), (1.0, 100.0), (3.0, 700.0)] {
        tally.observe(seconds(time), 0, counter(joules));
    }
    for (moment, joules) in [(0.0, 0.0), (0.5, 50.0), (1.0, 100.0), (2.0, 400.0), (3.0, 700.0), (9.0, 700.0)]
    {
        assert!(close(tally.energy_at(seconds(moment))[0].joules(), joules), "at {moment} s");
    }
}

proptest! {
    /// Whatever a board does, its energy never falls, stays within its bounds, and time is never lost or doubled.
    #[test]
    fn energy_only_grows_and_time_adds_up(
        steps in prop::collection::vec((1_u32..5_000, 0_u32..4, 0.0_f64..700.0), 1..60),
    ) {
        let mut tally = Tally::new([(&board(0.05), false)]);
        let (mut now, mut count, mut before) = (Duration::ZERO, 0.0, 0.0);
        tally.observe(now, 0, counter(count));
        for (millis, event, watts) in steps {
            let time = Duration::from_millis(u64::from(millis));
            now += time;
            count = if event == 1 { 0.0 } else { count + watts * time.as_secs_f64() };
            tally.observe(now, 0, if event == 2 { lost() } else { counter(count) });
            let total = tally.totals(now)[0];
            prop_assert!(total.energy.joules() >= before);
            prop_assert!(total.low <= total.energy && total.energy <= total.high);
            prop_assert!((total.measured + total.unmeasured - now.as_secs_f64()).abs() < 1e-6);
            before = total.energy.joules();
        }
    }

    /// Cutting a window anywhere never changes its sum.
    #[test]
    fn a_window_is_the_sum_of_its_parts(
        powers in prop::collection::vec(0.0_f64..700.0, 2..REMEMBERED), cut in 0.0_f64..1.0,
    ) {
        let mut tally = Tally::new([(&board(0.0), false)]);
        for (second, watts) in powers.iter().enumerate() {
            tally.observe(seconds(second as f64), 0, instant(*watts));
        }
        let end = (powers.len() - 1) as f64;
        let at = |time: f64| tally.energy_at(seconds(time))[0].joules();
        let parts = (at(end * cut) - at(0.0)) + (at(end) - at(end * cut));
        let whole: f64 = powers.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum();
        prop_assert!((parts - whole).abs() < 1e-9 * whole.max(1.0));
    }
}
