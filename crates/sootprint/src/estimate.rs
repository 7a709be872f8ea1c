//! The footprint of a training that nobody measured, from its hardware and its hours.

use std::time::Duration;

use jiff::Timestamp;
use sootprint_core::{CarbonIntensity, Energy, Footprint, Kind, Method, Outcome, Place, Power, Pue};
use sootprint_power::{Component, Hardware, Tolerance, Total};

use crate::footprint::Fold;
use crate::ledger::{Entry, Opened, SCHEMA, Task};
use crate::settings::{Arguments, Machine, SettingError, Settings};

/// A million devices for a century: whoever asks for more made a mistake of units.
const MOST_HOURS: f64 = 1e12;

/// The id of a run that was not measured.
const RUN: &str = "estimate";

/// What a training used, modelled after it: power of the hardware × hours × PUE × carbon intensity.
///
/// The estimate is of the named devices only: not of the processors and the memory beside them.
///
/// ```
/// use sootprint::{CarbonIntensity, Hardware, Estimate, Power, Pue};
///
/// // LLaMA-7B, as its authors reckoned: 36 MWh and 14 t.
/// let device = Hardware::drawing("A100-80GB", Power::from_watts(400.0))?;
/// let footprint = Estimate::new(device, 82_432.0, 1)?
///     .pue(Pue::new(1.1)?)
///     .intensity(CarbonIntensity::given(385.0)?)
///     .footprint()?;
/// assert_eq!((footprint.energy.facility.kilowatt_hours() / 1e3).round(), 36.0);
/// assert_eq!((footprint.emissions.best.grams() / 1e6).round(), 14.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Estimate {
    device: Hardware,
    hours: f64,
    count: u32,
    arguments: Arguments,
}

impl Estimate {
    /// So many devices, each for so many hours of wall time.
    ///
    /// # Errors
    /// [`EstimateError`] for hours that are not more than none, and for no device.
    pub fn new(device: Hardware, hours: f64, count: u32) -> Result<Self, EstimateError> {
        if count == 0 {
            return Err(EstimateError::NoDevice);
        }
        if hours > 0.0 && hours * f64::from(count) <= MOST_HOURS {
            Ok(Self { device, hours, count, arguments: Arguments::default() })
        } else {
            Err(EstimateError::Hours { hours })
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
        self.footprint_on(&Machine::here())
    }

    fn footprint_on(self, machine: &Machine) -> Result<Footprint, EstimateError> {
        let Self { device, hours, count, arguments } = self;
        let started = match arguments.year {
            Some(year) => format!("{year:04}-01-01T00:00:00Z"),
            None => Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        let mut settings = Settings::resolve(arguments, &machine.clone().elsewhere());
        if !settings.problems.is_empty() {
            return Err(settings.problems.swap_remove(0).into());
        }
        let hardware = format!("{count} x {}", device.name());
        let mut fold = Fold::new(Box::new(Opened {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: RUN.to_owned(),
            training_type: None,
            base_model: None,
            started,
            grid: settings.grid,
            pue: settings.pue,
            components: vec![component(&device, count, &hardware)],
            gaps: Vec::new(),
            task: Task::default(),
        }));
        fold.note(format!(
            "nothing was measured: modelled from {hardware} at {} each for {hours} h and from nothing else; when it ran \
             is not known",
            device.power()
        ));
        fold.apply(Entry::Claimed { at: 0.0, components: vec![0], unresolved: Vec::new() });
        let total = total(&device, hours, count);
        fold.apply(Entry::Closed { at: total.measured, outcome: Outcome::Completed, totals: vec![total] });
        Ok(Footprint { hardware, ..fold.footprint(Outcome::Completed) })
    }
}

/// All devices together: there may be thousands.
fn component(device: &Hardware, count: u32, hardware: &str) -> Component {
    Component {
        kind: Kind::Gpu,
        id: RUN.to_owned(),
        name: if count == 1 { device.name().to_owned() } else { hardware.to_owned() },
        method: Method::Modelled,
        limit: device.limit().map(|limit| limit * f64::from(count)),
        share: 1.0,
        tolerance: Tolerance::default(),
        board: None,
        note: Some(device.note().to_owned()),
    }
}

fn total(device: &Hardware, hours: f64, count: u32) -> Total {
    let seconds = hours * Duration::from_secs(3_600).as_secs_f64();
    let energy = |power: Power| Energy::from_joules(power.watts() * f64::from(count) * seconds);
    Total {
        energy: energy(device.power()),
        low: energy(device.bounds().0),
        high: energy(device.bounds().1),
        measured: seconds,
        ..Total::default()
    }
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// A training takes time.
    #[error("{hours} hours are no length of a training; give the wall time of a device, more than 0")]
    Hours {
        /// What was given.
        hours: f64,
    },
    /// A training takes hardware.
    #[error("a training takes one device at least")]
    NoDevice,
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

#[cfg(test)]
mod tests;
