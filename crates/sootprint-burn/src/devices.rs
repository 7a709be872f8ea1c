//! From Burn's devices to the boards that they are.

use std::collections::BTreeSet;

use burn::tensor::Device;
use sootprint::Claim;

/// The boards that these devices claim; none for a device that is the processor.
///
/// Burn names a device's backend only in its debug text, as in `Cube(Cuda(Cuda(0)))`, and CUDA's number in it counts
/// the visible boards. What is neither a processor nor CUDA is claimed by its name, and the footprint says that it
/// could not be mapped.
#[must_use]
pub fn claims<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Vec<Claim> {
    let names: BTreeSet<String> = devices.into_iter().map(|device| format!("{device:?}")).collect();
    names.iter().filter_map(|name| claim(name)).collect()
}

fn claim(name: &str) -> Option<Claim> {
    const PROCESSORS: [&str; 3] = ["Flex(", "NdArray(", "Cpu"];

    let name = backend(name);
    if let Some(ordinal) = number_after(name, "Cuda(") {
        Some(Claim::CudaOrdinal(ordinal))
    } else if PROCESSORS.iter().any(|processor| name.contains(processor)) {
        None
    } else {
        Some(Claim::Unknown(name.to_owned()))
    }
}

/// The text of the backend's device, without what wraps it.
fn backend(name: &str) -> &str {
    let name = name.strip_prefix("Device<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(name);
    let inner =
        name.strip_prefix("Autodiff { device: ").and_then(|rest| rest.rsplit_once(", checkpointing:"));
    inner.map_or(name, |(device, _)| device)
}

/// The number in the innermost `start N)`.
fn number_after(name: &str, start: &str) -> Option<usize> {
    let (_, rest) = name.rsplit_once(start)?;
    rest.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The debug texts of `burn-dispatch`'s devices.
    #[test]
    fn each_backend_claims_what_it_is() {
        let cases = [
            ("Device<Flex(Cpu)>", None),
            ("Device<Autodiff { device: Flex(Cpu), checkpointing: Disabled }>", None),
            ("Device<NdArray(Cpu)>", None),
            ("Device<LibTorch(Cpu)>", None),
            ("Device<LibTorch(Cuda(1))>", Some(Claim::CudaOrdinal(1))),
            ("Device<Cube(Cuda(Cuda(3)))>", Some(Claim::CudaOrdinal(3))),
            (
                "Device<Autodiff { device: Cube(Cuda(Cuda(0))), checkpointing: Balanced }>",
                Some(Claim::CudaOrdinal(0)),
            ),
            ("Device<Cube(Wgpu(DiscreteGpu(0)))>", Some(Claim::Unknown("Cube(Wgpu(DiscreteGpu(0)))".into()))),
        ];
        for (name, expected) in cases {
            assert_eq!(claim(name), expected, "{name}");
        }
    }

    #[test]
    fn this_machine_s_processor_claims_no_board() {
        assert_eq!(claims(&[Device::flex(), Device::flex().autodiff()]), []);
    }
}
