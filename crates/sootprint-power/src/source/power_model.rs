//! A model of CPU and memory, for machines on which they cannot be measured.
//!
//! energy = share × watts × (idle + (1 − idle) × busy) × time for the CPUs of the job, and a constant power per GiB
//! for its memory. Both have wide bounds, because individual chips differ.
//!
//! The busy time is the kernel's counter since boot. The modelled energy is a linear function of two values that
//! only grow, time and busy ticks, so it is a counter as well: reading it more often does not change the result.

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
    ComponentInfo, ComponentKind, EnergyBounds, EnergySource, MeasurementMethod, ReadCadence, ReadError,
    SensorReading, SensorTolerance,
};
use crate::env::{VariableLookup, process_variable};
use crate::job_limits::{CpuTimeSource, JobLimits, proc_stat};
use coefficient::format_coefficient;
use cpu::CpuPowerModel;
use cpu_info::CpuInfo;
use memory::MemoryPowerModel;

/// The model does not change faster than the kernel's ticks.
const CADENCE: Duration = Duration::from_secs(1);

/// The CPU and the memory of this job.
pub(crate) struct PowerModel {
    job_limits: JobLimits,
    proc: PathBuf,
    cpu: CpuPowerModel,
    memory: MemoryPowerModel,
    /// The modelled kinds, in the order of the components.
    kinds: Vec<ComponentKind>,
    /// Busy seconds of the job's CPUs at the last reading. They never decrease, even if the kernel's values do.
    busy_seconds: f64,
}

impl PowerModel {
    /// Opens the model of this process, without the `excluded` kinds. `None` if the limits of the job cannot be
    /// determined, as outside Linux.
    ///
    /// `cgroup` is the mount point of the control groups: `fs/cgroup` below the rest of `/sys`.
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

    /// Busy seconds of the job's CPUs since an arbitrary origin.
    fn read_busy_seconds(&self) -> Result<f64, ReadError> {
        let read = || {
            let path = self.proc.join("stat");
            std::fs::read_to_string(&path)
                .map_err(|error| ReadError::Failed(format!("cannot read {}: {error}", path.display())))
        };
        match &self.job_limits.cpu_time_source {
            CpuTimeSource::CpuList(numbers) => proc_stat::busy_seconds_of(numbers, &read()?)
                .map_err(|number| ReadError::Failed(format!("CPU {number} of this job is offline"))),
            CpuTimeSource::Cgroup(usage) => usage.cpu_seconds().ok_or_else(|| {
                ReadError::Failed(format!("cannot read the CPU time in {}", usage.path().display()))
            }),
            CpuTimeSource::WholeMachine => proc_stat::total_busy_seconds(&read()?)
                .map(|worked| worked * self.job_limits.cpu_share())
                .ok_or_else(|| ReadError::Failed("no line `cpu` in /proc/stat".to_owned())),
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
            assumed_limit: None,
            min_power: None,
            includes: Vec::new(),
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
            "{}; {} of {online_cpus} logical CPUs, {load_description}",
            self.cpu.assumptions(),
            format_coefficient(*cpus)
        )
    }
}

impl EnergySource for PowerModel {
    fn components(&self) -> Vec<ComponentInfo> {
        self.kinds.iter().map(|&kind| self.component(kind)).collect()
    }

    fn cadence(&self, _index: usize) -> ReadCadence {
        ReadCadence::fixed(CADENCE)
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
