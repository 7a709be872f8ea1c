//! Which of several processes of one training this is.

use crate::error::PublishError;

/// Where launchers say it, the first that is set.
const VARIABLES: [&str; 3] = ["SOOTPRINT_RANK", "RANK", "SLURM_PROCID"];

/// Lets rank 0 and a process without a rank pass.
pub(crate) fn only_the_first(variable: &dyn Fn(&str) -> Option<String>) -> Result<(), PublishError> {
    match rank(variable) {
        Some((rank, variable)) if rank > 0 => Err(PublishError::OtherRank { rank, variable }),
        _ => Ok(()),
    }
}

/// This process's rank and the variable that says so. What is no number is somebody else's variable.
fn rank(variable: &dyn Fn(&str) -> Option<String>) -> Option<(u32, &'static str)> {
    VARIABLES.into_iter().find_map(|name| Some((variable(name)?.trim().parse().ok()?, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(variables: &[(&str, &str)]) -> bool {
        only_the_first(&|name| {
            variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        })
        .is_ok()
    }

    #[test]
    fn rank_0_and_a_process_without_a_rank_publish_and_no_other() {
        assert!(passes(&[]));
        assert!(passes(&[("RANK", "0")]));
        assert!(!passes(&[("RANK", "1")]));
        assert!(!passes(&[("SLURM_PROCID", "3")]));
        assert!(passes(&[("SOOTPRINT_RANK", "0"), ("RANK", "3")]), "ours goes first");
        assert!(passes(&[("RANK", "0"), ("SLURM_PROCID", "3")]), "torchrun inside of Slurm");
        assert!(passes(&[("RANK", "high")]));
    }
}
