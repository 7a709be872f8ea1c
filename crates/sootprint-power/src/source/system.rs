//! The sources of this machine: which there are, and why another is not.

use std::ffi::OsStr;
use std::path::Path;

use serde::Serialize;
use sootprint_core::Power;

use super::hwmon::Hwmon;
use super::model::Model;
use super::nvml::{Nvml, NvmlError};
use super::powercap::{NoZones, Powercap};
use super::without::Without;
use super::{Component, Kind, Method, Source};
use crate::allocation::Allocation;
use crate::boards::{Board, CudaVisibility, RocmDevices};

/// What a source of this machine can read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SourceReport {
    /// The source: `NVML`, `hwmon`, `RAPL` or `model`.
    pub source: &'static str,
    /// The name of each component that it reads, and how.
    pub components: Vec<(String, Method)>,
    /// The boards among them, with the most that each may draw where the driver says so.
    pub boards: Vec<(Board, Option<Power>)>,
    /// What it cannot read, why, and what mends it.
    pub gaps: Vec<String>,
}

/// What can be measured on this machine, what not, and what would mend that.
///
/// The NVML library is the system's unless `SOOTPRINT_NVML` names one. Opening it may take the driver a second.
#[must_use]
pub fn sources() -> Vec<SourceReport> {
    let nvml = std::env::var_os("SOOTPRINT_NVML").filter(|path| !path.is_empty());
    open_system(nvml.as_deref()).into_iter().map(Attempt::report).collect()
}

/// Boards through NVML and hwmon, processor and memory through RAPL, then the model for what no source measures.
pub(crate) fn open_system(nvml: Option<&OsStr>) -> Vec<Attempt> {
    let (boards, held) = boards(nvml);
    let mut attempts = vec![boards];
    attempts.extend(kernel(Path::new("/proc"), Path::new("/sys"), held));
    attempts
}

/// A source, or why there is none.
pub(crate) struct Attempt {
    name: &'static str,
    pub(crate) source: Option<Box<dyn Source>>,
    reason: Option<String>,
    /// Whether its absence is something to hear of, rather than a machine without such hardware.
    is_missed: bool,
}

impl Attempt {
    /// What a reader of a footprint should hear of a source that is absent.
    pub(crate) fn gap(&self) -> Option<String> {
        self.reason.clone().filter(|_| self.is_missed)
    }

    fn opened(name: &'static str, source: impl Source + 'static) -> Self {
        Self { name, source: Some(Box::new(source)), reason: None, is_missed: false }
    }

    fn missed(name: &'static str, reason: impl ToString) -> Self {
        Self { name, source: None, reason: Some(reason.to_string()), is_missed: true }
    }

    /// For who asks which sources there are, and no one else.
    fn absent(name: &'static str, reason: impl ToString) -> Self {
        Self { is_missed: false, ..Self::missed(name, reason) }
    }

    fn kinds(&self) -> Vec<Kind> {
        let components = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        components.into_iter().map(|component| component.kind).collect()
    }

    fn report(self) -> SourceReport {
        let read = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        let mut gaps = self.source.as_ref().map_or_else(Vec::new, |source| source.gaps());
        gaps.extend(self.reason);
        let board = |it: &Component| it.board.clone().map(|board| (board, it.limit));
        let boards = read.iter().filter_map(board).collect();
        let components = read.into_iter().map(|component| (component.name, component.method)).collect();
        SourceReport { source: self.name, components, boards, gaps }
    }
}

/// NVIDIA's boards, and the parts of the machine that their readings have in them.
fn boards(nvml: Option<&OsStr>) -> (Attempt, &'static [Kind]) {
    let name = "NVML";
    match Nvml::open(nvml, &CudaVisibility::from_environment()) {
        Ok(boards) => {
            let held = boards.holds();
            (Attempt::opened(name, boards), held)
        }
        Err(error) => {
            // A machine without NVIDIA's driver needs no word about its boards, unless it was told of a library.
            let has_driver = nvml.is_some() || Path::new("/proc/driver/nvidia").exists();
            let is_missed = has_driver || !matches!(error, NvmlError::NoLibrary { .. });
            (Attempt { is_missed, ..Attempt::missed(name, error) }, &[])
        }
    }
}

/// What the kernel tells in files, from `/proc` and `/sys`: measured parts first, then a model of the others; none of
/// what boards hold.
fn kernel(proc: &Path, sys: &Path, held: &[Kind]) -> Vec<Attempt> {
    if !cfg!(target_os = "linux") {
        return vec![Attempt::missed(
            "model",
            "processor and memory are unknown: they are read on Linux only",
        )];
    }
    let cgroup = sys.join("fs/cgroup");
    let Some(allocation) = Allocation::of_this_process(proc, &cgroup) else {
        let reason = "processor and memory are unknown: /proc/stat or /proc/meminfo cannot be read";
        return vec![Attempt::missed("model", reason)];
    };
    let rocm = RocmDevices::from_environment(&sys.join("class/kfd/kfd/topology/nodes"));
    let boards = Hwmon::open(&sys.join("class/hwmon"), &rocm);
    // A board that has the processor in its readings leaves nothing of it to count.
    let mut measured = held.to_vec();
    measured.extend(boards.holds_processor().then_some(Kind::Cpu));
    let cpuinfo = std::fs::read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let packages = Powercap::open(&sys.join("class/powercap"), &cpuinfo, allocation.share());
    let packages = processor(packages, &measured);
    measured.extend(packages.kinds());
    let rest = model(Model::open(proc.to_owned(), cgroup), &measured);
    vec![other_boards(boards), packages, rest]
}

fn other_boards(boards: Hwmon) -> Attempt {
    let name = "hwmon";
    let aside = boards.part_of_processor().join("; ");
    if boards.components().is_empty() && boards.gaps().is_empty() {
        let none = "no board of AMD or Intel with a sensor of its own".to_owned();
        return Attempt::absent(name, if aside.is_empty() { none } else { aside });
    }
    Attempt { reason: Some(aside).filter(|aside| !aside.is_empty()), ..Attempt::opened(name, boards) }
}

fn processor(packages: Result<Powercap, NoZones>, measured: &[Kind]) -> Attempt {
    let name = "RAPL";
    match packages {
        Ok(packages) if measured.is_empty() => Attempt::opened(name, packages),
        Ok(packages) => match Without::kinds(Box::new(packages), measured) {
            Some(rest) => Attempt::opened(name, rest),
            None => Attempt::absent(name, "not needed: a board's readings include the processor"),
        },
        Err(absent @ NoZones::Absent { .. }) => Attempt::absent(name, absent),
        Err(hidden) => Attempt::missed(name, hidden),
    }
}

fn model(model: Option<Model>, measured: &[Kind]) -> Attempt {
    let name = "model";
    let unknown = "processor and memory are unknown: the kernel does not tell what the job was given";
    let Some(model) = model else { return Attempt::missed(name, unknown) };
    match Without::kinds(Box::new(model), measured) {
        Some(rest) => Attempt::opened(name, rest),
        None => Attempt::absent(name, "not needed: processor and memory are measured"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_library_is_told_to_who_asks_and_missed_only_where_it_was_named() {
        let named: std::ffi::OsString = "/nowhere/libnvidia-ml.so.1".into();
        let (attempt, _) = boards(Some(&named));
        assert!(attempt.gap().is_some_and(|gap| gap.contains("/nowhere/libnvidia-ml.so.1")));
        assert!(attempt.report().gaps[0].contains("SOOTPRINT_NVML"));
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod machines {
    use super::*;
    use crate::allocation::fixture::Machine;

    const PACKAGE: &str = "sys/class/powercap/intel-rapl:0";

    /// Of each component: the source, its kind, and how it is read.
    fn components(machine: &Machine) -> Vec<(&'static str, Kind, Method)> {
        let attempts = kernel(&machine.proc(), &machine.sys(), &[]);
        let of = |attempt: &Attempt| {
            let components = attempt.source.as_ref().map_or_else(Vec::new, |source| source.components());
            let name = attempt.name;
            components.into_iter().map(move |component| (name, component.kind, component.method))
        };
        attempts.iter().flat_map(of).collect()
    }

    /// What a footprint on this machine says.
    fn gaps(machine: &Machine) -> Vec<String> {
        let attempts = kernel(&machine.proc(), &machine.sys(), &[]);
        let of = |attempt: &Attempt| {
            let said = attempt.source.as_ref().map_or_else(Vec::new, |source| source.gaps());
            attempt.gap().into_iter().chain(said)
        };
        attempts.iter().flat_map(of).collect()
    }

    fn with_package(machine: Machine) -> Machine {
        machine
            .with(&format!("{PACKAGE}/name"), "package-0\n")
            .with(&format!("{PACKAGE}/energy_uj"), "5000000\n")
    }

    fn with_memory(machine: Machine) -> Machine {
        let zone = format!("{PACKAGE}:0");
        machine.with(&format!("{zone}/name"), "dram\n").with(&format!("{zone}/energy_uj"), "1000000\n")
    }

    #[test]
    fn a_machine_without_counters_is_modelled_and_nothing_is_missed() {
        let machine = Machine::new(4, 64);
        let modelled = [Kind::Cpu, Kind::Memory].map(|kind| ("model", kind, Method::Modelled));
        assert_eq!(components(&machine), modelled);
        assert_eq!(gaps(&machine), Vec::<String>::new());
    }

    #[test]
    fn the_model_stands_in_only_for_what_no_source_measures() {
        let machine = with_package(Machine::new(4, 64));
        let cpu = ("RAPL", Kind::Cpu, Method::Counter);
        assert_eq!(components(&machine), [cpu, ("model", Kind::Memory, Method::Modelled)]);
        let machine = with_memory(machine);
        assert_eq!(components(&machine), [cpu, ("RAPL", Kind::Memory, Method::Counter)]);
    }

    #[test]
    fn a_counter_that_cannot_be_read_is_a_gap_and_the_processor_is_modelled() {
        // A folder in place of the file cannot be read by root either.
        let machine = Machine::new(4, 64)
            .with(&format!("{PACKAGE}/name"), "package-0\n")
            .with(&format!("{PACKAGE}/energy_uj/folder"), "");
        let modelled = [Kind::Cpu, Kind::Memory].map(|kind| ("model", kind, Method::Modelled));
        assert_eq!(components(&machine), modelled);
        let [gap] = &gaps(&machine)[..] else { panic!("one gap") };
        assert!(gap.contains("intel-rapl:0/energy_uj") && gap.contains("modelled"), "{gap}");
    }

    #[test]
    fn the_job_s_share_of_the_processors_is_its_share_of_the_counter() {
        let machine = with_package(Machine::new(4, 64))
            .with("proc/self/cgroup", "0::/job\n")
            .with("sys/fs/cgroup/job/cpu.max", "100000 100000\n");
        let mut attempts = kernel(&machine.proc(), &machine.sys(), &[]);
        let rapl = attempts.iter_mut().find(|attempt| attempt.name == "RAPL").unwrap();
        assert_eq!(rapl.source.as_ref().unwrap().components()[0].share.to_string(), "0.25");
    }

    #[test]
    fn what_a_superchip_s_board_holds_is_neither_measured_nor_modelled_again() {
        let machine = with_memory(with_package(Machine::new(4, 64)));
        let attempts = kernel(&machine.proc(), &machine.sys(), &[Kind::Cpu, Kind::Memory]);
        assert!(attempts.iter().all(|attempt| attempt.kinds().is_empty()));
        let reasons: Vec<String> = attempts.into_iter().flat_map(|attempt| attempt.report().gaps).collect();
        assert!(reasons.iter().any(|reason| reason.contains("include the processor")), "{reasons:?}");
    }
}
