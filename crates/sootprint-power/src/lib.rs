//! Reads the energy of a machine's GPUs, CPUs and memory and attributes it to a job.
//!
//! The crate contains the power sources, GPU identification, the limits of the job, the sampler thread and
//! the pure accumulator that turns readings into energy with bounds.
//!
//! # Limits
//! - Hardware is read on Linux. On other systems NVIDIA GPUs are read if NVML is installed, and everything else is
//!   reported as unknown.
//! - The energy of a GPU is the energy of the whole GPU: other processes on it are included.

#![forbid(unsafe_code)]

mod accelerator;
mod accumulator;
mod clock;
mod data_quality;
mod env;
mod gpu;
mod gpu_processes;
mod job_limits;
mod open_devices;
mod proc_cpuinfo;
mod sampler;
mod source;

pub use accelerator::{Accelerator, AcceleratorError};
pub use accumulator::{ComponentTotal, EnergyAccumulator, SUSPENDED_POWER, SensorEvent};
pub use clock::{SamplerClock, VirtualClock};
pub use gpu::{CudaVisibility, DeviceId, GpuInfo, VisibleDevice};
pub use gpu_processes::GpuUsers;
pub use job_limits::HostShareId;
pub use sampler::{
    BoundaryPrecision, SampleCallback, SampleView, Sampler, SamplerSession, SessionStart, SourceConfig,
};
pub use source::{
    ComponentInfo, CrossCheck, EnergyBounds, NvmlConfig, NvmlError, NvmlHelperCommand, ReadError, Replay,
    ReplayError, ReplaySensor, SensorReading, SensorTolerance, SourceStatus, cross_check, probe_sources,
    serve_nvml,
};
