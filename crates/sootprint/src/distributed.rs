//! The rank of this process, the launch that it belongs to, and its host.

mod host;
mod launcher;
mod short_digest;

pub(crate) use host::{host_digest, seconds_since_boot};
pub(crate) use launcher::RankInfo;
pub use launcher::rank;
