//! The processes that use a GPU: this process and its descendants, or others.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Maximum number of generations that are searched for an ancestor. Training workers are only a few
/// generations away.
const MAX_ANCESTRY_DEPTH: usize = 64;

/// The users of a GPU, as far as they can be determined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuUsers {
    /// Whether this process or one of its descendants uses the GPU.
    pub own: bool,
    /// Whether any other process uses the GPU.
    pub foreign: bool,
    /// Whether it is certain that no process of the run has the GPU's device file open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unused: bool,
}

impl GpuUsers {
    /// Determines the users of a GPU from the process ids that its driver lists. `proc` is `/proc`.
    ///
    /// Drivers list the process ids of the host, which do not exist inside a container. If no listed process
    /// is known to belong to the run, one unknown id may be that of this process; all other unknown ids count
    /// as foreign.
    pub fn from_process_ids(ids: &[u32], proc: &Path) -> Self {
        let own = ids.iter().filter(|id| is_own_process(**id, proc) == Some(true)).count();
        let foreign = ids.iter().filter(|id| is_own_process(**id, proc) == Some(false)).count();
        let unknown = ids.len() - own - foreign;
        Self { own: own > 0, foreign: foreign > 0 || unknown > usize::from(own == 0), unused: false }
    }
}

impl GpuUsers {
    /// Adds the evidence of the open device files. `is_open` states whether a process of the run has the
    /// GPU's file open; `None` if that is unknown.
    ///
    /// `is_listed` is set if a driver's list names a process of the run on any GPU. The list is then more
    /// precise than the open files, because a process may open the files of GPUs on which it does not
    /// compute.
    pub(crate) fn with_open_files(self, is_open: Option<bool>, is_listed: bool) -> Self {
        Self {
            own: self.own || is_open == Some(true) && !is_listed,
            unused: is_open == Some(false) && !self.own,
            ..self
        }
    }
}

/// Whether a process is this one or a descendant of it. `None` if no such process is visible here.
fn is_own_process(id: u32, proc: &Path) -> Option<bool> {
    let mut id = id;
    for generation in 0..MAX_ANCESTRY_DEPTH {
        if id == std::process::id() {
            return Some(true);
        }
        match parent_pid(id, proc) {
            Some(parent) if parent > 0 => id = parent,
            Some(_) => return Some(false),
            None => return (generation > 0).then_some(false),
        }
    }
    Some(false)
}

/// Returns the id of the parent, the fourth field of `/proc/ID/stat`. The second field is the command name in
/// brackets, which may contain spaces.
fn parent_pid(id: u32, proc: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(proc.join(id.to_string()).join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Processes by id and parent id.
    fn proc_fixture(processes: &[(u32, u32)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (id, parent) in processes {
            let folder = proc.path().join(id.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("stat"), format!("{id} (a name) 1)) S {parent} 0 0\n")).unwrap();
        }
        proc
    }

    #[test]
    fn worker_descendants_are_own_processes() {
        let me = std::process::id();
        let (worker, deeper, neighbour) = (me + 1, me + 2, me + 3);
        let proc = proc_fixture(&[(me, 1), (worker, me), (deeper, worker), (neighbour, 1), (1, 0)]);
        let users = |ids: &[u32]| {
            let GpuUsers { own, foreign, .. } = GpuUsers::from_process_ids(ids, proc.path());
            (own, foreign)
        };
        assert_eq!(users(&[]), (false, false));
        assert_eq!(users(&[me]), (true, false));
        assert_eq!(users(&[deeper, worker]), (true, false));
        assert_eq!(users(&[neighbour]), (false, true));
        assert_eq!(users(&[deeper, neighbour]), (true, true));
    }

    #[test]
    fn unknown_container_process_may_be_own() {
        let proc = proc_fixture(&[(std::process::id(), 1)]);
        let unknown = [4_000_001, 4_000_002];
        assert_eq!(GpuUsers::from_process_ids(&unknown[..1], proc.path()), GpuUsers::default());
        assert_eq!(
            GpuUsers::from_process_ids(&unknown, proc.path()),
            GpuUsers { foreign: true, ..GpuUsers::default() }
        );
        let with_own = [std::process::id(), unknown[0]];
        assert_eq!(
            GpuUsers::from_process_ids(&with_own, proc.path()),
            GpuUsers { own: true, foreign: true, unused: false }
        );
    }
}
