//! Energy by component: what was measured in one colour, what was modelled in another, bounds as lines.

use plotters::prelude::*;
use sootprint_core::{ComponentSummary, Energy, Footprint, Kind, Method};

use super::canvas::{Area, DARK, MEASURED, MODELLED, MUTED, Place, SIZE, text};
use super::{BAR_HEIGHT, Problem, shortened};

/// With more components than these, those of one kind, name and method share a bar.
const MOST_BARS: usize = 8;

/// So that the curve keeps its room; the rest is summed up.
const MOST_GROUPS: usize = 10;

/// Pixels from the left to the bars, and from the longest bar to the right.
const LEFT: i32 = 330;
const RIGHT: i32 = 250;

/// Above the first bar.
const TOP: i32 = 54;

/// One component, or several alike.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) method: Option<Method>,
    pub(super) energy: Energy,
    pub(super) low: Energy,
    pub(super) high: Energy,
}

impl Bar {
    pub(super) fn all(footprint: &Footprint) -> Vec<Self> {
        let mut boards = 0;
        let mut bars: Vec<(usize, &ComponentSummary, Self)> = Vec::new();
        let are_few = footprint.components.len() <= MOST_BARS;
        for component in &footprint.components {
            let label = match component.kind {
                Kind::Gpu => {
                    boards += 1;
                    format!("gpu{}", boards - 1)
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
        bars.truncate(MOST_GROUPS);
        bars
    }
}

pub(super) fn draw_bars(area: &Area<'_>, bars: &[Bar]) -> Result<(), Problem> {
    text(area, "Energy by component", (24, 8), 23, &DARK, Place::LEFT)?;
    draw_legend(area, bars)?;
    let most = bars.iter().map(|bar| bar.high.joules().max(bar.energy.joules())).fold(0.0, f64::max);
    let room = f64::from(SIZE.0) - f64::from(LEFT + RIGHT);
    let x = |energy: Energy| {
        let part = if most > 0.0 { (energy.joules() / most).clamp(0.0, 1.0) } else { 0.0 };
        // A whole number of pixels, of at most some hundreds.
        LEFT + (part * room).round() as i32
    };
    for (row, bar) in (0..).zip(bars) {
        let middle = TOP + row * BAR_HEIGHT as i32 + BAR_HEIGHT as i32 / 2;
        text(area, &shortened(&bar.name, 30), (LEFT - 14, middle), 20, &DARK, Place::BEFORE)?;
        let Some(method) = bar.method else {
            text(area, "not measured", (LEFT + 4, middle), 20, &MUTED, Place::BEHIND)?;
            continue;
        };
        let end = x(bar.energy).max(LEFT + 2);
        area.draw(&Rectangle::new([(LEFT, middle - 12), (end, middle + 12)], color_of(method).filled()))?;
        let (low, high) = (x(bar.low), x(bar.high).max(end));
        for line in [
            [(low, middle), (high, middle)],
            [(low, middle - 6), (low, middle + 6)],
            [(high, middle - 6), (high, middle + 6)],
        ] {
            area.draw(&PathElement::new(line, DARK.stroke_width(2)))?;
        }
        let said = format!("{}, {}", bar.energy, method.as_str());
        text(area, &said, (high + 12, middle), 20, &DARK, Place::BEHIND)?;
    }
    Ok(())
}

/// What the colours and the lines mean, as far as there are any.
fn draw_legend(area: &Area<'_>, bars: &[Bar]) -> Result<(), Problem> {
    let has = |is_modelled: bool| {
        bars.iter().any(|bar| bar.method.is_some_and(|method| (method == Method::Modelled) == is_modelled))
    };
    let mut left = LEFT;
    for (is_modelled, name, width) in [(false, "measured", 120), (true, "modelled", 120)] {
        if has(is_modelled) {
            let color = if is_modelled { MODELLED } else { MEASURED };
            area.draw(&Rectangle::new([(left, 14), (left + 18, 32)], color.filled()))?;
            text(area, name, (left + 26, 23), 20, &MUTED, Place::BEHIND)?;
            left += width + 20;
        }
    }
    area.draw(&PathElement::new([(left, 23), (left + 26, 23)], DARK.stroke_width(2)))?;
    text(area, "bounds under stated assumptions", (left + 34, 23), 20, &MUTED, Place::BEHIND)
}

const fn color_of(method: Method) -> RGBColor {
    match method {
        Method::Modelled => MODELLED,
        _ => MEASURED,
    }
}
