//! Which of the zones of powercap count: each package once, and each package's memory once.

use std::io;
use std::path::{Path, PathBuf};

use super::super::sysfs::{read_line, read_number};

/// The zones that count.
#[derive(Debug, Default)]
pub(super) struct RaplZones {
    pub(super) packages: Vec<RaplZone>,
    pub(super) memories: Vec<RaplZone>,
}

/// A zone of the control type `intel-rapl`.
#[derive(Debug)]
pub(super) struct RaplZone {
    /// The folder, as in `/sys/class/powercap/intel-rapl:0`.
    pub(super) path: PathBuf,
    /// As in `package-0`; that of a package's memory is `package-0 dram`.
    pub(super) name: String,
}

/// Why there are none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RaplUnavailable {
    /// The kernel has no RAPL here, as in most virtual machines.
    #[error(
        "no RAPL: {} has no zone of a processor package, as in most virtual machines; \
         on hardware `sudo modprobe intel_rapl_msr` may add them",
        root.display()
    )]
    Absent {
        /// Where zones would be.
        root: PathBuf,
    },
    /// There are zones, and nothing is in them: container engines hide what is behind them.
    #[error(
        "RAPL is hidden: {} cannot be read ({reason}); a container shows it when it is started with \
         `--security-opt systempaths=unconfined` (Docker) or \
         `--security-opt unmask=/sys/devices/virtual/powercap` (Podman)",
        path.display()
    )]
    Hidden {
        /// The file that is not there.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl RaplZones {
    /// Finds them under `root`, which is `/sys/class/powercap`.
    ///
    /// `dies_share` tells that the dies of a package show one and the same counter. That is so on AMD's and Hygon's
    /// processors, for which kernels from 6.9 on listed a zone per die until that was mended:
    /// <https://lore.kernel.org/lkml/20240719092545.50441-3-Dhananjay.Ugwekar@amd.com/>
    pub(super) fn find(root: &Path, is_counter_shared_by_dies: bool) -> Result<Self, RaplUnavailable> {
        let listed = list_zones(root);
        let mut zones = Self::default();
        let mut counted: Vec<(u32, String)> = Vec::new();
        for (number, _) in listed.iter().filter(|(_, child)| child.is_none()) {
            let path = root.join(format!("intel-rapl:{number:x}"));
            let name = read_line(&path.join("name")).map_err(|reason| RaplUnavailable::Hidden {
                path: path.join("name"),
                reason: reason.to_string(),
            })?;
            let Some(counter) = counter_key(&name, is_counter_shared_by_dies) else { continue };
            if !counted.iter().any(|(_, other)| *other == counter) {
                counted.push((*number, counter));
                zones.packages.push(RaplZone { path, name });
            }
        }
        for ((number, _), package) in counted.iter().zip(&zones.packages) {
            let children = listed.iter().filter_map(|(parent, child)| Some(((*child)?, parent)));
            let memory = children.filter(|(_, parent)| *parent == number).find_map(|(child, _)| {
                let path = root.join(format!("intel-rapl:{number:x}:{child:x}"));
                (read_line(&path.join("name")).ok()? == "dram").then_some(path)
            });
            zones
                .memories
                .extend(memory.map(|path| RaplZone { path, name: format!("{} dram", package.name) }));
        }
        if zones.packages.is_empty() {
            return Err(RaplUnavailable::Absent { root: root.to_owned() });
        }
        Ok(zones)
    }
}

impl RaplZone {
    /// The file with the energy, in microjoules.
    pub(super) fn energy_file(&self) -> PathBuf {
        self.path.join("energy_uj")
    }

    /// What the energy counts up to before it begins again.
    pub(super) fn max_energy_range(&self) -> Option<u64> {
        read_number(&self.path.join("max_energy_range_uj")).ok().filter(|range| *range > 0)
    }

    /// The largest of the limits that hold for longer than a moment, in microwatts; none when none is enforced.
    pub(super) fn power_limit_microwatts(&self) -> Option<u64> {
        let read = |file: String| read_line(&self.path.join(file));
        if read("enabled".to_owned()).ok()? != "1" {
            return None;
        }
        // The third one, `peak_power`, is what the processor may draw for microseconds.
        let limits = (0..2).filter_map(|constraint| {
            let name = read(format!("constraint_{constraint}_name")).ok()?;
            let limit =
                read_number(&self.path.join(format!("constraint_{constraint}_power_limit_uw"))).ok()?;
            ["long_term", "short_term"].contains(&name.as_str()).then_some(limit)
        });
        // Firmware says `unlimited` with a figure that no processor draws, such as 4,095 W.
        limits.max().filter(|limit| (1..=1_000_000_000).contains(limit))
    }
}

/// What mends a counter that only root may read.
///
/// It became so with CVE-2020-8694: who reads it often can guess at the secrets of other programs.
pub(super) fn permission_fix(root: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let root = root.display();
    format!(
        "; until the next start of the machine `sudo chmod a+r {root}/intel-rapl:*/energy_uj` mends it, and for good \
         the line `SUBSYSTEM==\"powercap\", KERNEL==\"intel-rapl:*\", ACTION==\"add\", \
         RUN+=\"/bin/chmod a+r /sys%p/energy_uj\"` in /etc/udev/rules.d/70-sootprint.rules"
    )
}

/// The numbers of the zones and subzones of `intel-rapl`, in their order. The kernel writes them in hexadecimal.
///
/// `intel-rapl-mmio` shows the package's counter once more, through another register, and is not listed.
fn list_zones(root: &Path) -> Vec<(u32, Option<u32>)> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut zones: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let numbers = name.to_str()?.strip_prefix("intel-rapl:")?;
            let parse = |digits| u32::from_str_radix(digits, 16).ok();
            match numbers.split_once(':') {
                Some((zone, child)) => Some((parse(zone)?, Some(parse(child)?))),
                None => Some((parse(numbers)?, None)),
            }
        })
        .collect();
    zones.sort_unstable();
    zones
}

/// What tells a package's counter from the others; none for a zone that is no package, such as `psys`.
fn counter_key(name: &str, is_counter_shared_by_dies: bool) -> Option<String> {
    let package_and_die = name.strip_prefix("package-")?;
    let package = package_and_die.split_once("-die-").map_or(package_and_die, |(package, _)| package);
    Some(if is_counter_shared_by_dies { package.to_owned() } else { package_and_die.to_owned() })
}
