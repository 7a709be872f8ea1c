//! Determines which GPUs and MIG slices are visible to CUDA in a process, and in which order.
//!
//! `CUDA_VISIBLE_DEVICES` names GPUs by index, UUID or UUID prefix, and MIG slices by UUID.
//! `CUDA_DEVICE_ORDER` determines the order of the GPUs to which an index refers.
//! <https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables>,
//! <https://docs.nvidia.com/datacenter/tesla/mig-user-guide/index.html#cuda-visible-devices>

use super::{GpuInfo, resolve_entries, split_entries, unique_prefix_match};
use crate::env::process_variable;

/// The environment variables that determine which devices are visible to CUDA in a process, and in which
/// order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaVisibility {
    /// The entries of `CUDA_VISIBLE_DEVICES`. `None` if it is unset and all GPUs are visible.
    entries: Option<Vec<String>>,
    /// Whether `CUDA_DEVICE_ORDER=PCI_BUS_ID` makes CUDA count GPUs in NVML's order.
    is_pci_order: bool,
}

/// A device that is visible to CUDA: a GPU or a MIG slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleDevice {
    /// The position of the GPU in the `gpus` that were passed to [`CudaVisibility::visible_devices`], or
    /// `gpus.len()` plus the position of the MIG slice in `slices`.
    pub position: usize,
    /// The CUDA device ordinal. `None` for the remaining slices of a GPU of which CUDA uses only the first
    /// slice.
    pub ordinal: Option<usize>,
}

impl CudaVisibility {
    /// Reads `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` of this process.
    pub fn from_environment() -> Self {
        let [devices, order] = ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"].map(process_variable);
        Self::new(devices.as_deref(), order.as_deref())
    }

    /// Creates the visibility from the values of `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER`; `None` for a
    /// variable that is not set.
    pub fn new(visible_devices: Option<&str>, device_order: Option<&str>) -> Self {
        Self { entries: visible_devices.map(split_entries), is_pci_order: device_order == Some("PCI_BUS_ID") }
    }

    /// Returns the devices that the variables make visible, in CUDA's order.
    ///
    /// `gpus` is NVML's list, sorted by PCI address. `slices` contains, for each MIG slice, the position of its
    /// GPU in `gpus` and the slice's UUID. In the result, slice `i` has the position `gpus.len() + i`.
    ///
    /// As in CUDA, the list ends before the first entry of `CUDA_VISIBLE_DEVICES` that is invalid or repeats a
    /// device. If a GPU that is divided into slices is visible as a whole, its slices are returned instead of it.
    /// CUDA uses only one of them, and which one is not certain, because NVML may list them in another order. All
    /// are therefore included: the first one in `slices` gets the ordinal, and the others have `ordinal: None`.
    pub fn visible_devices(&self, gpus: &[GpuInfo], slices: &[(usize, String)]) -> Vec<VisibleDevice> {
        let positions = match &self.entries {
            None => (0..gpus.len()).collect(),
            Some(entries) => resolve_entries(entries, |entry| entry_position(entry, gpus, slices)),
        };
        let mut visible = Vec::new();
        for (ordinal, position) in positions.into_iter().enumerate() {
            let mut parts = (0..slices.len()).filter(|&slice| slices[slice].0 == position).peekable();
            if parts.peek().is_none() {
                visible.push(VisibleDevice { position, ordinal: Some(ordinal) });
            }
            for (index, slice) in parts.enumerate() {
                let ordinal = Some(ordinal).filter(|_| index == 0);
                visible.push(VisibleDevice { position: gpus.len() + slice, ordinal });
            }
        }
        visible
    }

    /// Whether CUDA shows all devices of the machine.
    pub(crate) fn shows_all(&self) -> bool {
        self.entries.is_none()
    }

    /// Returns the entries of `CUDA_VISIBLE_DEVICES` that name MIG slices. NVML may not list all of these
    /// slices.
    pub fn mig_entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flatten().map(String::as_str).filter(|entry| is_mig_entry(entry))
    }

    /// Returns whether CUDA's device ordinals can be derived from NVML's list of GPUs.
    ///
    /// By default CUDA orders GPUs from fastest to slowest, which cannot be reproduced outside CUDA if the models
    /// differ. UUID entries do not depend on the order.
    pub fn is_order_known(&self, gpus: &[GpuInfo]) -> bool {
        let are_uuids = |entries: &Vec<String>| {
            entries.iter().all(|entry| entry.starts_with("GPU-") || is_mig_entry(entry))
        };
        self.is_pci_order
            || gpus.windows(2).all(|pair| pair[0].model == pair[1].model)
            || self.entries.as_ref().is_some_and(are_uuids)
    }
}

/// The position of the device that one entry of `CUDA_VISIBLE_DEVICES` names.
fn entry_position(entry: &str, gpus: &[GpuInfo], slices: &[(usize, String)]) -> Option<usize> {
    if let Ok(index) = entry.parse::<usize>() {
        (index < gpus.len()).then_some(index)
    } else if entry.starts_with("GPU-") {
        unique_prefix_match(gpus.iter().map(|gpu| gpu.uuid.as_str()), entry)
    } else if is_mig_entry(entry) {
        unique_prefix_match(slices.iter().map(|(_, uuid)| uuid.as_str()), entry)
            .map(|slice| gpus.len() + slice)
    } else {
        None
    }
}

fn is_mig_entry(entry: &str) -> bool {
    entry.starts_with("MIG-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed_gpus() -> Vec<GpuInfo> {
        let gpu = |letter: char, model: &str| GpuInfo {
            uuid: format!("GPU-{}-1111", letter.to_string().repeat(4)),
            model: model.into(),
            ..GpuInfo::default()
        };
        vec![gpu('a', "H200"), gpu('b', "H200"), gpu('c', "L4")]
    }

    /// Position and device number of each visible device.
    fn visible_positions(value: Option<&str>, slices: &[(usize, String)]) -> Vec<(usize, Option<usize>)> {
        let visible = CudaVisibility::new(value, None).visible_devices(&mixed_gpus(), slices);
        visible.into_iter().map(|VisibleDevice { position, ordinal }| (position, ordinal)).collect()
    }

    /// The cases of CUDA's own documentation.
    #[test]
    fn visible_devices_follow_cuda_rules() {
        let cases: [(Option<&str>, &[usize]); 12] = [
            (None, &[0, 1, 2]),
            (Some(""), &[]),
            (Some("-1"), &[]),
            (Some("2,0"), &[2, 0]),
            (Some("0,-1,2"), &[0]),
            (Some("1,nonsense,2"), &[1]),
            (Some("0,7,1"), &[0]),
            (Some("1,1"), &[1]),
            (Some("GPU-bbbb-1111"), &[1]),
            (Some("GPU-c, GPU-a"), &[2, 0]),
            (Some("GPU-"), &[]),
            (Some("0,MIG-1234,1"), &[0]),
        ];
        for (value, expected) in cases {
            let expected: Vec<_> =
                expected.iter().enumerate().map(|(ordinal, position)| (*position, Some(ordinal))).collect();
            assert_eq!(visible_positions(value, &[]), expected, "{value:?}");
        }
    }

    #[test]
    fn first_mig_slice_gets_the_ordinal() {
        let slices = [(1, "MIG-aaaa".to_owned()), (1, "MIG-abbb".to_owned())];
        assert_eq!(visible_positions(Some("MIG-abbb"), &slices), [(4, Some(0))]);
        assert_eq!(visible_positions(Some("MIG-ab,MIG-aa"), &slices), [(4, Some(0)), (3, Some(1))]);
        assert_eq!(visible_positions(Some("MIG-a"), &slices), [], "a prefix of two");
        assert_eq!(visible_positions(Some("MIG-cccc,0"), &slices), []);
        assert_eq!(visible_positions(Some("1"), &slices), [(3, Some(0)), (4, None)]);
        assert_eq!(visible_positions(None, &slices), [(0, Some(0)), (3, Some(1)), (4, None), (2, Some(2))]);
        let named: Vec<_> =
            CudaVisibility::new(Some("0,MIG-1234"), None).mig_entries().map(str::to_owned).collect();
        assert_eq!(named, ["MIG-1234"]);
    }

    #[test]
    fn mixed_gpus_make_order_unknown() {
        let gpus = mixed_gpus();
        assert!(!CudaVisibility::new(None, None).is_order_known(&gpus));
        assert!(!CudaVisibility::new(Some("0"), Some("FASTEST_FIRST")).is_order_known(&gpus));
        assert!(CudaVisibility::new(None, Some("PCI_BUS_ID")).is_order_known(&gpus));
        assert!(CudaVisibility::new(Some("GPU-cccc,MIG-1"), None).is_order_known(&gpus));
        assert!(CudaVisibility::new(None, None).is_order_known(&gpus[..2]));
    }
}
