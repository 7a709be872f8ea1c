//! A source without the components that a better source measures.

use std::time::Duration;

use sootprint_core::Power;

use super::{Component, Kind, Reading, Source, Unreadable};

/// A source some of whose components are not read: each part of a machine counts once.
pub(crate) struct Without {
    source: Box<dyn Source>,
    /// The positions in the source of the components that are left.
    left: Vec<usize>,
}

impl Without {
    /// Hides the components of these kinds; none when no component is left.
    pub(crate) fn kinds(source: Box<dyn Source>, hidden: &[Kind]) -> Option<Self> {
        let components = source.components();
        let left: Vec<usize> =
            (0..components.len()).filter(|&index| !hidden.contains(&components[index].kind)).collect();
        (!left.is_empty()).then_some(Self { source, left })
    }

    /// The position in the source; one that the source does not have for a component that is not left.
    fn inner(&self, index: usize) -> usize {
        self.left.get(index).copied().unwrap_or(usize::MAX)
    }
}

impl Source for Without {
    fn components(&self) -> Vec<Component> {
        let components = self.source.components();
        self.left.iter().filter_map(|&index| components.get(index).cloned()).collect()
    }

    fn cadence(&self, index: usize, cost: Duration) -> Duration {
        self.source.cadence(self.inner(index), cost)
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<Reading, Unreadable> {
        match self.left.get(index) {
            Some(&inner) => self.source.read(inner, now),
            None => Err(Unreadable::Failed(format!("there is no component {index}"))),
        }
    }

    fn ticks(&self, index: usize) -> bool {
        self.source.ticks(self.inner(index))
    }

    fn power(&mut self, index: usize) -> Option<Power> {
        self.source.power(self.inner(index))
    }

    fn processes(&mut self, index: usize) -> Option<Vec<u32>> {
        self.source.processes(self.inner(index))
    }

    fn is_scripted(&self) -> bool {
        self.source.is_scripted()
    }

    fn gaps(&self) -> Vec<String> {
        self.source.gaps()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Replay;

    fn source() -> Box<dyn Source> {
        let steady = |watts| [(Duration::from_secs(1), Power::from_watts(watts))];
        Box::new(Replay::new().component(Kind::Cpu, "processor", steady(100.0)).component(
            Kind::Memory,
            "memory",
            steady(5.0),
        ))
    }

    fn joules(source: &mut Without, index: usize, seconds: u64) -> f64 {
        match source.read(index, Duration::from_secs(seconds)) {
            Ok(Reading::Counter(energy)) => energy.joules(),
            other => panic!("{other:?} is no counter"),
        }
    }

    #[test]
    fn what_is_left_keeps_its_own_readings() {
        let mut memory = Without::kinds(source(), &[Kind::Cpu]).unwrap();
        let names: Vec<String> = memory.components().into_iter().map(|component| component.name).collect();
        assert_eq!(names, ["memory"]);
        assert!((joules(&mut memory, 0, 60) - 300.0).abs() < 1e-9);
        assert!(memory.read(1, Duration::ZERO).is_err(), "the processor is hidden");
    }

    #[test]
    fn a_source_of_which_nothing_is_left_is_none() {
        assert!(Without::kinds(source(), &[Kind::Cpu, Kind::Memory]).is_none());
        assert_eq!(Without::kinds(source(), &[]).unwrap().components().len(), 2);
    }
}
