//! What a board tells of its energy, and the best of it.

use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::{DeviceArchitecture, SampleValue};
use nvml_wrapper::error::NvmlError as Refusal;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use sootprint_core::{Energy, Power};

use super::super::{Method, Reading};

/// What an averaged reading is the mean of, as NVIDIA documents it. Read once in that time, such readings tile.
pub(super) const MEAN_WINDOW: Duration = Duration::from_secs(1);

/// A query of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Counter,
    InstantPower,
    /// `nvmlDeviceGetPowerUsage` where it is up to the moment: before Ampere, and on GA100.
    Power,
    /// `nvmlDeviceGetPowerUsage` where it is a one-second mean: on Ampere and later.
    MeanPower,
}

impl Probe {
    /// The first query that the board answers.
    ///
    /// # Errors
    /// The refusal of the last query when it answers none.
    pub(super) fn best(device: &Device<'_>) -> Result<Self, Refusal> {
        for probe in [Self::Counter, Self::InstantPower] {
            if probe.read(device).is_ok() {
                return Ok(probe);
            }
        }
        let probe = if averages(device) { Self::MeanPower } else { Self::Power };
        probe.read(device).map(|_| probe)
    }

    pub(super) fn read(self, device: &Device<'_>) -> Result<Reading, Refusal> {
        Ok(match self {
            Self::Counter => Reading::Counter(Energy::from_millijoules(device.total_energy_consumption()?)),
            Self::InstantPower => Reading::Instant(instant_power(device)?),
            Self::Power => Reading::Instant(Power::from_milliwatts(device.power_usage()?)),
            Self::MeanPower => Reading::Averaged {
                mean: Power::from_milliwatts(device.power_usage()?),
                over: Some(MEAN_WINDOW),
            },
        })
    }

    pub(super) fn method(self) -> Method {
        match self {
            Self::Counter => Method::Counter,
            Self::InstantPower | Self::Power | Self::MeanPower => Method::Integrated,
        }
    }
}

/// The power now, or the nearest to it that the board tells.
pub(super) fn power(device: &Device<'_>) -> Option<Power> {
    instant_power(device).or_else(|_| device.power_usage().map(Power::from_milliwatts)).ok()
}

/// Whether `nvmlDeviceGetPowerUsage` is a one-second mean: on Ampere and later but for GA100, says its documentation.
/// A board that does not tell its generation is taken for a later one.
fn averages(device: &Device<'_>) -> bool {
    const INSTANT: [DeviceArchitecture; 5] = [
        DeviceArchitecture::Kepler,
        DeviceArchitecture::Maxwell,
        DeviceArchitecture::Pascal,
        DeviceArchitecture::Volta,
        DeviceArchitecture::Turing,
    ];
    /// The products with a GA100, by the names that the driver gives them.
    const GA100: [&str; 3] = ["A100", "A800", "A30"];

    let is_ga100 = |name: String| name.split([' ', '-']).any(|word| GA100.contains(&word));
    match device.architecture() {
        Ok(generation) => !INSTANT.contains(&generation) && !device.name().is_ok_and(is_ga100),
        Err(_) => true,
    }
}

/// `NVML_FI_DEV_POWER_INSTANT`, in milliwatts, from driver 530 on.
fn instant_power(device: &Device<'_>) -> Result<Power, Refusal> {
    let field = device
        .field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?
        .pop()
        .ok_or(Refusal::NotSupported)??;
    match field.value? {
        SampleValue::U32(milliwatts) => Ok(Power::from_milliwatts(milliwatts)),
        SampleValue::U64(milliwatts) => {
            u32::try_from(milliwatts).map(Power::from_milliwatts).map_err(|_| Refusal::Unknown)
        }
        SampleValue::F64(_) | SampleValue::I64(_) => Err(Refusal::Unknown),
    }
}
