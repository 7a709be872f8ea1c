//! Names and codes of places as people write them.

use super::zone::Zone;
use super::{clouds, countries, parts};

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
const PROVIDERS: [(&str, &[&str]); 8] = [
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
const MOST_SUGGESTIONS: usize = 5;

/// Nobody types a place's name of more letters, and comparing takes time that grows with them.
const LONGEST_NAME: usize = 60;

/// All zones that people may mean by `name`: none, one, or those that share it.
pub(crate) fn find(name: &str) -> Vec<Zone> {
    if let Some((provider, region)) = cloud(name) {
        return regions().filter(|zone| is_region(*zone, provider, region)).collect();
    }
    let name = plain(name);
    let code = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.clone(), |(_, code)| plain(code));
    // Two letters are a country, though states and provinces have two letters too: CA, DE, GA, IN.
    let found: Vec<Zone> = if code.len() == 2 {
        countries().filter(|zone| plain(zone.country_code()) == code).collect()
    } else {
        countries()
            .filter(|zone| is_country(*zone, &code))
            .chain(parts().filter(|zone| is_part(*zone, &code)))
            .collect()
    };
    match name.rsplit_once(',') {
        Some((part, country)) if found.is_empty() => in_country(part.trim(), country.trim()),
        _ => found,
    }
}

/// Names that are near to one that was not found, nearest first. Each is found itself.
pub(crate) fn nearest(name: &str) -> Vec<String> {
    let name = match cloud(name) {
        Some((provider, region)) => format!("{provider}:{}", region.to_lowercase()),
        None => plain(name),
    };
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Vec::new();
    }
    let mut near: Vec<(usize, String)> = countries()
        .chain(parts())
        .chain(regions())
        .filter_map(|zone| Some((distance(&name, zone)?, zone)))
        .map(|(distance, zone)| (distance, suggestion(zone)))
        .collect();
    near.sort();
    near.truncate(MOST_SUGGESTIONS);
    match name.rsplit_once(',') {
        // A town is in no table; its country is.
        Some((_, country)) if near.is_empty() => find(country).into_iter().map(suggestion).collect(),
        _ => near.into_iter().map(|(_, name)| name).collect(),
    }
}

/// The provider and the region of `aws:us-east-1` or `gcp/europe-west9`; none where no provider stands first.
fn cloud(name: &str) -> Option<(&'static str, &str)> {
    let (provider, region) = name.split_once([':', '/'])?;
    let provider = provider.trim().to_lowercase();
    let known =
        PROVIDERS.iter().find(|(known, others)| *known == provider || others.contains(&&*provider))?;
    Some((known.0, region.trim()))
}

/// `Quebec, Canada`; also with a code of the part alone, as in `VA, USA`.
fn in_country(part: &str, country: &str) -> Vec<Zone> {
    let codes: Vec<&str> = find(country).into_iter().map(Zone::country_code).collect();
    let is_named = |zone: &Zone| {
        is_part(*zone, part) || plain(&zone.code()).split_once('-').is_some_and(|it| it.1 == part)
    };
    parts().filter(|zone| codes.contains(&zone.country_code())).filter(is_named).collect()
}

fn is_region(zone: Zone, provider: &str, region: &str) -> bool {
    zone.region().is_some_and(|it| it.provider == provider && it.region.eq_ignore_ascii_case(region))
}

fn is_country(zone: Zone, name: &str) -> bool {
    // The world has no two letters.
    let Zone::Country(country) = zone else { return false };
    !name.is_empty() && [&country.iso3, &country.name, &country.iso2].iter().any(|it| plain(it) == name)
}

/// By its code, its name, or the four letters of a subregion.
fn is_part(zone: Zone, name: &str) -> bool {
    let Zone::Part(part) = zone else { return false };
    let code = plain(&part.code);
    plain(&part.name) == name
        || code == name
        || code.strip_prefix("egrid-").is_some_and(|short| short == name)
}

/// How many letters have to change, one of four at most and one more; fewer when the name is a part of the zone's.
fn distance(name: &str, zone: Zone) -> Option<usize> {
    let most = 1 + name.chars().count().saturating_sub(1) / 4;
    // The last letters of a part's code are near to too many others.
    if matches!(zone, Zone::Part(part) if plain(&part.code).split_once('-').is_some_and(|it| it.1 == name)) {
        return Some(0);
    }
    let near = spellings(zone).into_iter().map(|spelling| {
        let is_within = name.len() > 3 && spelling.split(' ').any(|word| word == name);
        if is_within { 1 } else { strsim::osa_distance(name, &spelling) }
    });
    near.min().filter(|distance| *distance <= most)
}

fn spellings(zone: Zone) -> Vec<String> {
    match zone {
        Zone::Country(country) => vec![plain(&country.name)],
        Zone::Part(part) => vec![plain(&part.name), plain(&part.code)],
        Zone::Region(region) => vec![region.code().to_lowercase(), region.region.to_lowercase()],
    }
}

/// What to type for a zone: a country's name where that is its own, else a code.
fn suggestion(zone: Zone) -> String {
    match zone {
        Zone::Country(country) if find(&country.name).len() == 1 => country.name.clone(),
        Zone::Part(part) if find(&part.name).len() == 1 => part.name.clone(),
        other => other.code(),
    }
}

fn countries() -> impl Iterator<Item = Zone> {
    countries::all().map(Zone::Country)
}

fn parts() -> impl Iterator<Item = Zone> {
    parts::all().map(Zone::Part)
}

fn regions() -> impl Iterator<Item = Zone> {
    clouds::all().map(Zone::Region)
}

/// Lower case, without accents, points and a leading article, with single spaces: `Québec` is `quebec`.
fn plain(name: &str) -> String {
    let letters: String = name.to_lowercase().chars().filter_map(letter).collect();
    let words: Vec<&str> =
        letters.split_whitespace().map(|word| if word == "&" { "and" } else { word }).collect();
    match words[..] {
        ["the", ref rest @ ..] if !rest.is_empty() => rest.join(" "),
        ref all => all.join(" "),
    }
}

/// A letter without its accent; none for what people leave out.
fn letter(letter: char) -> Option<char> {
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
        find(name).into_iter().map(Zone::code).collect()
    }

    fn all() -> impl Iterator<Item = Zone> {
        countries().chain(parts()).chain(regions())
    }

    #[test]
    fn places_are_found_as_people_write_them() {
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
    fn two_letters_are_always_a_country() {
        // California, Delaware, Georgia (Gabon's code), Indiana.
        for code in ["CA", "DE", "GA", "IN"] {
            assert_eq!(codes(code), [code]);
        }
        assert!(codes("VA").is_empty() && codes("QC").is_empty());
    }

    #[test]
    fn a_name_of_two_tables_is_found_in_both() {
        assert_eq!(codes("Georgia"), ["GE", "US-GA"]);
        assert_eq!(codes("Puerto Rico"), ["PR", "US-PR"]);
    }

    #[test]
    fn every_zone_is_found_by_its_code_and_its_name_finds_it_too() {
        for zone in all() {
            assert_eq!(find(&zone.code()), [zone]);
            if let Zone::Country(_) | Zone::Part(_) = zone {
                assert!(find(&zone.name()).contains(&zone), "{}", zone.name());
            }
        }
    }

    #[test]
    fn every_alias_is_found_and_hides_no_name() {
        for (alias, code) in ALIASES {
            assert_eq!(codes(alias), [code], "{alias}");
            assert!(!all().any(|zone| is_country(zone, alias) || is_part(zone, alias)), "{alias}");
        }
        for (provider, _) in PROVIDERS {
            assert!(
                regions().any(|zone| zone.region().is_some_and(|it| it.provider == provider)),
                "{provider}"
            );
        }
    }

    #[test]
    fn a_miss_suggests_the_nearest_names() {
        for (miss, first) in [
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
            let near = nearest(miss);
            assert!(near.len() <= MOST_SUGGESTIONS && near.contains(&first.to_owned()), "{miss}: {near:?}");
        }
        assert_eq!(nearest("Frnace")[0], "France");
        assert_eq!(nearest("VA"), ["Virginia"]);
        assert_eq!(nearest("Paris, France"), ["France"]);
        assert_eq!(nearest("Tbilisi, Georgia"), ["GE", "US-GA"]);
        assert!(nearest("korea").contains(&"South Korea".to_owned()));
        assert!(nearest("Atlantis of the deep").is_empty() && nearest("").is_empty());
    }

    /// The names of countries that a miss is to suggest.
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        countries().map(suggestion).filter(|name| name.is_ascii() && name.len() > 3).collect()
    });

    proptest! {
        // A debug build compares with every name for some milliseconds.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            for zone in find(&text) {
                prop_assert!(find(&zone.code()).contains(&zone));
            }
            for name in nearest(&text) {
                prop_assert_eq!(find(&name).len(), 1, "{}", name);
            }
        }

        /// One letter of a name is another: what was meant is suggested, or the text is a name by itself.
        #[test]
        fn one_wrong_letter_is_mended(name in any::<Index>(), at in any::<Index>(), wrong in "[a-z]") {
            let name = &NAMES[name.index(NAMES.len())];
            let mut text = name.to_lowercase();
            let at = at.index(text.len());
            text.replace_range(at..=at, &wrong);
            let near = nearest(&text);
            let is_crowded = near.len() == MOST_SUGGESTIONS;
            prop_assert!(!find(&text).is_empty() || near.contains(name) || is_crowded, "{text}: {near:?}");
        }
    }
}
