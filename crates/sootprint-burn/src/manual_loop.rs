//! Custom loops without Burn's learner.

use burn::tensor::Device;
use sootprint::{Epochs, Windows};

use crate::devices::synchronize;
use crate::training::add_devices;

/// Attaches devices to a loop over [epochs](sootprint::Run::epochs) or [windows](sootprint::Run::windows). The
/// footprint then counts only GPUs that were attached, by this or any other call. An epoch or window ends only when the
/// attached devices have finished its work.
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
    /// Attaches the device that the loop trains on.
    fn on(self, device: &Device) -> Self {
        self.on_all(std::slice::from_ref(device))
    }

    /// Attaches the devices that the loop trains on.
    ///
    /// At the end of an epoch, the loop waits only for work that its own thread queued. A loop with worker threads
    /// must join them, or receive their results, before an epoch ends.
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
