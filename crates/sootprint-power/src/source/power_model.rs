//! Processor and memory from a model, for machines where nothing of them can be measured.
//!
//! energy = share × watts × (idle + (1 − idle) × busy) × time, for the processors that the job was given, and a
//! constant power per GiB for its memory. Both come with wide bounds, for a model cannot know the silicon.
//!
//! Busy time is read as the kernel counts it, since the machine started: the modelled energy is a counter, and
//! reading it more often changes nothing.

mod coefficient;
mod cpu;
mod cpu_info;
mod memory;
mod tdp_table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    ComponentInfo, ComponentKind, EnergyBounds, EnergySource, MeasurementMethod, ReadError, SensorReading,
    SensorTolerance,
};
use crate::env::{VariableLookup, process_variable};
use crate::job_limits::{CpuTimeSource, JobLimits, proc_stat};
use coefficient::format_coefficient;
use cpu::CpuPowerModel;
use cpu_info::CpuInfo;
use memory::MemoryPowerModel;

/// The model changes no faster than the kernel's ticks.
const CADENCE: Duration = Duration::from_secs(1);

/// Processor and memory of this job.
pub(crate) struct PowerModel {
    job_limits: JobLimits,
    proc: PathBuf,
    cpu: CpuPowerModel,
    memory: MemoryPowerModel,
    /// The kinds that are modelled, in the order of the components.
    kinds: Vec<ComponentKind>,
    /// Seconds that the job's processors had worked at the last reading. They never go back, whatever is read.
    busy_seconds: f64,
}

impl PowerModel {
    /// Of this process on Linux; none where the kernel does not tell what the process was given.
    ///
    /// `cgroup` is where the control groups are mounted: at `fs/cgroup` below the rest of `/sys`.
    pub(crate) fn open(proc: PathBuf, cgroup: &Path, excluded: &[ComponentKind]) -> Option<Self> {
        let sys = cgroup.ancestors().nth(2)?;
        Self::open_at(proc, sys, cgroup, excluded, &process_variable)
    }

    fn open_at(
        proc: PathBuf,
        sys: &Path,
        cgroup: &Path,
        excluded: &[ComponentKind],
        read_variable: VariableLookup<'_>,
    ) -> Option<Self> {
        let job_limits = JobLimits::detect_at(&proc, cgroup, read_variable)?;
        let cpu_info = CpuInfo::detect(&proc, sys, job_limits.online_cpus);
        let memory =
            MemoryPowerModel::new(job_limits.memory_bytes, job_limits.host_memory_bytes, cpu_info.is_guest);
        let cpu = CpuPowerModel::new(cpu_info, job_limits.online_cpus);
        let mut kinds = vec![ComponentKind::Cpu, ComponentKind::Memory];
        kinds.retain(|kind| !excluded.contains(kind));
        Some(Self { job_limits, proc, cpu, memory, kinds, busy_seconds: 0.0 })
    }

    /// Seconds that the job's processors worked since some beginning.
    fn read_busy_seconds(&self) -> Result<f64, ReadError> {
        let read = || {
            let path = self.proc.join("stat");
            std::fs::read_to_string(&path)
                .map_err(|error| ReadError::Failed(format!("cannot read {}: {error}", path.display())))
        };
        match &self.job_limits.cpu_time_source {
            CpuTimeSource::CpuList(numbers) => proc_stat::busy_seconds_of(numbers, &read()?)
                .map_err(|number| ReadError::Failed(format!("processor {number} of this job is off line"))),
            CpuTimeSource::Cgroup(usage) => usage.cpu_seconds().ok_or_else(|| {
                ReadError::Failed(format!("cannot read the processor time in {}", usage.path().display()))
            }),
            CpuTimeSource::WholeMachine => proc_stat::total_busy_seconds(&read()?)
                .map(|worked| worked * self.job_limits.cpu_share())
                .ok_or_else(|| ReadError::Failed("/proc/stat has no line `cpu`".to_owned())),
        }
    }

    fn component(&self, kind: ComponentKind) -> ComponentInfo {
        let (id, name, share, note) = match kind {
            ComponentKind::Cpu => {
                ("cpu", self.cpu.name.clone(), self.job_limits.cpu_share(), self.cpu_note())
            }
            _ => ("memory", self.memory.name(), 1.0, self.memory.assumptions()),
        };
        ComponentInfo {
            kind,
            id: id.to_owned(),
            name,
            method: MeasurementMethod::Modelled,
            gpu: None,
            limit: None,
            share,
            tolerance: SensorTolerance::default(),
            note: Some(note),
        }
    }

    fn cpu_note(&self) -> String {
        let JobLimits { cpus, online_cpus, cpu_time_source, .. } = &self.job_limits;
        let load_description = match cpu_time_source {
            CpuTimeSource::CpuList(_) => "by their own load",
            CpuTimeSource::Cgroup(_) => "by the load of their control group",
            CpuTimeSource::WholeMachine if self.job_limits.cpu_share() < 1.0 => {
                "by their share of the machine's load"
            }
            CpuTimeSource::WholeMachine => "by load",
        };
        format!(
            "{}; {} of {online_cpus} logical processors, {load_description}",
            self.cpu.assumptions(),
            format_coefficient(*cpus)
        )
    }
}

impl EnergySource for PowerModel {
    fn components(&self) -> Vec<ComponentInfo> {
        self.kinds.iter().map(|&kind| self.component(kind)).collect()
    }

    fn cadence(&self, _index: usize, _cost: Duration) -> Duration {
        CADENCE
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
        match self.kinds.get(index) {
            Some(ComponentKind::Cpu) => {
                self.busy_seconds = self.busy_seconds.max(self.read_busy_seconds()?);
                Ok(SensorReading::Modelled(self.cpu.energy(self.job_limits.cpus, now, self.busy_seconds)))
            }
            Some(_) => Ok(SensorReading::Modelled(self.memory.energy(now))),
            None => Err(ReadError::Failed(format!("the model has no component {index}"))),
        }
    }
}
