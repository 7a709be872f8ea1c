//! A fake NVML library whose GPUs follow a script, so measurements can be compared with the true energy.
//!
//! The crate is built twice. The *cdylib* replaces `libnvidia-ml.so.1`: it is loaded by `nvml-wrapper`,
//! `pynvml` or any other reader of NVIDIA GPUs, and its values come from the script. The *rlib* is for tests:
//! it writes scripts ([`NvmlScript`], [`FakeGpu`]), moves their clock ([`ScriptClock`]), computes the true
//! energy ([`NvmlScript::true_energy`]) and installs the library where a test can load it ([`install`],
//! [`library_path`]).
//!
//! ```no_run
//! use nvidia_ml::{FakeGpu, NvmlScript, ScriptClock, install};
//! use std::{path::Path, time::Duration};
//!
//! # fn main() -> std::io::Result<()> {
//! let folder = Path::new("/tmp/two-phases");
//! std::fs::create_dir_all(folder)?;
//! let clock = ScriptClock::new(folder.join("clock"))?;
//! let gpu = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
//!     .power_from(Duration::ZERO, 100)
//!     .power_from(Duration::from_millis(700), 400)
//!     .energy_counter(Duration::from_millis(20));
//! let library = install(&NvmlScript::new().with_clock(&clock).with_gpu(gpu), folder)?;
//! // … pass `library` to the program under test, and then:
//! clock.advance(Duration::from_secs(2))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where the library finds its script
//!
//! `nvmlInit` reads the file given by the environment variable `SCRIPTED_NVML` ([`SCRIPT_ENV_VAR`]); if it is
//! not set, `script.nvml` in the folder from which the library was loaded. With the second way, several tests
//! of one process can use different scripts. Each needs its own *copy* of the library, because the dynamic
//! loader treats two names of one file as one library: [`install`] makes that copy.
//!
//! If a script cannot be read or parsed, `nvmlInit` returns `NVML_ERROR_UNKNOWN`, and the reason is written
//! to a file next to the script, with `.error` appended to its name.
//!
//! # The script
//!
//! One statement per line; `#` starts a comment; words with spaces are in double quotes. Times have the units
//! `s`, `ms`, `us` or `ns`, power has `W` or `mW`, energy `J` or `mJ`; numbers may have decimals if they stay
//! exact. All times are relative to the script's zero.
//!
//! ```text
//! driver 580.90                 version of the driver
//! clock real                    zero is the moment of nvmlInit; this is the default
//! clock since 1790000000.25s    zero is this Unix time, so that several processes share one script
//! clock file PATH               a virtual clock: the file holds milliseconds as decimal text and is read on every call
//!
//! board 0 uuid GPU-aaaaaaaa-0000-0000-0000-000000000000 pci 0000:07:00.0 name "NVIDIA H200" limit 700W
//!                               GPUs are numbered from 0 in order; without a limit, the limit is not supported
//! power 0 0.7s 400W             from 0.7 s on the GPU draws 400 W; the first line of a GPU is at 0s
//! repeat 0 1.03s                the power trace starts again every 1.03 s
//! counter 0 tick 20ms           an energy counter that updates every 20 ms (0s: always current)
//! counter 0 tick 20ms start 5000J     … with an initial value of 5000 J
//! nocounter 0                   the counter is not supported; this is the default
//! average 0 1s                  power usage is the mean of the last second (from zero on); default: instantaneous
//! instant 0 yes                 the fields 186 (instantaneous power) and 185 (average power) are supported; default: no
//! reset 0 3s                    driver reload: at 3 s the counter restarts from zero
//! lost 0 5s                     from 5 s on every query of the GPU returns NVML_ERROR_GPU_IS_LOST
//! slow 0 50ms                   every query of the GPU sleeps for 50 ms, on the real clock
//! slowcounter 0 5ms             every read of the energy counter sleeps for 5 ms, on the real clock, after taking the value
//! nomemory 0                    memory information is not supported
//! mig 0 on                      MIG mode is on (or off); without the line it is not supported
//! slice 0 MIG-aaaa 3 4711       a MIG slice with 3 of 7 compute slices and processes with these ids
//! process 0 4711                a compute process with this id
//!
//! slowinit 8s                   nvmlInit takes 8 s, on the real clock
//! devicecount 4000000000        the number of devices that the driver claims to have
//! hang 0 2s                     from 2 s on no query of the GPU returns
//! freeze 0 2s 5s                the counter keeps its value from 2 s to 5 s
//! dip 0 2s 5s 200J              the counter shows 200 J from 2 s to 5 s
//! stepback 0 2s 150J            from 2 s on the counter shows 150 J less
//! falsepower 0 2s 5s 593W       all power readings show 593 W from 2 s to 5 s
//! processes 0 4000000000        the number of processes that the driver claims to list
//! ```
//!
//! # Limits
//!
//! Not supported: GPU and compute instances (a slice is only a MIG device), events, clocks, temperatures,
//! changing limits, and the order of GPUs by PCI address (they have the order of the script). Memory sizes
//! are constants; utilisation is power ÷ limit. A sensor without `average` is faster than any real one.

mod clock;
mod driver;
mod faults;
mod ffi;
mod gpu;
mod install;
mod layout;
mod parse;
mod pci;
mod power_trace;
mod quantity;
mod script;
mod status;
mod stubs;

pub use clock::ScriptClock;
pub use gpu::FakeGpu;
pub use install::{SCRIPT_ENV_VAR, install, library_path};
pub use script::{NvmlScript, NvmlScriptError};
