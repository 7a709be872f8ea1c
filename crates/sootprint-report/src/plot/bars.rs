//! Energy by component as bars: measured and modelled energy in different colours, bounds as lines.

use plotters::prelude::*;
use sootprint_core::{ComponentKind, ComponentSummary, Energy, Footprint, MeasurementMethod};

use crate::plot::canvas::{
    BoxedError, MEASURED_COLOR, MODELLED_COLOR, MUTED_COLOR, PLOT_SIZE, PlotArea, TEXT_COLOR, TextAnchor,
    draw_text, truncate_text,
};

/// The height of a bar and the space around it, in pixels.
pub(crate) const BAR_HEIGHT: u32 = 38;

/// With more components than this, those of the same kind, name and method share a bar.
const MAX_UNGROUPED_BARS: usize = 8;

/// The maximum number of bars, so that enough space is left for the curve. Further ones are not drawn.
const MAX_BARS: usize = 10;

/// The left end of the bars in pixels.
const BARS_LEFT: i32 = 330;

/// The space to the right of the longest bar, in pixels.
const BARS_RIGHT_MARGIN: i32 = 250;

/// The space above the first bar, in pixels.
const BARS_TOP: i32 = 54;

/// The bar of one component, or of several of the same kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EnergyBar {
    pub(crate) name: String,
    pub(crate) method: Option<MeasurementMethod>,
    pub(crate) energy: Energy,
    pub(crate) low: Energy,
    pub(crate) high: Energy,
}

impl EnergyBar {
    pub(crate) fn from_footprint(footprint: &Footprint) -> Vec<Self> {
        let mut gpu_count = 0;
        let mut bars: Vec<(usize, &ComponentSummary, Self)> = Vec::new();
        let are_few = footprint.components.len() <= MAX_UNGROUPED_BARS;
        for component in &footprint.components {
            let label = match component.kind {
                ComponentKind::Gpu => {
                    gpu_count += 1;
                    format!("gpu{}", gpu_count - 1)
                }
                kind => kind.name().to_owned(),
            };
            let alike = |other: &ComponentSummary| {
                (other.kind, &other.name, other.method) == (component.kind, &component.name, component.method)
            };
            match bars.iter_mut().find(|(_, other, _)| !are_few && alike(other)) {
                Some((count, _, bar)) => {
                    *count += 1;
                    bar.energy += component.energy;
                    bar.low += component.low;
                    bar.high += component.high;
                    bar.name = format!("{count} x {}", component.name);
                }
                None => bars.push((
                    1,
                    component,
                    Self {
                        name: format!("{label} ({})", component.name),
                        method: component.method,
                        energy: component.energy,
                        low: component.low,
                        high: component.high,
                    },
                )),
            }
        }
        let mut bars: Vec<Self> = bars.into_iter().map(|(_, _, bar)| bar).collect();
        bars.truncate(MAX_BARS);
        bars
    }
}

pub(crate) fn draw_bars(area: &PlotArea<'_>, bars: &[EnergyBar]) -> Result<(), BoxedError> {
    draw_text(area, "Energy by component", (24, 8), 23, &TEXT_COLOR, TextAnchor::TOP_LEFT)?;
    draw_legend(area, bars)?;
    let max_joules = bars.iter().map(|bar| bar.high.joules().max(bar.energy.joules())).fold(0.0, f64::max);
    let max_width = f64::from(PLOT_SIZE.0) - f64::from(BARS_LEFT + BARS_RIGHT_MARGIN);
    let x = |energy: Energy| {
        let part = if max_joules > 0.0 { (energy.joules() / max_joules).clamp(0.0, 1.0) } else { 0.0 };
        // The cast is safe: a whole number of at most some hundred pixels.
        BARS_LEFT + (part * max_width).round() as i32
    };
    for (row, bar) in (0..).zip(bars) {
        let middle = BARS_TOP + row * BAR_HEIGHT as i32 + BAR_HEIGHT as i32 / 2;
        draw_text(
            area,
            &truncate_text(&bar.name, 30),
            (BARS_LEFT - 14, middle),
            20,
            &TEXT_COLOR,
            TextAnchor::MIDDLE_RIGHT,
        )?;
        let Some(method) = bar.method else {
            draw_text(
                area,
                "not measured",
                (BARS_LEFT + 4, middle),
                20,
                &MUTED_COLOR,
                TextAnchor::MIDDLE_LEFT,
            )?;
            continue;
        };
        let end = x(bar.energy).max(BARS_LEFT + 2);
        area.draw(&Rectangle::new(
            [(BARS_LEFT, middle - 12), (end, middle + 12)],
            method_color(method).filled(),
        ))?;
        let (low, high) = (x(bar.low), x(bar.high).max(end));
        for line in [
            [(low, middle), (high, middle)],
            [(low, middle - 6), (low, middle + 6)],
            [(high, middle - 6), (high, middle + 6)],
        ] {
            area.draw(&PathElement::new(line, TEXT_COLOR.stroke_width(2)))?;
        }
        let label = format!("{}, {}", bar.energy, method.as_str());
        draw_text(area, &label, (high + 12, middle), 20, &TEXT_COLOR, TextAnchor::MIDDLE_LEFT)?;
    }
    Ok(())
}

/// The meaning of the lines, and of the colours that are used.
fn draw_legend(area: &PlotArea<'_>, bars: &[EnergyBar]) -> Result<(), BoxedError> {
    let has = |is_modelled: bool| {
        bars.iter().any(|bar| {
            bar.method.is_some_and(|method| (method == MeasurementMethod::Modelled) == is_modelled)
        })
    };
    let mut left = BARS_LEFT;
    for (is_modelled, name, width) in [(false, "measured", 120), (true, "modelled", 120)] {
        if has(is_modelled) {
            let color = if is_modelled { MODELLED_COLOR } else { MEASURED_COLOR };
            area.draw(&Rectangle::new([(left, 14), (left + 18, 32)], color.filled()))?;
            draw_text(area, name, (left + 26, 23), 20, &MUTED_COLOR, TextAnchor::MIDDLE_LEFT)?;
            left += width + 20;
        }
    }
    area.draw(&PathElement::new([(left, 23), (left + 26, 23)], TEXT_COLOR.stroke_width(2)))?;
    draw_text(
        area,
        "bounds under stated assumptions",
        (left + 34, 23),
        20,
        &MUTED_COLOR,
        TextAnchor::MIDDLE_LEFT,
    )
}

const fn method_color(method: MeasurementMethod) -> RGBColor {
    match method {
        MeasurementMethod::Modelled => MODELLED_COLOR,
        _ => MEASURED_COLOR,
    }
}
