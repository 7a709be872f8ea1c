//! The embedded table of cloud regions: the location of each, its PUE, and the intensity that its provider publishes.
//!
//! `data/cloud_regions.csv` is from the documentation of the providers, `data/provider_pue.csv` from their reports.

use std::sync::LazyLock;

use serde::Deserialize;

use super::intensity::{EmissionScope, PublishedIntensity};
use crate::pue::{Pue, PueOrigin};
use crate::units::CarbonIntensity;
use crate::wue::{WaterCount, Wue};

const REGIONS_TABLE: &[u8] = include_bytes!("../../data/cloud_regions.csv");
const PROVIDER_PUE_TABLE: &[u8] = include_bytes!("../../data/provider_pue.csv");
const WUE_TABLE: &[u8] = include_bytes!("../../data/provider_wue.csv");

/// Only Google publishes intensities of its regions. They are weighted by hourly consumption; the scope is not stated.
const GOOGLE_SOURCE: &str = "Google Cloud region carbon data 2024 (Apache-2.0), for the region itself";

/// A region of a cloud provider.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct CloudRegion {
    pub(crate) provider: String,
    pub(crate) region: String,
    /// Empty if the provider does not state it.
    pub(crate) city: String,
    /// A state or similar; usually empty.
    pub(crate) area: String,
    pub(crate) iso2: String,
    /// The code of the subdivision; empty if the country has none in the tables.
    pub(crate) part: String,
    #[serde(rename = "g_co2e_per_kwh")]
    intensity: Option<CarbonIntensity>,
    year: Option<u16>,
    pue: Option<f64>,
    pue_year: Option<u16>,
}

/// The PUE that a provider publishes for all its data centres together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct ProviderPue {
    provider: String,
    year: u16,
    pue: f64,
    source: String,
}

/// The water use that a provider publishes for a region, or for all its data centres together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct PublishedWue {
    provider: String,
    /// Empty for the provider.
    region: String,
    year: u16,
    wue_l_per_kwh: f64,
    counts: WaterCount,
}

impl CloudRegion {
    /// `aws:us-east-1`, for example.
    pub(crate) fn code(&self) -> String {
        format!("{}:{}", self.provider, self.region)
    }

    /// The intensity that the provider publishes for the region. `None` if it publishes none.
    pub(crate) fn published_intensity(&self) -> Option<PublishedIntensity> {
        let (intensity, year) = (self.intensity?, self.year?);
        Some(PublishedIntensity {
            intensity,
            year,
            basis: EmissionScope::Unknown,
            source: GOOGLE_SOURCE.to_owned(),
            margin: 0.0,
        })
    }

    /// The PUE of the region, otherwise that of the provider's whole fleet in the nearest year. `None` if the provider
    /// publishes neither. The bounds of a fleet's PUE include the PUE of each region that publishes its own.
    pub(crate) fn pue(&self, year: u16) -> Option<Pue> {
        if let (Some(pue), Some(year)) = (self.pue, self.pue_year) {
            return Some(Pue::from_published(pue, year, PueOrigin::Region));
        }
        let provider_pues =
            PROVIDER_PUES.iter().filter(|provider_pue| provider_pue.provider == self.provider);
        let provider_pue = provider_pues.min_by_key(|provider_pue| provider_pue.year.abs_diff(year))?;
        let regions = all().filter(|region| region.provider == self.provider).filter_map(|region| region.pue);
        Some(
            Pue::from_published(provider_pue.pue, provider_pue.year, PueOrigin::Provider)
                .with_bounds_including(regions),
        )
    }
}

impl CloudRegion {
    /// The newest WUE of the region, otherwise that of the provider's whole fleet in the nearest year. `None` if the provider
    /// publishes neither.
    pub(crate) fn wue(&self, year: u16) -> Option<Wue> {
        let of_provider = || WUES.iter().filter(|it| it.provider == self.provider);
        let published = of_provider().find(|it| it.region == self.region).or_else(|| {
            of_provider().filter(|it| it.region.is_empty()).min_by_key(|it| it.year.abs_diff(year))
        })?;
        Some(Wue {
            litres_per_kilowatt_hour: published.wue_l_per_kwh,
            counts: published.counts,
            year: published.year,
            is_regional: !published.region.is_empty(),
        })
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static CloudRegion> {
    REGIONS.iter()
}

// The tests below parse the files strictly, so the fallback to an empty table is never used.
static REGIONS: LazyLock<Vec<CloudRegion>> = LazyLock::new(|| read_table(REGIONS_TABLE).unwrap_or_default());
static WUES: LazyLock<Vec<PublishedWue>> = LazyLock::new(|| read_table(WUE_TABLE).unwrap_or_default());
static PROVIDER_PUES: LazyLock<Vec<ProviderPue>> =
    LazyLock::new(|| read_table(PROVIDER_PUE_TABLE).unwrap_or_default());

fn read_table<T: serde::de::DeserializeOwned>(table: &[u8]) -> csv::Result<Vec<T>> {
    csv::Reader::from_reader(table).into_deserialize().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::grid::{countries, subdivisions};

    fn region(code: &str) -> &'static CloudRegion {
        all().find(|region| region.code() == code).unwrap()
    }

    #[test]
    fn every_cloud_region_has_a_grid() {
        let regions: Vec<CloudRegion> = read_table(REGIONS_TABLE).unwrap();
        assert_eq!(regions.len(), 213);
        assert_eq!(*REGIONS, regions);
        assert_eq!(
            regions.iter().map(CloudRegion::code).collect::<BTreeSet<_>>().len(),
            213,
            "codes are unique"
        );
        for region in &regions {
            assert!(countries::find_by_code(&region.iso2).is_some(), "{region:?}");
            assert!(
                region.part.is_empty() || subdivisions::find_by_code(&region.part).is_some(),
                "{region:?}"
            );
            assert_eq!(region.intensity.is_some(), region.year.is_some(), "{region:?}");
            assert_eq!(region.pue.is_some(), region.pue_year.is_some(), "{region:?}");
            assert!(region.pue.is_none_or(|pue| Pue::new(pue).is_ok()), "{region:?}");
        }
        let provider_pues: Vec<ProviderPue> = read_table(PROVIDER_PUE_TABLE).unwrap();
        assert_eq!(*PROVIDER_PUES, provider_pues);
        for provider_pue in provider_pues {
            assert!(
                Pue::new(provider_pue.pue).is_ok() && !provider_pue.source.is_empty(),
                "{provider_pue:?}"
            );
            assert!(
                regions.iter().any(|region| region.provider == provider_pue.provider),
                "{provider_pue:?}"
            );
        }
    }

    #[test]
    fn region_wue_falls_back_to_provider() {
        let wue = |code: &str| {
            let wue = region(code).wue(2026).unwrap();
            (wue.litres_per_kilowatt_hour(), wue.counts(), wue.year(), wue.is_regional())
        };
        assert_eq!(*WUES, read_table::<PublishedWue>(WUE_TABLE).unwrap());
        assert_eq!(wue("aws:us-east-1"), (0.06, WaterCount::Withdrawal, 2025, true));
        assert_eq!(wue("azure:westus3"), (1.63, WaterCount::Consumption, 2023, true));
        // The table that was used before has the mean of 2023 as the figure of this region in 2024.
        assert_eq!(wue("aws:ap-south-1"), (0.12, WaterCount::Withdrawal, 2025, false));
        assert_eq!(wue("gcp:us-central1"), (0.94, WaterCount::Consumption, 2025, false));
        assert_eq!(region("gcp:us-central1").wue(2023).map(Wue::year), Some(2023));
        assert_eq!(region("hetzner:fsn1").wue(2026), None);
    }

    /// The figure for Washington was once attributed to California.
    #[test]
    fn newer_pue_replaces_older_one() {
        let pue = |code: &str| region(code).pue(2026).map(|pue| (pue.factor(), pue.origin(), pue.year()));
        assert_eq!(pue("azure:westus"), Some((1.17, PueOrigin::Provider, Some(2025))));
        assert_eq!(pue("azure:westus2"), Some((1.16, PueOrigin::Region, Some(2024))));
        assert_eq!(pue("gcp:us-east5"), Some((1.05, PueOrigin::Region, Some(2025))));
        assert_eq!(pue("aws:eu-west-3"), Some((1.35, PueOrigin::Region, Some(2025))));
    }

    #[test]
    fn region_pue_falls_back_to_provider() {
        let own = region("aws:us-east-1").pue(2026).unwrap();
        assert_eq!((own.factor(), own.origin(), own.year()), (1.15, PueOrigin::Region, Some(2025)));
        let provider_pue = region("aws:ap-east-1").pue(2026).unwrap();
        assert_eq!(
            (provider_pue.factor(), provider_pue.origin(), provider_pue.year()),
            (1.14, PueOrigin::Provider, Some(2025))
        );
        // Spain and Osaka: the best and the worst PUE that Amazon publishes.
        assert_eq!(provider_pue.bounds(), (1.06, 1.46));
        assert_eq!(region("aws:ap-east-1").pue(2023).unwrap().year(), Some(2023));
        assert_eq!(region("hetzner:fsn1").pue(2026), None);
    }
}
