//! Power over time as a curve, with the epochs marked.

use plotters::prelude::*;
use sootprint_core::Footprint;
use sootprint_core::format::significant_digits;

use crate::plot::canvas::{
    BoxedError, FONT_NAME, GRID_COLOR, MUTED_COLOR, PlotArea, TEXT_COLOR, TextAnchor, draw_text,
};

/// The maximum number of epoch labels that fit next to each other.
const MAX_EPOCH_LABELS: usize = 16;

/// Larger values are errors and are not drawn: no machine has such a power.
const MAX_PLAUSIBLE_WATTS: f64 = 1e9;

/// The points of the curve and the starts of the epochs, in the units of the axes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PowerCurve {
    /// The end of an interval and the mean power in it.
    segments: Vec<(f64, f64)>,
    /// The start of each epoch, and its number.
    epoch_starts: Vec<(f64, u32)>,
    time_unit: &'static str,
    power_unit: &'static str,
}

impl PowerCurve {
    /// Creates the curve; `None` if no power was recorded.
    pub(crate) fn from_footprint(footprint: &Footprint) -> Option<Self> {
        let mut end = 0.0;
        let mut segments = Vec::new();
        for (at, watts) in footprint.power.iter().copied() {
            if at > end && at.is_finite() && (0.0..=MAX_PLAUSIBLE_WATTS).contains(&watts) {
                segments.push((at, watts));
                end = at;
            }
        }
        let (seconds, time_unit) = match end {
            end if end < 180.0 => (1.0, "s"),
            end if end < 3.0 * 3_600.0 => (60.0, "min"),
            _ => (3_600.0, "h"),
        };
        let highest = segments.iter().map(|(_, watts)| *watts).fold(0.0, f64::max);
        let (watts, power_unit) = if highest < 10_000.0 { (1.0, "W") } else { (1e3, "kW") };
        for (at, power) in &mut segments {
            *at /= seconds;
            *power /= watts;
        }
        let starts = footprint.epochs.iter().filter_map(|epoch| Some((epoch.start_s?, epoch.epoch)));
        let epochs = starts.filter(|(start, _)| (0.0..end).contains(start));
        let epoch_starts = epochs.map(|(start, number)| (start / seconds, number)).collect();
        // A curve of less than a millisecond would show nothing.
        (end > 1e-3).then_some(Self { segments, epoch_starts, time_unit, power_unit })
    }

    fn end_time(&self) -> f64 {
        self.segments.last().map_or(1.0, |(end, _)| *end)
    }

    fn peak_power(&self) -> f64 {
        let highest = self.segments.iter().map(|(_, power)| *power).fold(0.0, f64::max);
        if highest > 0.0 { highest } else { 1.0 }
    }

    /// The power of each interval, from its start to its end.
    fn step_points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let starts = std::iter::once(0.0).chain(self.segments.iter().map(|(end, _)| *end));
        starts.zip(&self.segments).flat_map(|(start, (end, power))| [(start, *power), (*end, *power)])
    }
}

pub(crate) fn draw_curve(area: &PlotArea<'_>, curve: &PowerCurve, color: RGBColor) -> Result<(), BoxedError> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(30)
        .margin_right(30)
        .margin_left(14)
        .x_label_area_size(62)
        .y_label_area_size(92)
        .build_cartesian_2d(0.0..curve.end_time(), 0.0..curve.peak_power() * 1.08)?;
    let label = |value: &f64| significant_digits(*value).unwrap_or_default();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID_COLOR)
        .light_line_style(TRANSPARENT)
        .axis_style(MUTED_COLOR)
        .label_style((FONT_NAME, 20).into_font().color(&TEXT_COLOR))
        .axis_desc_style((FONT_NAME, 20).into_font().color(&MUTED_COLOR))
        .x_labels(10)
        .y_labels(6)
        .x_desc(format!("Time since the start in {}", curve.time_unit))
        .y_desc(format!("Power in {}", curve.power_unit))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()?;
    chart.draw_series(AreaSeries::new(curve.step_points(), 0.0, color.mix(0.16)))?;
    chart.draw_series(LineSeries::new(curve.step_points(), color.stroke_width(2)))?;

    // A line at the start of an epoch. With many epochs, only as many are marked as labels fit.
    let every = curve.epoch_starts.len().div_ceil(MAX_EPOCH_LABELS).max(1);
    for (index, (start, number)) in curve.epoch_starts.iter().enumerate().step_by(every) {
        let line = [(*start, 0.0), (*start, curve.peak_power() * 1.08)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, MUTED_COLOR.stroke_width(1)))?;
        let (x, y) = chart.backend_coord(&line[1]);
        let (left, top) = area.get_base_pixel();
        let name = if index == 0 { format!("epoch {number}") } else { number.to_string() };
        draw_text(area, &name, (x - left, y - top - 3), 19, &MUTED_COLOR, TextAnchor::BOTTOM_CENTER)?;
    }
    Ok(())
}
