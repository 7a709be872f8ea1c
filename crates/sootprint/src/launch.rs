//! Who started this process: which rank it is of how many, of which launch, on which host.

mod host;

use sha2::{Digest as _, Sha256};

pub(crate) use host::{host, since_boot};

/// The rank of this process among those that a launcher started together; 0 for a process by itself.
///
/// `SOOTPRINT_RANK` says it together with `SOOTPRINT_WORLD_SIZE`, else the variables of torchrun, Open MPI, PMI or a
/// step of Slurm. A rank that was given to [`RunBuilder::rank`](crate::RunBuilder::rank) is not in it: that is
/// [`Run::rank`](crate::Run::rank)'s.
#[must_use]
pub fn rank() -> u32 {
    Launch::of_environment(&|name| std::env::var(name).ok()).rank
}

/// Where a process stands among those that a launcher started together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) rank: u32,
    pub(crate) ranks: u32,
    /// What tells this launch from every other; none when no launcher says so.
    key: Option<String>,
    /// The batch system's or the user's name of the job; it stays the same when the job is started again.
    pub(crate) job: String,
}

impl Default for Launch {
    fn default() -> Self {
        Self { rank: 0, ranks: 1, key: None, job: String::new() }
    }
}

/// Reads a variable of the environment.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a launcher: the rank, the number of ranks, and those that tell its launches apart.
struct Launcher {
    rank: &'static str,
    ranks: &'static str,
    launch: &'static [&'static str],
}

/// A job's number and how often Slurm started it again tell launches apart, whoever launches within the job.
///
/// In the order in which they are asked: what was said on purpose first, then the launcher nearest to the process.
///
/// `SLURM_STEP_NUM_TASKS` is there in the tasks of a step alone: a batch script has a `SLURM_PROCID` too.
const LAUNCHERS: [Launcher; 5] = [
    Launcher { rank: "SOOTPRINT_RANK", ranks: "SOOTPRINT_WORLD_SIZE", launch: &[] },
    Launcher {
        rank: "RANK",
        ranks: "WORLD_SIZE",
        launch: &["TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"],
    },
    Launcher { rank: "OMPI_COMM_WORLD_RANK", ranks: "OMPI_COMM_WORLD_SIZE", launch: &["PMIX_NAMESPACE"] },
    Launcher { rank: "PMI_RANK", ranks: "PMI_SIZE", launch: &["PMI_JOBID", "SLURM_STEP_ID"] },
    Launcher { rank: "SLURM_PROCID", ranks: "SLURM_STEP_NUM_TASKS", launch: &["SLURM_STEP_ID"] },
];

/// A user's name for the job, where no batch system gives it a number.
const JOB: &str = "SOOTPRINT_JOB";

impl Launch {
    /// From the launcher's variables; a process by itself where there are none, or none that fit.
    pub(crate) fn of_environment(environment: Environment<'_>) -> Self {
        let job = environment(JOB).or_else(|| environment("SLURM_JOB_ID")).unwrap_or_default();
        let number = |name| environment(name)?.trim().parse::<u32>().ok();
        let found = LAUNCHERS.iter().find_map(|launcher| {
            let (rank, ranks) = (number(launcher.rank)?, number(launcher.ranks)?);
            (rank < ranks).then_some((rank, ranks, launcher))
        });
        let Some((rank, ranks, launcher)) = found else { return Self { job, ..Self::default() } };
        // `torchrun` calls a run `none` of which nobody gives the name.
        let told = |name: &&'static str| {
            environment(name).filter(|value| value != "none").map(|value| (*name, value))
        };
        let all = [JOB, "SLURM_JOB_ID", "SLURM_RESTART_COUNT"];
        let words: Vec<(&str, String)> = launcher.launch.iter().chain(&all).filter_map(told).collect();
        // A count of restarts says nothing without the name of what was restarted.
        let is_told =
            words.iter().any(|(name, _)| !name.ends_with("RESTART_COUNT") && *name != "SLURM_STEP_ID");
        let key = is_told.then(|| words.iter().map(|(name, value)| format!("{name}={value};")).collect());
        Self { rank, ranks, key, job }
    }

    /// A rank that the caller names, whatever started the process.
    pub(crate) fn with_rank(self, rank: u32, ranks: u32) -> Self {
        Self { rank, ranks: ranks.max(rank.saturating_add(1)), ..self }
    }

    /// Whether the launch can be told from every other.
    pub(crate) const fn is_known(&self) -> bool {
        self.key.is_some()
    }

    /// The same for all ranks of the launch.
    pub(crate) fn id(&self) -> String {
        let key = self.key.as_deref().unwrap_or_default();
        digest(&format!("{} ranks;{key}", self.ranks))
    }
}

/// The first half of a SHA-256, in hexadecimal: enough to tell apart, and nothing can be read from it.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Launch {
        Launch::of_environment(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_launcher_is_understood_and_the_nearest_one_goes_first() {
        let slurm = [
            ("SLURM_PROCID", "3"),
            ("SLURM_STEP_NUM_TASKS", "4"),
            ("SLURM_JOB_ID", "7"),
            ("SLURM_STEP_ID", "0"),
        ];
        let ompi = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2"), ("PMIX_NAMESPACE", "9")];
        let torch = [("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")];
        let own = [("SOOTPRINT_RANK", "0"), ("SOOTPRINT_WORLD_SIZE", "3")];
        let mpich = [("PMI_RANK", "2"), ("PMI_SIZE", "6")];
        for (variables, rank, ranks, is_known) in [
            (slurm.to_vec(), 3, 4, true),
            ([&slurm[..], &mpich[..]].concat(), 2, 6, true),
            ([&slurm[..], &ompi[..]].concat(), 1, 2, true),
            ([&ompi[..], &torch[..]].concat(), 5, 8, false),
            ([&torch[..], &own[..]].concat(), 0, 3, false),
            // A batch script is no task, and a rank beyond the ranks is none.
            (vec![("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "7")], 0, 1, false),
            (vec![("RANK", "8"), ("WORLD_SIZE", "8")], 0, 1, false),
            (vec![("RANK", "high"), ("WORLD_SIZE", "8")], 0, 1, false),
        ] {
            let found = launch(&variables);
            assert_eq!((found.rank, found.ranks, found.is_known()), (rank, ranks, is_known), "{variables:?}");
        }
    }

    #[test]
    fn ranks_of_a_launch_have_one_id_and_the_next_launch_another() {
        let of = |rank: &'static str, restart: &'static str| {
            launch(&[
                ("SLURM_PROCID", rank),
                ("SLURM_STEP_NUM_TASKS", "4"),
                ("SLURM_JOB_ID", "7"),
                ("SLURM_STEP_ID", "0"),
                ("SLURM_RESTART_COUNT", restart),
            ])
        };
        assert_eq!(of("0", "0").id(), of("3", "0").id());
        assert_ne!(of("0", "0").id(), of("0", "1").id());
        assert_eq!(of("0", "0").job, "7");
        assert!(!launch(&[("RANK", "0"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_RUN_ID", "none")]).is_known());
    }
}
