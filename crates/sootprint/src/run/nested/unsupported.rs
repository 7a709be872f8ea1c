//! Nested runs on systems without Unix sockets: none, each run measures itself.

use std::convert::Infallible;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;

use sootprint_core::{Footprint, RunStatus};

use super::config::NestedRunConfig;
use crate::distributed::RankInfo;
use crate::run::event::{EpochTotals, HookEvent};
use crate::run::usage::LiveUsage;

#[derive(Debug)]
pub(crate) struct RemoteSampler(Infallible);

impl RemoteSampler {
    pub(crate) fn connect(_dir: &Path, _launch: &RankInfo, _config: NestedRunConfig) -> Option<Self> {
        None
    }

    pub(crate) fn run_id(&self) -> &str {
        match self.0 {}
    }

    pub(crate) fn send_event(
        &self,
        _event: HookEvent,
        _on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static,
    ) {
        match self.0 {}
    }

    pub(crate) fn sample(&self, _on_usage: impl FnOnce(LiveUsage) + Send + 'static) {
        match self.0 {}
    }

    pub(crate) fn flush(&self, _done_tx: Sender<()>) {
        match self.0 {}
    }

    pub(crate) fn usage(&self) -> LiveUsage {
        match self.0 {}
    }

    pub(crate) fn finish(&self, _status: Option<RunStatus>, _timeout: Duration) -> Option<Footprint> {
        match self.0 {}
    }

    pub(crate) fn records_in(&self, _dir: &Path) -> bool {
        match self.0 {}
    }
}
