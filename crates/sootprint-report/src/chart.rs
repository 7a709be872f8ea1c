//! A text chart of a footprint: power over time, and the energy share of each component.

use sootprint_core::{ComponentKind, ComponentSummary, Footprint, MeasurementMethod, Power};

/// The column in which curve and bars start, the same as for the text of a report.
const TEXT_COLUMN: usize = 8;

/// The width of the curve in characters.
const CURVE_WIDTH: usize = 72;

/// The width of a bar of 100 % in characters.
const BAR_WIDTH: usize = 40;

/// Block characters from one eighth to the full height of a line.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// With more components than this, each kind gets one bar.
const MAX_BARS: usize = 12;

/// Returns power over time and the energy share of each component as lines of text, at most 80 characters wide. The text
/// is empty if the footprint contains neither power nor energy.
///
/// Power is the sum of all components, from zero to the peak. Modelled energy has a lighter fill than measured energy.
///
/// ```
/// # let json = include_str!("../tests/sample.json");
/// let footprint = sootprint_core::Footprint::from_json(json)?;
/// let text = sootprint_report::chart(&footprint);
/// assert!(text.starts_with("Power   ████"));
/// assert!(text.contains("87.5 %\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn chart(footprint: &Footprint) -> String {
    render_curve(&footprint.power) + &render_bars(footprint)
}

/// Power over time, from zero to the peak.
fn render_curve(trace: &[(f64, f64)]) -> String {
    let means = column_means(trace);
    let peak = means.iter().copied().fold(0.0, f64::max);
    let Some((end, _)) = trace.last().filter(|_| peak > 0.0) else { return String::new() };
    let line: String = means.iter().map(|watts| level_char(watts / peak)).collect();
    let (start, end) = ("0 s", format!("{end:.1} s"));
    let middle = format!("up to {}", Power::from_watts(peak));
    let width = CURVE_WIDTH - start.len();
    format!(
        "{:<TEXT_COLUMN$}{line}\n{:TEXT_COLUMN$}{start}{:>width$}\n",
        "Power",
        "",
        format!("{middle}, {end}")
    )
}

/// The mean power in each column of the curve. A point of the trace is the mean since the previous point.
fn column_means(trace: &[(f64, f64)]) -> Vec<f64> {
    let end = trace.last().map_or(0.0, |(seconds, _)| *seconds);
    if end <= 0.0 {
        return Vec::new();
    }
    let step = end / CURVE_WIDTH as f64;
    let mut joules = vec![0.0; CURVE_WIDTH];
    let mut previous: f64 = 0.0;
    for &(seconds, watts) in trace {
        for (column, joules) in joules.iter_mut().enumerate() {
            let [from, to] = [column, column + 1].map(|boundary| boundary as f64 * step);
            *joules += watts * (seconds.min(to) - previous.max(from)).max(0.0);
        }
        previous = seconds;
    }
    joules.into_iter().map(|joules| joules / step).collect()
}

fn level_char(share: f64) -> char {
    let eighth = (share * LEVELS.len() as f64).ceil().clamp(1.0, LEVELS.len() as f64);
    LEVELS[eighth as usize - 1]
}

/// The energy share of each component, in the order of the report.
fn render_bars(footprint: &Footprint) -> String {
    let components: Vec<&ComponentSummary> =
        footprint.components.iter().filter(|component| component.method.is_some()).collect();
    let total: f64 = components.iter().map(|component| component.energy.joules()).sum();
    if total <= 0.0 {
        return String::new();
    }
    let bars =
        if components.len() > MAX_BARS { bars_by_kind(&components) } else { bars_by_component(&components) };
    let mut text = String::new();
    for (index, ChartBar { name, joules, is_modelled }) in bars.iter().enumerate() {
        let title = if index == 0 { "Parts" } else { "" };
        let share = joules / total;
        let cells = (share * BAR_WIDTH as f64).round() as usize;
        let fill = if *is_modelled { "░" } else { "█" }.repeat(cells.max(usize::from(share > 0.0)));
        text += &format!("{title:<TEXT_COLUMN$}{name:<9}{fill:<BAR_WIDTH$}{:>6.1} %\n", share * 100.0);
    }
    if bars.iter().any(|bar| bar.is_modelled) {
        text += &format!("{:TEXT_COLUMN$}{:9}░ is modelled, █ is measured\n", "", "");
    }
    text
}

struct ChartBar {
    name: String,
    joules: f64,
    is_modelled: bool,
}

fn bars_by_component(components: &[&ComponentSummary]) -> Vec<ChartBar> {
    let count = |kind| components.iter().filter(|component| component.kind == kind).count();
    let mut kinds_seen: Vec<ComponentKind> = Vec::new();
    let bar = |component: &&ComponentSummary| {
        kinds_seen.push(component.kind);
        let index = kinds_seen.iter().filter(|kind| **kind == component.kind).count() - 1;
        let name = match count(component.kind) {
            1 => component.kind.name().to_owned(),
            _ => format!("{} {index}", component.kind.name()),
        };
        let is_modelled = component.method == Some(MeasurementMethod::Modelled);
        ChartBar { name, joules: component.energy.joules(), is_modelled }
    };
    components.iter().map(bar).collect()
}

/// One bar per kind for the measured components, and one for the modelled ones.
fn bars_by_kind(components: &[&ComponentSummary]) -> Vec<ChartBar> {
    let mut bars: Vec<ChartBar> = Vec::new();
    for component in components {
        let is_modelled = component.method == Some(MeasurementMethod::Modelled);
        let name = component.kind.name();
        match bars.iter_mut().find(|bar| bar.name == name && bar.is_modelled == is_modelled) {
            Some(bar) => bar.joules += component.energy.joules(),
            None => {
                bars.push(ChartBar { name: name.to_owned(), joules: component.energy.joules(), is_modelled })
            }
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use sootprint_core::{Energy, Footprint};

    use super::*;

    /// The width of a report.
    const WIDTH: usize = 80;

    fn sample_footprint() -> Footprint {
        Footprint::from_json(include_str!("../tests/sample.json")).unwrap()
    }

    #[test]
    fn curve_columns_are_time_means() {
        // 300 W for a third of the time, then 600 W until the end.
        let means = column_means(&[(10.0, 300.0), (30.0, 600.0)]);
        assert_eq!(means.len(), CURVE_WIDTH);
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        assert!(means[..24].iter().all(|watts| near(*watts, 300.0)), "{means:?}");
        assert!(means[24..].iter().all(|watts| near(*watts, 600.0)), "{means:?}");
        let text = render_curve(&[(10.0, 300.0), (30.0, 600.0)]);
        let [line, axis] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(line, format!("Power   {}{}", "▄".repeat(24), "█".repeat(48)));
        assert!(axis.starts_with("        0 s ") && axis.ends_with(" up to 600.0 W, 30.0 s"), "{axis}");
        assert_eq!(axis.chars().count(), WIDTH);
    }

    #[test]
    fn empty_footprint_draws_nothing() {
        assert_eq!(render_curve(&[]), "");
        assert_eq!(render_curve(&[(0.0, 100.0)]), "");
        assert_eq!(render_curve(&[(1.0, 0.0)]), "");
        let mut footprint = sample_footprint();
        footprint.components.clear();
        footprint.power.clear();
        assert_eq!(chart(&footprint), "");
    }

    #[test]
    fn bars_show_share_of_total() {
        // 700, 90 and 10 of 800 Wh.
        let text = render_bars(&sample_footprint());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("Parts   GPU      {:<40}  87.5 %", "█".repeat(35)));
        assert_eq!(lines[1], format!("        CPU      {:<40}  11.2 %", "░".repeat(5)));
        assert_eq!(lines[2], format!("        memory   {:<40}   1.2 %", "░"));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn many_gpus_share_one_bar() {
        let mut footprint = sample_footprint();
        let mut gpu = footprint.components[0].clone();
        gpu.energy = Energy::from_joules(10.0);
        footprint.components = vec![gpu.clone(), gpu.clone()];
        let two = render_bars(&footprint);
        assert!(two.contains("GPU 0") && two.contains("GPU 1"), "{two}");
        footprint.components = vec![gpu; 16];
        assert_eq!(render_bars(&footprint).lines().count(), 1);
    }
}
