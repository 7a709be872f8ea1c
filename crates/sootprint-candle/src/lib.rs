//! Measures the energy and CO2e of Candle training loops.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use sootprint::Run;
//! use sootprint_candle::CandleLoopExt as _;
//!
//! # let dir = tempfile::tempdir()?;
//! let device = Device::Cpu;
//! let run = Run::fine_tuning(dir.path(), "me/digits-base").start();
//! for epoch in run.epochs(1..=3).on(&device) {
//!     let batch = Tensor::randn(0f32, 1.0, (8, 8), &device)?;
//!     batch.matmul(&batch)?;
//! }
//! let footprint = run.finish();
//! assert_eq!(footprint.epochs.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Outcomes
//!
//! | how the loop ended | last epoch | outcome |
//! |---|---|---|
//! | after all epochs, then `finish` | complete | `completed` |
//! | `break`, then `finish` | incomplete | `stopped_early` |
//! | a budget that stops the loop, then `finish` | complete | `stopped_early`, with the reason |
//! | `?`, and the run is dropped | incomplete | `failed` |
//! | `?`, the error is handled, then `finish` | incomplete | `stopped_early` |
//! | a panic, and the run is dropped while unwinding | incomplete | `panicked` |
//! | a panic with `panic = "abort"`, or a signal | incomplete | `killed`, from the ledger |
//! | a closure ([`Run::epoch`](sootprint::Run::epoch)) that returns `Err` | incomplete | depends on how the caller continues |
//! | after all steps of a loop without epochs ([`Run::windows`](sootprint::Run::windows)) | complete window | `completed` |
//!
//! # Limits
//! - A CUDA device is identified by its ordinal, which sootprint maps to a GPU, honouring `CUDA_VISIBLE_DEVICES`. On
//!   machines with different GPUs in CUDA's default order, the footprint notes that the mapping is uncertain.
//! - Metal devices cannot be measured yet; the footprint names them.
//! - [`on`](CandleLoopExt::on) synchronises the device before the first epoch and at the end of each epoch, never within
//!   one. A loop without `on` does not synchronise, and work that is still queued at the end of an epoch is counted in the
//!   next one.
//! - The start and end of a phase within an epoch are timestamps of the training thread. Work that the device has not
//!   finished at the end of a phase is counted in the next phase.

#![forbid(unsafe_code)]

use candle_core::{DType, Device, DeviceLocation, Tensor};
use sootprint::{DeviceId, Epochs, RunHandle, Windows};

/// Attaches devices to a loop over [epochs](sootprint::Run::epochs) or [windows](sootprint::Run::windows).
///
/// The footprint leaves out the GPUs of all other devices. Each attached device is synchronised before the first epoch
/// or window and at the end of each, never within one.
pub trait CandleLoopExt: Sized {
    /// Attaches the device that the loop trains on.
    #[must_use]
    fn on(self, device: &Device) -> Self {
        self.on_all(std::slice::from_ref(device))
    }

    /// Attaches the devices that the loop trains on.
    #[must_use]
    fn on_all(self, devices: &[Device]) -> Self;
}

impl<I> CandleLoopExt for Epochs<I> {
    fn on_all(self, devices: &[Device]) -> Self {
        add_devices(self.handle(), devices);
        self.sync_with(synchronizer(devices))
    }
}

impl<I> CandleLoopExt for Windows<I> {
    fn on_all(self, devices: &[Device]) -> Self {
        add_devices(self.handle(), devices);
        self.sync_with(synchronizer(devices))
    }
}

fn add_devices(run: &RunHandle, devices: &[Device]) {
    run.add_devices(devices.iter().filter_map(device_id));
}

/// Returns a function that waits until the devices have finished their queued work.
///
/// An error is only logged, once: the training meets it at its next operation.
fn synchronizer(devices: &[Device]) -> impl FnMut() + Send + 'static {
    let (devices, mut has_warned) = (devices.iter().map(SyncedDevice::new).collect::<Vec<_>>(), false);
    move || {
        for synced in &devices {
            if let Err(error) = synced.synchronize()
                && !std::mem::replace(&mut has_warned, true)
            {
                let location = synced.device.location();
                tracing::warn!(
                    "cannot synchronise {location:?}: {error}; work queued in an epoch may be counted in the next one"
                );
            }
        }
    }
}

/// A device that is synchronised at boundaries.
struct SyncedDevice {
    device: Device,
    /// On CUDA, a byte on the device. Reading it waits for all work that was queued before.
    sync_byte: Option<Tensor>,
}

impl SyncedDevice {
    /// `Device::synchronize` would make CUDA's memory pool release all free memory (Candle leaves
    /// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD` at 0), which the next epoch must re-allocate with calls into the driver: about
    /// 20 ms per run on an H200. A copy into pageable memory, as in reading a loss, also waits but keeps the pool.
    fn new(device: &Device) -> Self {
        let sync_byte = device.is_cuda().then(|| Tensor::zeros((), DType::U8, device).ok()).flatten();
        Self { device: device.clone(), sync_byte }
    }

    fn synchronize(&self) -> candle_core::Result<()> {
        match &self.sync_byte {
            Some(byte) => byte.to_scalar::<u8>().map(drop),
            None => self.device.synchronize(),
        }
    }
}

/// The id of the GPU behind a device; `None` for the CPU.
fn device_id(device: &Device) -> Option<DeviceId> {
    match device.location() {
        DeviceLocation::Cpu => None,
        DeviceLocation::Cuda { gpu_id } => Some(DeviceId::CudaOrdinal(gpu_id)),
        DeviceLocation::Metal { gpu_id } => Some(DeviceId::Unknown(format!("metal:{gpu_id}"))),
    }
}

/// Compiles the quickstart's program.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/quickstart-candle.md")]
mod quickstart {}
