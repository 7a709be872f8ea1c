//! The protocol between a nested run and the run that measures it: one JSON object per line.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy, Footprint, Power, RunStatus};

use super::config::NestedRunConfig;
use super::device_visibility::DeviceVisibilityEnv;
use crate::distributed::seconds_since_boot;
use crate::run::event::{EpochTotals, HookEvent};
use crate::run::usage::LiveUsage;

/// Bump on incompatible changes; clients with another version measure themselves.
pub(crate) const PROTOCOL_VERSION: u32 = 1;

/// Above this age in seconds, the time of a message is considered wrong.
const MAX_MESSAGE_AGE: f64 = 60.0;

/// A message from the nested run. Messages that request an answer carry an id, from 1.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NestedClientMessage {
    Hello(Box<ClientHello>),
    /// A hook event, `at` seconds after boot.
    Event {
        at: Option<f64>,
        event: HookEvent,
        request_id: Option<u64>,
    },
    /// Requests the usage up to now.
    Sample {
        request_id: u64,
    },
    /// Requests an answer once all earlier events are in the ledger.
    Flush {
        request_id: u64,
    },
    /// Requests the footprint; this is the last message.
    Finish {
        status: Option<RunStatus>,
        request_id: u64,
    },
}

/// The first message of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientHello {
    pub(crate) protocol: u32,
    pub(crate) rank: u32,
    pub(crate) ranks: u32,
    pub(crate) visibility: DeviceVisibilityEnv,
    pub(crate) config: NestedRunConfig,
}

/// A message from the measuring run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NestedServerMessage {
    /// The connection is accepted, with this run id.
    Welcome {
        run_id: String,
        uses_virtual_time: bool,
    },
    /// The usage so far, sent every second and before each answer.
    Usage(UsageSnapshot),
    Reply(u64, NestedReply),
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NestedReply {
    /// The totals of the epoch that an event ended.
    EpochEnded(Option<EpochTotals>),
    Sampled(UsageSnapshot),
    Flushed,
    Footprint(Box<Footprint>),
}

/// [`LiveUsage`] as it is sent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct UsageSnapshot {
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

/// Seconds since boot, if the system provides them.
pub(crate) fn message_time() -> Option<f64> {
    seconds_since_boot()
}

/// How long ago a message was sent.
pub(crate) fn message_age(at: Option<f64>) -> Duration {
    let seconds = at.zip(message_time()).map_or(0.0, |(then, now)| now - then);
    // The clock may be that of another host or of another time namespace.
    let is_plausible = (0.0..MAX_MESSAGE_AGE).contains(&seconds);
    Duration::try_from_secs_f64(if is_plausible { seconds } else { 0.0 }).unwrap_or_default()
}

pub(crate) fn encode_line(message: &impl Serialize) -> io::Result<String> {
    let mut text = serde_json::to_string(message)?;
    text.push('\n');
    Ok(text)
}
