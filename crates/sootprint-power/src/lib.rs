//! Reads the energy of a machine's GPUs, CPUs and memory, and attributes it to a job: sources, GPU identification, job
//! limits, the sampler thread, and the pure accumulator that turns readings into energy with bounds.
//!
//! # Limits
//! - Hardware is read on Linux. Elsewhere NVIDIA GPUs are read where NVML is installed, and everything else is reported
//!   as unknown.
//! - The energy of a GPU is the energy of the whole GPU: other processes on it are included.

#![forbid(unsafe_code)]

mod allocation;
mod boards;
mod clock;
mod hardware;
mod meter;
mod processes;
mod source;
mod tally;

pub use allocation::HostShareId;
pub use boards::{Board, Claim, CudaVisibility, Shown};
pub use clock::{Clock, VirtualClock};
pub use hardware::{Hardware, HardwareError};
pub use meter::{Edge, Instruments, Meter, Moment, OnSample, Opening, Session};
pub use processes::Users;
pub use source::{
    Bounded, Component, CrossCheck, NvmlError, Reading, Replay, ReplayError, Sensor, SourceReport, Tolerance,
    Unreadable, cross_check, sources,
};
pub use tally::{Finding, Tally, Total};
