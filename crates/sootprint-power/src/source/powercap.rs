//! CPU packages and their memory through RAPL, the energy counters of Intel and AMD CPUs, as exposed by the
//! kernel's powercap.
//!
//! <https://docs.kernel.org/power/powercap/powercap.html>
//!
//! # What counts
//! The zones `package-N` (`package-N-die-M` where dies have their own counters) form the CPU component, their
//! subzones `dram` the memory. `core` and `uncore` are parts of a package, `psys` is the whole machine, and
//! `intel-rapl-mmio` is the same counter through another register: none of them is added.
//!
//! # When it is wrong
//! - The counters cover the host. The job is charged in proportion to its share of the CPUs, which includes other
//!   work on them.
//! - Intel CPUs measure since Haswell-EP and estimate on most other chips; AMD CPUs estimate.
//! - The energy of an integrated GPU is included in its package.
//!
//! # Permissions
//! Only root may read the counters by default. To let all users read them until the next boot:
//!
//! ```text
//! sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj
//! ```
//!
//! To make this permanent, add to `/etc/udev/rules.d/70-sootprint.rules`:
//!
//! ```text
//! SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/energy_uj"
//! ```
//!
//! The restriction is a response to CVE-2020-8694: a process that reads the counters a thousand times per second
//! can infer what others on the machine compute. Do not lift it on machines shared with untrusted users.

mod wrapping_counter;
mod zones;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sootprint_core::Power;

use super::sysfs::{energy_from_microjoules, power_from_microwatts, read_number};
use super::{
    ComponentInfo, ComponentKind, EnergySource, MeasurementMethod, ReadCadence, ReadError, SensorReading,
    SensorTolerance, plausible_power,
};
use crate::proc_cpuinfo::cpuinfo_field;
use wrapping_counter::{CounterStep, WrappingCounter};
use zones::{RaplZone, RaplZones, permission_fix};

pub(crate) use zones::RaplUnavailable;

/// An assumption, because no manufacturer specifies the error of its package counters. Comparisons with meters
/// found that they follow the true power closely, and give no single figure for all chips (Hackenberg et al. 2015,
/// "An Energy Efficiency Feature Survey of the Intel Haswell Processor"; Khan et al. 2018, "RAPL in Action").
const PACKAGE_TOLERANCE: f64 = 0.1;

/// An assumption, twice that of the packages: Desrochers et al. 2016 ("A Validation of DRAM RAPL Power
/// Measurements") found that the memory counters are off by a constant power that differs between machines, mostly
/// at idle.
const MEMORY_TOLERANCE: f64 = 0.2;

/// A counter loses nothing between reads, and the fastest takes more than a minute to wrap.
const CADENCE: Duration = Duration::from_secs(1);

/// How long to wait for a zone that cannot be read. Its counter keeps counting, so nothing is lost if it recovers
/// in time. Afterwards the other zones continue without it.
const UNAVAILABLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The packages of a machine and their memory, as far as this process may read them.
#[derive(Debug)]
pub(crate) struct Powercap {
    components: Vec<RaplComponent>,
    gaps: Vec<String>,
}

/// A component that is the sum of several counters.
#[derive(Debug)]
struct RaplComponent {
    component: ComponentInfo,
    counters: Vec<RaplCounter>,
    /// The last reported value, in microjoules of the whole packages.
    reported: u64,
    /// Energy since the last report, and whether a counter restarted.
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

/// Reads a counter. Tests replace it to simulate a permission error, which root would not get.
type ReadNumberFn = fn(&Path) -> io::Result<u64>;

impl Powercap {
    /// Opens the zones under `root`, which is `/sys/class/powercap`.
    ///
    /// `cpuinfo` is the content of `/proc/cpuinfo`, and `share` the job's share of the packages.
    ///
    /// # Errors
    /// If there are no zones, or if they are hidden. Missing permissions are a gap instead.
    pub(crate) fn open(root: &Path, cpuinfo: &str, share: f64) -> Result<Self, RaplUnavailable> {
        Self::open_with(root, cpuinfo, share, read_number)
    }

    fn open_with(
        root: &Path,
        cpuinfo: &str,
        share: f64,
        read: ReadNumberFn,
    ) -> Result<Self, RaplUnavailable> {
        let vendor = cpuinfo_field(cpuinfo, "vendor_id").unwrap_or_default();
        let RaplZones { packages, memories } =
            RaplZones::find(root, ["AuthenticAMD", "HygonGenuine"].contains(&vendor))?;
        let name = cpuinfo_field(cpuinfo, "model name").unwrap_or("CPU of unknown model");
        let count = packages.len();
        let (mut components, mut gaps) = (Vec::new(), Vec::new());
        if !memories.is_empty() && memories.len() < count {
            gaps.push(format!(
                "RAPL reports the memory energy of only {} of {count} CPU packages: the memory energy is modelled",
                memories.len()
            ));
        }
        let is_whole = memories.len() == count;
        let cpu = (packages, cpu_component(name, count, share));
        let memory = is_whole.then(|| (memories, memory_component(count, share)));
        let wanted = std::iter::once(cpu).chain(memory);
        let mut is_permission_reported = false;
        for (zones, component) in wanted {
            let kind = component.kind.name();
            match RaplComponent::open(zones, component, read) {
                Ok(component) => components.push(component),
                // One message is sufficient: the fix for the package counters also applies to the memory.
                Err((_, error))
                    if is_permission_reported && error.kind() == io::ErrorKind::PermissionDenied => {}
                Err((path, error)) => {
                    is_permission_reported = error.kind() == io::ErrorKind::PermissionDenied;
                    let (path, fix) = (path.display(), permission_fix(root, &error));
                    gaps.push(format!(
                        "cannot read {path} ({error}): the energy of the {kind} is modelled{fix}"
                    ));
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

    fn cadence(&self, _index: usize) -> ReadCadence {
        ReadCadence::fixed(CADENCE)
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
        match self.components.get_mut(index) {
            Some(component) => component.read(now),
            None => Err(ReadError::Failed(format!("RAPL has no component {index}"))),
        }
    }

    /// The counters update once per millisecond.
    fn is_ticking_counter(&self, _index: usize) -> bool {
        true
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl RaplComponent {
    /// Opens all zones or none: a partial sum would be mistaken for the whole.
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
                .filter(|(_, limit)| *limit > 0)
                .map(|(sum, limit)| sum + power_from_microwatts(limit));
            let counter = WrappingCounter::new(zone.max_energy_range());
            counters.push(RaplCounter { name: zone.name, energy_file, counter, state: ZoneState::Available });
        }
        let limit = limit.map(|limit| limit * component.share);
        let assumed_limit = component.assumed_limit.filter(|_| limit.is_none());
        let component = ComponentInfo { limit, assumed_limit, ..component };
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
                // Part of the waiting time is unknown, as after a restart.
                Err(_) if counter.abandon_after_timeout(now) => self.has_restarted = true,
                Err(_) if counter.state == ZoneState::Abandoned => {}
                Err(error) => {
                    let mut reason = format!("{}: cannot read {error}", counter.name);
                    if !is_only_counter {
                        let timeout = UNAVAILABLE_TIMEOUT.as_secs();
                        reason.push_str(&format!(
                            "; if this lasts {timeout} s, the other counters are used without it"
                        ));
                    }
                    failure = Some(reason);
                }
            }
        }
        if self.counters.iter().all(|counter| counter.state == ZoneState::Abandoned) {
            failure = Some("none of its counters can be read".to_owned());
        }
        match failure {
            Some(reason) => Err(ReadError::Failed(reason)),
            None => Ok(self.take_reading()),
        }
    }

    /// The sum of the counters as one counter that never wraps. After a restart it must be lower than before.
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

    /// Whether the zone is given up now. The wait restarts if the zone recovers.
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
        assumed_limit: Some(plausible_power::MAX_PACKAGE_POWER * packages as f64 * share),
        min_power: Some(plausible_power::MIN_PACKAGE_POWER * packages as f64 * share),
        includes: Vec::new(),
        share,
        tolerance: SensorTolerance::from_accuracy(PACKAGE_TOLERANCE),
        note: Some(format!("RAPL of {packages} CPU package(s); includes other work on the job's CPUs")),
    }
}

fn memory_component(packages: usize, share: f64) -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Memory,
        id: "memory".to_owned(),
        name: "DRAM".to_owned(),
        assumed_limit: Some(plausible_power::MAX_MEMORY_POWER * packages as f64 * share),
        tolerance: SensorTolerance::from_accuracy(MEMORY_TOLERANCE),
        note: Some(format!(
            "RAPL memory counters of {packages} CPU package(s), scaled by the job's share of the CPUs"
        )),
        ..cpu_component("", packages, share)
    }
}

// The kernel's zone names contain `:`, which is not valid in file names on other systems.
#[cfg(unix)]
#[cfg(test)]
mod tests;
