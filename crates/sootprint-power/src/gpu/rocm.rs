//! Determines which AMD GPUs are visible to ROCm in this process, and in which order.
//!
//! ROCm numbers the GPUs in the order of the kernel's topology, which differs from the order of their addresses.
//! `ROCR_VISIBLE_DEVICES` selects some of them by index or UUID. `HIP_VISIBLE_DEVICES` selects some of those by
//! index, and so does `CUDA_VISIBLE_DEVICES` if the former is unset.
//! <https://rocm.docs.amd.com/en/latest/conceptual/gpu-isolation.html>
//!
//! Each node of the topology has a bus location: `location_id` is bus, device and function in 16 bits. hwmon
//! identifies GPUs by the same address, so no AMD library is loaded.
//! <https://github.com/torvalds/linux/blob/master/drivers/gpu/drm/amd/amdkfd/kfd_topology.c>

use std::path::Path;

use super::{canonical_pci, resolve_entries, split_entries, unique_prefix_match};
use crate::env::process_variable;

/// The GPUs in ROCm's topology, by PCI address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RocmDevices {
    /// The address of each GPU of the topology, and its ROCm device ordinal if it is visible to this process.
    devices: Vec<(String, Option<usize>)>,
}

/// A GPU in the kernel's topology.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KfdNode {
    pci: String,
    /// `GPU-` and 16 hexadecimal digits, as ROCm writes it.
    uuid: String,
}

impl RocmDevices {
    /// Reads `topology`, which is `/sys/class/kfd/kfd/topology/nodes`, and the environment of this process.
    pub(crate) fn from_environment(topology: &Path) -> Self {
        Self::new(topology, process_variable)
    }

    /// Like [`Self::from_environment`], but with the given variables.
    pub(crate) fn new(topology: &Path, read_variable: impl Fn(&str) -> Option<String>) -> Self {
        let nodes = read_nodes(topology);
        let index = |entry: &str, count| entry.parse().ok().filter(|index: &usize| *index < count);
        let by_index_or_uuid = |entry: &str| {
            index(entry, nodes.len()).or_else(|| {
                let by_name = unique_prefix_match(nodes.iter().map(|node| node.uuid.as_str()), entry);
                by_name.filter(|_| entry.starts_with("GPU-"))
            })
        };
        let visible = match read_variable("ROCR_VISIBLE_DEVICES") {
            Some(list) => resolve_entries(&split_entries(&list), by_index_or_uuid),
            None => (0..nodes.len()).collect(),
        };
        let chosen =
            match read_variable("HIP_VISIBLE_DEVICES").or_else(|| read_variable("CUDA_VISIBLE_DEVICES")) {
                Some(list) => {
                    let chosen = resolve_entries(&split_entries(&list), |entry| index(entry, visible.len()));
                    chosen.into_iter().map(|index| visible[index]).collect()
                }
                None => visible,
            };
        let ordinal = |position| chosen.iter().position(|shown| *shown == position);
        let devices = nodes.into_iter().enumerate().map(|(position, node)| (node.pci, ordinal(position)));
        Self { devices: devices.collect() }
    }

    /// Returns ROCm's device ordinal of the GPU at this address. `None` if the GPU is hidden or not in the
    /// topology.
    pub(crate) fn ordinal(&self, pci: &str) -> Option<usize> {
        self.find(pci).and_then(|(_, ordinal)| *ordinal)
    }

    /// Whether the topology contains the GPU at this address and the environment hides it.
    pub(crate) fn is_hidden(&self, pci: &str) -> bool {
        self.find(pci).is_some_and(|(_, ordinal)| ordinal.is_none())
    }

    fn find(&self, pci: &str) -> Option<&(String, Option<usize>)> {
        self.devices.iter().find(|(known, _)| canonical_pci(known) == canonical_pci(pci))
    }
}

/// The GPUs of the topology, in its order. A node that this process may not use cannot be read; ROCm skips it as
/// well.
fn read_nodes(topology: &Path) -> Vec<KfdNode> {
    let mut folders: Vec<(u32, std::path::PathBuf)> = std::fs::read_dir(topology)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path))
        })
        .collect();
    folders.sort_unstable();
    folders.iter().filter_map(|(_, folder)| read_node(folder)).collect()
}

fn read_node(folder: &Path) -> Option<KfdNode> {
    // The node of a CPU has the number 0 here.
    let gpu: u64 = std::fs::read_to_string(folder.join("gpu_id")).ok()?.trim().parse().ok()?;
    let properties = std::fs::read_to_string(folder.join("properties")).ok()?;
    let property = |name: &str| -> Option<u64> {
        let line = properties.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.trim().parse().ok()
    };
    let (location, domain) = (property("location_id")?, property("domain").unwrap_or(0));
    let (bus, device, function) = (location >> 8 & 0xff, location >> 3 & 0x1f, location & 0x7);
    let node = KfdNode {
        pci: format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"),
        uuid: property("unique_id").map_or_else(String::new, |id| format!("GPU-{id:016x}")),
    };
    (gpu != 0).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CPU and three GPUs. The GPU of the second node has the highest address.
    fn topology() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let nodes = [
            ("0", "0", "cpu_cores_count 64\nlocation_id 0\ndomain 0\n".to_owned()),
            (
                "1",
                "4711",
                format!("location_id {}\ndomain 0\nunique_id {}\n", 0xc500, 0x1f2e_3d4c_5b6a_7988_u64),
            ),
            ("2", "4712", format!("location_id {}\ndomain 0\nunique_id 10\n", 0x0300)),
            ("10", "4713", format!("location_id {}\ndomain 1\nunique_id 11\n", 0x2608)),
        ];
        for (name, gpu, properties) in nodes {
            let folder = root.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("gpu_id"), format!("{gpu}\n")).unwrap();
            std::fs::write(folder.join("properties"), properties).unwrap();
        }
        root
    }

    const PCI_ADDRESSES: [&str; 3] = ["0000:c5:00.0", "0000:03:00.0", "0001:26:01.0"];

    /// ROCm's device numbers of the three GPUs.
    fn visible_ordinals(variables: &[(&str, &str)]) -> [Option<usize>; 3] {
        let topology = topology();
        let devices = RocmDevices::new(topology.path(), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        PCI_ADDRESSES.map(|pci| devices.ordinal(pci))
    }

    #[test]
    fn visibility_variables_select_rocm_ordinals() {
        let (zero, one, two) = (Some(0), Some(1), Some(2));
        assert_eq!(visible_ordinals(&[]), [zero, one, two]);
        let cases = [
            (vec![("HIP_VISIBLE_DEVICES", "2,0")], [one, None, zero]),
            (vec![("HIP_VISIBLE_DEVICES", "")], [None; 3]),
            (vec![("HIP_VISIBLE_DEVICES", "1,-1,0")], [None, zero, None]),
            (vec![("CUDA_VISIBLE_DEVICES", "1")], [None, zero, None]),
            (vec![("CUDA_VISIBLE_DEVICES", "1"), ("HIP_VISIBLE_DEVICES", "0")], [zero, None, None]),
            (vec![("ROCR_VISIBLE_DEVICES", "1,2"), ("HIP_VISIBLE_DEVICES", "1")], [None, None, zero]),
            (vec![("ROCR_VISIBLE_DEVICES", "GPU-1f2e3d4c5b6a7988")], [zero, None, None]),
            (vec![("ROCR_VISIBLE_DEVICES", "0,GPU-ffff")], [zero, None, None]),
        ];
        for (variables, expected) in cases {
            assert_eq!(visible_ordinals(&variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn unknown_gpu_is_not_hidden() {
        let topology = topology();
        let hidden = |name: &str| (name == "HIP_VISIBLE_DEVICES").then(|| "0".to_owned());
        let devices = RocmDevices::new(topology.path(), hidden);
        assert!(!devices.is_hidden("00000000:C5:00.0") && devices.is_hidden(PCI_ADDRESSES[1]));
        assert!(!devices.is_hidden("0000:99:00.0"));
        assert_eq!(RocmDevices::from_environment(Path::new("/nowhere")), RocmDevices::default());
    }
}
