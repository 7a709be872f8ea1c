//! Processor and memory from a model, for machines where nothing of them can be measured.
//!
//! energy = share × watts × (idle + (1 − idle) × busy) × time, for the processors that the job was given, and a
//! constant power per GiB for its memory. Both come with wide bounds, for a model cannot know the silicon.
//!
//! Busy time is read as the kernel counts it, since the machine started: the modelled energy is a counter, and
//! reading it more often changes nothing.

mod identity;
mod memory;
mod processor;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Bounded, Component, Kind, Method, Reading, Source, Tolerance, Unreadable};
use crate::allocation::{Allocation, Environment, Work, stat};
use identity::Identity;
use memory::Memory;
use processor::Processor;

/// Low, best and high value of a coefficient.
type Range = [f64; 3];

/// The model changes no faster than the kernel's ticks.
const CADENCE: Duration = Duration::from_secs(1);

const PROCESSOR: usize = 0;

/// Processor and memory of this job.
pub(crate) struct Model {
    allocation: Allocation,
    proc: PathBuf,
    processor: Processor,
    memory: Memory,
    /// Seconds that the job's processors had worked at the last reading. They never go back, whatever is read.
    worked: f64,
}

impl Model {
    /// Of this process on Linux; none where the kernel does not tell what the process was given.
    ///
    /// `cgroup` is where the control groups are mounted: at `fs/cgroup` below the rest of `/sys`.
    pub(crate) fn open(proc: PathBuf, cgroup: PathBuf) -> Option<Self> {
        let sys = cgroup.ancestors().nth(2)?;
        Self::of_machine(proc, sys, &cgroup, &|name| std::env::var(name).ok())
    }

    fn of_machine(proc: PathBuf, sys: &Path, cgroup: &Path, environment: Environment<'_>) -> Option<Self> {
        let allocation = Allocation::find(&proc, cgroup, environment)?;
        let identity = Identity::of_machine(&proc, sys, allocation.online);
        let memory = Memory::new(allocation.memory, allocation.host_memory, identity.is_guest);
        let processor = Processor::new(identity, allocation.online);
        Some(Self { allocation, proc, processor, memory, worked: 0.0 })
    }

    /// Seconds that the job's processors worked since some beginning.
    fn work(&self) -> Result<f64, Unreadable> {
        let read = || {
            let path = self.proc.join("stat");
            std::fs::read_to_string(&path)
                .map_err(|error| Unreadable::Failed(format!("cannot read {}: {error}", path.display())))
        };
        match &self.allocation.work {
            Work::Processors(numbers) => stat::work_of(numbers, &read()?)
                .map_err(|number| Unreadable::Failed(format!("processor {number} of this job is off line"))),
            Work::Group(usage) => usage.seconds().ok_or_else(|| {
                Unreadable::Failed(format!("cannot read the processor time in {}", usage.file().display()))
            }),
            Work::Machine => stat::work_of_all(&read()?)
                .map(|worked| worked * self.allocation.share())
                .ok_or_else(|| Unreadable::Failed("/proc/stat has no line `cpu`".to_owned())),
        }
    }

    fn processor_note(&self) -> String {
        let Allocation { processors, online, work, .. } = &self.allocation;
        let work = match work {
            Work::Processors(_) => "by their own load",
            Work::Group(_) => "by the load of their control group",
            Work::Machine if self.allocation.share() < 1.0 => "by their share of the machine's load",
            Work::Machine => "by load",
        };
        format!(
            "{}; {} of {online} logical processors, {work}",
            self.processor.assumption(),
            figure(*processors)
        )
    }
}

impl Source for Model {
    fn components(&self) -> Vec<Component> {
        let modelled = |kind, id: &str, name, share, note| Component {
            kind,
            id: id.to_owned(),
            name,
            method: Method::Modelled,
            board: None,
            limit: None,
            share,
            tolerance: Tolerance::default(),
            note: Some(note),
        };
        let (processor, memory) = (&self.processor, &self.memory);
        vec![
            modelled(
                Kind::Cpu,
                "cpu",
                processor.name.clone(),
                self.allocation.share(),
                self.processor_note(),
            ),
            modelled(Kind::Memory, "memory", memory.name(), 1.0, memory.assumption()),
        ]
    }

    fn cadence(&self, _index: usize, _cost: Duration) -> Duration {
        CADENCE
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<Reading, Unreadable> {
        if index != PROCESSOR {
            return Ok(Reading::Modelled(self.memory.energy(now)));
        }
        self.worked = self.worked.max(self.work()?);
        Ok(Reading::Modelled(self.processor.energy(self.allocation.processors, now, self.worked)))
    }
}

/// At most two decimals, and none that is zero.
fn figure(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
