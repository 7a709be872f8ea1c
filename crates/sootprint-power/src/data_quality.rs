//! How reliable a figure of the embedded tables is.

use serde::Deserialize;

/// The quality of a power figure, as the `confidence` column of the tables states it.
///
/// What a quality means in watts differs by table: each user has factors of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DataQuality {
    /// From the vendor's data sheet.
    #[default]
    VendorSpec,
    /// Measured by the maker and published in a paper.
    Paper,
    /// A variant of a model that has a data sheet.
    Medium,
    /// The figure of the nearest public model.
    Estimate,
    /// The vendor publishes nothing: a figure from other sources, or none.
    #[serde(alias = "unpublished-estimate")]
    Unpublished,
}
