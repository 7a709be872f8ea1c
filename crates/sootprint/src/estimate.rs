//! Estimates the footprint of a training that was not measured, from its hardware and duration.
//!
//! An estimate is built from ledger entries like any other footprint. All devices are one component, because there may
//! be ten thousand.

use jiff::Timestamp;
use sootprint_core::{
    CarbonIntensity, ComponentKind, Energy, Footprint, MeasurementMethod, Place, Power, Pue, RunStatus,
};
use sootprint_power::{Accelerator, ComponentInfo, ComponentTotal, SensorTolerance};

use crate::footprint::FootprintBuilder;
use crate::ledger::{LedgerEntry, ProcessInfo, RunHeader, SCHEMA};
use crate::settings::{ProcessEnv, RunArguments, RunSettings, SettingError};

/// A million devices for a century. A larger value is a mistake in the unit.
const MAX_DEVICE_HOURS: f64 = 1e12;

const SECONDS_PER_HOUR: f64 = 3_600.0;

/// The run id of an estimate.
const ESTIMATE_RUN_ID: &str = "estimate";

/// An estimated footprint: hardware power × hours × PUE × carbon intensity.
///
/// The estimate covers the given devices only, without CPUs and memory.
///
/// ```
/// use sootprint::{CarbonIntensity, Accelerator, Estimate, Power, Pue};
///
/// // LLaMA-7B: its authors published 36 MWh and 14 t.
/// let device = Accelerator::with_power("A100-80GB", Power::from_watts(400.0))?;
/// let footprint = Estimate::new(device, 82_432.0, 1)?
///     .pue(Pue::new(1.1)?)
///     .intensity(CarbonIntensity::try_from_grams_per_kilowatt_hour(385.0)?)
///     .footprint()?;
/// assert_eq!((footprint.energy.facility.kilowatt_hours() / 1e3).round(), 36.0);
/// assert_eq!((footprint.emissions.best.grams() / 1e6).round(), 14.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Estimate {
    accelerator: Accelerator,
    hours: f64,
    count: u32,
    arguments: RunArguments,
}

impl Estimate {
    /// Creates an estimate for `count` devices, each used for `hours` of wall time.
    ///
    /// # Errors
    /// [`EstimateError`] if `hours` is not greater than 0 or is implausibly large, or if `count` is 0.
    pub fn new(accelerator: Accelerator, hours: f64, count: u32) -> Result<Self, EstimateError> {
        if count == 0 {
            return Err(EstimateError::NoDevices);
        }
        if hours > 0.0 && hours * f64::from(count) <= MAX_DEVICE_HOURS {
            Ok(Self { accelerator, hours, count, arguments: RunArguments::default() })
        } else {
            Err(EstimateError::InvalidHours { hours })
        }
    }

    /// Sets the place of the training. The default is `SOOTPRINT_PLACE` or a `sootprint.toml`, otherwise unknown. The
    /// cloud's metadata service and the time zone are not used, because the training may have run on another machine.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.arguments.place = Some(place);
        self
    }

    /// Sets the carbon intensity of the electricity, replacing the figure of the place.
    #[must_use]
    pub fn intensity(mut self, intensity: CarbonIntensity) -> Self {
        self.arguments.intensity = Some(intensity);
        self
    }

    /// Sets the PUE of the facility. The default is the PUE of the settings, otherwise that of the cloud region,
    /// otherwise 1.0 with an upper bound of 1.56.
    #[must_use]
    pub fn pue(mut self, pue: Pue) -> Self {
        self.arguments.pue = Some(pue);
        self
    }

    /// Sets the year of the training, which selects the carbon intensity. The default is the current year.
    #[must_use]
    pub fn year(mut self, year: u16) -> Self {
        self.arguments.year = Some(year);
        self
    }

    /// Returns the footprint, with the same fields as the footprint of a measured run. Its components are modelled, and
    /// a note states this.
    ///
    /// # Errors
    /// [`EstimateError::Setting`] if an environment variable or a settings file is invalid.
    pub fn footprint(self) -> Result<Footprint, EstimateError> {
        self.footprint_with_env(&ProcessEnv::current())
    }

    fn footprint_with_env(self, env: &ProcessEnv) -> Result<Footprint, EstimateError> {
        let Self { accelerator, hours, count, arguments } = self;
        let started = match arguments.year {
            Some(year) => format!("{year:04}-01-01T00:00:00Z"),
            None => Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        let mut settings = RunSettings::resolve(arguments, &env.clone().without_time_zone());
        if !settings.errors.is_empty() {
            return Err(settings.errors.swap_remove(0).into());
        }
        let hardware = format!("{count} x {}", accelerator.name());
        let mut builder = FootprintBuilder::new(Box::new(RunHeader {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: ESTIMATE_RUN_ID.to_owned(),
            training_type: None,
            base_model: None,
            started,
            grid: settings.grid,
            pue: settings.pue,
            components: vec![estimated_component(&accelerator, count, &hardware)],
            gaps: Vec::new(),
            pending_drivers: Vec::new(),
            task: ProcessInfo::default(),
        }));
        builder.add_note(format!(
            "nothing was measured: modelled from {hardware} at {} each for {hours} h; the dates of the training are unknown",
            accelerator.power()
        ));
        builder.apply(LedgerEntry::Devices {
            at: 0.0,
            components: vec![0],
            unresolved: Vec::new(),
            found: Vec::new(),
        });
        let total = estimated_total(&accelerator, hours, count);
        builder.apply(LedgerEntry::End {
            at: total.measured,
            outcome: RunStatus::Completed,
            totals: vec![total],
        });
        Ok(Footprint { hardware, ..builder.footprint(RunStatus::Completed) })
    }
}

/// All devices as one component.
fn estimated_component(accelerator: &Accelerator, count: u32, hardware: &str) -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Gpu,
        id: ESTIMATE_RUN_ID.to_owned(),
        name: if count == 1 { accelerator.name().to_owned() } else { hardware.to_owned() },
        method: MeasurementMethod::Modelled,
        limit: accelerator.limit().map(|limit| limit * f64::from(count)),
        assumed_limit: None,
        min_power: None,
        includes: Vec::new(),
        share: 1.0,
        tolerance: SensorTolerance::default(),
        gpu: None,
        note: Some(accelerator.note().to_owned()),
    }
}

fn estimated_total(accelerator: &Accelerator, hours: f64, count: u32) -> ComponentTotal {
    let seconds = hours * SECONDS_PER_HOUR;
    let energy = |power: Power| Energy::from_joules(power.watts() * f64::from(count) * seconds);
    ComponentTotal {
        energy: energy(accelerator.power()),
        low: energy(accelerator.bounds().0),
        high: energy(accelerator.bounds().1),
        measured: seconds,
        ..ComponentTotal::default()
    }
}

/// Why a footprint cannot be estimated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// The duration is not positive, or implausibly large.
    #[error(
        "invalid duration {hours} h: must be greater than 0, and at most {MAX_DEVICE_HOURS:e} h for all devices together"
    )]
    InvalidHours {
        /// The given hours per device.
        hours: f64,
    },
    /// The number of devices is 0.
    #[error("invalid number of devices 0: must be at least 1")]
    NoDevices,
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

#[cfg(test)]
mod tests;
