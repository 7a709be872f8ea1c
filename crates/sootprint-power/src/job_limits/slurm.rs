//! The resources that Slurm allocated to a job on this node, from the variables that it sets in each task.
//!
//! <https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES>

use crate::env::VariableLookup;

const MEBIBYTE: u64 = 1 << 20;

/// The job's part of this node, as far as the variables describe it.
#[derive(Debug, PartialEq)]
pub(super) struct SlurmLimits {
    /// Slurm's CPUs: threads, or cores if the site is configured that way.
    pub(super) cpus: Option<f64>,
    /// Bytes of memory.
    pub(super) memory_bytes: Option<u64>,
}

/// The allocation of the job. `None` if this process is not a task of a step.
///
/// The shell of `salloc` has the job id too and may run on the login node, but it has no rank.
pub(super) fn detect(read_variable: VariableLookup<'_>) -> Option<SlurmLimits> {
    read_variable("SLURM_JOB_ID")?;
    read_variable("SLURM_PROCID")?;
    let cpus = job_cpus(read_variable);
    Some(SlurmLimits { cpus: cpus.map(|count| count as f64), memory_bytes: job_memory(read_variable, cpus) })
}

/// The job's CPUs on this node; the step's if the job's cannot be determined.
fn job_cpus(read_variable: VariableLookup<'_>) -> Option<u64> {
    let of_job = read_variable("SLURM_JOB_CPUS_PER_NODE").and_then(|list| {
        let per_node = cpus_per_node(&list)?;
        let first = *per_node.first()?;
        if per_node.iter().all(|&count| count == first) {
            return Some(first);
        }
        // A step on some of the job's nodes numbers only those. The step of the batch script sets no number of
        // nodes and runs on the first one.
        let nodes = parse_variable(read_variable, "SLURM_STEP_NUM_NODES");
        let node = parse_variable(read_variable, "SLURM_NODEID")?;
        let is_job_numbering = nodes.is_none_or(|nodes| nodes == per_node.len() as u64);
        per_node.get(usize::try_from(node).ok()?).copied().filter(|_| is_job_numbering)
    });
    of_job.or_else(|| parse_variable(read_variable, "SLURM_CPUS_ON_NODE")).filter(|&count| count > 0)
}

/// Expands `72(x2),36` to 72, 72, 36. `None` if the list is malformed.
fn cpus_per_node(list: &str) -> Option<Vec<u64>> {
    /// More nodes than any cluster has: a larger number is an error.
    const MAX_NODES: usize = 1 << 20;

    let mut counts = Vec::new();
    for entry in list.trim().split(',') {
        let (count, times) = match entry.split_once("(x") {
            Some((count, times)) => (count, times.strip_suffix(')')?.parse::<usize>().ok()?),
            None => (entry, 1),
        };
        if counts.len().checked_add(times)? > MAX_NODES {
            return None;
        }
        counts.extend(std::iter::repeat_n(count.parse::<u64>().ok()?, times));
    }
    Some(counts)
}

/// At most one of the three variables is set, in MiB. Zero means all of the node's memory.
fn job_memory(read_variable: VariableLookup<'_>, cpus: Option<u64>) -> Option<u64> {
    let per_node = parse_variable(read_variable, "SLURM_MEM_PER_NODE");
    let per_cpu = || parse_variable(read_variable, "SLURM_MEM_PER_CPU")?.checked_mul(cpus?);
    let per_gpu = || {
        parse_variable(read_variable, "SLURM_MEM_PER_GPU")?
            .checked_mul(parse_variable(read_variable, "SLURM_GPUS_ON_NODE")?)
    };
    let mebibytes = per_node.or_else(per_cpu).or_else(per_gpu)?;
    mebibytes.checked_mul(MEBIBYTE).filter(|&bytes| bytes > 0)
}

fn parse_variable(read_variable: VariableLookup<'_>, name: &str) -> Option<u64> {
    read_variable(name)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: [(&str, &str); 2] = [("SLURM_JOB_ID", "7"), ("SLURM_PROCID", "0")];

    fn detect_with(more: &[(&str, &str)]) -> SlurmLimits {
        let variables = [&TASK[..], more].concat();
        detect(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn job_cpus_override_step_cpus() {
        let given = detect_with(&[("SLURM_JOB_CPUS_PER_NODE", "64(x2)"), ("SLURM_CPUS_ON_NODE", "1")]);
        assert_eq!(given, SlurmLimits { cpus: Some(64.0), memory_bytes: None });
    }

    #[test]
    fn unequal_nodes_use_node_index() {
        let list = ("SLURM_JOB_CPUS_PER_NODE", "72(x2),36");
        let third = ("SLURM_NODEID", "2");
        assert_eq!(detect_with(&[list, third]).cpus, Some(36.0));
        assert_eq!(detect_with(&[list, third, ("SLURM_STEP_NUM_NODES", "3")]).cpus, Some(36.0));
        // A step on two of the three nodes: its second node cannot be mapped to one of the job's.
        let step = [list, ("SLURM_NODEID", "1"), ("SLURM_STEP_NUM_NODES", "2"), ("SLURM_CPUS_ON_NODE", "36")];
        assert_eq!(detect_with(&step).cpus, Some(36.0));
    }

    #[test]
    fn memory_limit_accepts_each_unit() {
        let memory = |more: &[(&str, &str)]| detect_with(more).memory_bytes;
        assert_eq!(memory(&[("SLURM_MEM_PER_NODE", "4000")]), Some(4_194_304_000));
        let cpus = ("SLURM_CPUS_ON_NODE", "4");
        assert_eq!(memory(&[("SLURM_MEM_PER_CPU", "1024"), cpus]), Some(4 << 30));
        assert_eq!(memory(&[("SLURM_MEM_PER_GPU", "2048"), ("SLURM_GPUS_ON_NODE", "2")]), Some(4 << 30));
        assert_eq!(memory(&[("SLURM_MEM_PER_NODE", "0")]), None, "zero is unlimited");
        assert_eq!(memory(&[("SLURM_MEM_PER_CPU", "1024")]), None);
    }

    #[test]
    fn salloc_shell_is_not_a_task() {
        let login = |name: &str| (name == "SLURM_JOB_ID").then(|| "7".to_owned());
        assert_eq!(detect(&login), None);
    }

    #[test]
    fn invalid_node_list_is_ignored() {
        for list in ["", "x", "4(x", "4(x99999999999)", "(x2)", "0"] {
            assert_eq!(detect_with(&[("SLURM_JOB_CPUS_PER_NODE", list)]).cpus, None, "{list:?}");
        }
    }
}
