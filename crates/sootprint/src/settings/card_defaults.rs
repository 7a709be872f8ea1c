//! Defaults for the metadata of new model cards.

/// The metadata of a model card that is created, from the settings files. A card that exists is not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CardDefaults {
    /// The licence by its name on the Hub, such as `mit`: the key `license`.
    pub license: Option<String>,
    /// The framework, such as `burn`: the key `library_name`.
    pub library_name: Option<String>,
    /// The task, such as `image-classification`: the key `pipeline_tag`.
    pub pipeline_tag: Option<String>,
    /// Language codes, such as `en`: the key `language`, a text or a list.
    pub languages: Vec<String>,
    /// Datasets by their names on the Hub: the key `datasets`, a text or a list.
    pub datasets: Vec<String>,
    /// Metrics by their names on the Hub: the key `metrics`, a text or a list.
    pub metrics: Vec<String>,
}

impl CardDefaults {
    /// These values, and those of `other` where there are none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let list = |one: Vec<String>, other| if one.is_empty() { other } else { one };
        Self {
            license: self.license.or(other.license),
            library_name: self.library_name.or(other.library_name),
            pipeline_tag: self.pipeline_tag.or(other.pipeline_tag),
            languages: list(self.languages, other.languages),
            datasets: list(self.datasets, other.datasets),
            metrics: list(self.metrics, other.metrics),
        }
    }
}
