//! How closely the edges of epochs and phases are looked for, and what that may cost.
//!
//! After an edge a ticking counter is read again and again until it has ticked. Each reading may hold a training up a little:
//! where all processors are busy one of them has to let the meter's thread in, and on a real board the driver may keep it for
//! milliseconds (5 ms on an H100). So the readings after an edge may only take a small part of the time since the edge
//! before: long epochs are cut to milliseconds, and short ones as closely as their length allows.

use std::time::Duration;

use crate::meter::Edge;

/// A ticking counter is read this often until it has ticked; the edge is then known to half of it. Most counters tick
/// within the first time, and the slow ones need not be known as closely: their edges are far apart.
const CLOSE: Duration = Duration::from_millis(1);
const CLOSE_TO_A_SLOW_COUNTER: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(25);

/// After a rough edge it is not read more often than this.
const ROUGH: Duration = Duration::from_millis(8);

/// Readings may hold a training up for this part of the time, those after an edge of the time since the edge before.
const SHARE: f64 = 0.003;

/// For so long a training is held up by the meter's thread when it reads and writes down what it read, and a busy processor
/// has to let it in. Two threads in lock step on two processors lose 45 µs to a third that works for 30 µs now and then, and
/// 100 µs to one that works for 100 µs.
const WAKE_UP: f64 = 100e-6;

/// For this part of the time that a reading takes it is taken to be held up by the driver. On an H100 with a processor to
/// spare it was 0.03 ms (-0.02 to 0.29 ms) of 4.5 ms; where none is, the driver takes one from it.
const SHARE_OF_A_READING: f64 = 0.15;

/// Until then a counter has ticked, as good as any.
const SLOWEST_COUNTER: Duration = Duration::from_millis(100);

/// Readings further apart than this tell nothing of an edge, and come as often as they may at any time, but at least once
/// in so long.
const FURTHEST: Duration = Duration::from_millis(50);
const ROUGHEST: Duration = Duration::from_secs(1);

/// Edges that follow each other within this time are rough: else a training of very short epochs would have its counters
/// read all of the time, for epochs of which a single tick says hardly more.
const SHORTEST_SHARP: Duration = Duration::from_millis(100);

/// What lies before a first edge is taken to be this long, when nothing is known of it.
const FIRST: Duration = Duration::from_secs(5);

/// The edges of a session: the last one of an epoch, and the last one of any kind.
#[derive(Debug, Default)]
pub(super) struct Edges {
    sharp: Option<OpenEdge>,
    latest: Option<OpenEdge>,
}

/// An edge that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenEdge {
    pub(super) kind: Edge,
    /// On the rig's clock.
    pub(super) moment: Duration,
    /// The time from the edge before it.
    length: Duration,
}

impl Edges {
    /// An edge as closely as its distance from the last one allows.
    pub(super) fn open(&mut self, kind: Edge, moment: Duration) -> OpenEdge {
        /// The end of one epoch or phase and the beginning of the next are one edge.
        const SAME: Duration = Duration::from_millis(1);

        let before = match kind {
            Edge::Last | Edge::Sharp => self.sharp,
            Edge::Rough | Edge::Now => self.latest,
        };
        let length = before.map_or(FIRST, |before| moment.saturating_sub(before.moment));
        let same = before.filter(|before| length <= SAME && before.kind != Edge::Last);
        let edge = match (kind, same) {
            (Edge::Sharp, Some(first)) => return OpenEdge { moment, ..first },
            (Edge::Rough, Some(first)) => return OpenEdge { kind, moment, ..first },
            (Edge::Sharp, None) if length < SHORTEST_SHARP => OpenEdge { kind: Edge::Rough, moment, length },
            _ => OpenEdge { kind, moment, length },
        };
        if matches!(kind, Edge::Last | Edge::Sharp) {
            self.sharp = Some(edge);
        }
        if kind != Edge::Now {
            self.latest = Some(edge);
        }
        edge
    }
}

impl OpenEdge {
    /// The beginning of a run.
    pub(super) fn of_a_run(moment: Duration) -> Self {
        Self { kind: Edge::Sharp, moment, length: FIRST }
    }

    /// Of edges that are looked for as closely, the highest is the one that counts.
    pub(super) fn rank(&self) -> (u8, Duration) {
        let kind = match self.kind {
            Edge::Last => 2,
            Edge::Sharp => 1,
            Edge::Rough | Edge::Now => 0,
        };
        (kind, self.moment)
    }

    /// How long to wait now before the next reading, when one of all counters takes `cost`.
    pub(super) fn pause(&self, now: Duration, cost: Duration) -> Duration {
        let closest = match self.kind {
            Edge::Last | Edge::Sharp => pause_of_a_counter(now.saturating_sub(self.moment)),
            Edge::Rough | Edge::Now => ROUGH,
        };
        let closest = closest.max(cost);
        if self.kind == Edge::Last {
            return closest;
        }
        let held_up = WAKE_UP + SHARE_OF_A_READING * cost.as_secs_f64();
        let at_any_time = held_up / SHARE;
        let share_after_an_edge = (self.length.as_secs_f64() / SLOWEST_COUNTER.as_secs_f64()).max(1.0);
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(ROUGHEST);
        let apart = duration(at_any_time / share_after_an_edge).max(closest);
        if apart <= FURTHEST { apart } else { duration(at_any_time).min(ROUGHEST).max(closest) }
    }

    /// Whether a reading may come so long after the one before it, and not at the moment itself.
    pub(super) fn can_wait(&self, pause: Duration) -> bool {
        match self.kind {
            Edge::Last | Edge::Now => false,
            Edge::Sharp => pause > FURTHEST,
            Edge::Rough => true,
        }
    }
}

/// The pause so long after an edge, where readings cost nothing.
pub(super) fn pause_of_a_counter(since: Duration) -> Duration {
    if since < SLOW { CLOSE } else { CLOSE_TO_A_SLOW_COUNTER }
}

/// How close readings with such a pause between them are, when reading all once takes `cost`, and the system lets a thread
/// wait a little now and then.
pub(super) fn closest_readings(pause: Duration, cost: Duration) -> Duration {
    const SLACK: Duration = Duration::from_millis(8);

    pause.saturating_add(cost * 3).saturating_add(SLACK).min(FURTHEST + FURTHEST / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn edges_that_follow_each_other_at_once_are_rough() {
        let mut edges = Edges::default();
        let mut edge = |kind, micros| edges.open(kind, Duration::from_micros(micros)).kind;
        let (last, sharp, rough) = (Edge::Last, Edge::Sharp, Edge::Rough);
        assert_eq!(edge(sharp, 1_000_000), sharp);
        // The next epoch begins where the last one ends.
        assert_eq!(edge(sharp, 1_000_020), sharp);
        assert_eq!(edge(sharp, 1_150_000), sharp);
        assert_eq!([edge(sharp, 1_175_000), edge(sharp, 1_175_020), edge(sharp, 1_200_000)], [rough; 3]);
        // A phase makes no edge of an epoch rough.
        assert_eq!([edge(rough, 1_399_000), edge(sharp, 1_400_000)], [rough, sharp]);
        assert_eq!([edge(last, 1_400_010), edge(last, 1_410_000)], [last; 2]);
    }

    /// For how much of the epoch before the readings of a counter that ticks every 100 ms hold a training up.
    fn held_up(length: Duration, cost: Duration) -> f64 {
        let mut edges = Edges::default();
        edges.open(Edge::Sharp, Duration::ZERO);
        let (edge, mut now, mut readings) = (edges.open(Edge::Sharp, length), length, 0);
        while now < length + millis(100) {
            now += edge.pause(now, cost).max(cost);
            readings += 1;
        }
        f64::from(readings) * one_reading(cost) / length.as_secs_f64()
    }

    fn one_reading(cost: Duration) -> f64 {
        0.000_1 + 0.15 * cost.as_secs_f64()
    }

    #[test]
    fn readings_after_an_edge_hold_a_training_up_for_a_small_part_of_the_epoch_and_one_more() {
        for cost in [Duration::ZERO, Duration::from_micros(20), millis(1), millis(5), millis(40)] {
            for length in [millis(100), millis(300), millis(1_000), millis(5_000), millis(60_000)] {
                let one = one_reading(cost) / length.as_secs_f64();
                let held_up = held_up(length, cost);
                assert!(held_up <= 0.003 + 1.01 * one, "{held_up} for {length:?} and {cost:?}");
            }
        }
    }

    #[test]
    fn the_edges_of_long_epochs_are_known_to_a_millisecond_or_two() {
        let micros = Duration::from_micros;
        let edge = OpenEdge { kind: Edge::Sharp, moment: millis(9_000), length: millis(5_000) };
        assert_eq!([9_000, 9_030].map(|now| edge.pause(millis(now), micros(20))), [1, 2].map(millis));
        let of_half_a_second = OpenEdge { length: millis(500), ..edge };
        assert_eq!(of_half_a_second.pause(millis(9_000), micros(20)).as_micros(), 6_866);
    }

    #[test]
    fn phases_that_follow_each_other_at_once_are_read_more_seldom() {
        let mut edges = Edges::default();
        let mut pause = |kind, moment| edges.open(kind, millis(moment)).pause(millis(moment), Duration::ZERO);
        assert_eq!(pause(Edge::Rough, 1_000), ROUGH);
        assert_eq!(pause(Edge::Rough, 2_000), ROUGH);
        let often = [2_010, 2_020, 2_030].map(|moment| pause(Edge::Rough, moment).as_micros());
        assert_eq!(often, [33_333; 3]);
        // Somebody asks now and then, and that is no edge.
        assert_eq!(pause(Edge::Now, 2_980), ROUGH);
        assert_eq!(pause(Edge::Rough, 3_000), ROUGH);
    }

    #[test]
    fn the_end_of_a_phase_and_the_beginning_of_the_next_are_one_edge() {
        let mut edges = Edges::default();
        let mut length = |micros| edges.open(Edge::Rough, Duration::from_micros(micros)).length.as_millis();
        assert_eq!(
            [1_000_000, 3_000_000, 3_000_020, 3_000_900].map(&mut length),
            [5_000, 2_000, 2_000, 2_000]
        );
        // Whatever follows each other at once for ever is not one edge for ever.
        assert_eq!([3_001_800, 3_002_700].map(&mut length), [1, 1]);
        assert_eq!(edges.open(Edge::Sharp, millis(3_003)).kind, Edge::Sharp);
        let phase = edges.open(Edge::Rough, millis(3_004));
        assert_eq!((phase.kind, phase.length), (Edge::Rough, FIRST));
    }

    #[test]
    fn readings_as_far_apart_as_they_are_meant_to_be_tell_a_tick() {
        for length in [millis(0), millis(100), millis(200), millis(400), millis(5_000)] {
            for cost in [Duration::ZERO, Duration::from_micros(20), Duration::from_micros(300)] {
                let edge = OpenEdge { kind: Edge::Rough, moment: millis(0), length };
                let pause = edge.pause(millis(0), cost);
                assert!(closest_readings(pause, cost) >= pause + millis(8), "{length:?} {cost:?}");
            }
        }
    }

    #[test]
    fn a_reading_waits_where_its_moment_matters_little() {
        let edge = |kind| OpenEdge { kind, moment: millis(0), length: millis(0) };
        let waits =
            [Edge::Last, Edge::Now, Edge::Sharp, Edge::Rough].map(|kind| edge(kind).can_wait(millis(50)));
        assert_eq!(waits, [false, false, false, true]);
        assert!(edge(Edge::Sharp).can_wait(millis(51)));
    }

    #[test]
    fn a_dear_counter_is_read_as_the_length_of_the_epoch_allows() {
        let pause = |kind, length| {
            let edge = OpenEdge { kind, moment: millis(0), length: millis(length) };
            edge.pause(millis(0), millis(5)).as_millis()
        };
        assert_eq!([100_000, 1_000].map(|length| pause(Edge::Sharp, length)), [5, 28]);
        // Of an epoch of a third of a second one reading is enough.
        assert_eq!([pause(Edge::Sharp, 300), pause(Edge::Rough, 300)], [283; 2]);
        // When nothing trains any more nothing is held up.
        assert_eq!(pause(Edge::Last, 300), 5);
        let dearest = OpenEdge { kind: Edge::Rough, moment: millis(0), length: Duration::ZERO };
        assert_eq!(dearest.pause(millis(0), Duration::MAX), Duration::MAX);
    }
}
