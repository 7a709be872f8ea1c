//! The range of power that a component can draw. Several drivers are known to report values outside this
//! range.

use sootprint_core::Power;

use crate::accelerator::Accelerator;

/// The least power that a GPU draws unless it is suspended. It is high enough to reject the readings of a
/// driver that reports a thousandth of the power.
pub(super) const MIN_GPU_POWER: Power = Power::from_watts(1.0);

/// The least power that a CPU package or its memory draws. A laptop at rest comes close to it.
pub(super) const MIN_PACKAGE_POWER: Power = Power::from_watts(0.05);

/// More than any GPU of the hardware table draws.
const MAX_GPU_POWER: Power = Power::from_watts(3_000.0);

/// More than any CPU package draws; the largest are specified with 500 W.
pub(super) const MAX_PACKAGE_POWER: Power = Power::from_watts(1_000.0);

/// More than the memory of a CPU package draws: 24 modules of 20 W.
pub(super) const MAX_MEMORY_POWER: Power = Power::from_watts(500.0);

/// Whether a power limit that a driver reports is plausible. Some drivers report 0 W, or the largest number
/// that fits.
pub(super) fn is_gpu_limit(limit: Power) -> bool {
    limit >= MIN_GPU_POWER && limit <= MAX_GPU_POWER
}

/// The limit that is assumed for a GPU whose driver reports none: the upper bound of its model in the
/// hardware table, which is the thermal design power for a figure from the vendor. For an unknown model, more
/// than any GPU draws.
pub(super) fn assumed_gpu_limit(model: &str) -> Power {
    Accelerator::from_name(model).ok().map_or(MAX_GPU_POWER, |known| known.bounds().1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assumed_limit_is_design_power() {
        assert_eq!(assumed_gpu_limit("NVIDIA H100 80GB HBM3"), Power::from_watts(700.0));
        assert_eq!(assumed_gpu_limit("NVIDIA GeForce RTX 3060 Laptop GPU"), Power::from_watts(170.0));
        assert_eq!(assumed_gpu_limit("AMD GPU [1002:744c]"), MAX_GPU_POWER);
    }

    #[test]
    fn absurd_limit_counts_as_unreported() {
        let limits = [0.0, 0.5, 203.0, 3_000.0, 4_294_967.0].map(Power::from_watts);
        assert_eq!(limits.map(is_gpu_limit), [false, false, true, true, false]);
    }
}
