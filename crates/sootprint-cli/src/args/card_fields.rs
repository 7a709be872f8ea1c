//! The metadata of a new card, options of `run`, `push` and `card write`.

use clap::Args;

/// The metadata of a card that is created. A card that exists keeps its own.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Metadata of a new card, also as keys of sootprint.toml")]
pub(crate) struct CardFieldArgs {
    /// The licence by its name on the Hub, as in `mit`.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) license: Option<String>,

    /// The framework, as in `burn`.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) library_name: Option<String>,

    /// The task, as in `image-classification`.
    #[arg(long, value_name = "TASK", hide_short_help = true)]
    pub(crate) pipeline_tag: Option<String>,

    /// A language code, as in `en`; repeatable.
    #[arg(long, value_name = "CODE", hide_short_help = true)]
    pub(crate) language: Vec<String>,

    /// A dataset by its name on the Hub; repeatable (key `datasets`).
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) dataset: Vec<String>,

    /// A metric by its name on the Hub, as in `accuracy`; repeatable (key `metrics`).
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) metric: Vec<String>,
}

impl CardFieldArgs {
    /// The name of the first option that is set.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let all = [
            ("--license", self.license.is_some()),
            ("--library-name", self.library_name.is_some()),
            ("--pipeline-tag", self.pipeline_tag.is_some()),
            ("--language", !self.language.is_empty()),
            ("--dataset", !self.dataset.is_empty()),
            ("--metric", !self.metric.is_empty()),
        ];
        all.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }
}
