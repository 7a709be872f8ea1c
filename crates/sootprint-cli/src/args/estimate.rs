//! `sootprint estimate` and `sootprint grid`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use sootprint::{CarbonIntensity, Place, Pue};

use super::parsers::{parse_intensity, parse_pue};

/// Estimate the footprint of a training that nobody measured.
///
/// The estimate is of the named devices only, at the most that they draw unless --power says otherwise. Its range is in
/// the result.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct EstimateArgs {
    /// The device by its name or its driver's, as in `NVIDIA A100-SXM4-80GB`; with --power any name.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) hardware: String,

    /// Wall time of each device in hours.
    #[arg(long, value_name = "H", allow_negative_numbers = true)]
    pub(crate) hours: f64,

    /// How many devices there were.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) count: u32,

    /// What each device drew in the mean, in watts.
    #[arg(long, value_name = "WATTS", allow_negative_numbers = true)]
    pub(crate) power: Option<f64>,

    /// What the facility used per unit of its computers' energy, 1 or more.
    #[arg(long, value_name = "N", value_parser = parse_pue)]
    pub(crate) pue: Option<Pue>,

    /// Where it was: a country, a state or province, or a cloud's region, as in France, US-VA or aws:us-east-1.
    #[arg(long)]
    pub(crate) place: Option<Place>,

    /// The carbon intensity of the electricity in grams of CO2e per kilowatt-hour.
    #[arg(long, value_name = "G_PER_KWH", value_parser = parse_intensity, conflicts_with = "place")]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// The year of the training; else this year's figures are taken.
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1990..=2100))]
    pub(crate) year: Option<u16>,

    /// As the JSON of a footprint.json.
    #[arg(long)]
    pub(crate) json: bool,
}

const HELP: &str = "\
Examples:
  sootprint estimate --hardware A100-SXM4-80GB --count 8 --hours 24
  sootprint estimate --hardware H200 --hours 24 --place gcp:europe-west4 --json

Where the arguments leave it open, the place, the intensity and the PUE are
those of SOOTPRINT_PLACE, SOOTPRINT_INTENSITY, SOOTPRINT_PUE and sootprint.toml.
Neither the machine's cloud nor its time zone are asked: the training need not
have been here.";

/// Show what a place's electricity emits, with its source, its year and what it counts.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  sootprint grid aws:us-east-1\n  sootprint grid \"Quebec, Canada\" --json"
)]
pub(crate) struct GridArgs {
    /// A country, a state or province, a subregion of the United States' grid, or a cloud's region.
    pub(crate) place: Place,

    /// The figure for this year, or for the nearest that has one; else for this year.
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1990..=2100))]
    pub(crate) year: Option<u16>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
