//! `sootprint estimate`: the footprint of a training that nobody measured.

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use sootprint::{Accelerator, AcceleratorError, Estimate, EstimateError, Power};

use crate::args::{CliArgs, EstimateArgs};
use crate::terminal::{print, print_titled};

/// Prints the estimate.
pub(crate) fn print_estimate(arguments: &EstimateArgs) -> anyhow::Result<()> {
    let device = accelerator(arguments).unwrap_or_else(|error| exit_with_usage_error(&error));
    let mut estimate = Estimate::new(device, arguments.hours, arguments.count)
        .unwrap_or_else(|error| exit_with_usage_error(&error));
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
fn accelerator(arguments: &EstimateArgs) -> Result<Accelerator, AcceleratorError> {
    match arguments.power {
        Some(watts) => Accelerator::with_power(arguments.hardware.as_str(), Power::from_watts(watts)),
        None => Accelerator::from_name(&arguments.hardware),
    }
}

/// Ends as after any wrong argument: what is one depends on the others here.
fn exit_with_usage_error(error: &dyn std::error::Error) -> ! {
    CliArgs::command().error(ErrorKind::ValueValidation, error).exit()
}
