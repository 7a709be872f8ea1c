//! Files that are not part of a model: training state, logs, caches, credentials and sootprint's own records.

use std::fmt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::credential_names::is_credential_name;
use crate::error::PushError;
use crate::staging::{SOOTPRINT_DIR, STAGING_SUBDIR};
use crate::weights_names::is_weights_name;

/// A file or folder that is not pushed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ExcludedPath {
    /// Its path in the folder, separated by `/`; a folder ends with `/`.
    pub path: String,
    /// Why it is not pushed.
    pub reason: ExclusionReason,
}

impl fmt::Display for ExcludedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.reason)
    }
}

/// Why a file or folder is not pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ExclusionReason {
    /// Its name starts with a dot, as of `.git` and `.env`. No pattern allows it.
    Hidden,
    /// Its name is typical of credentials. Only a pattern that is its exact path allows it.
    Credentials,
    /// A symbolic link to a folder, or no regular file. No pattern allows it.
    NotRegularFile,
    /// It is a record of sootprint. Only a pattern that begins with `sootprint/` allows the ledgers.
    OwnRecord,
    /// A checkpoint, or the state of an optimizer or a scheduler.
    TrainingState,
    /// A log of the training.
    Log,
    /// A cache, a build output or a temporary file.
    Temporary,
    /// An ignore pattern matches it.
    Ignored,
    /// Only the card is pushed.
    CardOnly,
}

impl fmt::Display for ExclusionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "hidden",
            Self::Credentials => "name typical of credentials",
            Self::NotRegularFile => "not a regular file",
            Self::OwnRecord => "record of sootprint",
            Self::TrainingState => "training state",
            Self::Log => "log",
            Self::Temporary => "temporary",
            Self::Ignored => "ignored",
            Self::CardOnly => "only the card is pushed",
        })
    }
}

/// Folders, and patterns of files, that are left out unless a pattern allows them. A folder ends with `/`.
const DEFAULT_EXCLUSIONS: [(ExclusionReason, &[&str]); 3] = [
    (
        ExclusionReason::TrainingState,
        &[
            "checkpoint/",
            "checkpoints/",
            "*[-_]checkpoint/",
            "*[-_]checkpoints/",
            "checkpoint[-_][0-9]*/",
            "checkpoint[0-9]*/",
            "ckpt/",
            "ckpts/",
            "ckpt[-_][0-9]*/",
            "global_step*/",
            "step[-_][0-9]*/",
            "epoch[-_][0-9]*/",
            "optimizer/",
            "optimizer_[0-9]*/",
            "{optim,optimizer,optimiser}{.,-,_}*{pt,pth,bin,bin.gz,safetensors,mpk,mpk.gz,bpk,msgpack,pkl,npz}",
            "*[-_]{optimizer,optim_states}.pt",
            "{scheduler,lr_scheduler,scaler,grad_scaler,sampler,training_state}.{pt,pth,bin,mpk,bpk,pkl}",
            "scheduler-[0-9]*.{mpk,mpk.gz,bin,bin.gz,bpk}",
            "opt_state.msgpack",
            "rng_state*",
            "random_states_*",
            "custom_checkpoint_*.pkl",
            "trainer_state.json",
            "*epoch=*.ckpt",
        ],
    ),
    (
        ExclusionReason::Log,
        &[
            "*.log",
            "*.log.[0-9]*",
            "*.log.gz",
            "*.err",
            "log.txt",
            "slurm-*.out",
            "nohup.out",
            "events.out.tfevents.*",
            "log/",
            "logs/",
            "runs/",
            "wandb/",
            "mlruns/",
            "lightning_logs/",
            "tensorboard/",
            "tensorboard_logs/",
            "tb_logs/",
        ],
    ),
    (
        ExclusionReason::Temporary,
        &[
            "__pycache__/",
            "node_modules/",
            "site-packages/",
            "venv/",
            "cache/",
            "build/",
            "*.egg-info/",
            "*.pyc",
            "*.tmp",
            "*.temp",
            "*.part",
            "*.incomplete",
            "*.swp",
            "*.orig",
            "*~",
            "*.bak",
            "thumbs.db",
            "desktop.ini",
            "core",
        ],
    ),
];

/// The folders in which Burn keeps the logs of its metrics, one folder per epoch.
const BURN_LOG_FOLDERS: [&str; 3] = ["train", "valid", "test"];

/// The compiled patterns of the default exclusions.
pub(crate) struct DefaultExclusions {
    files: Vec<(ExclusionReason, GlobSet)>,
    folders: Vec<(ExclusionReason, GlobSet)>,
}

impl DefaultExclusions {
    pub(crate) fn compile() -> Result<Self, PushError> {
        let compile = |is_folder: bool| {
            DEFAULT_EXCLUSIONS
                .iter()
                .map(|(reason, patterns)| {
                    let patterns = patterns.iter().filter(|pattern| pattern.ends_with('/') == is_folder);
                    Ok((*reason, compile_set(patterns.map(|pattern| pattern.trim_end_matches('/')))?))
                })
                .collect::<Result<Vec<_>, PushError>>()
        };
        Ok(Self { files: compile(false)?, folders: compile(true)? })
    }

    /// Why a file or folder at this path is left out unless a pattern allows it.
    pub(crate) fn reason(&self, path: &str, is_folder: bool) -> Option<ExclusionReason> {
        let path = path.to_ascii_lowercase();
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if is_folder && BURN_LOG_FOLDERS.contains(&parent) && name.starts_with("epoch-") {
            return Some(ExclusionReason::Log);
        }
        let groups = if is_folder { &self.folders } else { &self.files };
        groups.iter().find(|(_, patterns)| patterns.is_match(name)).map(|(reason, _)| *reason)
    }
}

fn compile_set<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<GlobSet, PushError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).build().map_err(|error| invalid_pattern(pattern, &error))?;
        set.add(glob);
    }
    set.build().map_err(|error| invalid_pattern("", &error))
}

fn invalid_pattern(pattern: &str, error: &globset::Error) -> PushError {
    PushError::InvalidPattern { pattern: pattern.to_owned(), reason: error.kind().to_string() }
}

/// Why no pattern with wildcards allows the file or folder at this path. `includes_ledgers`: whether a pattern names the
/// folder of the ledgers; `*` alone does not include them.
pub(crate) fn fixed_exclusion(path: &str, includes_ledgers: bool) -> Option<ExclusionReason> {
    let mut parts = path.split('/');
    if parts.clone().any(|part| part.starts_with('.') || part.is_empty()) {
        return Some(ExclusionReason::Hidden);
    }
    // The records of another run, in a subfolder, are never sent: they identify machines.
    let own = parts.clone().position(|part| part == SOOTPRINT_DIR);
    let is_staging = parts.clone().nth(1) == Some(STAGING_SUBDIR);
    let is_footprint = parts.clone().next_back() == Some(sootprint::Footprint::FILE_NAME);
    if is_footprint || own.is_some_and(|depth| depth > 0 || !includes_ledgers || is_staging) {
        return Some(ExclusionReason::OwnRecord);
    }
    // What weights contain is searched, so their names are free.
    (!is_weights_name(path) && parts.any(is_credential_name)).then_some(ExclusionReason::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_state_logs_and_caches_are_found() {
        let exclusions = DefaultExclusions::compile().unwrap();
        for (reason, paths) in [
            (
                Some(ExclusionReason::TrainingState),
                &[
                    "checkpoint/",
                    "checkpoint-1200/",
                    "checkpoint100/",
                    "last-checkpoint/",
                    "my_checkpoints/",
                    "ckpt/",
                    "ckpt-500/",
                    "step_1000/",
                    "epoch_3/",
                    "epoch-12/",
                    "optim-3.mpk",
                    "optimizer.pt",
                    "optimizer_0/",
                    "optim.bin",
                    "lr_scheduler.pt",
                    "scheduler-3.mpk",
                    "zero_pp_rank_0_optim_states.pt",
                    "custom_checkpoint_0.pkl",
                    "sampler.bin",
                    "grad_scaler.pt",
                    "model_optimizer.pt",
                    "rng_state_0.pth",
                    "opt_state.msgpack",
                    "epoch=3-step=100.ckpt",
                ][..],
            ),
            (
                Some(ExclusionReason::Log),
                &[
                    "train/epoch-12/",
                    "experiment.log",
                    "train.log.1",
                    "train.log.gz",
                    "job.err",
                    "log.txt",
                    "log/",
                    "slurm-12345.out",
                    "tensorboard_logs/",
                ],
            ),
            (
                Some(ExclusionReason::Temporary),
                &[
                    "__pycache__/",
                    "model.safetensors.tmp",
                    "x.orig",
                    "core",
                    "build/",
                    "m.egg-info/",
                    "cache/",
                ],
            ),
            (
                None,
                &[
                    "scheduler_config.json",
                    "scheduler-config.json",
                    "scheduler/",
                    "model.pt",
                    "1_Pooling/",
                    "unet/",
                    "training_args.bin",
                    "logs",
                    "core.0.weight",
                    "core.1.safetensors",
                    "uv.lock",
                    "optimizer_model.onnx",
                    "optim_results.json",
                    "checkpoint-best/",
                    "checkpoint_final/",
                    "checkpoint",
                    "last.ckpt",
                    "train/",
                ],
            ),
        ] {
            for path in paths {
                let (name, is_folder) = (path.trim_end_matches('/'), path.ends_with('/'));
                assert_eq!(exclusions.reason(name, is_folder), reason, "{path}");
            }
        }
    }

    #[test]
    fn hidden_files_and_own_records_are_found() {
        for path in [".git/config", ".env", "a/.hidden/b"] {
            assert_eq!(fixed_exclusion(path, true), Some(ExclusionReason::Hidden), "{path}");
        }
        for (path, includes_ledgers) in [
            ("sootprint", false),
            ("sootprint/1.jsonl", false),
            ("sootprint/publication/x", true),
            ("run2/sootprint", true),
            ("run2/sootprint/1.jsonl", true),
            ("run2/footprint.json", true),
        ] {
            let reason = fixed_exclusion(path, includes_ledgers);
            assert_eq!(reason, Some(ExclusionReason::OwnRecord), "{path}");
        }
        assert_eq!(fixed_exclusion("sootprint/1.jsonl", true), None);
        assert_eq!(fixed_exclusion("sootprint-notes.md", false), None);
    }

    #[test]
    fn weights_may_have_any_name() {
        assert_eq!(fixed_exclusion("passwords_classifier.safetensors", false), None);
        assert_eq!(fixed_exclusion("passwords.txt", false), Some(ExclusionReason::Credentials));
    }
}
