//! A guard around a Candle loop measures its energy and CO2e.
//!
//! # Limits
//! - A CUDA device is known by its ordinal, which the core maps to a board; `CUDA_VISIBLE_DEVICES` is honoured, and on
//!   mixed boards in CUDA's own order the footprint says that the mapping is not certain.
//! - A Metal device cannot be measured yet: the footprint names it.
//! - The device is waited for before the first epoch and at each one's end, and never within one. On CUDA a byte is read
//!   back for that, as a loss is: to synchronise would make CUDA's memory pool give back what is free, for which the next
//!   epoch would have to ask again. A loop without [`on`](CandleLoopExt::on) does not wait, and the work that its device has
//!   left is counted to the next epoch.
//! - What a phase of a step used is known from timestamps of the training's thread: a device that works on while the
//!   thread goes on has that work counted to the next phase.
//!
//! # How a loop may end
//! | the loop | its last epoch | the run |
//! |---|---|---|
//! | comes to its end, then `finish` | complete | `completed` |
//! | is left by `break`, then `finish` | incomplete | `stopped_early` |
//! | ends at a budget that stops, then `finish` | complete | `stopped_early`, with the reason |
//! | is left by `?`, and the run dropped | incomplete | `failed` |
//! | is left by `?`, which is handled, then `finish` | incomplete | `stopped_early` |
//! | panics, and the run is dropped while unwinding | incomplete | `panicked` |
//! | panics under `panic = "abort"`, or is killed | incomplete | `killed`, from the ledger |
//! | is a closure ([`Run::epoch`](sootprint::Run::epoch)) that returns `Err` | incomplete | as the caller goes on |
//! | has no epochs ([`Run::windows`](sootprint::Run::windows)) and ends | complete slice | `completed` |
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

#![forbid(unsafe_code)]

use candle_core::{DType, Device, DeviceLocation, Tensor};
use sootprint::{DeviceId, Epochs, RunHandle, Windows};

/// Lets a measured loop know the devices that it trains on.
///
/// Their boards are counted and no others, and each is waited for at the loop's edges: before the first epoch or slice
/// and before each one's end, never within one.
pub trait CandleLoopExt: Sized {
    /// The loop trains on this device.
    #[must_use]
    fn on(self, device: &Device) -> Self {
        self.on_all(std::slice::from_ref(device))
    }

    /// The loop trains on all of these.
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

/// Waits until the devices have done what they were given. An error is the training's to meet: it is told once.
fn synchronizer(devices: &[Device]) -> impl FnMut() + Send + 'static {
    let (devices, mut has_warned) = (devices.iter().map(SyncedDevice::new).collect::<Vec<_>>(), false);
    move || {
        for synced in &devices {
            if let Err(error) = synced.synchronize()
                && !std::mem::replace(&mut has_warned, true)
            {
                let location = synced.device.location();
                tracing::warn!("{location:?} cannot be waited for, epochs may end early: {error}");
            }
        }
    }
}

/// A device that is waited for.
struct SyncedDevice {
    device: Device,
    /// On CUDA a byte of it, whose reading comes after all that the device was given before.
    sync_byte: Option<Tensor>,
}

impl SyncedDevice {
    /// On CUDA Candle allocates from the device's memory pool, which gives back all that is free whenever somebody
    /// synchronises (`CU_MEMPOOL_ATTR_RELEASE_THRESHOLD` is 0). A copy into memory that is not pinned waits as well, by
    /// which Candle reads every loss, and leaves the pool alone.
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

/// The board that a device claims; none for the processor.
fn device_id(device: &Device) -> Option<DeviceId> {
    match device.location() {
        DeviceLocation::Cpu => None,
        DeviceLocation::Cuda { gpu_id } => Some(DeviceId::CudaOrdinal(gpu_id)),
        DeviceLocation::Metal { gpu_id } => Some(DeviceId::Unknown(format!("metal:{gpu_id}"))),
    }
}
