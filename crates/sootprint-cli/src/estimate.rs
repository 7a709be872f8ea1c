//! `sootprint estimate`: the footprint of a training that nobody measured.

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use sootprint::{Estimate, EstimateError, Hardware, HardwareError, Power};

use crate::arguments::{Arguments, EstimateArguments};
use crate::terminal::{print, print_titled};

/// Prints the estimate.
pub(crate) fn estimate(arguments: &EstimateArguments) -> anyhow::Result<()> {
    let device = device(arguments).unwrap_or_else(|error| refuse(&error));
    let mut estimate =
        Estimate::new(device, arguments.hours, arguments.count).unwrap_or_else(|error| refuse(&error));
    if let Some(place) = arguments.place {
        estimate = estimate.place(place);
    }
    if let Some(intensity) = arguments.intensity {
        estimate = estimate.intensity(intensity);
    }
    if let Some(pue) = arguments.pue {
        estimate = estimate.pue(pue);
    }
    if let Some(year) = arguments.year {
        estimate = estimate.year(year);
    }
    let footprint = estimate.footprint().map_err(|error: EstimateError| anyhow::anyhow!(error))?;
    if arguments.json {
        print(&footprint.to_json()?)?;
    } else {
        print_titled(&footprint.to_string())?;
    }
    Ok(())
}

/// With a power the name is free.
fn device(arguments: &EstimateArguments) -> Result<Hardware, HardwareError> {
    match arguments.power {
        Some(watts) => Hardware::drawing(arguments.hardware.as_str(), Power::from_watts(watts)),
        None => Hardware::named(&arguments.hardware),
    }
}

/// Ends as after any wrong argument: what is one depends on the others here.
fn refuse(error: &dyn std::error::Error) -> ! {
    Arguments::command().error(ErrorKind::ValueValidation, error).exit()
}
