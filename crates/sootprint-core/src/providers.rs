//! The traits behind which those stand who ask over a network. This crate has no HTTP; `sootprint-live` implements them.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::grid::{IntensitySeries, ProviderError};
use crate::place::Place;

/// Somebody who knows a grid's carbon intensity hour by hour.
///
/// A run asks every half hour on a thread of its own, for the time since its start for which nothing was found yet, and
/// once more when it is finished, on the thread that finishes it: never on the meter's thread, and not at all when the
/// run is dropped. So hours of an outage are filled later from the provider's history; `sootprint_live::Cached` keeps what
/// was answered for the next run.
/// `finish` waits for the answer, so an implementation keeps a total time limit of its own. It does not panic: what goes
/// wrong is a [`ProviderError`], and then the table's figure stands where no earlier answer does.
///
/// `RunBuilder::intensity_provider` of the crate `sootprint` has an example.
pub trait IntensityProvider: Debug + Send + Sync {
    /// The intensity of a place's electricity between two moments, as far as it is known.
    ///
    /// `place` has the codes of the country, of the part of it and of the cloud's region. Periods may reach beyond the two moments, and they may
    /// leave gaps: there the table's yearly figure stands.
    ///
    /// # Errors
    /// A [`ProviderError`] for each way in which there may be no answer.
    fn intensity_between(
        &self,
        place: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError>;
}

/// Somebody who knows in which cloud this machine is.
///
/// A run that nobody told its place asks once, when it starts, on a thread of its own. A finish waits for the answer
/// until a second after the start; an implementation gives up by then. It does not panic.
///
/// `sootprint_live::CloudMetadata` asks the metadata services of the large clouds.
pub trait CloudMetadata: Debug + Send + Sync {
    /// The region of the cloud that this machine is in; none when it is in none.
    ///
    /// # Errors
    /// [`CloudMetadataError`] when the machine is in a cloud and its region cannot be told.
    fn locate(&self) -> Result<Option<Place>, CloudMetadataError>;
}

/// Why a machine that is in a cloud does not know where. Then the next best guess stands, and a note says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudMetadataError {
    /// The cloud's metadata service gave no answer that can be used.
    #[error(
        "the machine is in {provider}, whose metadata service does not say where ({reason}); name the place with SOOTPRINT_PLACE"
    )]
    Unavailable {
        /// The cloud.
        provider: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The region is in no table.
    #[error("the machine is in {region}, a region that no table has; name the place with SOOTPRINT_PLACE")]
    UnknownRegion {
        /// The provider and its region, as in `aws:us-east-1`.
        region: String,
    },
}
