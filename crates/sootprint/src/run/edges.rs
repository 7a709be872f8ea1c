//! What is done before the edge of an epoch or a slice is taken.

use std::fmt;

/// Waits for the devices that train, so that what they were given belongs to the epoch that ends.
#[derive(Default)]
pub(super) struct Edges(Option<Box<dyn FnMut() + Send>>);

impl Edges {
    pub(super) fn add(&mut self, mut wait: impl FnMut() + Send + 'static) {
        self.0 = Some(match self.0.take() {
            Some(mut first) => Box::new(move || {
                first();
                wait();
            }),
            None => Box::new(wait),
        });
    }

    pub(super) fn wait(&mut self) {
        if let Some(wait) = &mut self.0 {
            wait();
        }
    }
}

impl fmt::Debug for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Edges(waits)" } else { "Edges" })
    }
}
