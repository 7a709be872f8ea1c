//! The footprint of a training that nobody measured, from its hardware and its hours.

use std::time::Duration;

use jiff::Timestamp;
use sootprint_core::{
    CarbonIntensity, ComponentKind, Energy, Footprint, MeasurementMethod, Place, Power, Pue, RunStatus,
};
use sootprint_power::{Accelerator, ComponentInfo, ComponentTotal, SensorTolerance};

use crate::footprint::FootprintBuilder;
use crate::ledger::{LedgerEntry, ProcessInfo, RunHeader, SCHEMA};
use crate::settings::{ProcessEnv, RunArguments, RunSettings, SettingError};

/// A million devices for a century: whoever asks for more made a mistake of units.
const MAX_DEVICE_HOURS: f64 = 1e12;

/// The id of a run that was not measured.
const ESTIMATE_RUN_ID: &str = "estimate";

/// What a training used, modelled after it: power of the hardware × hours × PUE × carbon intensity.
///
/// The estimate is of the named devices only: not of the processors and the memory beside them.
///
/// ```
/// use sootprint::{CarbonIntensity, Accelerator, Estimate, Power, Pue};
///
/// // LLaMA-7B, as its authors reckoned: 36 MWh and 14 t.
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
    /// So many devices, each for so many hours of wall time.
    ///
    /// # Errors
    /// [`EstimateError`] for hours that are not more than none, and for no device.
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

    /// Where it was; else `SOOTPRINT_PLACE` or a `sootprint.toml` says it, else it is unknown. Neither the machine's cloud
    /// nor its time zone are asked: the training need not have been here.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.arguments.place = Some(place);
        self
    }

    /// The carbon intensity of the electricity, instead of a table's figure for the place.
    #[must_use]
    pub fn intensity(mut self, intensity: CarbonIntensity) -> Self {
        self.arguments.intensity = Some(intensity);
        self
    }

    /// What the facility added; else the settings say it, else the provider of the cloud's region, else 1.0 is assumed, up
    /// to 1.56.
    #[must_use]
    pub fn pue(mut self, pue: Pue) -> Self {
        self.arguments.pue = Some(pue);
        self
    }

    /// The year of the training, whose figure for the place is taken; else this year's.
    #[must_use]
    pub fn year(mut self, year: u16) -> Self {
        self.arguments.year = Some(year);
        self
    }

    /// The footprint, as a measured run has one; its figures are modelled, and its notes say so.
    ///
    /// # Errors
    /// [`EstimateError::Setting`] when a variable or a settings file is wrong.
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
            task: ProcessInfo::default(),
        }));
        builder.add_note(format!(
            "nothing was measured: modelled from {hardware} at {} each for {hours} h and from nothing else; when it ran \
             is not known",
            accelerator.power()
        ));
        builder.apply(LedgerEntry::Devices { at: 0.0, components: vec![0], unresolved: Vec::new() });
        let total = estimated_total(&accelerator, hours, count);
        builder.apply(LedgerEntry::End {
            at: total.measured,
            outcome: RunStatus::Completed,
            totals: vec![total],
        });
        Ok(Footprint { hardware, ..builder.footprint(RunStatus::Completed) })
    }
}

/// All devices together: there may be thousands.
fn estimated_component(accelerator: &Accelerator, count: u32, hardware: &str) -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Gpu,
        id: ESTIMATE_RUN_ID.to_owned(),
        name: if count == 1 { accelerator.name().to_owned() } else { hardware.to_owned() },
        method: MeasurementMethod::Modelled,
        limit: accelerator.limit().map(|limit| limit * f64::from(count)),
        share: 1.0,
        tolerance: SensorTolerance::default(),
        gpu: None,
        note: Some(accelerator.note().to_owned()),
    }
}

fn estimated_total(accelerator: &Accelerator, hours: f64, count: u32) -> ComponentTotal {
    let seconds = hours * Duration::from_secs(3_600).as_secs_f64();
    let energy = |power: Power| Energy::from_joules(power.watts() * f64::from(count) * seconds);
    ComponentTotal {
        energy: energy(accelerator.power()),
        low: energy(accelerator.bounds().0),
        high: energy(accelerator.bounds().1),
        measured: seconds,
        ..ComponentTotal::default()
    }
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// A training takes time.
    #[error("{hours} hours are no length of a training; give the wall time of a device, more than 0")]
    InvalidHours {
        /// What was given.
        hours: f64,
    },
    /// A training takes hardware.
    #[error("a training takes one device at least")]
    NoDevices,
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

#[cfg(test)]
mod tests;
