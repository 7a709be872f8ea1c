//! What the two processes say to each other: a line of JSON each.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy, Footprint, Power, RunStatus};

use super::device_visibility::DeviceVisibilityEnv;
use crate::distributed::seconds_since_boot;
use crate::run::LiveUsage;
use crate::run::event::HookEvent;
use crate::run::recorder::{EpochTotals, NestedRunConfig};

/// Another protocol is another number: who speaks it is measured by itself.
pub(super) const PROTOCOL_VERSION: u32 = 1;

/// A message that was longer on its way says nothing of the time at which it was sent.
const MAX_MESSAGE_AGE: f64 = 60.0;

/// From the run that attaches to the one that measures. What wants an answer has a number, from 1.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NestedClientMessage {
    Hello(Box<ClientHello>),
    /// A hook spoke, so many seconds after the machine's start.
    Event {
        at: Option<f64>,
        event: HookEvent,
        request_id: Option<u64>,
    },
    /// Wants to hear what it has used up to now.
    Sample {
        request_id: u64,
    },
    /// Wants to hear when all before is in the ledger.
    Flush {
        request_id: u64,
    },
    /// Wants its footprint; nothing comes after it.
    Finish {
        status: Option<RunStatus>,
        request_id: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ClientHello {
    pub(super) protocol: u32,
    pub(super) rank: u32,
    pub(super) ranks: u32,
    pub(super) visibility: DeviceVisibilityEnv,
    pub(super) config: NestedRunConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NestedServerMessage {
    /// The training is measured, under this name.
    Welcome {
        run_id: String,
        uses_virtual_time: bool,
    },
    /// What it has used so far: each second, and before each answer.
    Usage(UsageSnapshot),
    Reply(u64, NestedReply),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NestedReply {
    /// What the epoch came to that ended.
    EpochEnded(Option<EpochTotals>),
    Sampled(UsageSnapshot),
    Flushed,
    Footprint(Box<Footprint>),
}

/// What a training has used so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct UsageSnapshot {
    elapsed: Duration,
    energy: Energy,
    power: Option<Power>,
    emissions: Co2e,
}

impl From<LiveUsage> for UsageSnapshot {
    fn from(LiveUsage { elapsed, energy, power, emissions }: LiveUsage) -> Self {
        Self { elapsed, energy, power, emissions }
    }
}

impl From<UsageSnapshot> for LiveUsage {
    fn from(UsageSnapshot { elapsed, energy, power, emissions }: UsageSnapshot) -> Self {
        Self { elapsed, energy, power, emissions }
    }
}

/// Seconds since boot, where the system counts them.
pub(super) fn message_time() -> Option<f64> {
    seconds_since_boot()
}

/// How long ago a message was sent.
pub(super) fn message_age(at: Option<f64>) -> Duration {
    let seconds = at.zip(message_time()).map_or(0.0, |(then, now)| now - then);
    // Another host's clock, or another namespace's.
    let is_plausible = (0.0..MAX_MESSAGE_AGE).contains(&seconds);
    Duration::try_from_secs_f64(if is_plausible { seconds } else { 0.0 }).unwrap_or_default()
}

pub(super) fn encode_line(message: &impl Serialize) -> io::Result<String> {
    let mut text = serde_json::to_string(message)?;
    text.push('\n');
    Ok(text)
}
