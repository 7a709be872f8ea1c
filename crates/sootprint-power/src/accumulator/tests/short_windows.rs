//! Windows shorter than a second: their errors must average out over many runs.

use super::*;

/// The mean of measured energy divided by true energy, over windows at evenly spread phases of the tick.
fn mean_ratio(tick: f64, length: f64, reports_power: bool, watts: impl Fn(f64) -> f64) -> f64 {
    const PHASES: u32 = 400;
    // The integral in steps of 0.1 ms.
    let steps = ((length + 2.0) * 1e4) as usize;
    let (mut measured, mut truth) = (0.0, 0.0);
    for phase in 0..PHASES {
        let offset = tick * f64::from(phase) / f64::from(PHASES);
        let mut energy = Vec::with_capacity(steps);
        let mut sum = 0.0;
        for step in 0..steps {
            energy.push(sum);
            sum += watts(step as f64 / 1e4) * 1e-4;
        }
        let at = |time: f64| energy[((time * 1e4).round() as usize).min(steps - 1)];
        let shown = |time: f64| {
            let ticked = ((time + offset) / tick + 1e-9).floor() * tick - offset;
            // Before the start, the power was that of the start.
            5_000.0 + if ticked < 0.0 { ticked * watts(0.0) } else { at(ticked) }
        };
        let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.05), true)]);
        let mut time = 0.0;
        let read = |accumulator: &mut EnergyAccumulator, time: f64| {
            if reports_power {
                accumulator.record_power(seconds(time), 0, Power::from_watts(watts(time)));
            }
            accumulator.record_reading(seconds(time), 0, counter_reading(shown(time)));
        };
        for boundary in [0.0, length] {
            time = f64::max(time, boundary);
            read(&mut accumulator, time);
            let is_start = boundary == 0.0;
            while time < boundary + if is_start { 0.5 } else { 0.25 } {
                let is_located = accumulator.have_counters_ticked_since(seconds(boundary));
                if is_located && (!is_start || accumulator.has_located_start()) {
                    break;
                }
                time += if time - boundary < 0.025 { 0.001 } else { 0.002 };
                if is_start && time >= length {
                    break;
                }
                read(&mut accumulator, time);
            }
        }
        measured += accumulator.totals(seconds(length))[0].energy.joules();
        truth += at(length);
    }
    measured / truth
}

#[test]
fn short_windows_are_unbiased() {
    for tick in [0.02, 0.05, 0.1] {
        for length in [0.05, 0.15, 0.4] {
            for reports_power in [true, false] {
                let ratio = mean_ratio(tick, length, reports_power, |_| 300.0);
                // Without power readings, the power in a window without two ticks is a guess.
                let goal = if reports_power || length > tick * 1.2 { 0.01 } else { 0.3 };
                assert!(
                    (ratio - 1.0).abs() < goal,
                    "{ratio} for {length} s, a tick of {tick} s, power: {reports_power}"
                );
            }
        }
    }
}
