//! Selects the powercap zones that count: each package once, and its memory once.

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
    /// The folder, such as `/sys/class/powercap/intel-rapl:0`.
    pub(super) path: PathBuf,
    /// The name, such as `package-0`, or `package-0 dram` for its memory.
    pub(super) name: String,
}

/// The reason why there are no zones.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RaplUnavailable {
    /// The kernel has no RAPL here, as in most virtual machines.
    #[error(
        "no RAPL: no CPU package in {}, as in most virtual machines; \
         on bare metal, try `sudo modprobe intel_rapl_msr`",
        root.display()
    )]
    Absent {
        /// The folder without zones.
        root: PathBuf,
    },
    /// The zones exist but are empty: container engines hide their content.
    #[error(
        "RAPL is hidden: cannot read {} ({reason}); start the container with \
         `--security-opt systempaths=unconfined` (Docker) or \
         `--security-opt unmask=/sys/devices/virtual/powercap` (Podman)",
        path.display()
    )]
    Hidden {
        /// The missing file.
        path: PathBuf,
        /// The error of the operating system.
        reason: String,
    },
}

impl RaplZones {
    /// Finds the zones under `root`, which is `/sys/class/powercap`.
    ///
    /// `is_counter_shared_by_dies` is set if all dies of a package show the same counter. This is the case on AMD
    /// and Hygon CPUs, for which kernels since 6.9 listed one zone per die until this was fixed:
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

    /// The value at which the energy wraps.
    pub(super) fn max_energy_range(&self) -> Option<u64> {
        read_number(&self.path.join("max_energy_range_uj")).ok().filter(|range| *range > 0)
    }

    /// The largest sustained power limit, in microwatts. `None` if none is enforced.
    pub(super) fn power_limit_microwatts(&self) -> Option<u64> {
        let read = |file: String| read_line(&self.path.join(file));
        if read("enabled".to_owned()).ok()? != "1" {
            return None;
        }
        // The third constraint, `peak_power`, only holds for microseconds.
        let limits = (0..2).filter_map(|constraint| {
            let name = read(format!("constraint_{constraint}_name")).ok()?;
            let limit =
                read_number(&self.path.join(format!("constraint_{constraint}_power_limit_uw"))).ok()?;
            ["long_term", "short_term"].contains(&name.as_str()).then_some(limit)
        });
        // Firmware expresses `unlimited` as a figure that no CPU draws, such as 4,095 W.
        limits.max().filter(|limit| (1..=1_000_000_000).contains(limit))
    }
}

/// The fix for a counter that only root may read.
///
/// The restriction was introduced for CVE-2020-8694: frequent reads can reveal secrets of other programs.
pub(super) fn permission_fix(root: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let root = root.display();
    format!(
        "; run `sudo chmod a+r {root}/intel-rapl:*/energy_uj` to allow it until the next boot, or add the line \
         `SUBSYSTEM==\"powercap\", KERNEL==\"intel-rapl:*\", ACTION==\"add\", \
         RUN+=\"/bin/chmod a+r /sys%p/energy_uj\"` to /etc/udev/rules.d/70-sootprint.rules"
    )
}

/// The sorted numbers of the `intel-rapl` zones and subzones. The kernel writes them in hexadecimal.
///
/// `intel-rapl-mmio` shows the package's counter again, through another register, and is not listed.
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

/// Identifies the counter of a package. `None` for a zone that is not a package, such as `psys`.
fn counter_key(name: &str, is_counter_shared_by_dies: bool) -> Option<String> {
    let package_and_die = name.strip_prefix("package-")?;
    let package = package_and_die.split_once("-die-").map_or(package_and_die, |(package, _)| package);
    Some(if is_counter_shared_by_dies { package.to_owned() } else { package_and_die.to_owned() })
}
