//! Reads NVIDIA GPUs in a helper process.
//!
//! A call that is stuck in the kernel can be neither cancelled nor abandoned by the process that made it,
//! because that process does not exit before the call returns. A command that measures another command
//! therefore leaves the calls to a helper process, which it can abandon. The two processes exchange one line
//! of JSON for each call and one for each reply.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::Power;

use super::nvml::Nvml;
use super::{ComponentInfo, EnergySource, NvmlError, ReadCadence, ReadError, SensorReading, SensorTolerance};
use crate::gpu::CudaVisibility;

/// The command that starts a helper process: a program that calls [`serve_nvml`] when it is started with
/// these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvmlHelperCommand {
    /// The path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Opens NVML and answers the calls of the parent process, until the parent closes its end of the pipe.
///
/// `library` is the path of the NVML library; `None` for the system's library. `calls` and `replies` are the
/// pipes from and to the parent process.
///
/// # Errors
/// If a pipe fails, for example because the parent process has been killed, or if a call cannot be parsed.
pub fn serve_nvml(library: Option<&Path>, calls: impl BufRead, mut replies: impl Write) -> io::Result<()> {
    let opened = Nvml::open(library.map(Path::as_os_str), &CudaVisibility::from_environment());
    let mut nvml = match opened {
        Ok(nvml) => nvml,
        Err(error) => return send(&mut replies, &HelperReply::OpenFailed(error)),
    };
    let component = |(index, info): (usize, ComponentInfo)| HelperComponent {
        tolerance: info.tolerance,
        min_power: info.min_power,
        cadence: nvml.cadence(index),
        is_ticking_counter: nvml.is_ticking_counter(index),
        info,
    };
    let components = nvml.components().into_iter().enumerate().map(component).collect();
    send(&mut replies, &HelperReply::Opened { components, gaps: nvml.gaps() })?;
    for call in calls.lines() {
        let reply = match serde_json::from_str(&call?)? {
            HelperCall::Read(index) => HelperReply::Reading(nvml.read(index, Duration::ZERO)),
            HelperCall::Power(index) => HelperReply::Power(nvml.read_power(index)),
            HelperCall::Processes(index) => HelperReply::Processes(nvml.compute_processes(index)),
        };
        send(&mut replies, &reply)?;
    }
    Ok(())
}

#[derive(Debug, Serialize, Deserialize)]
enum HelperCall {
    Read(usize),
    Power(usize),
    Processes(usize),
}

#[derive(Debug, Serialize, Deserialize)]
enum HelperReply {
    OpenFailed(NvmlError),
    Opened { components: Vec<HelperComponent>, gaps: Vec<String> },
    Reading(Result<SensorReading, ReadError>),
    Power(Option<Power>),
    Processes(Option<Vec<u32>>),
}

/// A component, with the fields that are not part of its serialised form.
#[derive(Debug, Serialize, Deserialize)]
struct HelperComponent {
    info: ComponentInfo,
    tolerance: SensorTolerance,
    min_power: Option<Power>,
    cadence: ReadCadence,
    is_ticking_counter: bool,
}

/// The visible NVIDIA GPUs, read by a helper process.
pub(crate) struct NvmlHelper {
    helper: Child,
    calls: ChildStdin,
    replies: BufReader<ChildStdout>,
    components: Vec<HelperComponent>,
    gaps: Vec<String>,
}

impl NvmlHelper {
    /// Starts the helper process and waits until it has opened NVML.
    ///
    /// # Errors
    /// The error of NVML, or [`NvmlError::NoHelper`] if the helper process cannot be started or ends.
    pub(crate) fn open(command: &NvmlHelperCommand) -> Result<Self, NvmlError> {
        let no_helper = |error: io::Error| NvmlError::NoHelper { reason: error.to_string() };
        let mut process = Command::new(&command.program);
        process.args(&command.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C on a terminal must not end the helper before the run.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        let mut helper = process.spawn().map_err(no_helper)?;
        let (Some(calls), Some(replies)) = (helper.stdin.take(), helper.stdout.take()) else {
            return Err(no_helper(io::ErrorKind::BrokenPipe.into()));
        };
        let (replies, components, gaps) = (BufReader::new(replies), Vec::new(), Vec::new());
        let mut this = Self { helper, calls, replies, components, gaps };
        match this.receive().map_err(no_helper)? {
            HelperReply::Opened { components, gaps } => {
                (this.components, this.gaps) = (components, gaps);
                Ok(this)
            }
            HelperReply::OpenFailed(error) => Err(error),
            _ => Err(no_helper(io::ErrorKind::InvalidData.into())),
        }
    }

    fn call(&mut self, call: &HelperCall) -> io::Result<HelperReply> {
        send(&mut self.calls, call)?;
        self.receive()
    }

    fn receive(&mut self) -> io::Result<HelperReply> {
        let mut line = String::new();
        match self.replies.read_line(&mut line)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the process has ended")),
            _ => Ok(serde_json::from_str(&line)?),
        }
    }
}

impl EnergySource for NvmlHelper {
    fn components(&self) -> Vec<ComponentInfo> {
        let complete = |it: &HelperComponent| ComponentInfo {
            tolerance: it.tolerance,
            min_power: it.min_power,
            ..it.info.clone()
        };
        self.components.iter().map(complete).collect()
    }

    fn cadence(&self, index: usize) -> ReadCadence {
        self.components.get(index).map_or_else(ReadCadence::default, |component| component.cadence)
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<SensorReading, ReadError> {
        match self.call(&HelperCall::Read(index)) {
            Ok(HelperReply::Reading(reading)) => reading,
            Ok(_) => Err(ReadError::Failed("unexpected reply from the helper process for NVML".to_owned())),
            Err(error) => Err(ReadError::Failed(format!("cannot read NVML in the helper process: {error}"))),
        }
    }

    fn is_ticking_counter(&self, index: usize) -> bool {
        self.components.get(index).is_some_and(|component| component.is_ticking_counter)
    }

    fn read_power(&mut self, index: usize) -> Option<Power> {
        match self.call(&HelperCall::Power(index)) {
            Ok(HelperReply::Power(power)) => power,
            _ => None,
        }
    }

    fn compute_processes(&mut self, index: usize) -> Option<Vec<u32>> {
        match self.call(&HelperCall::Processes(index)) {
            Ok(HelperReply::Processes(processes)) => processes,
            _ => None,
        }
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl Drop for NvmlHelper {
    fn drop(&mut self) {
        let _ = self.helper.kill();
        // Its end is awaited only briefly, because it may be stuck in the driver.
        for _ in 0..10 {
            if !matches!(self.helper.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn send(output: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}
