//! Detects the CPU model of a machine, the number of packages, and whether the machine is a guest of a hypervisor.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

use super::tdp_table::{TdpRating, lookup_key};
use crate::data_quality::DataQuality;
use crate::proc_cpuinfo::{cpuinfo_field, cpuinfo_fields};

/// The CPU of a machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CpuInfo {
    /// For display.
    pub(super) name: String,
    pub(super) package_count: usize,
    /// Whether the machine is virtual. A guest sees at most a part of a package.
    pub(super) is_guest: bool,
    pub(super) is_arm: bool,
    /// The TDP of the model, if it is known.
    pub(super) tdp: Option<TdpRating>,
}

impl CpuInfo {
    /// Reads `/proc/cpuinfo` and, for details that Arm omits there, the firmware tables below `/sys`.
    pub(super) fn detect(proc: &Path, sys: &Path, online_cpus: usize) -> Self {
        let cpuinfo = read_to_string(proc.join("cpuinfo")).unwrap_or_default();
        let package_count = package_count(&cpuinfo, sys);
        let is_guest = is_guest(&cpuinfo, proc, sys);
        if let Some(arm) = ArmCore::read(&cpuinfo) {
            let firmware = DmiTable::read(sys);
            let (name, tdp) = arm.identify_model(&firmware, if is_guest { None } else { Some(online_cpus) });
            return Self { name, package_count, is_guest, is_arm: true, tdp };
        }
        let name = cpuinfo_field(&cpuinfo, "model name").filter(|name| !name.is_empty());
        let tdp = name.and_then(|name| TdpRating::lookup(&lookup_key(name)));
        let name = name.unwrap_or("CPU of unknown model").to_owned();
        Self { name, package_count, is_guest, is_arm: false, tdp }
    }
}

/// Whether the machine reports a hypervisor.
///
/// x86 has a CPU flag for it. Xen has a file, in a folder that can also exist on bare metal. Other machines have an
/// entry in the device tree or in the firmware tables.
fn is_guest(cpuinfo: &str, proc: &Path, sys: &Path) -> bool {
    if sys.join("hypervisor/type").exists() || proc.join("device-tree/hypervisor").exists() {
        return true;
    }
    match cpuinfo_field(cpuinfo, "flags") {
        Some(flags) => flags.split_whitespace().any(|flag| flag == "hypervisor"),
        None => DmiTable::read(sys).is_virtual(),
    }
}

/// The number of packages. x86 lists them in `cpuinfo`; other architectures only below `/sys`.
fn package_count(cpuinfo: &str, sys: &Path) -> usize {
    let numbered: BTreeSet<&str> = cpuinfo_fields(cpuinfo, "physical id").collect();
    if !numbered.is_empty() {
        return numbered.len();
    }
    let cpu_dirs = read_dir(sys.join("devices/system/cpu")).into_iter().flatten().flatten();
    let package = |folder: &Path| {
        let number: i64 =
            read_to_string(folder.join("topology/physical_package_id")).ok()?.trim().parse().ok()?;
        // The kernel reports -1 if the package is unknown.
        (number >= 0).then_some(number)
    };
    let found: BTreeSet<i64> = cpu_dirs.filter_map(|dir| package(&dir.path())).collect();
    found.len().max(1)
}

/// The firmware's description of the machine, as far as the kernel makes it readable for all users.
struct DmiTable {
    vendor: String,
    product: String,
}

impl DmiTable {
    fn read(sys: &Path) -> Self {
        let read = |file: &str| {
            read_to_string(sys.join("class/dmi/id").join(file)).unwrap_or_default().trim().to_owned()
        };
        Self { vendor: read("sys_vendor"), product: read("product_name") }
    }

    fn is_amazon(&self) -> bool {
        self.vendor == "Amazon EC2"
    }

    /// Detects hypervisors by the names in the firmware tables, like systemd-detect-virt. Amazon's bare-metal
    /// instances are named `c6g.metal`.
    fn is_virtual(&self) -> bool {
        const HYPERVISORS: [&str; 13] = [
            "Apple Virtualization",
            "BHYVE",
            "Bochs",
            "Google Compute Engine",
            "Hyper-V",
            "KVM",
            "KubeVirt",
            "OpenStack",
            "Parallels",
            "QEMU",
            "VMware",
            "VirtualBox",
            "Xen",
        ];
        let named = |name: &str| self.vendor.starts_with(name) || self.product.starts_with(name);
        HYPERVISORS.iter().any(|name| named(name))
            || (self.vendor.starts_with("Microsoft") && self.product == "Virtual Machine")
            || (self.is_amazon() && !self.product.contains(".metal"))
    }
}

/// An Arm core, which is identified by numbers instead of a name.
/// <https://developer.arm.com/documentation/100616/0401/register-descriptions/aarch64-system-registers/midr-el1--main-id-register--el1>
struct ArmCore {
    implementer: u32,
    part: u32,
}

impl ArmCore {
    /// The implementer id of Arm Ltd.
    const IMPLEMENTER_ARM: u32 = 0x41;
    const NEOVERSE_N1: u32 = 0xd0c;
    const NEOVERSE_V1: u32 = 0xd40;
    const NEOVERSE_V2: u32 = 0xd4f;

    fn read(cpuinfo: &str) -> Option<Self> {
        let number =
            |name: &str| u32::from_str_radix(cpuinfo_field(cpuinfo, name)?.strip_prefix("0x")?, 16).ok();
        Some(Self { implementer: number("CPU implementer")?, part: number("CPU part")? })
    }

    /// The name and the TDP of the model.
    ///
    /// Several vendors use the same core: the firmware identifies the vendor, and on bare metal the number of cores
    /// identifies the product. `cores` is `None` in a guest, where the hypervisor chooses the number.
    fn identify_model(&self, dmi: &DmiTable, cores: Option<usize>) -> (String, Option<TdpRating>) {
        let is_whole_packages_of =
            |size: usize| cores.is_some_and(|cores| cores.is_multiple_of(size) && cores <= 4 * size);
        let known = match (self.implementer, self.part) {
            (Self::IMPLEMENTER_ARM, Self::NEOVERSE_N1) if dmi.is_amazon() => {
                Some(("AWS Graviton2", "aws graviton2"))
            }
            (Self::IMPLEMENTER_ARM, Self::NEOVERSE_V1) if dmi.is_amazon() => {
                Some(("AWS Graviton3", "aws graviton3"))
            }
            (Self::IMPLEMENTER_ARM, Self::NEOVERSE_V2) if dmi.is_amazon() => {
                Some(("AWS Graviton4", "aws graviton4"))
            }
            (Self::IMPLEMENTER_ARM, Self::NEOVERSE_N1) if is_whole_packages_of(80) => {
                Some(("Ampere Altra", "ampere altra q80-30"))
            }
            (Self::IMPLEMENTER_ARM, Self::NEOVERSE_N1) if is_whole_packages_of(128) => {
                Some(("Ampere Altra Max", "ampere altra max m128-30"))
            }
            (Self::IMPLEMENTER_ARM, Self::NEOVERSE_V2) if is_whole_packages_of(72) => {
                Some(("NVIDIA Grace", "nvidia grace (single)"))
            }
            _ => None,
        };
        let Some((name, key)) = known else {
            return (format!("Arm CPU {:#04x}:{:#05x}", self.implementer, self.part), None);
        };
        // The number of cores identifies the product but not its clock rate, so its TDP is an estimate at best.
        let estimated = |rating: TdpRating| match rating.confidence {
            DataQuality::VendorSpec => TdpRating { confidence: DataQuality::Estimate, ..rating },
            _ => rating,
        };
        (name.to_owned(), TdpRating::lookup(key).map(estimated))
    }
}
