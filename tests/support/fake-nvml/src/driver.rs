use crate::clock::RunningClock;
use crate::gpu::{FakeGpu, FakeMigSlice};
use crate::install::{error_file_path, script_path};
use crate::layout::DeviceHandle;
use crate::script::{NvmlScript, NvmlScriptError};
use crate::status::NvmlStatus;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fs, io, thread};

/// The driver state between the first `nvmlInit` and the last `nvmlShutdown`: the script and its clock.
#[derive(Debug)]
pub(crate) struct FakeDriver {
    pub(crate) script: NvmlScript,
    pub(crate) clock: RunningClock,
}

/// The reference count of `nvmlInit` calls, as in NVML, and the driver.
static DRIVER: RwLock<(usize, Option<Arc<FakeDriver>>)> = RwLock::new((0, None));

/// Reads the script on the first call; later calls only increment the count.
pub(crate) fn init() -> Result<(), NvmlStatus> {
    let mut state = DRIVER.write().unwrap_or_else(PoisonError::into_inner);
    if state.1.is_none() {
        let path = script_path().ok_or(NvmlStatus::Unknown)?;
        let driver = Arc::new(FakeDriver::open(&path).map_err(|problem| reject_script(&path, &problem))?);
        thread::sleep(driver.script.init_delay);
        state.1 = Some(driver);
        // Removes the error of an earlier attempt; usually there is no such file.
        fs::remove_file(error_file_path(&path)).ok();
    }
    state.0 += 1;
    Ok(())
}

/// Writes the reason to the error file. The status is the same if that file cannot be written.
fn reject_script(script: &Path, reason: &str) -> NvmlStatus {
    fs::write(error_file_path(script), format!("{reason}\n")).ok();
    NvmlStatus::Unknown
}

/// Drops the driver when the count reaches zero.
pub(crate) fn shutdown() -> Result<(), NvmlStatus> {
    let mut state = DRIVER.write().unwrap_or_else(PoisonError::into_inner);
    state.0 = state.0.checked_sub(1).ok_or(NvmlStatus::Uninitialized)?;
    if state.0 == 0 {
        state.1 = None;
    }
    Ok(())
}

/// The driver, if NVML is initialised.
pub(crate) fn driver() -> Result<Arc<FakeDriver>, NvmlStatus> {
    let state = DRIVER.read().unwrap_or_else(PoisonError::into_inner);
    state.1.clone().ok_or(NvmlStatus::Uninitialized)
}

impl FakeDriver {
    fn open(path: &Path) -> Result<Self, String> {
        let named = |problem: String| format!("the script {}: {problem}", path.display());
        let text = fs::read_to_string(path).map_err(|error: io::Error| named(error.to_string()))?;
        let script: NvmlScript = text.parse().map_err(|error: NvmlScriptError| named(error.to_string()))?;
        let clock = RunningClock::start(&script.clock, path.parent().unwrap_or(Path::new("")));
        clock.now().map_err(|error| error.to_string())?;
        Ok(Self { script, clock })
    }

    /// The handle of the matching GPU, unless it is lost.
    pub(crate) fn find_gpu(
        &self,
        matches: impl Fn(usize, &FakeGpu) -> bool,
        not_found: NvmlStatus,
    ) -> Result<DeviceHandle, NvmlStatus> {
        let position = self.script.gpus.iter().enumerate().position(|(index, gpu)| matches(index, gpu));
        let handle = DeviceHandle::from_index(position.ok_or(not_found)?);
        self.gpu(handle).map(|_| handle)
    }

    /// A MIG slice and its GPU, unless the GPU is lost.
    pub(crate) fn mig_slice(&self, handle: DeviceHandle) -> Result<(&FakeGpu, &FakeMigSlice), NvmlStatus> {
        let (gpu, _) = self.gpu(DeviceHandle::from_index(handle.parent_index()?))?;
        let slice = handle
            .slice_index()
            .and_then(|slice| gpu.mig_slices.get(slice))
            .ok_or(NvmlStatus::InvalidArgument)?;
        Ok((gpu, slice))
    }

    /// A GPU and the time of the query, unless the GPU is lost. Sleeps for the scripted query delay.
    pub(crate) fn gpu(&self, handle: DeviceHandle) -> Result<(&FakeGpu, Duration), NvmlStatus> {
        let gpu = self.script.gpus.get(handle.gpu_index()?).ok_or(NvmlStatus::InvalidArgument)?;
        thread::sleep(gpu.query_delay);
        let now = self.clock.now().map_err(|_| NvmlStatus::Unknown)?;
        gpu.faults.wait(now);
        if gpu.is_lost(now) { Err(NvmlStatus::GpuIsLost) } else { Ok((gpu, now)) }
    }
}
