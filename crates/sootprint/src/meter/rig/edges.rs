//! How closely the edges of epochs and phases are looked for, and what that may cost.
//!
//! After an edge a ticking counter is read again and again until it has ticked. On a real board one reading may keep a
//! processor busy for milliseconds (5 ms on an H100), and holds up the training that is at work with the same driver. So
//! the readings after an edge may only take a part of the time since the edge before: long epochs are cut to
//! milliseconds, and short ones as closely as their length allows.

use std::time::Duration;

use crate::meter::Edge;

/// A ticking counter is read this often until it has ticked; the edge is then known to half of it. Most counters tick
/// within the first time, and the slow ones need not be known as closely: their edges are far apart.
const CLOSE: Duration = Duration::from_millis(1);
const CLOSE_TO_A_SLOW_COUNTER: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(25);

/// After a rough edge it is read as often as still tells when it ticked, if that takes no more than this part of the
/// time, and else once a second.
const ROUGH: Duration = Duration::from_millis(8);
const SHARE_OF_ROUGH_EDGES: u32 = 100;
const ROUGHEST: Duration = Duration::from_secs(1);

/// The readings up to the tick after a sharp edge may take this part of the time since the last one. The training is
/// held up for a part of it: on an H100 for some 15 %.
const SHARE_OF_SHARP_EDGES: f64 = 0.02;
const SLOWEST_COUNTER: Duration = Duration::from_millis(100);

/// Readings further apart than this tell nothing of an edge.
const FURTHEST: Duration = Duration::from_millis(50);

/// Edges that follow each other within this time are rough: else a training of very short epochs would have its counters
/// read all of the time, for epochs of which a single tick says hardly more.
const SHORTEST_SHARP: Duration = Duration::from_millis(100);

/// What lies before a first edge is taken to be this long, when nothing is known of it.
const FIRST: Duration = Duration::from_secs(5);

/// The edges of a session that were to be sharp.
#[derive(Debug, Default)]
pub(super) struct Edges {
    last: Option<OpenEdge>,
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
        /// The end of one epoch and the beginning of the next are one edge.
        const SAME: Duration = Duration::from_millis(1);

        let rough = OpenEdge { kind: Edge::Rough, moment, length: Duration::ZERO };
        if matches!(kind, Edge::Rough | Edge::Now) {
            return OpenEdge { kind, ..rough };
        }
        let length = self.last.map_or(FIRST, |last| moment.saturating_sub(last.moment));
        let edge = match self.last {
            Some(last) if length <= SAME && kind == Edge::Sharp && last.kind != Edge::Last => {
                OpenEdge { moment, ..last }
            }
            _ if length < SHORTEST_SHARP && kind == Edge::Sharp => OpenEdge { length, ..rough },
            _ => OpenEdge { kind, moment, length },
        };
        self.last = Some(edge);
        edge
    }
}

impl OpenEdge {
    /// The beginning of a run.
    pub(super) fn of_a_run(moment: Duration) -> Self {
        Self { kind: Edge::Sharp, moment, length: FIRST }
    }

    /// The higher one is the one to look for first.
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
        let close = pause_of_a_counter(now.saturating_sub(self.moment)).max(cost);
        let rough = (cost * SHARE_OF_ROUGH_EDGES).clamp(ROUGH, ROUGHEST);
        match self.kind {
            Edge::Last => close,
            Edge::Rough | Edge::Now => rough,
            Edge::Sharp => {
                let allowed = SHARE_OF_SHARP_EDGES * self.length.as_secs_f64();
                let readings = allowed / cost.as_secs_f64();
                // A driver whose readings take no time at all allows any number of them.
                let apart = Duration::try_from_secs_f64(SLOWEST_COUNTER.as_secs_f64() / readings);
                match apart.map(|apart| apart.max(close)) {
                    Ok(apart) if apart <= FURTHEST => apart,
                    _ => rough,
                }
            }
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
    (pause + cost * 3).min(FURTHEST + FURTHEST / 2)
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

    /// The readings of a counter that ticks every 100 ms, as a part of the epoch before.
    fn share(length: Duration, cost: Duration) -> f64 {
        let mut edges = Edges::default();
        edges.open(Edge::Sharp, Duration::ZERO);
        let (edge, mut now, mut readings) = (edges.open(Edge::Sharp, length), length, 0);
        while now < length + SLOWEST_COUNTER {
            now += edge.pause(now, cost) + cost;
            readings += 1;
        }
        f64::from(readings) * cost.as_secs_f64() / length.as_secs_f64()
    }

    #[test]
    fn readings_after_an_edge_cost_a_fiftieth_of_the_epoch_at_most_and_one_more() {
        for cost in [Duration::from_micros(20), millis(1), millis(5), millis(40)] {
            for length in [millis(100), millis(300), millis(1_000), millis(5_000), millis(60_000)] {
                let one = cost.as_secs_f64() / length.as_secs_f64();
                let share = share(length, cost);
                assert!(share <= 0.02 + 1.01 * one, "{share} for {length:?} and {cost:?}");
            }
        }
    }

    #[test]
    fn what_costs_nothing_is_read_every_millisecond_or_two() {
        let micros = Duration::from_micros;
        let edge = OpenEdge { kind: Edge::Sharp, moment: millis(1_000), length: millis(100) };
        assert_eq!([1_000, 1_030].map(|now| edge.pause(millis(now), micros(20))), [1, 2].map(millis));
        let rough = OpenEdge { kind: Edge::Rough, ..edge };
        assert_eq!(rough.pause(millis(1_000), micros(20)), ROUGH);
    }

    #[test]
    fn a_dear_counter_is_read_as_the_length_of_the_epoch_allows() {
        let pause = |kind, length| {
            OpenEdge { kind, moment: millis(0), length: millis(length) }.pause(millis(0), millis(5))
        };
        assert_eq!([100_000, 1_000].map(|length| pause(Edge::Sharp, length)), [5, 25].map(millis));
        // Of an epoch of a third of a second one reading is enough.
        assert_eq!([pause(Edge::Sharp, 300), pause(Edge::Rough, 300)], [millis(500); 2]);
        // When nothing trains any more nothing is held up.
        assert_eq!(pause(Edge::Last, 300), millis(5));
    }
}
