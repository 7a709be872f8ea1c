//! Where the system has no sockets in folders nobody attaches: each run is measured by itself.

use std::convert::Infallible;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;

use sootprint_core::{Footprint, Outcome};

use crate::launch::Launch;
use crate::run::Live;
use crate::run::book::{Ended, Inside};
use crate::run::said::Said;

#[derive(Debug)]
pub(in crate::run) struct Attached(Infallible);

impl Attached {
    pub(in crate::run) fn to(_dir: &Path, _launch: &Launch, _inside: Inside) -> Option<Self> {
        None
    }

    pub(in crate::run) fn run(&self) -> &str {
        match self.0 {}
    }

    pub(in crate::run) fn say(&self, _said: Said, _then: impl FnOnce(Option<Ended>) + Send + 'static) {
        match self.0 {}
    }

    pub(in crate::run) fn read(&self, _tell: impl FnOnce(Live) + Send + 'static) {
        match self.0 {}
    }

    pub(in crate::run) fn settle(&self, _tell: Sender<()>) {
        match self.0 {}
    }

    pub(in crate::run) fn live(&self) -> Live {
        match self.0 {}
    }

    pub(in crate::run) fn finish(&self, _outcome: Option<Outcome>, _patience: Duration) -> Option<Footprint> {
        match self.0 {}
    }

    pub(in crate::run) fn is_of(&self, _dir: &Path) -> bool {
        match self.0 {}
    }
}
