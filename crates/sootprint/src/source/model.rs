//! Processor and memory from a model, for machines where nothing of them can be measured.
//!
//! energy = share × watts × (idle + (1 − idle) × busy) × time, for the processors that the job was given, and a
//! constant power per GiB for its memory. Both come with wide bounds, for a model cannot know the silicon.

use std::path::PathBuf;
use std::time::Duration;

use super::{Bounded, Component, Kind, Method, Reading, Source, Unreadable};
use crate::allocation::Allocation;
use crate::units::{Energy, Power};

/// Low, best and high value of a coefficient.
type Range = [f64; 3];

/// Watts of one logical processor at full load.
///
/// Best: 4 W, the figure of CodeCarbon for unknown models. Low: 1.4 W, as an EPYC 9754 (360 W, 256 threads).
/// High: 10.5 W, as a Core i9-13900K (253 W, 24 cores).
const WATTS_PER_PROCESSOR: Range = [1.4, 4.0, 10.5];

/// The part of the full power that a processor draws at rest. An assumption: servers lie between 0.1 and 0.5.
const IDLE: Range = [0.1, 0.3, 0.5];

/// Watts per GiB of memory.
///
/// Best: 5 W per DIMM (CodeCarbon's figure for x86) of 32 GiB. Low: 7 W per 64 GiB, the quiet end of DDR5 RDIMMs.
/// High: 3 W per 8 GiB, the figure of Crucial and Micron.
const WATTS_PER_GIB: Range = [7.0 / 64.0, 5.0 / 32.0, 3.0 / 8.0];

/// The kernel counts processor time in hundredths of a second (`USER_HZ`, part of its interface on all Linux ports
/// that Rust runs on).
const TICKS_PER_SECOND: f64 = 100.0;

/// The model changes no faster than the kernel's ticks.
const CADENCE: Duration = Duration::from_secs(1);

const PROCESSOR: usize = 0;

/// Processor and memory of this job.
pub(crate) struct Model {
    allocation: Allocation,
    proc: PathBuf,
    name: String,
}

impl Model {
    /// Of this process on Linux; none where the kernel does not tell what the process was given.
    pub(crate) fn open(proc: PathBuf, cgroup: PathBuf) -> Option<Self> {
        let allocation = Allocation::of_this_process(&proc, &cgroup)?;
        let cpuinfo = std::fs::read_to_string(proc.join("cpuinfo")).unwrap_or_default();
        let name = model_name(&cpuinfo).unwrap_or("CPU of unknown model").to_owned();
        Some(Self { allocation, proc, name })
    }

    /// Modelled energy of the processors since the machine started, of which only differences are used.
    fn processor(&self, now: Duration) -> Result<Reading, Unreadable> {
        let path = self.proc.join("stat");
        let stat = std::fs::read_to_string(&path)
            .map_err(|error| Unreadable::Failed(format!("cannot read {}: {error}", path.display())))?;
        let busy = busy_seconds(&stat)
            .ok_or_else(|| Unreadable::Failed(format!("{} has no line `cpu`", path.display())))?;
        // Busy time is the host's. Of it the job is taken to have its share, other work inside the share included.
        let (given, share) = (self.allocation.processors as f64, self.allocation.share());
        let energy = |bound: usize| {
            let (watts, idle) = (WATTS_PER_PROCESSOR[bound], IDLE[bound]);
            let resting = Power::from_watts(watts * idle * given) * now;
            resting + Energy::from_joules(watts * (1.0 - idle) * busy * share)
        };
        Ok(Reading::Modelled(Bounded { low: energy(0), best: energy(1), high: energy(2) }))
    }

    fn memory(&self, now: Duration) -> Reading {
        let energy =
            |bound: usize| Power::from_watts(WATTS_PER_GIB[bound] * self.allocation.memory_gib()) * now;
        Reading::Modelled(Bounded { low: energy(0), best: energy(1), high: energy(2) })
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
            tolerance: 0.0,
            note: Some(note),
        };
        let Allocation { processors, online, .. } = self.allocation;
        vec![
            modelled(
                Kind::Cpu,
                "cpu",
                self.name.clone(),
                self.allocation.share(),
                format!(
                    "4 W (1.4 to 10.5 W) for each of {processors} logical processors of {online}, by load"
                ),
            ),
            modelled(
                Kind::Memory,
                "memory",
                format!("{:.0} GiB", self.allocation.memory_gib()),
                1.0,
                "0.16 W (0.11 to 0.38 W) for each GiB that the job was given".to_owned(),
            ),
        ]
    }

    fn cadence(&self) -> Duration {
        CADENCE
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<Reading, Unreadable> {
        if index == PROCESSOR { self.processor(now) } else { Ok(self.memory(now)) }
    }
}

/// Seconds of work of all processors since the machine started, from the first line of `/proc/stat`.
///
/// user, nice, system, irq and softirq. Not idle and iowait, when the processor rests; not steal, when it works for
/// another guest; not guest, which user has in it already.
fn busy_seconds(stat: &str) -> Option<f64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { return None };
    Some((user + nice + system + irq + softirq) / TICKS_PER_SECOND)
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(name.trim_start().trim_start_matches(':').trim())
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures are chosen to be exact in binary")]
mod tests {
    use std::fs;

    use super::*;

    /// A machine of four processors, of which the job has two, and 64 GiB.
    fn model(proc: &std::path::Path) -> Model {
        let allocation = Allocation { processors: 2, online: 4, memory: 64 << 30 };
        Model { allocation, proc: proc.to_owned(), name: "test".into() }
    }

    fn best(reading: Reading) -> f64 {
        match reading {
            Reading::Modelled(energy) => {
                assert!(energy.low < energy.best && energy.best < energy.high);
                energy.best.joules()
            }
            other => panic!("{other:?} is not modelled"),
        }
    }

    #[test]
    fn a_busy_processor_draws_its_watts_and_a_resting_one_its_idle_part() {
        let proc = tempfile::tempdir().unwrap();
        let mut model = model(proc.path());
        let mut at = |ticks: u32, seconds| {
            fs::write(proc.path().join("stat"), format!("cpu  {ticks} 0 0 900 9 0 0 5 0 0\n")).unwrap();
            best(model.read(PROCESSOR, Duration::from_secs(seconds)).unwrap())
        };
        let start = at(1_000, 100);
        // Ten seconds at rest: 2 processors × 4 W × 0.3.
        let rested = at(1_000, 110);
        assert!((rested - start - 24.0).abs() < 1e-9, "{}", rested - start);
        // Ten seconds with all four processors busy: 2 processors × 4 W, in full.
        let worked = at(5_000, 120);
        assert!((worked - rested - 80.0).abs() < 1e-9, "{}", worked - rested);
    }

    #[test]
    fn memory_draws_five_watts_for_each_32_gib() {
        let mut model = model(std::path::Path::new("/nowhere"));
        assert_eq!(best(model.read(1, Duration::from_secs(60)).unwrap()), 600.0);
    }

    #[test]
    fn a_kernel_that_does_not_tell_is_named() {
        let mut model = model(std::path::Path::new("/nowhere"));
        let reason = model.read(PROCESSOR, Duration::ZERO).unwrap_err().to_string();
        assert!(reason.contains("/nowhere/stat"), "{reason}");
    }

    #[test]
    fn the_processor_has_the_name_that_the_kernel_gives_it() {
        assert_eq!(
            model_name("vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7763\n"),
            Some("AMD EPYC 7763")
        );
    }
}
