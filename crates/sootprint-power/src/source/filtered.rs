//! A source without the components that a better source measures.

use std::time::Duration;

use sootprint_core::Power;

use super::{ComponentInfo, ComponentKind, EnergySource, ReadError, SensorReading};

/// A source some of whose components are not read: each part of a machine counts once.
pub(crate) struct FilteredSource {
    source: Box<dyn EnergySource>,
    /// The positions in the source of the components that are left.
    kept: Vec<usize>,
}

impl FilteredSource {
    /// Hides the components of these kinds; none when no component is left.
    pub(crate) fn excluding(source: Box<dyn EnergySource>, hidden: &[ComponentKind]) -> Option<Self> {
        let components = source.components();
        let kept: Vec<usize> =
            (0..components.len()).filter(|&index| !hidden.contains(&components[index].kind)).collect();
        (!kept.is_empty()).then_some(Self { source, kept })
    }

    /// The position in the source; one that the source does not have for a component that is not left.
    fn inner_index(&self, index: usize) -> usize {
        self.kept.get(index).copied().unwrap_or(usize::MAX)
    }
}

impl EnergySource for FilteredSource {
    fn components(&self) -> Vec<ComponentInfo> {
        let components = self.source.components();
        self.kept.iter().filter_map(|&index| components.get(index).cloned()).collect()
    }

    fn cadence(&self, index: usize, cost: Duration) -> Duration {
        self.source.cadence(self.inner_index(index), cost)
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
        match self.kept.get(index) {
            Some(&inner) => self.source.read(inner, now),
            None => Err(ReadError::Failed(format!("there is no component {index}"))),
        }
    }

    fn is_ticking_counter(&self, index: usize) -> bool {
        self.source.is_ticking_counter(self.inner_index(index))
    }

    fn read_power(&mut self, index: usize) -> Option<Power> {
        self.source.read_power(self.inner_index(index))
    }

    fn compute_processes(&mut self, index: usize) -> Option<Vec<u32>> {
        self.source.compute_processes(self.inner_index(index))
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

    fn cpu_and_memory() -> Box<dyn EnergySource> {
        let steady = |watts| [(Duration::from_secs(1), Power::from_watts(watts))];
        Box::new(Replay::new().with_component(ComponentKind::Cpu, "processor", steady(100.0)).with_component(
            ComponentKind::Memory,
            "memory",
            steady(5.0),
        ))
    }

    fn joules(source: &mut FilteredSource, index: usize, seconds: u64) -> f64 {
        match source.read(index, Duration::from_secs(seconds)) {
            Ok(SensorReading::Counter(energy)) => energy.joules(),
            other => panic!("{other:?} is no counter"),
        }
    }

    #[test]
    fn kept_component_reads_unchanged() {
        let mut memory = FilteredSource::excluding(cpu_and_memory(), &[ComponentKind::Cpu]).unwrap();
        let names: Vec<String> = memory.components().into_iter().map(|component| component.name).collect();
        assert_eq!(names, ["memory"]);
        assert!((joules(&mut memory, 0, 60) - 300.0).abs() < 1e-9);
        assert!(memory.read(1, Duration::ZERO).is_err(), "the processor is hidden");
    }

    #[test]
    fn fully_filtered_source_is_none() {
        assert!(
            FilteredSource::excluding(cpu_and_memory(), &[ComponentKind::Cpu, ComponentKind::Memory])
                .is_none()
        );
        assert_eq!(FilteredSource::excluding(cpu_and_memory(), &[]).unwrap().components().len(), 2);
    }
}
