//! Loops of one's own, without Burn's learner.

use burn::tensor::Device;
use sootprint::{Epochs, Windows};

use crate::devices::synchronize;
use crate::training::add_devices;

/// Lets a loop over epochs know the devices that it trains on.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sootprint::Run;
/// use sootprint_burn::BurnLoopExt as _;
///
/// # let dir = tempfile::tempdir()?;
/// let device = Device::flex().autodiff();
/// let run = Run::pre_training(dir.path()).start();
/// for epoch in run.epochs(1..=3).on(&device) {
///     let batch = Tensor::<2>::random([8, 8], Distribution::Default, &device);
///     batch.clone().matmul(batch);
/// }
/// let footprint = run.finish();
/// assert_eq!(footprint.epochs.len(), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait BurnLoopExt: Sized {
    /// Counts the device's board, and waits for the device before an epoch or a slice ends.
    fn on(self, device: &Device) -> Self {
        self.on_all(std::slice::from_ref(device))
    }

    /// The same for a loop that trains on several devices.
    ///
    /// A device is waited for by the thread that the loop is on. Threads of its own it joins before an epoch ends, or
    /// takes their results.
    fn on_all(self, devices: &[Device]) -> Self;
}

impl<I> BurnLoopExt for Epochs<I> {
    fn on_all(self, devices: &[Device]) -> Self {
        add_devices(self.handle(), devices);
        self.sync_with(synchronizer(devices))
    }
}

impl<I> BurnLoopExt for Windows<I> {
    fn on_all(self, devices: &[Device]) -> Self {
        add_devices(self.handle(), devices);
        self.sync_with(synchronizer(devices))
    }
}

fn synchronizer(devices: &[Device]) -> impl FnMut() + Send + 'static {
    let devices = devices.to_vec();
    move || synchronize(&devices)
}
