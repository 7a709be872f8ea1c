//! `sootprint estimate`: the footprint of a training that was not measured.

use clap::error::ErrorKind;
use sootprint::{Accelerator, AcceleratorError, Estimate, Power};

use crate::args::{EstimateArgs, exit_with_usage_error};
use crate::error_text::describe_error;
use crate::terminal::{print, print_titled};

/// Prints the estimate.
pub(crate) fn print_estimate(arguments: &EstimateArgs) -> anyhow::Result<()> {
    let device = accelerator(arguments).unwrap_or_else(|error| exit_with_invalid_value(&error));
    let mut estimate = Estimate::new(device, arguments.hours, arguments.count)
        .unwrap_or_else(|error| exit_with_invalid_value(&error));
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
    let footprint = estimate.footprint()?;
    if arguments.json {
        print(&footprint.to_json()?)?;
    } else {
        print_titled(&footprint.to_string())?;
    }
    Ok(())
}

/// Looks up the device by name, unless its power is given.
fn accelerator(arguments: &EstimateArgs) -> Result<Accelerator, AcceleratorError> {
    match arguments.power {
        Some(watts) => Accelerator::with_power(arguments.hardware.as_str(), Power::from_watts(watts)),
        None if arguments.busy => Accelerator::from_name(&arguments.hardware).map(Accelerator::busy),
        None => Accelerator::from_name(&arguments.hardware),
    }
}

/// These arguments can only be validated together, so clap does not reject them.
fn exit_with_invalid_value(error: &dyn std::error::Error) -> ! {
    exit_with_usage_error("estimate", ErrorKind::ValueValidation, &describe_error(error))
}
