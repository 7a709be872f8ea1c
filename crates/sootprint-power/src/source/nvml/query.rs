//! The NVML queries for energy and power, and the choice of the best one.

use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::{DeviceArchitecture, SampleValue};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use sootprint_core::{Energy, Power};

use super::super::{MeasurementMethod, SensorReading};

/// The window of an averaged reading, as NVIDIA documents it. Readings at this interval tile.
pub(super) const MEAN_POWER_WINDOW: Duration = Duration::from_secs(1);

/// A query for the energy or power of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NvmlQuery {
    Counter,
    InstantPower,
    /// `nvmlDeviceGetPowerUsage` where it is instantaneous: before Ampere, and on GA100.
    PowerUsage,
    /// `nvmlDeviceGetPowerUsage` where it is a one-second mean: on Ampere and later.
    MeanPower,
}

impl NvmlQuery {
    /// The first query that the GPU supports.
    ///
    /// # Errors
    /// The error of the last query if it supports none.
    pub(super) fn first_supported(device: &Device<'_>) -> Result<Self, NvmlError> {
        for query in [Self::Counter, Self::InstantPower] {
            if query.read(device).is_ok() {
                return Ok(query);
            }
        }
        let query = if reports_average_power(device) { Self::MeanPower } else { Self::PowerUsage };
        query.read(device).map(|_| query)
    }

    pub(super) fn read(self, device: &Device<'_>) -> Result<SensorReading, NvmlError> {
        Ok(match self {
            Self::Counter => {
                SensorReading::Counter(Energy::from_millijoules(device.total_energy_consumption()?))
            }
            Self::InstantPower => SensorReading::Instant(instant_power(device)?),
            Self::PowerUsage => SensorReading::Instant(Power::from_milliwatts(device.power_usage()?)),
            Self::MeanPower => SensorReading::Averaged {
                mean: Power::from_milliwatts(device.power_usage()?),
                window: Some(MEAN_POWER_WINDOW),
            },
        })
    }

    pub(super) fn method(self) -> MeasurementMethod {
        match self {
            Self::Counter => MeasurementMethod::Counter,
            Self::InstantPower | Self::PowerUsage | Self::MeanPower => MeasurementMethod::Integrated,
        }
    }
}

/// The current power, or the best approximation that the GPU reports.
pub(super) fn current_power(device: &Device<'_>) -> Option<Power> {
    instant_power(device).or_else(|_| device.power_usage().map(Power::from_milliwatts)).ok()
}

/// Whether `nvmlDeviceGetPowerUsage` is a one-second mean: according to its documentation, on Ampere and later
/// except GA100. An unknown architecture is assumed to be later.
fn reports_average_power(device: &Device<'_>) -> bool {
    const INSTANT_POWER_ARCHITECTURES: [DeviceArchitecture; 5] = [
        DeviceArchitecture::Kepler,
        DeviceArchitecture::Maxwell,
        DeviceArchitecture::Pascal,
        DeviceArchitecture::Volta,
        DeviceArchitecture::Turing,
    ];
    /// The products with a GA100, by their names in the driver.
    const GA100_PRODUCTS: [&str; 3] = ["A100", "A800", "A30"];

    let is_ga100 = |name: String| name.split([' ', '-']).any(|word| GA100_PRODUCTS.contains(&word));
    match device.architecture() {
        Ok(generation) => {
            !INSTANT_POWER_ARCHITECTURES.contains(&generation) && !device.name().is_ok_and(is_ga100)
        }
        Err(_) => true,
    }
}

/// `NVML_FI_DEV_POWER_INSTANT` in milliwatts, available since driver 530.
fn instant_power(device: &Device<'_>) -> Result<Power, NvmlError> {
    let field = device
        .field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?
        .pop()
        .ok_or(NvmlError::NotSupported)??;
    match field.value? {
        SampleValue::U32(milliwatts) => Ok(Power::from_milliwatts(milliwatts)),
        SampleValue::U64(milliwatts) => {
            u32::try_from(milliwatts).map(Power::from_milliwatts).map_err(|_| NvmlError::Unknown)
        }
        SampleValue::F64(_) | SampleValue::I64(_) => Err(NvmlError::Unknown),
    }
}
