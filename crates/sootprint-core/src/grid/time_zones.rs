//! Which country a time zone is in, for a guess.
//!
//! `data/time_zones.csv`, from the time zone database's `zone.tab` and its older names; both are in the public domain.

use super::countries;
use super::zone::Zone;

const TABLE: &str = include_str!("../../data/time_zones.csv");

/// The country of a time zone, as in `Europe/Paris`. None for `UTC` and the like, which are everywhere, and for countries
/// whose grid nobody knows.
pub(crate) fn country_of(time_zone: &str) -> Option<Zone> {
    let mut rows = TABLE.lines().skip(1).filter_map(|row| row.split_once(','));
    let (code, _) = rows.find(|(_, zones)| zones.split(' ').any(|zone| zone == time_zone))?;
    countries::with_code(code).map(Zone::Country)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_tells_its_country_or_nothing() {
        let code = |zone: &str| country_of(zone).map(Zone::code);
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
    fn every_row_is_of_a_country_with_a_grid() {
        let rows: Vec<_> = TABLE.lines().skip(1).map(|row| row.split_once(',').unwrap()).collect();
        assert!(rows.len() > 190, "{}", rows.len());
        assert!(rows.iter().all(|(code, _)| countries::with_code(code).is_some()));
    }
}
