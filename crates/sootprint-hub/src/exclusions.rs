//! Files that are not part of a model: training state, logs, caches, credentials and sootprint's own records.

use std::fmt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::PushError;
use crate::staging::{SOOTPRINT_DIR, STAGING_SUBDIR};

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
    /// Its name is typical of credentials. No pattern allows it.
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

/// Extensions of files that contain credentials, in lower case.
const CREDENTIAL_EXTENSIONS: [&str; 9] =
    ["pem", "key", "p12", "pfx", "jks", "keystore", "kdbx", "ovpn", "tfstate"];

/// Parts of names of files and folders that contain credentials, in lower case.
const CREDENTIAL_PARTS: [&str; 18] = [
    "token",
    "secret",
    "credential",
    "passw",
    "_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "kaggle.json",
    "netrc",
    "pgpass",
    "htpasswd",
    "service-account",
    "service_account",
    "kubeconfig",
    "apikey",
    "api_key",
    "api-key",
];

/// Parts of names of model files that look like those of credentials.
const MODEL_PARTS: [&str; 9] = [
    "tokenizer",
    "tokeniser",
    "tokenization",
    "tokenisation",
    "tokenize",
    "special_token",
    "added_token",
    "embed_token",
    "token_embed",
];

/// Folders, and patterns of files, that are left out unless a pattern allows them. A folder ends with `/`.
const DEFAULT_EXCLUSIONS: [(ExclusionReason, &[&str]); 3] = [
    (
        ExclusionReason::TrainingState,
        &[
            "checkpoint/",
            "checkpoints/",
            "checkpoint-*/",
            "checkpoint_*/",
            "ckpts/",
            "global_step*/",
            "optim.*",
            "optim-*",
            "optim_*",
            "optimizer.*",
            "optimizer-*",
            "optimizer_*",
            "scheduler.*pt*",
            "scheduler.bin",
            "scheduler.mpk",
            "scheduler-*",
            "scaler.pt",
            "rng_state*",
            "random_states_*",
            "trainer_state.json",
        ],
    ),
    (
        ExclusionReason::Log,
        &[
            "*.log",
            "logs/",
            "runs/",
            "wandb/",
            "mlruns/",
            "lightning_logs/",
            "tensorboard/",
            "tb_logs/",
            "events.out.tfevents.*",
            "nohup.out",
            // Burn's metrics, one folder per epoch.
            "epoch-*/",
        ],
    ),
    (
        ExclusionReason::Temporary,
        &[
            "__pycache__/",
            "node_modules/",
            "site-packages/",
            "venv/",
            "*.pyc",
            "*.tmp",
            "*.temp",
            "*.part",
            "*.incomplete",
            "*.lock",
            "*.swp",
            "*~",
            "*.bak",
            "thumbs.db",
            "desktop.ini",
            "core.[0-9]*",
        ],
    ),
];

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

    /// Why a file or folder with this name is left out unless a pattern allows it.
    pub(crate) fn reason(&self, name: &str, is_folder: bool) -> Option<ExclusionReason> {
        let name = name.to_ascii_lowercase();
        let groups = if is_folder { &self.folders } else { &self.files };
        groups.iter().find(|(_, patterns)| patterns.is_match(&name)).map(|(reason, _)| *reason)
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

/// Why no pattern allows the file or folder at this path. `includes_ledgers`: whether a pattern names the folder of the
/// ledgers; `*` alone does not include them.
pub(crate) fn fixed_exclusion(path: &str, includes_ledgers: bool) -> Option<ExclusionReason> {
    let mut parts = path.split('/');
    let first = parts.clone().next();
    if parts.clone().any(|part| part.starts_with('.') || part.is_empty()) {
        Some(ExclusionReason::Hidden)
    } else if parts.any(is_credential_name) {
        Some(ExclusionReason::Credentials)
    } else if first == Some(SOOTPRINT_DIR) {
        let is_staging = path.split('/').nth(1) == Some(STAGING_SUBDIR);
        (!includes_ledgers || is_staging).then_some(ExclusionReason::OwnRecord)
    } else {
        None
    }
}

/// Whether the name of a file or folder is typical of credentials.
fn is_credential_name(name: &str) -> bool {
    let mut name = name.to_ascii_lowercase();
    // The vocabulary of speech models.
    if name == "tokens.txt" {
        return false;
    }
    for part in MODEL_PARTS {
        name = name.replace(part, "");
    }
    CREDENTIAL_PARTS.iter().any(|part| name.contains(part))
        || name.split('.').skip(1).any(|extension| CREDENTIAL_EXTENSIONS.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_state_logs_and_caches_are_found() {
        let exclusions = DefaultExclusions::compile().unwrap();
        for (name, is_folder, expected) in [
            ("checkpoint", true, Some(ExclusionReason::TrainingState)),
            ("checkpoint-1200", true, Some(ExclusionReason::TrainingState)),
            ("optim-3.mpk", false, Some(ExclusionReason::TrainingState)),
            ("optimizer.pt", false, Some(ExclusionReason::TrainingState)),
            ("rng_state_0.pth", false, Some(ExclusionReason::TrainingState)),
            ("epoch-12", true, Some(ExclusionReason::Log)),
            ("experiment.log", false, Some(ExclusionReason::Log)),
            ("__pycache__", true, Some(ExclusionReason::Temporary)),
            ("model.safetensors.tmp", false, Some(ExclusionReason::Temporary)),
            ("scheduler_config.json", false, None),
            ("scheduler", true, None),
            ("model.pt", false, None),
            ("1_Pooling", true, None),
            ("unet", true, None),
            ("training_args.bin", false, None),
            ("logs", false, None),
        ] {
            assert_eq!(exclusions.reason(name, is_folder), expected, "{name}");
        }
    }

    #[test]
    fn credentials_are_found_by_parts_of_names() {
        for path in [
            "token",
            "TOKEN",
            "hf_token.txt",
            "deep/id_rsa",
            "server.pem",
            "credentials.json",
            "my-secrets.yaml",
            "passwords.txt",
            "a/kaggle.json",
            "terraform.tfstate",
            "store.jks",
            "keys.kdbx",
            "netrc",
            "x.p12",
            "secrets/notes.txt",
            "access_tokens.json",
            "api_tokens.txt",
            "server.key.bak",
            "gcp-service-account.json",
        ] {
            assert_eq!(fixed_exclusion(path, true), Some(ExclusionReason::Credentials), "{path}");
        }
        for path in [
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "tokenization_qwen.py",
            "tokens.txt",
            "onnx/model.embed_tokens.weight",
            "merges.txt",
            "keypoints.json",
            "tokenizer/vocab.txt",
            "model.keys.json",
        ] {
            assert_eq!(fixed_exclusion(path, false), None, "{path}");
        }
    }

    #[test]
    fn hidden_files_and_own_records_are_found() {
        for path in [".git/config", ".env", "a/.hidden/b"] {
            assert_eq!(fixed_exclusion(path, true), Some(ExclusionReason::Hidden), "{path}");
        }
        assert_eq!(fixed_exclusion("sootprint/1.jsonl", false), Some(ExclusionReason::OwnRecord));
        assert_eq!(fixed_exclusion("sootprint/1.jsonl", true), None);
        assert_eq!(fixed_exclusion("sootprint/publication/x", true), Some(ExclusionReason::OwnRecord));
        assert_eq!(fixed_exclusion("sootprint-notes.md", false), None);
    }
}
