//! What other threads do to the steps of a training.

use std::time::Duration;

/// By how much threads that are let onto a processor meanwhile hold up the steps of a training, as a part of its time; none
/// where there are no steps of both kinds beside each other.
///
/// A step that they joined is compared with the one before or after it, if they did not join that one. The longer one of
/// two is the likelier to be joined, whatever that does to it: of steps of the lengths a and b, by chance alone, the joined
/// one is the longer one in max(a, b) of a + b cases, and so longer by (a − b)² / (a + b) in the mean. How much that is,
/// pairs tell of which neither was joined; it is taken off. All of it holds where the threads rest for longer than two
/// steps take. What a thread that comes at a step's very end does to the next one is missed.
#[must_use]
pub fn step_delay_share<'steps>(turns: impl Iterator<Item = &'steps Vec<TrainingStep>>) -> Option<f64> {
    let (mut longer, mut pairs, mut interrupted, mut time) = (0.0, 0.0, 0.0, 0.0);
    let (mut squares, mut sums) = (0.0, 0.0);
    // What the training before has left in the caches is in the first step.
    for steps in turns.filter_map(|steps| steps.get(1..)) {
        for step in steps {
            time += step.time.as_secs_f64();
            interrupted += f64::from(u8::from(step.is_interrupted));
        }
        for pair in steps.windows(2) {
            let [one, other] = [pair[0], pair[1]].map(|step| step.time.as_secs_f64());
            match [pair[0].is_interrupted, pair[1].is_interrupted] {
                [true, false] => (longer, pairs) = (longer + one - other, pairs + 1.0),
                [false, true] => (longer, pairs) = (longer + other - one, pairs + 1.0),
                [false, false] => (squares, sums) = (squares + (one - other).powi(2), sums + one + other),
                [true, true] => {}
            }
        }
    }
    (pairs > 0.0 && sums > 0.0).then(|| (longer / pairs - squares / sums) * interrupted / time)
}

/// A step of a training.
#[derive(Debug, Clone, Copy)]
pub struct TrainingStep {
    /// From its begin to its end.
    pub time: Duration,
    /// Whether another thread was let onto a processor meanwhile.
    pub is_interrupted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of 8 to 12 ms, in some turns slower by two fifths, of which threads join one each 53 ms or so for nothing.
    #[test]
    fn undelayed_steps_report_zero() {
        let share = step_delay_share(simulated_turns(Duration::ZERO).iter());
        assert!(share.is_some_and(|share| share.abs() < 1.5e-4), "{share:?}");
    }

    /// The same, where each time they hold a step up by 0.1 ms, which is 52.6 ms from one time to the next, or by as much
    /// as a step takes.
    #[test]
    fn delayed_steps_report_their_delay() {
        for held_up_for in [0.1, 10.0] {
            let share = step_delay_share(simulated_turns(Duration::from_secs_f64(held_up_for / 1e3)).iter());
            let truth = held_up_for / (52.5 + held_up_for);
            assert!(
                share.is_some_and(|share| (share - truth).abs() < 1.5e-4 + 0.01 * truth),
                "{share:?} {truth}"
            );
        }
    }

    #[test]
    fn missing_step_kind_returns_none() {
        let alone = TrainingStep { time: Duration::from_millis(1), is_interrupted: false };
        let joined = TrainingStep { is_interrupted: true, ..alone };
        assert_eq!(step_delay_share([vec![alone; 9], vec![joined; 9]].iter()), None);
        assert_eq!(step_delay_share([vec![alone, alone, joined], Vec::new()].iter()), None);
    }

    /// Turns of ten steps in which threads join after random times of 45 to 60 ms and hold a step up for some time.
    fn simulated_turns(delay: Duration) -> Vec<Vec<TrainingStep>> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut until_joined = Duration::ZERO;
        let mut step = |slower: u64| {
            let mut time = Duration::from_micros(random.u64(8_000..12_000) * slower / 5);
            let is_joined = until_joined < time;
            while until_joined < time {
                time += delay;
                until_joined += delay + Duration::from_micros(random.u64(45_000..60_000));
            }
            until_joined -= time;
            TrainingStep { time, is_interrupted: is_joined }
        };
        (0..200_000).map(|turn| (0..10).map(|_| step(if turn % 7 == 0 { 7 } else { 5 })).collect()).collect()
    }
}
