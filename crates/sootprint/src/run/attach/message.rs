//! What the two processes say to each other: a line of JSON each.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy, Footprint, Outcome, Power};

use super::devices::Devices;
use crate::launch::since_boot;
use crate::run::Live;
use crate::run::book::{Ended, Inside};
use crate::run::said::Said;

/// Another protocol is another number: who speaks it is measured by itself.
pub(super) const PROTOCOL: u32 = 1;

/// A message that was longer on its way says nothing of the time at which it was sent.
const LONGEST_WAY: f64 = 60.0;

/// From the run that attaches to the one that measures. What wants an answer has a number, from 1.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromChild {
    Hello(Box<Hello>),
    /// A hook spoke, so many seconds after the machine's start.
    Said {
        at: Option<f64>,
        said: Said,
        answer: Option<u64>,
    },
    /// Wants to hear what it has used up to now.
    Read {
        answer: u64,
    },
    /// Wants to hear when all before is in the ledger.
    Settle {
        answer: u64,
    },
    /// Wants its footprint; nothing comes after it.
    Finish {
        outcome: Option<Outcome>,
        answer: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    pub(super) rank: u32,
    pub(super) ranks: u32,
    pub(super) devices: Devices,
    pub(super) inside: Inside,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromParent {
    /// The training is measured, under this name.
    Welcome {
        run: String,
        is_virtual: bool,
    },
    /// What it has used so far: each second, and before each answer.
    Figures(Figures),
    Answer(u64, Answer),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// What the epoch came to that ended.
    Ended(Option<Ended>),
    Read(Figures),
    Settled,
    Footprint(Box<Footprint>),
}

/// What a training has used so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Figures {
    elapsed: Duration,
    energy: Energy,
    power: Option<Power>,
    emissions: Co2e,
}

impl From<Live> for Figures {
    fn from(Live { elapsed, energy, power, emissions }: Live) -> Self {
        Self { elapsed, energy, power, emissions }
    }
}

impl From<Figures> for Live {
    fn from(Figures { elapsed, energy, power, emissions }: Figures) -> Self {
        Self { elapsed, energy, power, emissions }
    }
}

/// Seconds since boot, where the system counts them.
pub(super) fn now() -> Option<f64> {
    since_boot()
}

/// How long ago a message was sent.
pub(super) fn age(at: Option<f64>) -> Duration {
    let age = at.zip(now()).map_or(0.0, |(then, now)| now - then);
    // Another host's clock, or another namespace's.
    let is_likely = (0.0..LONGEST_WAY).contains(&age);
    Duration::try_from_secs_f64(if is_likely { age } else { 0.0 }).unwrap_or_default()
}

pub(super) fn line(message: &impl Serialize) -> io::Result<String> {
    let mut text = serde_json::to_string(message)?;
    text.push('\n');
    Ok(text)
}
