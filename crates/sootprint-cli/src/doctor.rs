//! `sootprint doctor`: the sources, GPUs and settings that a run on this machine would use.

mod render;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use sootprint::{
    ComponentKind, ComponentSummary, CrossCheck, Footprint, GridIntensity, MeasurementMethod, Power, Run,
    SourceStatus, cross_check, probe_sources,
};
use sootprint_hub::token_origin;
use sootprint_live::InstanceMetadataClient;

use crate::args::DoctorArgs;
use crate::error_text::describe_error;
use crate::terminal::{print, print_titled, to_pretty_json};

/// Long enough to find a counter that does not work, with a margin.
const MEASUREMENT_TIME: Duration = Duration::from_millis(2_600);

/// Prints what can be measured, what cannot, and how to fix it.
pub(crate) fn run_doctor(arguments: &DoctorArgs) -> anyhow::Result<()> {
    let report = DoctorReport::collect(arguments.check.map(Duration::from_secs))?;
    if arguments.json {
        print(&to_pretty_json(&report)?)?;
    } else {
        print_titled(&report.to_string())?;
    }
    Ok(())
}

/// The machine as `doctor` found it. The field names are the keys of its JSON.
#[derive(Debug, Serialize)]
struct DoctorReport {
    sources: Vec<DoctorSource>,
    #[serde(rename = "boards")]
    gpus: Vec<DoctorGpu>,
    /// How long the components were measured, in seconds.
    measured_s: f64,
    components: Vec<DoctorComponent>,
    /// Energy counters compared with power readings; `None` without `--check`.
    checks: Option<Vec<CrossCheck>>,
    grid: GridIntensity,
    pue: f64,
    pue_origin: String,
    /// Where a push would find its token; never the token itself.
    token: TokenLookup,
    /// Notes of the run that no source already lists as a problem.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct DoctorSource {
    name: &'static str,
    state: DoctorSourceState,
    /// What cannot be read, why, and how to fix it.
    problems: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum DoctorSourceState {
    /// All of its components can be read.
    Ready,
    /// Some of its components can be read.
    Partial,
    /// A sensor of one of its components is faulty.
    Faulty,
    /// No component can be read.
    Absent,
}

#[derive(Debug, Serialize)]
struct DoctorGpu {
    name: String,
    uuid: String,
    pci: String,
    /// The CUDA device number, after `CUDA_VISIBLE_DEVICES`.
    cuda: Option<usize>,
    /// The ROCm device number.
    rocm: Option<usize>,
    limit_w: Option<Power>,
    /// The median time between two ticks of the energy counter, in seconds; `None` if it did not tick.
    tick_s: Option<f64>,
}

#[derive(Debug, Serialize)]
struct DoctorComponent {
    kind: ComponentKind,
    id: String,
    name: String,
    method: Option<MeasurementMethod>,
    /// The mean power during the short run; `None` if it could not be read.
    mean_w: Option<Power>,
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct TokenLookup {
    /// The variable, or a description of the file.
    origin: Option<&'static str>,
    /// Why there is no token, and how to fix it.
    problem: Option<String>,
}

impl DoctorReport {
    /// Probes the sources and measures a short run, during which the energy counters are checked.
    fn collect(check: Option<Duration>) -> anyhow::Result<Self> {
        let reports = probe_sources();
        let (footprint, checks) = measure_briefly(check.unwrap_or(MEASUREMENT_TIME))?;
        let gpus = reports.iter().flat_map(|report| DoctorGpu::from_source(report, &checks)).collect();
        let source = |report| DoctorSource::new(report, &footprint.components);
        let sources: Vec<DoctorSource> = reports.into_iter().map(source).collect();
        let is_known = |note: &String| sources.iter().any(|source| source.problems.contains(note));
        let notes = footprint.notes.into_iter().filter(|note| !is_known(note)).collect();
        let components = footprint.components.into_iter().map(|component| DoctorComponent {
            kind: component.kind,
            id: component.id,
            name: component.name,
            method: component.method,
            mean_w: component.mean_power,
            note: component.note,
        });
        Ok(Self {
            components: components.collect(),
            gpus,
            checks: check.map(|_| checks),
            measured_s: footprint.run.duration_s,
            grid: footprint.grid,
            pue: footprint.energy.pue,
            pue_origin: footprint.energy.pue_origin,
            token: TokenLookup::locate(),
            notes,
            sources,
        })
    }
}

/// Measures a short run, and the ticks of the energy counters during it.
fn measure_briefly(check: Duration) -> anyhow::Result<(Footprint, Vec<CrossCheck>)> {
    let dir =
        tempfile::tempdir().context("cannot create a temporary folder; set TMPDIR to a writable one")?;
    let run = Run::untyped(dir.path()).cloud_metadata(Arc::new(InstanceMetadataClient::new())).start();
    let started = Instant::now();
    let checks = cross_check(check);
    // Without a ticking counter, the check returns early.
    thread::sleep(MEASUREMENT_TIME.saturating_sub(started.elapsed()));
    Ok((run.finish(), checks))
}

impl DoctorSource {
    /// The state of a source, from its own report and from what was measured.
    fn new(report: SourceStatus, measured: &[ComponentSummary]) -> Self {
        let is_of_source = |it: &&ComponentSummary| {
            report.components.iter().any(|(name, method)| (name, Some(*method)) == (&it.name, it.method))
        };
        let faults: Vec<String> = measured
            .iter()
            .filter(is_of_source)
            .filter_map(|it| Some(format!("{} ({}): {}", it.name, it.id, it.fault?.as_str())))
            .collect();
        let state = match (report.components.is_empty(), faults.is_empty(), report.gaps.is_empty()) {
            (true, ..) => DoctorSourceState::Absent,
            (false, false, _) => DoctorSourceState::Faulty,
            (false, true, false) => DoctorSourceState::Partial,
            (false, true, true) => DoctorSourceState::Ready,
        };
        Self { name: report.source, state, problems: [report.gaps, faults].concat() }
    }
}

impl DoctorGpu {
    fn from_source(report: &SourceStatus, checks: &[CrossCheck]) -> Vec<Self> {
        let gpu_entry = |(gpu, limit): &(sootprint::GpuInfo, Option<Power>)| {
            let check = checks.iter().find(|check| check.id == gpu.uuid);
            Self {
                name: gpu.model.clone(),
                uuid: gpu.uuid.clone(),
                pci: gpu.pci.clone(),
                cuda: gpu.cuda,
                rocm: gpu.rocm,
                limit_w: *limit,
                tick_s: check.map(|check| check.tick.as_secs_f64()),
            }
        };
        report.gpus.iter().map(gpu_entry).collect()
    }
}

impl TokenLookup {
    fn locate() -> Self {
        match token_origin() {
            Ok(origin) => Self { origin: Some(origin), problem: None },
            Err(error) => Self { origin: None, problem: Some(describe_error(&error)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_state_follows_its_components() {
        let [mut ready, mut partial, mut absent] = [(); 3].map(|()| probe_sources().swap_remove(0));
        ready.components = vec![("GPU".to_owned(), MeasurementMethod::Counter)];
        partial.components.clone_from(&ready.components);
        ready.gaps.clear();
        partial.gaps = vec!["the other GPU is lost".to_owned()];
        absent.components.clear();
        let states = [ready, partial, absent].map(|report| DoctorSource::new(report, &[]).state);
        assert_eq!(states, [DoctorSourceState::Ready, DoctorSourceState::Partial, DoctorSourceState::Absent]);
    }
}
