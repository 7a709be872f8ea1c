//! Finds zones by the names and codes that people use for places.

use super::zone::GridZone;
use super::zone_aliases::{AliasKind, find_alias};
use super::{cloud_regions, countries, subdivisions};

/// Common names that are not in the tables, each with the code of its zone.
const ALIASES: [(&str, &str); 43] = [
    ("america", "US"),
    ("united states of america", "US"),
    ("uk", "GB"),
    ("britain", "GB"),
    ("great britain", "GB"),
    ("england", "GB"),
    ("scotland", "GB"),
    ("wales", "GB"),
    ("northern ireland", "GB"),
    ("european union", "EU"),
    ("holland", "NL"),
    ("czech republic", "CZ"),
    ("macedonia", "MK"),
    ("turkiye", "TR"),
    ("russian federation", "RU"),
    ("republic of ireland", "IE"),
    ("swaziland", "SZ"),
    ("cabo verde", "CV"),
    ("ivory coast", "CI"),
    ("drc", "CD"),
    ("dr congo", "CD"),
    ("congo-kinshasa", "CD"),
    ("congo-brazzaville", "CG"),
    ("republic of congo", "CG"),
    ("democratic republic of the congo", "CD"),
    ("republic of the congo", "CG"),
    ("burma", "MM"),
    ("viet nam", "VN"),
    ("timor-leste", "TL"),
    ("republic of korea", "KR"),
    ("peoples republic of china", "CN"),
    ("mainland china", "CN"),
    ("macau", "MO"),
    ("hong kong sar", "HK"),
    ("uae", "AE"),
    ("ksa", "SA"),
    ("brasil", "BR"),
    ("deutschland", "DE"),
    ("washington dc", "US-DC"),
    ("washington, dc", "US-DC"),
    ("washington state", "US-WA"),
    ("newfoundland", "CA-NL"),
    ("pei", "CA-PE"),
];

/// Cloud providers by their name in the table, with their other names.
const CLOUD_PROVIDERS: [(&str, &[&str]); 8] = [
    ("aws", &["amazon"]),
    ("gcp", &["google"]),
    ("azure", &["microsoft"]),
    ("ovh", &["ovhcloud"]),
    ("scaleway", &[]),
    ("hetzner", &[]),
    ("oracle", &["oci"]),
    ("coreweave", &[]),
];

/// Maximum number of suggestions for an unknown name.
const MAX_SUGGESTIONS: usize = 5;

/// Names longer than this, in bytes, get no suggestions, because the time to compare grows with the length.
const MAX_NAME_LEN: usize = 60;

/// All zones with the name or code `name`.
pub(crate) fn find_zones(name: &str) -> Vec<GridZone> {
    if let Some((provider, region)) = parse_cloud_region(name) {
        let of_provider = |zone: &GridZone| zone.cloud_region().is_some_and(|it| it.provider == provider);
        return find_regions(cloud_region_zones().filter(of_provider), region);
    }
    let name = normalize(name);
    // The name of two countries, of which one has a longer name too.
    if name == "congo" {
        return country_zones().filter(|zone| ["CD", "CG"].contains(&zone.country_code())).collect();
    }
    let code =
        ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.clone(), |(_, code)| normalize(code));
    // Two letters always mean a country, although states and provinces have such codes too: CA, DE, GA, IN.
    let found: Vec<GridZone> = if code.len() == 2 {
        country_zones().filter(|zone| normalize(zone.country_code()) == code).collect()
    } else {
        country_zones()
            .filter(|zone| matches_country(*zone, &code))
            .chain(subdivision_zones().filter(|zone| matches_subdivision(*zone, &code)))
            .collect()
    };
    if !found.is_empty() {
        return found;
    }
    match name.rsplit_once(',') {
        Some((subdivision, country)) => find_in_country(subdivision.trim(), country.trim()),
        None => find_by_other_name(&name),
    }
}

/// Finds names of electricity markets, and cloud regions without their provider if only one provider has the region.
fn find_by_other_name(name: &str) -> Vec<GridZone> {
    let alias = find_alias(name).filter(|row| matches!(row.kind, AliasKind::Exact | AliasKind::Within));
    match alias {
        Some(row) => country_zones()
            .chain(subdivision_zones())
            .filter(|zone| zone.grid_code() == row.code)
            .take(1)
            .collect(),
        None => find_regions(cloud_region_zones(), name),
    }
}

/// Names similar to one that was not found, most similar first. [`find_zones`] finds each of them.
pub(crate) fn suggest_names(name: &str) -> Vec<String> {
    let name = match parse_cloud_region(name) {
        Some((provider, region)) => format!("{provider}:{}", region.to_lowercase()),
        None => normalize(name),
    };
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return Vec::new();
    }
    let mut near: Vec<(usize, String)> = country_zones()
        .chain(subdivision_zones())
        .chain(cloud_region_zones())
        .filter_map(|zone| Some((edit_distance(&name, zone)?, zone)))
        .map(|(distance, zone)| (distance, suggested_name(zone)))
        .collect();
    near.sort();
    near.truncate(MAX_SUGGESTIONS);
    match name.rsplit_once(',') {
        // The tables have no towns: suggest the country.
        Some((_, country)) if near.is_empty() => {
            find_zones(country).into_iter().map(suggested_name).collect()
        }
        _ => near.into_iter().map(|(_, name)| name).collect(),
    }
}

/// The provider and the region of `aws:us-east-1` or `gcp/europe-west9`. `None` unless the name starts with a provider.
fn parse_cloud_region(name: &str) -> Option<(&'static str, &str)> {
    let (provider, region) = name.split_once([':', '/'])?;
    let provider = provider.trim().to_lowercase();
    let known =
        CLOUD_PROVIDERS.iter().find(|(known, others)| *known == provider || others.contains(&&*provider))?;
    Some((known.0, region.trim()))
}

/// Finds `Quebec, Canada`, and short codes of subdivisions as in `VA, USA`.
fn find_in_country(subdivision: &str, country: &str) -> Vec<GridZone> {
    let codes: Vec<&str> = find_zones(country).into_iter().map(GridZone::country_code).collect();
    let is_named = |zone: &GridZone| {
        matches_subdivision(*zone, subdivision)
            || normalize(&zone.code()).split_once('-').is_some_and(|it| it.1 == subdivision)
    };
    subdivision_zones().filter(|zone| codes.contains(&zone.country_code())).filter(is_named).collect()
}

/// The cloud regions with a name as in `us-central1` or `East US 2`, or with an availability zone as in `us-central1-a` or
/// `eu-west-1b`.
fn find_regions(zones: impl Iterator<Item = GridZone>, name: &str) -> Vec<GridZone> {
    let zones: Vec<GridZone> = zones.collect();
    let name = name.replace(' ', "");
    let without_zone = name
        .strip_suffix(|letter: char| letter.is_ascii_alphabetic())
        .map(|rest| rest.strip_suffix('-').unwrap_or(rest))
        .filter(|rest| rest.ends_with(|letter: char| letter.is_ascii_digit()));
    let with_name = |name: &str| -> Vec<GridZone> {
        let matches =
            |zone: &&GridZone| zone.cloud_region().is_some_and(|it| it.region.eq_ignore_ascii_case(name));
        zones.iter().filter(matches).copied().collect()
    };
    let found = with_name(&name);
    if found.is_empty() { without_zone.map_or_else(Vec::new, with_name) } else { found }
}

fn matches_country(zone: GridZone, name: &str) -> bool {
    // The world has an empty `iso2`.
    let GridZone::Country(country) = zone else { return false };
    !name.is_empty() && [&country.iso3, &country.name, &country.iso2].iter().any(|it| normalize(it) == name)
}

/// Compares with the code, the name, and the four-letter code of an eGRID subregion.
fn matches_subdivision(zone: GridZone, name: &str) -> bool {
    let GridZone::Subdivision(subdivision) = zone else { return false };
    let code = normalize(&subdivision.code);
    normalize(&subdivision.name) == name
        || code == name
        || code.strip_prefix("egrid-").is_some_and(|short| short == name)
}

/// The edit distance between a name and the most similar spelling of a zone; 1 if the name is a word of the spelling.
/// `None` if more than a quarter of the letters and one more differ.
fn edit_distance(name: &str, zone: GridZone) -> Option<usize> {
    let max_distance = 1 + name.chars().count().saturating_sub(1) / 4;
    // The short code of a subdivision is similar to too many others, so only an exact match counts.
    if matches!(zone, GridZone::Subdivision(subdivision) if normalize(&subdivision.code).split_once('-').is_some_and(|it| it.1 == name))
    {
        return Some(0);
    }
    let distances = spellings(zone).into_iter().map(|spelling| {
        let is_word = name.len() > 3 && spelling.split(' ').any(|word| word == name);
        if is_word { 1 } else { strsim::osa_distance(name, &spelling) }
    });
    distances.min().filter(|distance| *distance <= max_distance)
}

fn spellings(zone: GridZone) -> Vec<String> {
    match zone {
        GridZone::Country(country) => vec![normalize(&country.name)],
        GridZone::Subdivision(subdivision) => {
            vec![normalize(&subdivision.name), normalize(&subdivision.code)]
        }
        GridZone::CloudRegion(region) => vec![region.code().to_lowercase(), region.region.to_lowercase()],
    }
}

/// The name to suggest for a zone if it is unambiguous, otherwise its code.
fn suggested_name(zone: GridZone) -> String {
    match zone {
        GridZone::Country(country) if find_zones(&country.name).len() == 1 => country.name.clone(),
        GridZone::Subdivision(subdivision) if find_zones(&subdivision.name).len() == 1 => {
            subdivision.name.clone()
        }
        other => other.code(),
    }
}

fn country_zones() -> impl Iterator<Item = GridZone> {
    countries::all().map(GridZone::Country)
}

fn subdivision_zones() -> impl Iterator<Item = GridZone> {
    subdivisions::all().map(GridZone::Subdivision)
}

fn cloud_region_zones() -> impl Iterator<Item = GridZone> {
    cloud_regions::all().map(GridZone::CloudRegion)
}

/// ASCII in lower case, with single spaces, without apostrophes, periods and a leading article: `Québec` becomes `quebec`.
fn normalize(name: &str) -> String {
    let letters = deunicode::deunicode(name).to_lowercase().replace(['\'', '.'], "");
    let words: Vec<&str> =
        letters.split_whitespace().map(|word| if word == "&" { "and" } else { word }).collect();
    match words[..] {
        ["the", ref rest @ ..] if !rest.is_empty() => rest.join(" "),
        ref all => all.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn codes(name: &str) -> Vec<String> {
        find_zones(name).into_iter().map(GridZone::code).collect()
    }

    fn all_zones() -> impl Iterator<Item = GridZone> {
        country_zones().chain(subdivision_zones()).chain(cloud_region_zones())
    }

    #[test]
    fn places_are_found_by_common_spellings() {
        for (code, names) in [
            ("FR", &["FR", "fra", "France", " france "][..]),
            ("US", &["US", "USA", "U.S.", "United States", "the United States of America"]),
            ("GB", &["UK", "Great Britain"]),
            ("CI", &["Côte d’Ivoire", "Cote d'Ivoire", "Ivory Coast"]),
            ("NL", &["The Netherlands", "NLD"]),
            ("US-VA", &["Virginia", "US-VA", "us-va", "Virginia, US", "Virginia, United States", "VA, USA"]),
            ("CA-QC", &["Quebec, Canada", "Québec", "Que\u{301}bec", "CA-QC", "Quebec"]),
            ("TR", &["Turkey", "Türkiye", "TÜRKİYE", "turkıye"]),
            ("AU-NSW", &["New South Wales", "NSW, Australia"]),
            ("US-DC", &["Washington, D.C.", "District of Columbia"]),
            ("EGRID-SRVC", &["EGRID-SRVC", "SRVC", "SERC Virginia/Carolina"]),
            ("aws:us-east-1", &["aws:us-east-1", "AWS/us-east-1", "amazon: US-EAST-1"]),
            ("gcp:europe-west9", &["gcp/europe-west9", "google:europe-west9"]),
            ("azure:westeurope", &["azure:WestEurope"]),
            ("coreweave:LGA1", &["coreweave:lga1"]),
            ("gcp:us-central1", &["us-central1-a", "gcp:us-central1-f", "us-central1"]),
            ("aws:eu-west-1", &["eu-west-1b", "aws:eu-west-1b", "eu-west-1"]),
            ("azure:eastus2", &["East US 2", "azure:East US 2", "eastus2"]),
            ("azure:westeurope", &["West Europe"]),
            ("SE3", &["SE3", "SE_3", "SE-SE3"]),
            ("EGRID-ERCT", &["ERCOT", "US-TEX-ERCO"]),
            ("CN-GD", &["Guangdong", "CN-GD", "Guangdong, China"]),
            // A name in two tables, qualified by its country.
            ("US-GA", &["US-GA", "Georgia, USA", "GA, US"]),
            ("GE", &["GE", "GEO"]),
        ] {
            for name in names {
                assert_eq!(codes(name), [code], "{name}");
            }
        }
    }

    #[test]
    fn two_letters_always_mean_a_country() {
        // California, Delaware, Georgia (Gabon's code), Indiana.
        for code in ["CA", "DE", "GA", "IN"] {
            assert_eq!(codes(code), [code]);
        }
        assert!(codes("VA").is_empty() && codes("QC").is_empty());
    }

    #[test]
    fn ambiguous_name_returns_all_zones() {
        assert_eq!(codes("Georgia"), ["GE", "US-GA"]);
        assert_eq!(codes("Puerto Rico"), ["PR", "US-PR"]);
        assert_eq!(codes("Congo").len(), 2);
        assert!(codes("Europe").is_empty(), "neither the Union nor the continent");
    }

    #[test]
    fn zones_found_by_code_and_name() {
        for zone in all_zones() {
            assert_eq!(find_zones(&zone.code()), [zone]);
            if let GridZone::Country(_) | GridZone::Subdivision(_) = zone {
                assert!(find_zones(&zone.name()).contains(&zone), "{}", zone.name());
            }
        }
    }

    #[test]
    fn aliases_resolve_without_hiding_names() {
        for (alias, code) in ALIASES {
            assert_eq!(codes(alias), [code], "{alias}");
            assert!(
                !all_zones().any(|zone| matches_country(zone, alias) || matches_subdivision(zone, alias)),
                "{alias}"
            );
        }
        for (provider, _) in CLOUD_PROVIDERS {
            assert!(
                cloud_region_zones()
                    .any(|zone| zone.cloud_region().is_some_and(|it| it.provider == provider)),
                "{provider}"
            );
        }
    }

    #[test]
    fn unknown_name_suggests_nearest_names() {
        for (typo, first) in [
            ("Frnace", "France"),
            ("Franz", "France"),
            ("Germny", "Germany"),
            ("Virgina", "Virginia"),
            ("Qubec", "Quebec"),
            ("Gorgia", "GE"),
            ("QC", "Quebec"),
            ("US-VB", "Virginia"),
            ("us-east-1", "aws:us-east-1"),
            ("aws:us-esat-1", "aws:us-east-1"),
            ("gcp:europe-west99", "gcp:europe-west9"),
        ] {
            let near = suggest_names(typo);
            assert!(near.len() <= MAX_SUGGESTIONS && near.contains(&first.to_owned()), "{typo}: {near:?}");
        }
        assert_eq!(suggest_names("Frnace")[0], "France");
        assert_eq!(suggest_names("VA"), ["Virginia"]);
        assert_eq!(suggest_names("Paris, France"), ["France"]);
        assert_eq!(suggest_names("Tbilisi, Georgia"), ["GE", "US-GA"]);
        assert!(suggest_names("korea").contains(&"South Korea".to_owned()));
        assert!(suggest_names("Atlantis of the deep").is_empty() && suggest_names("").is_empty());
    }

    /// The names of countries that can be suggested.
    static COUNTRY_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        country_zones().map(suggested_name).filter(|name| name.is_ascii() && name.len() > 3).collect()
    });

    proptest! {
        // Comparing with every name takes some milliseconds in a debug build.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn arbitrary_name_never_panics(text in any::<String>()) {
            for zone in find_zones(&text) {
                prop_assert!(find_zones(&zone.code()).contains(&zone));
            }
            for name in suggest_names(&text) {
                prop_assert_eq!(find_zones(&name).len(), 1, "{}", name);
            }
        }

        /// With one wrong letter, the original name is suggested, unless the text is itself a name.
        #[test]
        fn single_typo_suggests_original_name(name in any::<Index>(), at in any::<Index>(), wrong in "[a-z]") {
            let name = &COUNTRY_NAMES[name.index(COUNTRY_NAMES.len())];
            let mut text = name.to_lowercase();
            let at = at.index(text.len());
            text.replace_range(at..=at, &wrong);
            let near = suggest_names(&text);
            let is_crowded = near.len() == MAX_SUGGESTIONS;
            prop_assert!(!find_zones(&text).is_empty() || near.contains(name) || is_crowded, "{text}: {near:?}");
        }
    }
}
