//! Traits for data that is fetched over the network. This crate has no HTTP client; `sootprint-live` implements them.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::grid::{IntensitySeries, LocationSource, ProviderError};
use crate::place::Place;

/// A source of carbon intensities over time.
///
/// A run queries the provider every half hour and once more in `finish`, always on a separate thread. The provider is not
/// queried when a run is dropped. Each query covers all time since
/// the start of the run for which there is no measured figure yet. Later responses can therefore replace forecasts,
/// and fill the hours of an outage from the history of the provider. `sootprint_live::CachedProvider` keeps the
/// responses for later runs.
///
/// `finish` waits for the response for up to a minute, so an implementation needs a shorter time limit. It must not
/// panic. After a
/// [`ProviderError`], the run uses the figures of earlier responses, and the figure of the embedded table for all
/// other time.
///
/// `RunBuilder::intensity_provider` in the crate `sootprint` has an example.
pub trait IntensityProvider: Debug + Send + Sync {
    /// Returns the intensity of the electricity at `place` between `from` and `to`, as far as it is available.
    ///
    /// Providers name zones differently, so the argument is a [`Place`], which has the codes of the country, of its
    /// subdivision and of the cloud region. Periods may extend beyond the range and may leave gaps; for the gaps, the
    /// yearly figure of the embedded table is used.
    ///
    /// # Errors
    /// A [`ProviderError`] with the reason why no series is available.
    fn intensity_between(
        &self,
        place: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError>;

    /// Returns the place that the provider is configured for, and where it is configured. A run without a place of its
    /// own uses it. `None` unless implemented.
    fn configured_place(&self) -> Option<(Place, LocationSource)> {
        None
    }
}

/// Detects the cloud region of this machine.
///
/// A run without a configured location calls [`locate`](Self::locate) once at the start, on a separate thread.
/// `finish` waits for the result until one second after the start, so an implementation must return by then. It must
/// not panic.
///
/// `sootprint_live::InstanceMetadataClient` queries the metadata services of the large clouds.
pub trait CloudMetadata: Debug + Send + Sync {
    /// Returns the cloud region of this machine. `None` if the machine is not in a cloud.
    ///
    /// # Errors
    /// [`CloudMetadataError`] if the machine is in a cloud and its region cannot be determined.
    fn locate(&self) -> Result<Option<Place>, CloudMetadataError>;
}

/// Why the cloud region of this machine could not be determined.
///
/// The location of the run is then a guess from the time zone, or unknown, and a note in the footprint gives the
/// reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudMetadataError {
    /// The metadata service returned no usable response.
    #[error(
        "cannot determine the {provider} region from the machine's metadata service ({reason}); set SOOTPRINT_PLACE"
    )]
    Unavailable {
        /// The cloud provider.
        provider: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The region is not in the embedded table.
    #[error("unknown cloud region {region}; set SOOTPRINT_PLACE")]
    UnknownRegion {
        /// The code of the region, with its provider, as in `aws:us-east-1`.
        region: String,
    },
}
