//! The country of a time zone, to guess the location of a machine.
//!
//! `data/time_zones.csv` is made from `zone.tab` and the older zone names of the time zone database (public domain).

use super::countries;
use super::zone::GridZone;

const TABLE: &str = include_str!("../../data/time_zones.csv");

/// The country of a time zone, as in `Europe/Paris`. `None` for `UTC` and similar zones, which belong to no country, and
/// for countries whose grid intensity is unknown.
pub(crate) fn country_for_time_zone(time_zone: &str) -> Option<GridZone> {
    let mut rows = TABLE.lines().skip(1).filter_map(|row| row.split_once(','));
    let (code, _) = rows.find(|(_, zones)| zones.split(' ').any(|zone| zone == time_zone))?;
    countries::find_by_code(code).map(GridZone::Country)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zone_maps_to_country() {
        let code = |zone: &str| country_for_time_zone(zone).map(GridZone::code);
        for (zone, country) in [
            ("Europe/Paris", "FR"),
            ("America/New_York", "US"),
            ("US/Pacific", "US"),
            ("Asia/Calcutta", "IN"),
            ("Europe/Bratislava", "SK"),
            ("Australia/ACT", "AU"),
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
        assert!(rows.iter().all(|(code, _)| countries::find_by_code(code).is_some()));
    }
}
