//! A guard around a Candle loop measures its energy and CO2e.
//!
//! # Limits
//! - A CUDA device is known by its ordinal, which the core maps to a board; `CUDA_VISIBLE_DEVICES` is honoured, and on
//!   mixed boards in CUDA's own order the footprint says that the mapping is not certain.
//! - A Metal device cannot be measured yet: the footprint names it.
//! - The device is synchronised once at each epoch's end, and never within one.
//! - A loop that is left by `break`, `?` or a panic leaves its last epoch incomplete.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use sootprint::Run;
//! use sootprint_candle::OnDevice as _;
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

use candle_core::{Device, DeviceLocation};
use sootprint::{Claim, Epochs};

/// Lets a loop over epochs know the device that it trains on.
pub trait OnDevice: Sized {
    /// Counts the device's board, and waits for the device before an epoch ends.
    fn on(self, device: &Device) -> OnDevices<Self> {
        self.on_all(std::slice::from_ref(device))
    }

    /// The same for a loop that trains on several devices.
    fn on_all(self, devices: &[Device]) -> OnDevices<Self>;
}

impl<I> OnDevice for Epochs<I> {
    fn on_all(self, devices: &[Device]) -> OnDevices<Self> {
        self.handle().claim(devices.iter().filter_map(claim));
        OnDevices { epochs: self, devices: devices.to_vec(), is_warned: false }
    }
}

/// Epochs on known devices; see [`OnDevice`].
#[must_use = "epochs are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct OnDevices<E> {
    epochs: E,
    devices: Vec<Device>,
    is_warned: bool,
}

impl<E> OnDevices<E> {
    /// Waits until the devices have done what they were given. An error is the training's to meet: it is only told.
    fn synchronize(&mut self) {
        for device in &self.devices {
            if let Err(error) = device.synchronize()
                && !std::mem::replace(&mut self.is_warned, true)
            {
                tracing::warn!("{:?} does not synchronise, epochs may end early: {error}", device.location());
            }
        }
    }
}

impl<E: Iterator> Iterator for OnDevices<E> {
    type Item = E::Item;

    fn next(&mut self) -> Option<E::Item> {
        self.synchronize();
        self.epochs.next()
    }
}

impl<E> Drop for OnDevices<E> {
    /// An epoch that is left early ends when its work is done; after a panic nothing is waited for.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.synchronize();
        }
    }
}

/// The board that a device claims; none for the processor.
fn claim(device: &Device) -> Option<Claim> {
    match device.location() {
        DeviceLocation::Cpu => None,
        DeviceLocation::Cuda { gpu_id } => Some(Claim::CudaOrdinal(gpu_id)),
        DeviceLocation::Metal { gpu_id } => Some(Claim::Unknown(format!("metal:{gpu_id}"))),
    }
}
