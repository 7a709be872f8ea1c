//! Reads the environment variables of launchers.

use super::short_digest::short_digest;
use sootprint_core::limits::MAX_RANKS;

/// Returns the rank of this process among the processes started by the same launcher; 0 without a launcher.
///
/// The rank is read from `SOOTPRINT_RANK` with `SOOTPRINT_WORLD_SIZE`, otherwise from the variables of torchrun, Open
/// MPI, PMI or a Slurm step. A rank that was set with [`RunBuilder::rank`](crate::RunBuilder::rank) is ignored here;
/// [`Run::rank`](crate::Run::rank) returns it.
#[must_use]
pub fn rank() -> u32 {
    RankInfo::from_env(&|name| std::env::var(name).ok()).rank
}

/// The position of a process among those started by the same launcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RankInfo {
    pub(crate) rank: u32,
    pub(crate) ranks: u32,
    /// Distinguishes this launch from all others; `None` if the launcher provides no such id.
    launch_key: Option<String>,
    /// The job's name or number, from the user or the batch system. It does not change when the job is restarted.
    pub(crate) job: String,
    /// The index of the process's task in a job array, each of which is a training of its own.
    pub(crate) array_index: Option<String>,
}

impl Default for RankInfo {
    fn default() -> Self {
        Self { rank: 0, ranks: 1, launch_key: None, job: String::new(), array_index: None }
    }
}

/// Returns the value of an environment variable.
type EnvLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a launcher: the rank, the number of ranks, and those that distinguish its launches.
struct LauncherEnv {
    rank_var: &'static str,
    ranks_var: &'static str,
    launch_vars: &'static [&'static str],
}

/// In order of precedence: explicit variables first, then the launcher nearest to the process.
///
/// With any launcher, Slurm's job id and restart count also distinguish launches. A batch script has a `SLURM_PROCID`
/// too, but `SLURM_STEP_NUM_TASKS` is only set in the tasks of a step.
const LAUNCHERS: [LauncherEnv; 5] = [
    LauncherEnv { rank_var: "SOOTPRINT_RANK", ranks_var: "SOOTPRINT_WORLD_SIZE", launch_vars: &[] },
    LauncherEnv {
        rank_var: "RANK",
        ranks_var: "WORLD_SIZE",
        launch_vars: &["TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"],
    },
    LauncherEnv {
        rank_var: "OMPI_COMM_WORLD_RANK",
        ranks_var: "OMPI_COMM_WORLD_SIZE",
        launch_vars: &["PMIX_NAMESPACE"],
    },
    LauncherEnv { rank_var: "PMI_RANK", ranks_var: "PMI_SIZE", launch_vars: &["PMI_JOBID", "SLURM_STEP_ID"] },
    LauncherEnv {
        rank_var: "SLURM_PROCID",
        ranks_var: "SLURM_STEP_NUM_TASKS",
        launch_vars: &["SLURM_STEP_ID"],
    },
];

/// The variables with the index of a task in a job array: Slurm, PBS Professional, Torque, Grid Engine and LSF.
const ARRAY_INDEX_VARIABLES: [&str; 5] =
    ["SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "PBS_ARRAYID", "SGE_TASK_ID", "LSB_JOBINDEX"];

/// The user's name for the job, for systems without job ids.
const JOB_VARIABLE: &str = "SOOTPRINT_JOB";

impl RankInfo {
    /// From the launcher's variables. Without any, or with invalid ones, the process is a single rank.
    pub(crate) fn from_env(env: EnvLookup<'_>) -> Self {
        let job = env(JOB_VARIABLE).or_else(|| env("SLURM_JOB_ID")).unwrap_or_default();
        let array_index = array_index(env);
        let parse_number = |name| env(name)?.trim().parse::<u32>().ok();
        let found = LAUNCHERS.iter().find_map(|launcher| {
            let (rank, ranks) = (parse_number(launcher.rank_var)?, parse_number(launcher.ranks_var)?);
            // A launcher never starts more; merging them would take hours.
            (rank < ranks && ranks <= MAX_RANKS).then_some((rank, ranks, launcher))
        });
        let Some((rank, ranks, launcher)) = found else {
            return Self { job, array_index, ..Self::default() };
        };
        // `torchrun` names a run `none` if no name is given.
        let named_value =
            |name: &&'static str| env(name).filter(|value| value != "none").map(|value| (*name, value));
        let job_vars = [JOB_VARIABLE, "SLURM_JOB_ID", "SLURM_RESTART_COUNT"];
        let launch_values: Vec<(&str, String)> =
            launcher.launch_vars.iter().chain(&job_vars).filter_map(named_value).collect();
        // Restart counts and step ids are only unique within a job.
        let is_identifiable = launch_values
            .iter()
            .any(|(name, _)| !name.ends_with("RESTART_COUNT") && *name != "SLURM_STEP_ID");
        let key = is_identifiable
            .then(|| launch_values.iter().map(|(name, value)| format!("{name}={value};")).collect());
        Self { rank, ranks, launch_key: key, job, array_index }
    }

    /// Replaces the launcher's rank by the caller's.
    pub(crate) fn with_rank(self, rank: u32, ranks: u32) -> Self {
        Self { rank, ranks: ranks.max(rank.saturating_add(1)), ..self }
    }

    /// Whether the launch can be distinguished from all others.
    pub(crate) const fn is_launch_known(&self) -> bool {
        self.launch_key.is_some()
    }

    /// An id of the launch, equal for all of its ranks.
    pub(crate) fn launch_id(&self) -> String {
        let key = self.launch_key.as_deref().unwrap_or_default();
        let array_index = self.array_index.as_deref().unwrap_or_default();
        short_digest(&format!("{} ranks;{key};{array_index}", self.ranks))
    }
}

/// The index of the task in a job array; `None` outside of one. Grid Engine sets `undefined` and LSF 0 in other jobs.
fn array_index(env: EnvLookup<'_>) -> Option<String> {
    ARRAY_INDEX_VARIABLES.iter().find_map(|name| {
        let index = env(name)?.trim().parse::<u64>().ok()?;
        (index > 0 || *name != "LSB_JOBINDEX").then(|| index.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank_info(variables: &[(&str, &str)]) -> RankInfo {
        RankInfo::from_env(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nearest_launcher_takes_precedence() {
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
            // Ignored: a batch script outside of a step, and ranks that are out of range or not numbers.
            (vec![("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "7")], 0, 1, false),
            (vec![("RANK", "8"), ("WORLD_SIZE", "8")], 0, 1, false),
            (vec![("RANK", "high"), ("WORLD_SIZE", "8")], 0, 1, false),
        ] {
            let found = rank_info(&variables);
            assert_eq!(
                (found.rank, found.ranks, found.is_launch_known()),
                (rank, ranks, is_known),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn launch_id_is_shared_by_ranks() {
        let of = |rank: &'static str, restart: &'static str| {
            rank_info(&[
                ("SLURM_PROCID", rank),
                ("SLURM_STEP_NUM_TASKS", "4"),
                ("SLURM_JOB_ID", "7"),
                ("SLURM_STEP_ID", "0"),
                ("SLURM_RESTART_COUNT", restart),
            ])
        };
        assert_eq!(of("0", "0").launch_id(), of("3", "0").launch_id());
        assert_ne!(of("0", "0").launch_id(), of("0", "1").launch_id());
        assert_eq!(of("0", "0").job, "7");
        assert!(
            !rank_info(&[("RANK", "0"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_RUN_ID", "none")])
                .is_launch_known()
        );
    }

    #[test]
    fn array_index_is_part_of_launch() {
        let of = |index: &'static str| {
            rank_info(&[
                ("SLURM_PROCID", "0"),
                ("SLURM_STEP_NUM_TASKS", "2"),
                ("SLURM_JOB_ID", "7"),
                ("SLURM_ARRAY_TASK_ID", index),
            ])
        };
        assert_eq!(of("3").array_index.as_deref(), Some("3"));
        assert_ne!(of("3").launch_id(), of("4").launch_id());
        let without_job =
            |index| rank_info(&[("RANK", "0"), ("WORLD_SIZE", "2"), ("SGE_TASK_ID", index)]).launch_id();
        assert_ne!(without_job("1"), without_job("2"));
        for (name, value, index) in [
            ("SLURM_ARRAY_TASK_ID", "0", Some("0")),
            ("PBS_ARRAY_INDEX", "12", Some("12")),
            ("SGE_TASK_ID", "undefined", None),
            ("SGE_TASK_ID", "1", Some("1")),
            ("LSB_JOBINDEX", "0", None),
            ("LSB_JOBINDEX", "5", Some("5")),
        ] {
            assert_eq!(rank_info(&[(name, value)]).array_index.as_deref(), index, "{name}={value}");
        }
        assert_eq!(rank_info(&[("SLURM_JOB_ID", "7")]).array_index, None);
    }
}
