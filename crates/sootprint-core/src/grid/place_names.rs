//! Names and codes of places as people write them.

use super::zone::GridZone;
use super::{cloud_regions, countries, subdivisions};

/// Names that people use and the tables do not, each with a code that they do.
const ALIASES: [(&str, &str); 40] = [
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
    ("europe", "EU"),
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

/// A provider's own name and what else people call it.
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

/// After a miss so many names are suggested at most.
const MAX_SUGGESTIONS: usize = 5;

/// Nobody types a place's name of more letters, and comparing takes time that grows with them.
const MAX_NAME_LEN: usize = 60;

/// All zones that people may mean by `name`: none, one, or those that share it.
pub(crate) fn find_zones(name: &str) -> Vec<GridZone> {
    if let Some((provider, region)) = parse_cloud_region(name) {
        return cloud_region_zones().filter(|zone| matches_cloud_region(*zone, provider, region)).collect();
    }
    let name = normalize(name);
    let code =
        ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.clone(), |(_, code)| normalize(code));
    // Two letters are a country, though states and provinces have two letters too: CA, DE, GA, IN.
    let found: Vec<GridZone> = if code.len() == 2 {
        country_zones().filter(|zone| normalize(zone.country_code()) == code).collect()
    } else {
        country_zones()
            .filter(|zone| matches_country(*zone, &code))
            .chain(subdivision_zones().filter(|zone| matches_subdivision(*zone, &code)))
            .collect()
    };
    match name.rsplit_once(',') {
        Some((part, country)) if found.is_empty() => find_in_country(part.trim(), country.trim()),
        _ => found,
    }
}

/// Names that are near to one that was not found, nearest first. Each is found itself.
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
        // A town is in no table; its country is.
        Some((_, country)) if near.is_empty() => {
            find_zones(country).into_iter().map(suggested_name).collect()
        }
        _ => near.into_iter().map(|(_, name)| name).collect(),
    }
}

/// The provider and the region of `aws:us-east-1` or `gcp/europe-west9`; none where no provider stands first.
fn parse_cloud_region(name: &str) -> Option<(&'static str, &str)> {
    let (provider, region) = name.split_once([':', '/'])?;
    let provider = provider.trim().to_lowercase();
    let known =
        CLOUD_PROVIDERS.iter().find(|(known, others)| *known == provider || others.contains(&&*provider))?;
    Some((known.0, region.trim()))
}

/// `Quebec, Canada`; also with a code of the part alone, as in `VA, USA`.
fn find_in_country(subdivision: &str, country: &str) -> Vec<GridZone> {
    let codes: Vec<&str> = find_zones(country).into_iter().map(GridZone::country_code).collect();
    let is_named = |zone: &GridZone| {
        matches_subdivision(*zone, subdivision)
            || normalize(&zone.code()).split_once('-').is_some_and(|it| it.1 == subdivision)
    };
    subdivision_zones().filter(|zone| codes.contains(&zone.country_code())).filter(is_named).collect()
}

fn matches_cloud_region(zone: GridZone, provider: &str, region: &str) -> bool {
    zone.cloud_region().is_some_and(|it| it.provider == provider && it.region.eq_ignore_ascii_case(region))
}

fn matches_country(zone: GridZone, name: &str) -> bool {
    // The world has no two letters.
    let GridZone::Country(country) = zone else { return false };
    !name.is_empty() && [&country.iso3, &country.name, &country.iso2].iter().any(|it| normalize(it) == name)
}

/// By its code, its name, or the four letters of a subregion.
fn matches_subdivision(zone: GridZone, name: &str) -> bool {
    let GridZone::Subdivision(subdivision) = zone else { return false };
    let code = normalize(&subdivision.code);
    normalize(&subdivision.name) == name
        || code == name
        || code.strip_prefix("egrid-").is_some_and(|short| short == name)
}

/// How many letters have to change, one of four at most and one more; fewer when the name is a part of the zone's.
fn edit_distance(name: &str, zone: GridZone) -> Option<usize> {
    let max_distance = 1 + name.chars().count().saturating_sub(1) / 4;
    // The last letters of a part's code are near to too many others.
    if matches!(zone, GridZone::Subdivision(subdivision) if normalize(&subdivision.code).split_once('-').is_some_and(|it| it.1 == name))
    {
        return Some(0);
    }
    let near = spellings(zone).into_iter().map(|spelling| {
        let is_within = name.len() > 3 && spelling.split(' ').any(|word| word == name);
        if is_within { 1 } else { strsim::osa_distance(name, &spelling) }
    });
    near.min().filter(|distance| *distance <= max_distance)
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

/// What to type for a zone: a country's name where that is its own, else a code.
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

/// Lower case, without accents, points and a leading article, with single spaces: `Québec` is `quebec`.
fn normalize(name: &str) -> String {
    let letters: String = name.to_lowercase().chars().filter_map(fold_accent).collect();
    let words: Vec<&str> =
        letters.split_whitespace().map(|word| if word == "&" { "and" } else { word }).collect();
    match words[..] {
        ["the", ref rest @ ..] if !rest.is_empty() => rest.join(" "),
        ref all => all.join(" "),
    }
}

/// A letter without its accent; none for what people leave out.
fn fold_accent(letter: char) -> Option<char> {
    Some(match letter {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ā' => 'a',
        'ç' | 'č' => 'c',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' | 'ı' => 'i',
        'ñ' => 'n',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        // The apostrophes of two keyboards, points, and the dot that a lower-case İ leaves behind.
        '\'' | '’' | '.' | '\u{307}' => return None,
        other => other,
    })
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
            ("CA-QC", &["Quebec, Canada", "Québec", "CA-QC", "Quebec"]),
            ("AU-NSW", &["New South Wales", "NSW, Australia"]),
            ("US-DC", &["Washington, D.C.", "District of Columbia"]),
            ("EGRID-SRVC", &["EGRID-SRVC", "SRVC", "SERC Virginia/Carolina"]),
            ("aws:us-east-1", &["aws:us-east-1", "AWS/us-east-1", "amazon: US-EAST-1"]),
            ("gcp:europe-west9", &["gcp/europe-west9", "google:europe-west9"]),
            ("azure:westeurope", &["azure:WestEurope"]),
            ("coreweave:LGA1", &["coreweave:lga1"]),
            // A name of two tables, said with its country.
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

    /// The names of countries that a miss is to suggest.
    static COUNTRY_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        country_zones().map(suggested_name).filter(|name| name.is_ascii() && name.len() > 3).collect()
    });

    proptest! {
        // A debug build compares with every name for some milliseconds.
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

        /// One letter of a name is another: what was meant is suggested, or the text is a name by itself.
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
