//! The country, state or province of a time zone, to guess the location of a machine.
//!
//! `data/time_zones.csv` is made from `zone.tab` and the older zone names of the time zone database (public domain).

use super::zone::GridZone;
use super::{countries, subdivisions};

const TABLE: &str = include_str!("../../data/time_zones.csv");

/// The country of a time zone, as in `Europe/Paris`, or the state or province if its city is in one that has a figure and
/// most of the zone is too, as in `Australia/Hobart`. `None` for `UTC` and similar zones, which belong to no country, and
/// for countries whose grid intensity is unknown.
pub(crate) fn zone_for_time_zone(time_zone: &str) -> Option<GridZone> {
    let mut rows = TABLE.lines().skip(1).filter_map(|row| row.split_once(','));
    let (code, _) = rows.find(|(_, zones)| zones.split(' ').any(|zone| zone == time_zone))?;
    let subdivision = || subdivisions::find_by_code(code).map(GridZone::Subdivision);
    countries::find_by_code(code).map(GridZone::Country).or_else(subdivision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zone_maps_to_country() {
        let code = |zone: &str| zone_for_time_zone(zone).map(GridZone::code);
        for (zone, country) in [
            ("Europe/Paris", "FR"),
            ("America/New_York", "US"),
            ("US/Pacific", "US"),
            ("Asia/Calcutta", "IN"),
            ("Europe/Bratislava", "SK"),
            ("Australia/ACT", "AU-NSW"),
            ("Australia/Hobart", "AU-TAS"),
            ("Australia/Tasmania", "AU-TAS"),
            ("America/Toronto", "CA-ON"),
            ("America/Montreal", "CA-QC"),
            ("America/Vancouver", "CA-BC"),
            ("America/Chicago", "US"),
            ("US/Hawaii", "US-HI"),
        ] {
            assert_eq!(code(zone).as_deref(), Some(country), "{zone}");
        }
        for zone in
            ["", "UTC", "Etc/UTC", "GMT", "CET", "Europe", "Europe/Pari", "Antarctica/McMurdo", "zones"]
        {
            assert_eq!(code(zone), None, "{zone}");
        }
    }

    #[test]
    fn every_row_has_a_known_country() {
        let rows: Vec<_> = TABLE.lines().skip(1).map(|row| row.split_once(',').unwrap()).collect();
        assert!(rows.len() > 190, "{}", rows.len());
        let is_known =
            |code| countries::find_by_code(code).is_some() || subdivisions::find_by_code(code).is_some();
        assert!(rows.iter().all(|(code, _)| is_known(code)));
    }
}
