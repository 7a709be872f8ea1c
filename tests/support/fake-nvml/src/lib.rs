//! An NVML library whose boards follow a script, so that what was measured can be compared with what is true.
//!
//! The crate is built twice. The *cdylib* stands in for `libnvidia-ml.so.1`: it is loaded by `nvml-wrapper`, by `pynvml`, or by
//! whatever else reads NVIDIA boards, and answers from the script. The *rlib* is for tests: it writes scripts ([`NvmlScript`],
//! [`FakeGpu`]), moves their clock ([`ScriptClock`]), knows the true energy ([`NvmlScript::true_energy`]) and puts the library
//! where a test can load it ([`install`], [`library_path`]).
//!
//! ```no_run
//! use nvidia_ml::{FakeGpu, NvmlScript, ScriptClock, install};
//! use std::{path::Path, time::Duration};
//!
//! # fn main() -> std::io::Result<()> {
//! let folder = Path::new("/tmp/two-phases");
//! std::fs::create_dir_all(folder)?;
//! let clock = ScriptClock::new(folder.join("clock"))?;
//! let board = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
//!     .power_from(Duration::ZERO, 100)
//!     .power_from(Duration::from_millis(700), 400)
//!     .energy_counter(Duration::from_millis(20));
//! let library = install(&NvmlScript::new().with_clock(&clock).with_gpu(board), folder)?;
//! // … hand `library` to the program under test, and then:
//! clock.advance(Duration::from_secs(2))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where the library finds its script
//!
//! At `nvmlInit`, in the file that the environment variable `SCRIPTED_NVML` names ([`SCRIPT_ENV_VAR`]); without it, in
//! `script.nvml` in the folder that the library was loaded from. The second way lets several tests of one process use several
//! scripts. Each needs its own *copy* of the library, because the dynamic loader takes two names of one file for one library:
//! [`install`] makes that copy.
//!
//! A script that cannot be read or parsed makes `nvmlInit` answer `NVML_ERROR_UNKNOWN`, and the reason is written to a file
//! beside the script that has `.error` appended to its name.
//!
//! # The script
//!
//! One statement in each line; `#` starts a comment; a word with spaces stands in double quotes. Times have the units `s`, `ms`,
//! `us` or `ns`, power has `W` or `mW`, energy `J` or `mJ`; a figure may have decimals as long as it stays exact. All times count
//! from the script's zero.
//!
//! ```text
//! driver 580.90                 version of the driver
//! clock real                    zero is the moment of nvmlInit; this is the default
//! clock since 1790000000.25s    zero is this Unix time, so that several processes share one script
//! clock file PATH               a virtual clock: the file holds milliseconds as decimal text and is read on every call
//!
//! board 0 uuid GPU-aaaaaaaa-0000-0000-0000-000000000000 pci 0000:07:00.0 name "NVIDIA H200" limit 700W
//!                               boards are numbered from 0 in order; without a limit, the limit is not supported
//! power 0 0.7s 400W             from 0.7 s on the board draws 400 W; the first line of a board is at 0s
//! repeat 0 1.03s                the power trace starts again every 1.03 s
//! counter 0 tick 20ms           an energy counter that moves every 20 ms (0s: always current)
//! counter 0 tick 20ms start 5000J     … and that has already counted 5000 J at zero
//! nocounter 0                   the counter is not supported; this is the default
//! average 0 1s                  power usage is the mean of the last second (from zero on), otherwise it is instantaneous
//! instant 0 yes                 the fields 186 (instantaneous power) and 185 (averaged power) are offered; default: no
//! reset 0 3s                    the driver is loaded anew: at 3 s the counter starts from zero again
//! lost 0 5s                     from 5 s on every query of the board answers NVML_ERROR_GPU_IS_LOST
//! slow 0 50ms                   every query of the board sleeps that long, on the real clock
//! slowcounter 0 5ms             every reading of its energy counter sleeps that long, on the real clock, after it was taken
//! nomemory 0                    memory information is not supported
//! mig 0 on                      MIG mode is on (or off); without the line it is not supported
//! slice 0 MIG-aaaa 3 4711       the board has a slice (MIG) of 3 of its 7 parts, on which processes with these ids run
//! process 0 4711                a compute process with this id runs on the board
//! ```
//!
//! # What it does not imitate
//!
//! GPU and compute instances (a slice is a MIG device and no more), events, clocks, temperatures, limits that change, the order of boards by PCI
//! address (they have the order of the script). Memory figures are constants; utilisation is power ÷ limit. A sensor without
//! `average` is faster than any real one.

mod clock;
mod driver;
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
