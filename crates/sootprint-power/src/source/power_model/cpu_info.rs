//! Which processor a machine has, how many packages of it, and whether a hypervisor stands between.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

use super::tdp_table::{TdpRating, lookup_key};
use crate::data_quality::DataQuality;
use crate::proc_cpuinfo::{cpuinfo_field, cpuinfo_fields};

/// The processor of a machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CpuInfo {
    /// For people.
    pub(super) name: String,
    pub(super) package_count: usize,
    /// Whether the machine is a virtual one, which sees a part of a package at most.
    pub(super) is_guest: bool,
    pub(super) is_arm: bool,
    /// The TDP of its model, when that is known.
    pub(super) tdp: Option<TdpRating>,
}

impl CpuInfo {
    /// From `/proc/cpuinfo` and, for what Arm leaves unsaid there, from the firmware's tables below `/sys`.
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

/// Whether a hypervisor says that it is there.
///
/// x86 has a flag for it. Xen has a file, below a folder that bare metal can have too. Elsewhere the device tree or the
/// firmware tells.
fn is_guest(cpuinfo: &str, proc: &Path, sys: &Path) -> bool {
    if sys.join("hypervisor/type").exists() || proc.join("device-tree/hypervisor").exists() {
        return true;
    }
    match cpuinfo_field(cpuinfo, "flags") {
        Some(flags) => flags.split_whitespace().any(|flag| flag == "hypervisor"),
        None => DmiTable::read(sys).is_virtual(),
    }
}

/// How many packages: x86 numbers them in `cpuinfo`, all others below `/sys` only.
fn package_count(cpuinfo: &str, sys: &Path) -> usize {
    let numbered: BTreeSet<&str> = cpuinfo_fields(cpuinfo, "physical id").collect();
    if !numbered.is_empty() {
        return numbered.len();
    }
    let cpu_dirs = read_dir(sys.join("devices/system/cpu")).into_iter().flatten().flatten();
    let package = |folder: &Path| {
        let number: i64 =
            read_to_string(folder.join("topology/physical_package_id")).ok()?.trim().parse().ok()?;
        // The kernel says -1 when it does not know.
        (number >= 0).then_some(number)
    };
    let found: BTreeSet<i64> = cpu_dirs.filter_map(|processor| package(&processor.path())).collect();
    found.len().max(1)
}

/// What the firmware says of the machine, as the kernel shows it to everyone.
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

    /// By the names that hypervisors put there, as systemd-detect-virt knows them. Amazon's bare metal is called
    /// `c6g.metal`.
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

/// An Arm core, which has numbers instead of a name.
/// <https://developer.arm.com/documentation/100616/0401/register-descriptions/aarch64-system-registers/midr-el1--main-id-register--el1>
struct ArmCore {
    implementer: u32,
    part: u32,
}

impl ArmCore {
    /// The designer that cores of Arm's own name.
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
    /// Several vendors build with one core: the firmware tells who, and the number of a bare machine's cores which
    /// product. `cores` is none where a hypervisor makes that number up.
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
        // The number of cores tells the product and not its clock, so that its TDP is an estimate at best.
        let estimated = |rating: TdpRating| match rating.confidence {
            DataQuality::VendorSpec => TdpRating { confidence: DataQuality::Estimate, ..rating },
            _ => rating,
        };
        (name.to_owned(), TdpRating::lookup(key).map(estimated))
    }
}
