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

mod counter;
mod zones;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sootprint_core::Power;

use super::sysfs::{microjoules, microwatts, number};
use super::{Component, Kind, Method, Reading, Source, Tolerance, Unreadable};
use counter::{Counter, Step};
use zones::{Zone, Zones, advice};

pub(crate) use zones::NoZones;

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
const PATIENCE: Duration = Duration::from_secs(30);

/// The packages of a machine and their memory, as far as this process may read them.
#[derive(Debug)]
pub(crate) struct Powercap {
    sums: Vec<Sum>,
    gaps: Vec<String>,
}

/// A component that is the sum of some counters.
#[derive(Debug)]
struct Sum {
    component: Component,
    meters: Vec<Meter>,
    /// What was last told, in microjoules of the whole packages.
    told: u64,
    /// What was used since, and whether a counter restarted.
    used: u64,
    is_restarted: bool,
}

#[derive(Debug)]
struct Meter {
    name: String,
    energy: PathBuf,
    counter: Counter,
    presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Presence {
    Answers,
    SilentSince(Duration),
    GivenUp,
}

/// Reads a counter. A function of its own so that a test can refuse: to root no file is forbidden.
type ReadNumber = fn(&Path) -> io::Result<u64>;

impl Powercap {
    /// Opens the zones under `root`, which is `/sys/class/powercap`.
    ///
    /// `cpuinfo` is the content of `/proc/cpuinfo`, and `share` the part of the packages that is the job's.
    ///
    /// # Errors
    /// When there are no zones to read, permitted or not.
    pub(crate) fn open(root: &Path, cpuinfo: &str, share: f64) -> Result<Self, NoZones> {
        Self::open_with(root, cpuinfo, share, number)
    }

    fn open_with(root: &Path, cpuinfo: &str, share: f64, read: ReadNumber) -> Result<Self, NoZones> {
        let vendor = field(cpuinfo, "vendor_id").unwrap_or_default();
        let Zones { packages, memories } =
            Zones::find(root, ["AuthenticAMD", "HygonGenuine"].contains(&vendor))?;
        let name = field(cpuinfo, "model name").unwrap_or("CPU of unknown model");
        let count = packages.len();
        let (mut sums, mut gaps) = (Vec::new(), Vec::new());
        if !memories.is_empty() && memories.len() < count {
            gaps.push(format!("RAPL tells the memory of only {} of {count} packages", memories.len()));
        }
        let is_whole = memories.len() == count;
        let processor = Sum::open(packages, processor(name, count, share), read);
        let memory = is_whole.then(|| Sum::open(memories, memory(count, share), read));
        let mut is_denied = false;
        for sum in std::iter::once(processor).chain(memory) {
            match sum {
                Ok(sum) => sums.push(sum),
                // One word is enough: what mends the packages' counters mends the memory's.
                Err((_, error)) if is_denied && error.kind() == io::ErrorKind::PermissionDenied => {}
                Err((path, error)) => {
                    is_denied = error.kind() == io::ErrorKind::PermissionDenied;
                    let (path, advice) = (path.display(), advice(root, &error));
                    gaps.push(format!("cannot read {path} ({error}): what it counts is modelled{advice}"));
                }
            }
        }
        Ok(Self { sums, gaps })
    }
}

impl Source for Powercap {
    fn components(&self) -> Vec<Component> {
        self.sums.iter().map(|sum| sum.component.clone()).collect()
    }

    fn cadence(&self, _index: usize, _cost: Duration) -> Duration {
        CADENCE
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<Reading, Unreadable> {
        match self.sums.get_mut(index) {
            Some(sum) => sum.read(now),
            None => Err(Unreadable::Failed(format!("RAPL has no component {index}"))),
        }
    }

    /// The counters move once in a millisecond.
    fn ticks(&self, _index: usize) -> bool {
        true
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl Sum {
    /// Opens all zones, or none: a sum of a part of them would pass for the whole.
    fn open(zones: Vec<Zone>, component: Component, read: ReadNumber) -> Result<Self, (PathBuf, io::Error)> {
        let (mut meters, mut told) = (Vec::new(), 0_u64);
        let mut limit = Some(Power::ZERO);
        for zone in zones {
            let energy = zone.energy();
            told = told.saturating_add(read(&energy).map_err(|error| (energy.clone(), error))?);
            limit = limit.zip(zone.limit()).map(|(sum, limit)| sum + microwatts(limit));
            let counter = Counter::new(zone.range());
            meters.push(Meter { name: zone.name, energy, counter, presence: Presence::Answers });
        }
        let component = Component { limit: limit.map(|limit| limit * component.share), ..component };
        Ok(Self { component, meters, told, used: 0, is_restarted: false })
    }

    fn read(&mut self, now: Duration) -> Result<Reading, Unreadable> {
        let mut silent = None;
        let is_alone = self.meters.len() == 1;
        for meter in &mut self.meters {
            match meter.read(now) {
                Ok(Step::Used(used)) => self.used += used,
                Ok(Step::Restarted(used)) => {
                    self.used += used;
                    self.is_restarted = true;
                }
                // Of the time in which it was waited for, not all is known: as after a restart.
                Err(_) if meter.is_given_up_at(now) => self.is_restarted = true,
                Err(_) if meter.presence == Presence::GivenUp => {}
                Err(error) => {
                    let and_then =
                        if is_alone { "" } else { "; if it stays silent, the others go on without it" };
                    silent = Some(format!("{}: cannot read {error}{and_then}", meter.name));
                }
            }
        }
        if self.meters.iter().all(|meter| meter.presence == Presence::GivenUp) {
            silent = Some("no counter of it can be read any more".to_owned());
        }
        match silent {
            Some(reason) => Err(Unreadable::Failed(reason)),
            None => Ok(self.tell()),
        }
    }

    /// Tells what the counters, as one that never wraps, show now. After a restart it has to show less than before.
    fn tell(&mut self) -> Reading {
        let used = std::mem::take(&mut self.used);
        self.told = match std::mem::take(&mut self.is_restarted) {
            false => self.told.saturating_add(used),
            true if used < self.told => used,
            true => 0,
        };
        Reading::Counter(microjoules(self.told) * self.component.share)
    }
}

impl Meter {
    fn read(&mut self, now: Duration) -> Result<Step, String> {
        match number(&self.energy) {
            Ok(shown) => {
                self.presence = Presence::Answers;
                Ok(self.counter.observe(now, shown))
            }
            Err(error) => {
                if self.presence == Presence::Answers {
                    self.presence = Presence::SilentSince(now);
                }
                Err(format!("{} ({error})", self.energy.display()))
            }
        }
    }

    /// Whether patience ends now. When the zone answers again, it begins anew.
    fn is_given_up_at(&mut self, now: Duration) -> bool {
        let Presence::SilentSince(since) = self.presence else { return false };
        let is_over = now.saturating_sub(since) >= PATIENCE;
        if is_over {
            self.presence = Presence::GivenUp;
            self.counter.forget();
        }
        is_over
    }
}

fn processor(name: &str, packages: usize, share: f64) -> Component {
    Component {
        kind: Kind::Cpu,
        id: "cpu".to_owned(),
        name: name.to_owned(),
        method: Method::Counter,
        board: None,
        limit: None,
        share,
        tolerance: Tolerance::of(PACKAGE_TOLERANCE),
        note: Some(format!("RAPL, {packages} × package; other work on the job's processors is in it")),
    }
}

fn memory(packages: usize, share: f64) -> Component {
    Component {
        kind: Kind::Memory,
        id: "memory".to_owned(),
        name: "DRAM".to_owned(),
        tolerance: Tolerance::of(MEMORY_TOLERANCE),
        note: Some(format!("RAPL, {packages} × dram; its share is that of the processors")),
        ..processor("", packages, share)
    }
}

/// A field of the first processor in `/proc/cpuinfo`.
fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = cpuinfo.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'))?;
    Some(value.trim())
}

// The kernel's names of zones are no names of files elsewhere.
#[cfg(unix)]
#[cfg(test)]
mod tests;
