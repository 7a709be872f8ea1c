use crate::board::{Board, Slice};
use crate::clock::RunningClock;
use crate::install::{note_path, script_path};
use crate::layout::Handle;
use crate::script::{Script, ScriptError};
use crate::status::Status;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fs, io, thread};

/// The machine between the first `nvmlInit` and the last `nvmlShutdown`: the script and its clock.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) script: Script,
    pub(crate) clock: RunningClock,
}

/// The machine and how many have initialised it, as NVML counts them.
static MACHINE: RwLock<(usize, Option<Arc<Machine>>)> = RwLock::new((0, None));

/// Reads the script for the first of those who initialise; for the others it stays as it is.
pub(crate) fn init() -> Result<(), Status> {
    let mut state = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    if state.1.is_none() {
        let path = script_path().ok_or(Status::Unknown)?;
        state.1 = Some(Arc::new(Machine::open(&path).map_err(|problem| refuse(&path, &problem))?));
        // What an earlier attempt has noted is settled; that there was none is the usual case.
        fs::remove_file(note_path(&path)).ok();
    }
    state.0 += 1;
    Ok(())
}

/// Notes why the script was refused. The answer is the same when no note can be written.
fn refuse(script: &Path, problem: &str) -> Status {
    fs::write(note_path(script), format!("{problem}\n")).ok();
    Status::Unknown
}

/// Forgets the machine when the last of those who initialised it is done.
pub(crate) fn shutdown() -> Result<(), Status> {
    let mut state = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    state.0 = state.0.checked_sub(1).ok_or(Status::Uninitialized)?;
    if state.0 == 0 {
        state.1 = None;
    }
    Ok(())
}

/// The machine, if NVML is initialised.
pub(crate) fn machine() -> Result<Arc<Machine>, Status> {
    let state = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    state.1.clone().ok_or(Status::Uninitialized)
}

impl Machine {
    fn open(path: &Path) -> Result<Self, String> {
        let named = |problem: String| format!("the script {}: {problem}", path.display());
        let text = fs::read_to_string(path).map_err(|error: io::Error| named(error.to_string()))?;
        let script: Script = text.parse().map_err(|error: ScriptError| named(error.to_string()))?;
        let clock = RunningClock::start(&script.clock, path.parent().unwrap_or(Path::new("")));
        clock.now().map_err(|error| error.to_string())?;
        Ok(Self { script, clock })
    }

    /// The handle of the board that is sought, if it answers.
    pub(crate) fn find(
        &self,
        sought: impl Fn(usize, &Board) -> bool,
        otherwise: Status,
    ) -> Result<Handle, Status> {
        let position = self.script.boards.iter().enumerate().position(|(index, board)| sought(index, board));
        let handle = Handle::of(position.ok_or(otherwise)?);
        self.board(handle).map(|_| handle)
    }

    /// A slice and its board, unless the board is lost by then.
    pub(crate) fn slice(&self, handle: Handle) -> Result<(&Board, &Slice), Status> {
        let (board, _) = self.board(Handle::of(handle.board()?))?;
        let slice =
            handle.slice().and_then(|slice| board.slices.get(slice)).ok_or(Status::InvalidArgument)?;
        Ok((board, slice))
    }

    /// A board and the time of the query, unless the board is lost by then. Takes as long as the script says.
    pub(crate) fn board(&self, handle: Handle) -> Result<(&Board, Duration), Status> {
        let board = self.script.boards.get(handle.index()?).ok_or(Status::InvalidArgument)?;
        thread::sleep(board.slow);
        let now = self.clock.now().map_err(|_| Status::Unknown)?;
        if board.is_lost(now) { Err(Status::GpuIsLost) } else { Ok((board, now)) }
    }
}
