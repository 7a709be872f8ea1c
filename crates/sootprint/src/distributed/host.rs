//! The host and its time since boot.

use super::short_digest::short_digest;

/// A digest of the host's boot id and the job; `None` if the kernel provides no boot id, as outside Linux.
///
/// Containers and virtual nodes of one machine have the same boot id, so ledgers that share hardware are found by it.
/// The host name is not part of it.
pub(crate) fn host_digest(job: &str) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(short_digest(&format!("{}\n{job}", boot.trim())))
}

/// Seconds since the host's boot, sleep included.
#[cfg(target_os = "linux")]
pub(crate) fn seconds_since_boot() -> Option<f64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(now.tv_sec as f64 + now.tv_nsec as f64 / 1e9)
}

/// Not implemented outside Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn seconds_since_boot() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn host_digest_depends_on_job() {
        assert_eq!(host_digest("7"), host_digest("7"));
        assert_ne!(host_digest("7"), host_digest("8"));
        let before = seconds_since_boot().unwrap();
        assert!(before > 0.0 && seconds_since_boot().unwrap() >= before);
    }
}
