//! Processor packages and their memory through RAPL, the energy counters of Intel's and AMD's processors, as the
//! kernel's powercap shows them.
//!
//! <https://docs.kernel.org/power/powercap/powercap.html>
//!
//! # What counts
//! The zones `package-N` (`package-N-die-M` where dies have counters of their own) make the processor, their subzones
//! `dram` the memory. `core` and `uncore` are parts of a package, `psys` is the whole machine around it, and
//! `intel-rapl-mmio` is the same counter through another register: none of them is added.
//!
//! # When it is wrong
//! - The counters are the host's. The job's share of the processors is taken to be its share of the energy, other
//!   work in that share included.
//! - Intel measures since Haswell-EP and estimates on most other chips; AMD estimates.
//! - A graphics processor in the package is in the package's energy.
//!
//! # Who may read
//! The kernel lets only root read the counters. To let all users read them, until the next start of the machine:
//!
//! ```text
//! sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj
//! ```
//!
//! and for good, in `/etc/udev/rules.d/70-sootprint.rules`:
//!
//! ```text
//! SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/energy_uj"
//! ```
//!
//! The reason for the restriction is CVE-2020-8694: who reads the counters a thousand times a second can guess at
//! what others on the machine compute. On a machine that is shared with people one does not trust, leave it.

mod wrapping_counter;
mod zones;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sootprint_core::Power;

use super::sysfs::{energy_from_microjoules, power_from_microwatts, read_number};
use super::{
    ComponentInfo, ComponentKind, EnergySource, MeasurementMethod, ReadError, SensorReading, SensorTolerance,
};
use crate::proc_cpuinfo::cpuinfo_field;
use wrapping_counter::{CounterStep, WrappingCounter};
use zones::{RaplZone, RaplZones, permission_fix};

pub(crate) use zones::RaplUnavailable;

/// An assumption, for no maker states the error of its packages' counters. The studies that compared them with meters
/// found them to follow the truth closely and give no one figure for all chips (Hackenberg et al. 2015, "An Energy
/// Efficiency Feature Survey of the Intel Haswell Processor"; Khan et al. 2018, "RAPL in Action").
const PACKAGE_TOLERANCE: f64 = 0.1;

/// An assumption, twice that of the packages: Desrochers et al. 2016 ("A Validation of DRAM RAPL Power Measurements")
/// found the memory's counters off by a constant power that differs between machines, most at rest.
const MEMORY_TOLERANCE: f64 = 0.2;

/// A counter loses nothing between reads, and the fastest takes more than a minute to go round.
const CADENCE: Duration = Duration::from_secs(1);

/// For so long a zone that does not answer is waited for: its counter goes on meanwhile, so that nothing is lost when
/// it answers again. Then the others go on without it.
const UNAVAILABLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The packages of a machine and their memory, as far as this process may read them.
#[derive(Debug)]
pub(crate) struct Powercap {
    components: Vec<RaplComponent>,
    gaps: Vec<String>,
}

/// A component that is the sum of some counters.
#[derive(Debug)]
struct RaplComponent {
    component: ComponentInfo,
    counters: Vec<RaplCounter>,
    /// What was last told, in microjoules of the whole packages.
    reported: u64,
    /// What was used since, and whether a counter restarted.
    used_since: u64,
    has_restarted: bool,
}

#[derive(Debug)]
struct RaplCounter {
    name: String,
    energy_file: PathBuf,
    counter: WrappingCounter,
    state: ZoneState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ZoneState {
    Available,
    UnavailableSince(Duration),
    Abandoned,
}

/// Reads a counter. A function of its own so that a test can refuse: to root no file is forbidden.
type ReadNumberFn = fn(&Path) -> io::Result<u64>;

impl Powercap {
    /// Opens the zones under `root`, which is `/sys/class/powercap`.
    ///
    /// `cpuinfo` is the content of `/proc/cpuinfo`, and `share` the part of the packages that is the job's.
    ///
    /// # Errors
    /// When there are no zones to read, permitted or not.
    pub(crate) fn open(
        root: &Path,
        cpuinfo: &str,
        share: f64,
        excluded: &[ComponentKind],
    ) -> Result<Self, RaplUnavailable> {
        Self::open_with(root, cpuinfo, share, excluded, read_number)
    }

    fn open_with(
        root: &Path,
        cpuinfo: &str,
        share: f64,
        excluded: &[ComponentKind],
        read: ReadNumberFn,
    ) -> Result<Self, RaplUnavailable> {
        let vendor = cpuinfo_field(cpuinfo, "vendor_id").unwrap_or_default();
        let RaplZones { packages, memories } =
            RaplZones::find(root, ["AuthenticAMD", "HygonGenuine"].contains(&vendor))?;
        let name = cpuinfo_field(cpuinfo, "model name").unwrap_or("CPU of unknown model");
        let count = packages.len();
        let (mut components, mut gaps) = (Vec::new(), Vec::new());
        if !memories.is_empty() && memories.len() < count && !excluded.contains(&ComponentKind::Memory) {
            gaps.push(format!("RAPL tells the memory of only {} of {count} packages", memories.len()));
        }
        let is_whole = memories.len() == count;
        let cpu = (packages, cpu_component(name, count, share));
        let memory = is_whole.then(|| (memories, memory_component(count, share)));
        let wanted = std::iter::once(cpu).chain(memory);
        let mut is_permission_reported = false;
        for (zones, component) in wanted.filter(|(_, component)| !excluded.contains(&component.kind)) {
            match RaplComponent::open(zones, component, read) {
                Ok(component) => components.push(component),
                // One word is enough: what mends the packages' counters mends the memory's.
                Err((_, error))
                    if is_permission_reported && error.kind() == io::ErrorKind::PermissionDenied => {}
                Err((path, error)) => {
                    is_permission_reported = error.kind() == io::ErrorKind::PermissionDenied;
                    let (path, fix) = (path.display(), permission_fix(root, &error));
                    gaps.push(format!("cannot read {path} ({error}): what it counts is modelled{fix}"));
                }
            }
        }
        Ok(Self { components, gaps })
    }
}

impl EnergySource for Powercap {
    fn components(&self) -> Vec<ComponentInfo> {
        self.components.iter().map(|component| component.component.clone()).collect()
    }

    fn cadence(&self, _index: usize, _cost: Duration) -> Duration {
        CADENCE
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
        match self.components.get_mut(index) {
            Some(component) => component.read(now),
            None => Err(ReadError::Failed(format!("RAPL has no component {index}"))),
        }
    }

    /// The counters move once in a millisecond.
    fn is_ticking_counter(&self, _index: usize) -> bool {
        true
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl RaplComponent {
    /// Opens all zones, or none: a sum of a part of them would pass for the whole.
    fn open(
        zones: Vec<RaplZone>,
        component: ComponentInfo,
        read: ReadNumberFn,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let (mut counters, mut reported) = (Vec::new(), 0_u64);
        let mut limit = Some(Power::ZERO);
        for zone in zones {
            let energy_file = zone.energy_file();
            reported =
                reported.saturating_add(read(&energy_file).map_err(|error| (energy_file.clone(), error))?);
            limit = limit
                .zip(zone.power_limit_microwatts())
                .map(|(sum, limit)| sum + power_from_microwatts(limit));
            let counter = WrappingCounter::new(zone.max_energy_range());
            counters.push(RaplCounter { name: zone.name, energy_file, counter, state: ZoneState::Available });
        }
        let component = ComponentInfo { limit: limit.map(|limit| limit * component.share), ..component };
        Ok(Self { component, counters, reported, used_since: 0, has_restarted: false })
    }

    fn read(&mut self, now: Duration) -> Result<SensorReading, ReadError> {
        let mut failure = None;
        let is_only_counter = self.counters.len() == 1;
        for counter in &mut self.counters {
            match counter.read(now) {
                Ok(CounterStep::Advanced(used)) => self.used_since += used,
                Ok(CounterStep::Restarted(used)) => {
                    self.used_since += used;
                    self.has_restarted = true;
                }
                // Of the time in which it was waited for, not all is known: as after a restart.
                Err(_) if counter.abandon_after_timeout(now) => self.has_restarted = true,
                Err(_) if counter.state == ZoneState::Abandoned => {}
                Err(error) => {
                    let and_then = if is_only_counter {
                        ""
                    } else {
                        "; if it stays silent, the others go on without it"
                    };
                    failure = Some(format!("{}: cannot read {error}{and_then}", counter.name));
                }
            }
        }
        if self.counters.iter().all(|counter| counter.state == ZoneState::Abandoned) {
            failure = Some("no counter of it can be read any more".to_owned());
        }
        match failure {
            Some(reason) => Err(ReadError::Failed(reason)),
            None => Ok(self.take_reading()),
        }
    }

    /// Tells what the counters, as one that never wraps, show now. After a restart it has to show less than before.
    fn take_reading(&mut self) -> SensorReading {
        let used = std::mem::take(&mut self.used_since);
        self.reported = match std::mem::take(&mut self.has_restarted) {
            false => self.reported.saturating_add(used),
            true if used < self.reported => used,
            true => 0,
        };
        SensorReading::Counter(energy_from_microjoules(self.reported) * self.component.share)
    }
}

impl RaplCounter {
    fn read(&mut self, now: Duration) -> Result<CounterStep, String> {
        match read_number(&self.energy_file) {
            Ok(shown) => {
                self.state = ZoneState::Available;
                Ok(self.counter.observe(now, shown))
            }
            Err(error) => {
                if self.state == ZoneState::Available {
                    self.state = ZoneState::UnavailableSince(now);
                }
                Err(format!("{} ({error})", self.energy_file.display()))
            }
        }
    }

    /// Whether patience ends now. When the zone answers again, it begins anew.
    fn abandon_after_timeout(&mut self, now: Duration) -> bool {
        let ZoneState::UnavailableSince(since) = self.state else { return false };
        let is_expired = now.saturating_sub(since) >= UNAVAILABLE_TIMEOUT;
        if is_expired {
            self.state = ZoneState::Abandoned;
            self.counter.reset();
        }
        is_expired
    }
}

fn cpu_component(name: &str, packages: usize, share: f64) -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Cpu,
        id: "cpu".to_owned(),
        name: name.to_owned(),
        method: MeasurementMethod::Counter,
        gpu: None,
        limit: None,
        share,
        tolerance: SensorTolerance::from_accuracy(PACKAGE_TOLERANCE),
        note: Some(format!("RAPL, {packages} × package; other work on the job's processors is in it")),
    }
}

fn memory_component(packages: usize, share: f64) -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Memory,
        id: "memory".to_owned(),
        name: "DRAM".to_owned(),
        tolerance: SensorTolerance::from_accuracy(MEMORY_TOLERANCE),
        note: Some(format!("RAPL, {packages} × dram; its share is that of the processors")),
        ..cpu_component("", packages, share)
    }
}

// The kernel's names of zones are no names of files elsewhere.
#[cfg(unix)]
#[cfg(test)]
mod tests;
