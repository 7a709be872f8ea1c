//! The options of an upload, which `push` and `run --push` share.

use clap::Args;

/// How the files are sent.
#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Create the repository as private.
    #[arg(long)]
    pub(crate) private: bool,

    /// Commit to this branch instead of `main`; it is created if it does not exist.
    #[arg(long, value_name = "REV")]
    pub(crate) revision: Option<String>,

    /// Open a pull request instead; weights need a token with write access.
    #[arg(long)]
    pub(crate) pr: bool,

    /// Also send matching files that are left out by default, as in `checkpoint/*`; repeatable.
    #[arg(long, value_name = "PATTERN", hide_short_help = true)]
    pub(crate) allow: Vec<String>,

    /// Do not send matching files; repeatable.
    #[arg(long, value_name = "PATTERN", hide_short_help = true)]
    pub(crate) ignore: Vec<String>,

    /// Remove files that earlier pushes of DIR sent and that it no longer has, such as older weights.
    #[arg(long)]
    pub(crate) sync: bool,

    /// The title of the commit, instead of one with energy and emissions.
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    pub(crate) message: Option<String>,
}

impl UploadArgs {
    /// The names of the options that are set.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--private", self.private),
            ("--revision", self.revision.is_some()),
            ("--pr", self.pr),
            ("--allow", !self.allow.is_empty()),
            ("--ignore", !self.ignore.is_empty()),
            ("--sync", self.sync),
            ("--message", self.message.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }
}
