//! Process groups and sessions, also across process namespaces.
//!
//! In a container, the leader of the group may be outside the namespace. The system calls then report 0, which rustix
//! rejects, so these functions read `/proc`.

use rustix::process::{Pid, getpid};

/// The ids of a process's group and session; 0 for one outside this namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupAndSession {
    pub(crate) group: i32,
    pub(crate) session: i32,
}

impl GroupAndSession {
    /// Those of this process. `None` if they are unknown.
    pub(crate) fn own() -> Option<Self> {
        Self::of(getpid())
    }

    /// Those of a process. `None` if it has ended or they are unknown.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(process: Pid) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
        // The second field is the name in brackets, which may contain spaces.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(2);
        Some(Self { group: fields.next()?.parse().ok()?, session: fields.next()?.parse().ok()? })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(process: Pid) -> Option<Self> {
        let id = |pid: rustix::io::Result<Pid>| Some(pid.ok()?.as_raw_nonzero().get());
        Some(Self {
            group: id(rustix::process::getpgid(Some(process)))?,
            session: id(rustix::process::getsid(Some(process)))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn child_with_its_own_group_stays_in_the_session() {
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let ids = GroupAndSession::of(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        let own = GroupAndSession::own().unwrap();
        assert_eq!(ids, Some(GroupAndSession { group: pid.as_raw_nonzero().get(), session: own.session }));
        assert_ne!(own.group, pid.as_raw_nonzero().get());
    }
}
