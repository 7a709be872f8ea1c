//! Who uses a board: this process and those that it started, or others.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process is looked up this many generations back; a training's workers are a few away from it.
const GENERATIONS: usize = 64;

/// The users of a board, as far as they can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// This process, or one that it started.
    pub ours: bool,
    /// Somebody else.
    pub others: bool,
}

impl Users {
    /// From the process ids that a driver lists for a board.
    ///
    /// A driver lists the host's ids, which mean nothing inside a container. Of those that no process here has, one may
    /// be ours, and each further one is somebody else's.
    pub fn among(ids: &[u32], proc: &Path) -> Self {
        let ours = ids.iter().filter(|id| is_ours(**id, proc) == Some(true)).count();
        let foreign = ids.iter().filter(|id| is_ours(**id, proc) == Some(false)).count();
        let unknown = ids.len() - ours - foreign;
        Self { ours: ours > 0, others: foreign > 0 || unknown > usize::from(ours == 0) }
    }
}

/// Whether a process is this one or comes from it; none when there is no such process here.
fn is_ours(id: u32, proc: &Path) -> Option<bool> {
    let mut id = id;
    for generation in 0..GENERATIONS {
        if id == std::process::id() {
            return Some(true);
        }
        match parent(id, proc) {
            Some(parent) if parent > 0 => id = parent,
            Some(_) => return Some(false),
            None => return (generation > 0).then_some(false),
        }
    }
    Some(false)
}

/// The fourth field of `/proc/ID/stat`; the second is the command's name in brackets, which may hold blanks.
fn parent(id: u32, proc: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(proc.join(id.to_string()).join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Processes by id and parent's id.
    fn machine(processes: &[(u32, u32)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (id, parent) in processes {
            let folder = proc.path().join(id.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("stat"), format!("{id} (a name) 1)) S {parent} 0 0\n")).unwrap();
        }
        proc
    }

    #[test]
    fn a_worker_of_a_worker_is_ours_and_a_neighbour_is_not() {
        let me = std::process::id();
        let (worker, deeper, neighbour) = (me + 1, me + 2, me + 3);
        let proc = machine(&[(me, 1), (worker, me), (deeper, worker), (neighbour, 1), (1, 0)]);
        let users = |ids: &[u32]| {
            let Users { ours, others } = Users::among(ids, proc.path());
            (ours, others)
        };
        assert_eq!(users(&[]), (false, false));
        assert_eq!(users(&[me]), (true, false));
        assert_eq!(users(&[deeper, worker]), (true, false));
        assert_eq!(users(&[neighbour]), (false, true));
        assert_eq!(users(&[deeper, neighbour]), (true, true));
    }

    #[test]
    fn in_a_container_one_unknown_process_may_be_ours_and_two_are_not() {
        let proc = machine(&[(std::process::id(), 1)]);
        let unknown = [4_000_001, 4_000_002];
        assert_eq!(Users::among(&unknown[..1], proc.path()), Users { ours: false, others: false });
        assert_eq!(Users::among(&unknown, proc.path()), Users { ours: false, others: true });
        let with_us = [std::process::id(), unknown[0]];
        assert_eq!(Users::among(&with_us, proc.path()), Users { ours: true, others: true });
    }
}
