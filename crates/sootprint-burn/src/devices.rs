//! Maps Burn devices to GPUs, and synchronises them.

use std::collections::BTreeSet;

use burn::tensor::Device;
use sootprint::DeviceId;

/// Returns the ids of the GPUs behind these devices. A CPU device has no id and is left out.
///
/// With the feature `gpu`, the id of a CUDA, ROCm or Vulkan device is its PCI address. Without the feature, the id is
/// the CUDA or ROCm ordinal, parsed from the device's debug text, e.g. `Cube(Cuda(Cuda(0)))`. A device without a PCI
/// address and without an ordinal (wgpu without the feature, Metal, a remote server) becomes [`DeviceId::Unknown`]
/// with its name, and the footprint notes that it could not be mapped.
#[must_use]
pub fn device_ids<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Vec<DeviceId> {
    let mut names = BTreeSet::new();
    let mut ids = Vec::new();
    for device in devices {
        let name = format!("{device:?}");
        if let Some(by_name) = device_id_from_name(&name)
            && names.insert(name)
        {
            ids.push(pci_address(device).map_or(by_name, DeviceId::Pci));
        }
    }
    ids
}

/// Waits until the devices have finished the work that this thread queued. Backends keep one stream per thread, so work
/// of other threads may still be running.
///
/// An error is only logged: the training meets it at its next operation.
pub(crate) fn synchronize(devices: &[Device]) {
    for device in devices {
        if let Err(error) = device.sync() {
            tracing::warn!("cannot synchronise {device:?}; epoch boundary may be early: {error}");
        }
    }
}

/// A hint to enable the feature `gpu` if a device could not be mapped without it.
pub(crate) fn gpu_feature_hint(ids: &[DeviceId]) -> Option<&'static str> {
    let is_unmapped = |id: &DeviceId| matches!(id, DeviceId::Unknown(name) if name.starts_with("Cube("));
    (cfg!(not(feature = "gpu")) && ids.iter().any(is_unmapped)).then_some(
        "cannot map a Burn device to its GPU; enable the feature `gpu` of sootprint-burn to map devices by PCI address",
    )
}

/// The PCI address of the device's GPU, e.g. `0000:07:00.0`.
#[cfg(feature = "gpu")]
fn pci_address(device: &Device) -> Option<String> {
    Some(device.identity()?.physical?.pci_address?.to_string())
}

#[cfg(not(feature = "gpu"))]
fn pci_address(_device: &Device) -> Option<String> {
    None
}

fn device_id_from_name(name: &str) -> Option<DeviceId> {
    const CPU_BACKENDS: [&str; 3] = ["Flex(", "NdArray(", "Cpu"];

    let name = backend_device_name(name);
    if name.starts_with("Remote(") {
        // The debug text contains the server's address, which must not reach the footprint.
        Some(DeviceId::Unknown("remote device".to_owned()))
    } else if let Some(ordinal) = ordinal_after(name, "Cuda(") {
        Some(DeviceId::CudaOrdinal(ordinal))
    } else if let Some(ordinal) = ordinal_after(name, "AmdDevice(") {
        Some(DeviceId::RocmOrdinal(ordinal))
    } else if CPU_BACKENDS.iter().any(|backend| name.contains(backend)) {
        None
    } else {
        Some(DeviceId::Unknown(name.to_owned()))
    }
}

/// The backend's part of a device's debug text.
fn backend_device_name(name: &str) -> &str {
    let name = name.strip_prefix("Device<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(name);
    let inner =
        name.strip_prefix("Autodiff { device: ").and_then(|rest| rest.rsplit_once(", checkpointing:"));
    inner.map_or(name, |(device, _)| device)
}

/// `N` in the last `<start>N)`.
fn ordinal_after(name: &str, start: &str) -> Option<usize> {
    let (_, rest) = name.rsplit_once(start)?;
    rest.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The debug texts are those of `burn-dispatch`.
    #[test]
    fn backend_names_map_to_device_ids() {
        let unknown = |name: &str| Some(DeviceId::Unknown(name.to_owned()));
        let cases = [
            ("Device<Flex(Cpu)>", None),
            ("Device<Autodiff { device: Flex(Cpu), checkpointing: Disabled }>", None),
            ("Device<NdArray(Cpu)>", None),
            ("Device<Cube(Cpu(CpuDevice))>", None),
            ("Device<LibTorch(Cpu)>", None),
            ("Device<LibTorch(Cuda(1))>", Some(DeviceId::CudaOrdinal(1))),
            ("Device<LibTorch(Mps)>", unknown("LibTorch(Mps)")),
            ("Device<Cube(Cuda(Cuda(3)))>", Some(DeviceId::CudaOrdinal(3))),
            ("Device<Cube(Hip(AmdDevice(2)))>", Some(DeviceId::RocmOrdinal(2))),
            ("Device<Cube(Metal(DefaultDevice))>", unknown("Cube(Metal(DefaultDevice))")),
            (
                "Device<Autodiff { device: Cube(Cuda(Cuda(0))), checkpointing: Balanced }>",
                Some(DeviceId::CudaOrdinal(0)),
            ),
            ("Device<Cube(Wgpu(DiscreteGpu(0)))>", unknown("Cube(Wgpu(DiscreteGpu(0)))")),
            (
                "Device<Remote(RemoteDevice { address: \"ws://trainer.example:3000\", id: 1 })>",
                unknown("remote device"),
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(device_id_from_name(name), expected, "{name}");
        }
    }

    #[test]
    fn cpu_has_no_device_id() {
        let ids = device_ids(&[Device::flex(), Device::flex().autodiff()]);
        assert_eq!((gpu_feature_hint(&ids), ids), (None, vec![]));
    }

    #[test]
    #[cfg(not(feature = "gpu"))]
    fn wgpu_without_gpu_feature_gets_hint() {
        let wgpu = device_id_from_name("Device<Cube(Wgpu(DefaultDevice))>");
        assert!(gpu_feature_hint(wgpu.as_slice()).is_some_and(|hint| hint.contains("feature `gpu`")));
        assert_eq!(gpu_feature_hint(&[DeviceId::CudaOrdinal(0)]), None);
    }
}
