//! The plot next to a card: power over time with the epochs marked, and energy by component.

mod bars;
mod canvas;
mod curve;

use plotters::prelude::*;
use sootprint_core::format::significant_digits;
use sootprint_core::{Footprint, MeasurementMethod};

use bars::{BAR_HEIGHT, EnergyBar, draw_bars};
use canvas::{
    BoxedError, MEASURED_COLOR, MIXED_COLOR, MODELLED_COLOR, MUTED_COLOR, PLOT_SIZE, PlotArea, TEXT_COLOR,
    TextAnchor, draw_text, encode_png, register_plot_font, truncate_text,
};
use curve::{PowerCurve, draw_curve};

/// Why a plot could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("cannot render the plot")]
pub struct PlotError(#[source] BoxedError);

/// The height of the title in pixels.
const TITLE_HEIGHT: u32 = 84;

/// The space around the bars in pixels.
const BARS_MARGIN: u32 = 84;

/// Returns the plot of a run as a PNG: power over time with the epochs marked, and energy by component. `None` if the
/// footprint has no power curve.
///
/// Measured and modelled energy have different colours. The curve is the sum of both, and the subtitle states the
/// modelled share. GPUs are numbered `gpu0`, `gpu1` and so on, because their UUIDs are not published.
///
/// ```
/// # let footprint = sootprint_core::Footprint::from_json(include_str!("../tests/sample.json"))?;
/// let png = sootprint_report::render_plot(&footprint)?.expect("the footprint has a power curve");
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PlotError`] if the plot cannot be rendered.
pub fn render_plot(footprint: &Footprint) -> Result<Option<Vec<u8>>, PlotError> {
    let Some(curve) = PowerCurve::from_footprint(footprint) else { return Ok(None) };
    draw_plot(footprint, &curve).map(Some).map_err(PlotError)
}

fn draw_plot(footprint: &Footprint, curve: &PowerCurve) -> Result<Vec<u8>, BoxedError> {
    register_plot_font()?;
    let bars = EnergyBar::from_footprint(footprint);
    let mut pixels = vec![0; PLOT_SIZE.0 as usize * PLOT_SIZE.1 as usize * 3];
    {
        let whole = BitMapBackend::with_buffer(&mut pixels, PLOT_SIZE).into_drawing_area();
        whole.fill(&WHITE)?;
        let (title_area, below) = whole.split_vertically(TITLE_HEIGHT);
        // At most half of the plot: the number of bars is limited.
        let height = BARS_MARGIN + BAR_HEIGHT * u32::try_from(bars.len())?;
        let (curve_area, bars_area) = below.split_vertically(PLOT_SIZE.1 - TITLE_HEIGHT - height);
        draw_title(&title_area, footprint)?;
        draw_curve(&curve_area, curve, curve_color(footprint))?;
        draw_bars(&bars_area, &bars)?;
        whole.present()?;
    }
    encode_png(&pixels)
}

/// The colour of the curve, which is the sum of all components: a third colour if only some were measured.
fn curve_color(footprint: &Footprint) -> RGBColor {
    let is_modelled = |method: MeasurementMethod| method == MeasurementMethod::Modelled;
    let mut methods = footprint.components.iter().filter_map(|component| component.method);
    match (methods.clone().any(is_modelled), methods.any(|method| !is_modelled(method))) {
        (true, true) => MIXED_COLOR,
        (true, false) => MODELLED_COLOR,
        (false, _) => MEASURED_COLOR,
    }
}

/// The figures of the run, and the share of its energy that is modelled.
fn draw_title(area: &PlotArea<'_>, footprint: &Footprint) -> Result<(), BoxedError> {
    let energy = &footprint.energy;
    let title = format!(
        "{}: {} and {} CO2e",
        truncate_text(&footprint.hardware, 50),
        energy.facility,
        footprint.emissions.best
    );
    draw_text(area, &title, (24, 14), 30, &TEXT_COLOR, TextAnchor::TOP_LEFT)?;
    let modelled: f64 = footprint
        .components
        .iter()
        .filter(|component| component.method == Some(MeasurementMethod::Modelled))
        .map(|component| component.energy.joules())
        .sum();
    let part =
        significant_digits(100.0 * modelled / energy.total.joules()).filter(|_| energy.total.joules() > 0.0);
    let subtitle = match part.as_deref() {
        Some("0") => "Hardware power (all energy measured)".to_owned(),
        Some("100") => "Hardware power (all energy modelled, none measured)".to_owned(),
        Some(part) => format!("Hardware power ({part} % of the energy modelled, the rest measured)"),
        None => "Hardware power".to_owned(),
    };
    draw_text(area, &subtitle, (24, 52), 21, &MUTED_COLOR, TextAnchor::TOP_LEFT)
}

#[cfg(test)]
mod tests;
