//! What is done before the edge of an epoch or a slice is taken.

use std::fmt;

/// Waits for the devices that train, so that what they were given belongs to the epoch that ends.
#[derive(Default)]
pub(super) struct DeviceSync(Option<Box<dyn FnMut() + Send>>);

impl DeviceSync {
    pub(super) fn add_wait(&mut self, mut wait: impl FnMut() + Send + 'static) {
        self.0 = Some(match self.0.take() {
            Some(mut first) => Box::new(move || {
                first();
                wait();
            }),
            None => Box::new(wait),
        });
    }

    pub(super) fn wait_for_devices(&mut self) {
        if let Some(wait) = &mut self.0 {
            wait();
        }
    }
}

impl fmt::Debug for DeviceSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Edges(waits)" } else { "Edges" })
    }
}
