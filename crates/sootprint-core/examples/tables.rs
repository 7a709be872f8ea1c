//! Makes the embedded tables in `data` from the files in `data/sources`:
//!
//! ```sh
//! cargo run -p sootprint-core --example tables
//! ```
//!
//! The test below holds the tables and their sources together.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The years of the history.
const HISTORY_YEARS: std::ops::RangeInclusive<u16> = 2015..=2024;

/// The year of Ember's release that goes beyond it.
const OVERLAY_YEAR: u16 = 2025;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    for (name, table) in build_tables()? {
        fs::write(data_dir().join(name), table)?;
    }
    Ok(())
}

/// Each table's file and its text.
fn build_tables() -> Result<Vec<(&'static str, String)>> {
    let countries = read_countries()?;
    let country_codes: BTreeSet<String> = countries.iter().map(|country| country.iso2.clone()).collect();
    Ok(vec![
        ("countries.csv", country_table(&countries)?),
        ("subnational.csv", subdivision_table(&country_codes)?),
        ("cloud_regions.csv", cloud_region_table(&country_codes)?),
        ("time_zones.csv", time_zone_table(&country_codes)?),
    ])
}

#[derive(Deserialize)]
struct CountryRow {
    iso2: String,
    iso3: String,
    name: String,
    g_co2e_per_kwh: String,
    year: u16,
    basis: String,
    source: String,
    #[serde(skip)]
    yearly_intensities: BTreeMap<u16, String>,
}

/// The newest figure of each country, its history and its figure for 2025.
fn read_countries() -> Result<Vec<CountryRow>> {
    #[derive(Deserialize)]
    struct OverlayRow {
        iso3: String,
        g_co2e_per_kwh: String,
        year: u16,
    }

    let mut history: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for mut row in read_rows::<BTreeMap<String, String>>("grid_intensity_history.csv")? {
        history.insert(row.remove("iso3").ok_or("a history without a country")?, row);
    }
    let overlay = read_rows::<OverlayRow>("grid_intensity_2025_overlay.csv")?;
    let mut countries = read_rows::<CountryRow>("grid_intensity.csv")?;
    for country in &mut countries {
        let CountryRow { iso3, year, g_co2e_per_kwh, yearly_intensities: figures, .. } = country;
        let row = history.remove(iso3).ok_or_else(|| format!("{iso3} has no history"))?;
        for (year, figure) in row {
            if !figure.is_empty() {
                figures.insert(year.parse()?, figure);
            }
        }
        // A figure from before the history stands alone; all others are in it too, and agree.
        if *figures.entry(*year).or_insert_with(|| g_co2e_per_kwh.clone()) != *g_co2e_per_kwh {
            return Err(format!("{iso3}: the history has another figure for {year}").into());
        }
        for row in overlay.iter().filter(|row| row.iso3 == *iso3) {
            figures.insert(row.year, row.g_co2e_per_kwh.clone());
        }
        // Else the reader's constants would say something wrong.
        if country.basis != "lifecycle-generation" || country.source != "owid:carbon_intensity_elec" {
            return Err(format!("{iso3} has another basis or source than the rest").into());
        }
    }
    if !history.is_empty() || overlay.iter().any(|row| row.year != OVERLAY_YEAR) {
        return Err("a history without a country, or an overlay of another year".into());
    }
    Ok(countries)
}

fn country_table(countries: &[CountryRow]) -> Result<String> {
    let years: BTreeSet<u16> =
        countries.iter().flat_map(|it| it.yearly_intensities.keys().copied()).chain(HISTORY_YEARS).collect();
    let mut table = csv::Writer::from_writer(Vec::new());
    let names = ["iso2", "iso3", "name"].map(str::to_owned).into_iter();
    table.write_record(names.chain(years.iter().map(u16::to_string)))?;
    for country in countries {
        let figure = |year| country.yearly_intensities.get(year).map_or("", String::as_str);
        let names = [country.iso2.as_str(), &country.iso3, &country.name].into_iter();
        table.write_record(names.chain(years.iter().map(figure)))?;
    }
    into_text(table)
}

/// States, provinces and eGRID's subregions. A whole country's direct figure is left out: its code means the lifecycle
/// figure of the table of countries.
fn subdivision_table(country_codes: &BTreeSet<String>) -> Result<String> {
    #[derive(Deserialize)]
    struct SubdivisionRow {
        code: String,
        iso2: String,
        name: String,
        kind: String,
        g_co2e_per_kwh: String,
        year: String,
        basis: String,
        source: String,
    }

    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["code", "iso2", "name", "g_co2e_per_kwh", "year", "basis", "source"])?;
    for row in read_rows::<SubdivisionRow>("subnational_intensity.csv")? {
        let source = match row.source.split_whitespace().next() {
            Some("EPA") => "egrid",
            Some("ECCC") => "eccc",
            Some("DCCEEW") => "nga",
            _ => return Err(format!("{}: no publication is known for `{}`", row.code, row.source).into()),
        };
        if !country_codes.contains(&row.iso2) {
            return Err(format!("{} is in no country", row.code).into());
        }
        if row.kind != "national" {
            table.write_record([
                &row.code,
                &row.iso2,
                &row.name,
                &row.g_co2e_per_kwh,
                &row.year,
                &row.basis,
                source,
            ])?;
        }
    }
    into_text(table)
}

/// Without the columns that nothing reads yet: water, and the part of carbon-free energy.
fn cloud_region_table(country_codes: &BTreeSet<String>) -> Result<String> {
    #[derive(Deserialize)]
    struct CloudRegionRow {
        provider: String,
        region: String,
        city: String,
        admin_area: String,
        iso2: String,
        subnational_code: String,
        grid_g_per_kwh: String,
        grid_year: String,
        grid_basis: String,
        pue: String,
        pue_year: String,
    }

    let subnational = subdivision_table(country_codes)?;
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "provider",
        "region",
        "city",
        "area",
        "iso2",
        "part",
        "g_co2e_per_kwh",
        "year",
        "pue",
        "pue_year",
    ])?;
    for row in read_rows::<CloudRegionRow>("cloud_regions.csv")? {
        let CloudRegionRow { provider, region, iso2, subnational_code: part, .. } = &row;
        let is_part = part.is_empty() || subnational.contains(&format!("\n{part},"));
        if !country_codes.contains(iso2) || !is_part {
            return Err(format!("{provider}:{region} hangs on no grid").into());
        }
        // Only Google publishes its regions' grids, and does not say on which basis.
        let is_google = provider == "gcp" && row.grid_basis == "unknown";
        if !row.grid_g_per_kwh.is_empty() && !is_google {
            return Err(format!("{provider}:{region} has a figure from an unknown publication").into());
        }
        table.write_record([
            provider,
            region,
            &row.city,
            &row.admin_area,
            iso2,
            part,
            &row.grid_g_per_kwh,
            &row.grid_year,
            &row.pue,
            &row.pue_year,
        ])?;
    }
    into_text(table)
}

/// The country of each time zone, with the zones' older names.
fn time_zone_table(country_codes: &BTreeSet<String>) -> Result<String> {
    let mut country: BTreeMap<String, String> = BTreeMap::new();
    let zones = fs::read_to_string(source_path("zone.tab"))?;
    for line in zones.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(code), Some(_), Some(zone)) = (columns.next(), columns.next(), columns.next()) else {
            return Err(format!("no time zone: {line}").into());
        };
        country.insert(zone.to_owned(), code.to_owned());
    }
    let links = fs::read_to_string(source_path("zone_links.txt"))?;
    for line in links.lines() {
        let mut words = line.split(' ');
        let (Some("L"), Some(target), Some(alias)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("no link: {line}").into());
        };
        // A link's own row in zone.tab is better than its target's, which may be in another country.
        if let (Some(code), false) = (country.get(target).cloned(), country.contains_key(alias)) {
            country.insert(alias.to_owned(), code);
        }
    }
    let mut zones: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (zone, code) in country.into_iter().filter(|(_, code)| country_codes.contains(code)) {
        zones.entry(code).or_default().push(zone);
    }
    let mut table = "iso2,zones\n".to_owned();
    for (code, zones) in zones {
        writeln!(table, "{code},{}", zones.join(" "))?;
    }
    Ok(table)
}

fn read_rows<T: DeserializeOwned>(name: &str) -> Result<Vec<T>> {
    Ok(csv::Reader::from_path(source_path(name))?
        .into_deserialize()
        .collect::<std::result::Result<_, _>>()?)
}

fn into_text(table: csv::Writer<Vec<u8>>) -> Result<String> {
    Ok(String::from_utf8(table.into_inner()?)?)
}

fn data_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

fn source_path(name: &str) -> PathBuf {
    data_dir().join("sources").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_tables_match_their_sources() {
        for (name, table) in build_tables().unwrap() {
            assert_eq!(
                fs::read_to_string(data_dir().join(name)).unwrap(),
                table,
                "{name} is not what its source gives: run `cargo run -p sootprint-core --example tables`"
            );
        }
    }
}
