//! `sootprint estimate` and `sootprint grid`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use sootprint::{CarbonIntensity, Place, Pue};

use super::parsers::{parse_intensity, parse_pue};

/// Estimate the footprint of a training that was not measured.
///
/// Counts the given devices only, at 75 % of their rated power unless --power or --busy is set, or their draw in trainings
/// is known. The result includes a range.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct EstimateArgs {
    /// The device, such as `NVIDIA A100-SXM4-80GB`; any name if --power is set.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) hardware: String,

    /// Wall time of each device, in hours.
    #[arg(long, value_name = "H", allow_negative_numbers = true)]
    pub(crate) hours: f64,

    /// Number of devices.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) count: u32,

    /// Mean power of each device, in watts.
    #[arg(long, value_name = "WATTS", allow_negative_numbers = true)]
    pub(crate) power: Option<f64>,

    /// Assume that the training keeps the devices busy: 80 % of their rated power, at least about 60 %.
    #[arg(long, conflicts_with = "power")]
    pub(crate) busy: bool,

    /// Power usage effectiveness of the data centre, 1 or more.
    #[arg(long, value_name = "N", value_parser = parse_pue)]
    pub(crate) pue: Option<Pue>,

    /// Location: a country, state, province or cloud region, as in France, US-VA or aws:us-east-1.
    #[arg(long)]
    pub(crate) place: Option<Place>,

    /// Carbon intensity of the electricity, in grams of CO2e per kilowatt-hour.
    #[arg(long, value_name = "G_PER_KWH", value_parser = parse_intensity, conflicts_with = "place")]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// Year of the training [default: the current year].
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1990..=2100))]
    pub(crate) year: Option<u16>,

    /// Print JSON in the format of footprint.json.
    #[arg(long)]
    pub(crate) json: bool,
}

const HELP: &str = "\
Examples:
  sootprint estimate --hardware A100-SXM4-80GB --count 8 --hours 24
  sootprint estimate --hardware H200 --hours 24 --place gcp:europe-west4 --json

If not given, the place, the intensity and the PUE are read from
SOOTPRINT_PLACE, SOOTPRINT_INTENSITY, SOOTPRINT_PUE and sootprint.toml.
The cloud metadata and the time zone of this machine are not used, because
the training may have run elsewhere.";

/// Show the carbon intensity of a place's electricity.
///
/// The result includes the source, the year and which emissions are counted, and for a cloud region its PUE.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  sootprint grid aws:us-east-1\n  sootprint grid \"Quebec, Canada\" --json"
)]
pub(crate) struct GridArgs {
    /// A country, state, province, US grid subregion or cloud region.
    pub(crate) place: Place,

    /// Use the figure of this year, or of the nearest year that has one [default: the current year].
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1990..=2100))]
    pub(crate) year: Option<u16>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
