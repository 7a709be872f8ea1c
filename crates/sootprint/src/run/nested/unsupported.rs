//! Systems without Unix sockets have no nested runs: each run is measured on its own.

use std::convert::Infallible;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;

use sootprint_core::{Footprint, RunStatus};

use crate::distributed::RankInfo;
use crate::run::LiveUsage;
use crate::run::event::HookEvent;
use crate::run::recorder::{EpochTotals, NestedRunConfig};

#[derive(Debug)]
pub(in crate::run) struct RemoteSampler(Infallible);

impl RemoteSampler {
    pub(in crate::run) fn connect(_dir: &Path, _launch: &RankInfo, _config: NestedRunConfig) -> Option<Self> {
        None
    }

    pub(in crate::run) fn run_id(&self) -> &str {
        match self.0 {}
    }

    pub(in crate::run) fn send_event(
        &self,
        _event: HookEvent,
        _on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static,
    ) {
        match self.0 {}
    }

    pub(in crate::run) fn sample(&self, _on_usage: impl FnOnce(LiveUsage) + Send + 'static) {
        match self.0 {}
    }

    pub(in crate::run) fn flush(&self, _done_tx: Sender<()>) {
        match self.0 {}
    }

    pub(in crate::run) fn usage(&self) -> LiveUsage {
        match self.0 {}
    }

    pub(in crate::run) fn finish(&self, _status: Option<RunStatus>, _timeout: Duration) -> Option<Footprint> {
        match self.0 {}
    }

    pub(in crate::run) fn records_in(&self, _dir: &Path) -> bool {
        match self.0 {}
    }
}
