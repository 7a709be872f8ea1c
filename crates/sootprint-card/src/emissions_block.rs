//! The value of `co2_eq_emissions`: the Hub's keys, in the Hub's order.

use serde::{Deserialize, Serialize};
use sootprint_core::format::{plain_decimal, significant_digits_within};
use sootprint_core::{Co2e, ComponentKind, Energy, Footprint, LocationSource, MeasurementMethod};

use crate::error::CardError;
use crate::yaml::{YamlDocument, YamlEntry};
use crate::yaml_quote::double_quote;

/// The key of the front matter from which the Hub reads the emissions.
pub(crate) const EMISSIONS_KEY: &str = "co2_eq_emissions";

/// The subkeys that this crate writes, in the order of the Hub's documentation. `energy_consumed`, which cards with
/// figures from CodeCarbon use for the measured energy, comes last.
pub(crate) const MANAGED_KEYS: [&str; 6] =
    ["emissions", "source", "training_type", "geographical_location", "hardware_used", "energy_consumed"];

/// Whether an entry of the block has one of these keys.
pub(crate) fn is_managed_key(document: &YamlDocument, entry: YamlEntry) -> bool {
    document.entry_key(entry).is_some_and(|name| MANAGED_KEYS.contains(&name))
}

/// The prefix of the `source` of a block that this crate wrote.
pub(crate) const SOURCE_PREFIX: &str = "sootprint ";

/// The version in cards, without the patch version: it does not affect the figures.
pub(crate) const SHORT_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// The value of a card's `co2_eq_emissions`, as the
/// [Hub documents it](https://huggingface.co/docs/hub/model-cards-co2).
///
/// | key | type | unit or form | left out |
/// |---|---|---|---|
/// | `emissions` | number | grams of CO2e, at least 0.0001 unless zero | never |
/// | `source` | string | `sootprint X.Y (GPU counter; CPU, memory modelled)` | when unknown |
/// | `training_type` | string | `pre-training` or `fine-tuning` | when not stated |
/// | `geographical_location` | string | the place of the grid, as in `France` | when unknown |
/// | `hardware_used` | string | as in `2 x NVIDIA H200` | when none was found |
/// | `energy_consumed` | number | kWh at the facility's meter, at most 9 decimals | when unknown |
///
/// The figures of a run have three significant digits, and more if they would otherwise lie outside their own bounds.
/// Cards contain them as plain decimals. Emissions below 0.0001 g are written as `0.0001`: Python prints smaller numbers
/// with an exponent, which the Hub's filter ignores, and the filter treats zero as missing. Exactly zero grams, the result
/// of a run on a grid of 0 g/kWh, is written as `0`, although the Hub's filter by emissions skips such a model.
///
/// In JSON the fields have the same names and units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmissionsBlock {
    /// The emissions, in grams of CO2e.
    pub emissions: Co2e,
    /// The tool that determined the figures, and the methods of measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `pre-training` or `fine-tuning`; in a card of another author, any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_type: Option<String>,
    /// The location of the grid that supplied the electricity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geographical_location: Option<String>,
    /// The number and the kind of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_used: Option<String>,
    /// The energy at the facility's meter, in kWh in the card and in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "kilowatt_hours")]
    pub energy_consumed: Option<Energy>,
}

impl EmissionsBlock {
    /// Creates a block with only the emissions.
    ///
    /// ```
    /// use sootprint_core::Co2e;
    /// use sootprint_card::EmissionsBlock;
    ///
    /// let mut block = EmissionsBlock::new(Co2e::from_grams(12.3));
    /// block.training_type = Some("pre-training".to_owned());
    /// assert_eq!(serde_json::to_string(&block)?, r#"{"emissions":12.3,"training_type":"pre-training"}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub const fn new(emissions: Co2e) -> Self {
        Self {
            emissions,
            source: None,
            training_type: None,
            geographical_location: None,
            hardware_used: None,
            energy_consumed: None,
        }
    }

    /// Creates the block from the footprint of a run, with three significant digits. A location that was guessed from the
    /// time zone is left out.
    ///
    /// # Errors
    /// [`CardError::NotMeasured`] if no component has a figure; [`CardError::InvalidAmount`] if a figure is negative,
    /// infinite, NaN, or 1e16 and above.
    pub fn from_footprint(footprint: &Footprint) -> Result<Self, CardError> {
        if !footprint.is_measured() {
            return Err(CardError::NotMeasured);
        }
        let known = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let block = Self {
            emissions: published_emissions(footprint),
            source: Some(source_text(footprint)),
            training_type: footprint.run.training_type.map(|training| training.as_str().to_owned()),
            geographical_location: footprint
                .grid
                .place
                .as_deref()
                .filter(|_| !is_location_guessed(footprint))
                .and_then(known),
            hardware_used: known(&footprint.hardware),
            energy_consumed: Some(published_energy(footprint)),
        };
        block.yaml_entries()?;
        Ok(block)
    }

    /// Whether this crate wrote the block, judging by its `source`.
    pub(crate) fn is_generated(&self) -> bool {
        self.source.as_deref().is_some_and(|source| source.starts_with(SOURCE_PREFIX))
    }

    /// The subkeys with a value, and the values as written in YAML.
    pub(crate) fn yaml_entries(&self) -> Result<Vec<(&'static str, String)>, CardError> {
        let [emissions, source, training_type, location, hardware, energy] = MANAGED_KEYS;
        let number = |key, value, written: Option<String>| {
            Ok((key, written.ok_or(CardError::InvalidAmount { key, value })?))
        };
        let text = |key, value: &Option<String>| value.as_deref().map(|value| Ok((key, double_quote(value))));
        [
            Some(number(emissions, self.emissions.grams(), grams_text(self.emissions))),
            text(source, &self.source),
            text(training_type, &self.training_type),
            text(location, &self.geographical_location),
            text(hardware, &self.hardware_used),
            self.energy_consumed
                .map(Energy::kilowatt_hours)
                .map(|used| number(energy, used, plain_decimal(used, 9))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The smallest number of grams in a card. Python prints smaller ones with an exponent, which the Hub's filter ignores.
pub(crate) const MIN_GRAMS: f64 = 1e-4;

/// The grams as the Hub's filter reads them: a plain decimal of at least [`MIN_GRAMS`], unless it is zero.
pub(crate) fn grams_text(emissions: Co2e) -> Option<String> {
    let grams = emissions.grams();
    plain_decimal(if grams > 0.0 { grams.max(MIN_GRAMS) } else { grams }, 9)
}

/// The emissions of a run with three significant digits, or as many as needed to stay within their bounds.
pub(crate) fn published_emissions(footprint: &Footprint) -> Co2e {
    let emissions = &footprint.emissions;
    let [best, low, high] = [emissions.best, emissions.low, emissions.high].map(|it| it.grams());
    rounded(best, low, high).map_or(emissions.best, Co2e::from_grams)
}

/// The energy of a run at the facility's meter, with three significant digits or as many as needed to stay within its
/// bounds.
pub(crate) fn published_energy(footprint: &Footprint) -> Energy {
    let energy = &footprint.energy;
    // The bounds are those of the components.
    let [best, low, high] = [energy.facility, energy.low, energy.high].map(|it| it.kilowatt_hours());
    rounded(best, low * energy.pue, high * energy.pue).map_or(energy.facility, Energy::from_kilowatt_hours)
}

fn rounded(best: f64, low: f64, high: f64) -> Option<f64> {
    significant_digits_within(best, low, high)?.parse().ok()
}

/// The kinds of component by method, best first: `sootprint 0.1 (GPU counter; CPU, memory modelled)`.
fn source_text(footprint: &Footprint) -> String {
    let methods = [
        Some(MeasurementMethod::Counter),
        Some(MeasurementMethod::Integrated),
        Some(MeasurementMethod::Modelled),
        None,
    ];
    let parts = methods.iter().filter_map(|method| {
        let mut kinds: Vec<ComponentKind> = Vec::new();
        for component in footprint.components.iter().filter(|component| component.method == *method) {
            if !kinds.contains(&component.kind) {
                kinds.push(component.kind);
            }
        }
        kinds.sort();
        let names: Vec<_> = kinds.into_iter().map(ComponentKind::name).collect();
        (!names.is_empty()).then(|| {
            format!("{} {}", names.join(", "), method.map_or("not measured", MeasurementMethod::as_str))
        })
    });
    format!("{SOURCE_PREFIX}{SHORT_VERSION} ({})", parts.collect::<Vec<_>>().join("; "))
}

/// Whether the location was guessed from the time zone. A guess is not published as the location.
pub(crate) fn is_location_guessed(footprint: &Footprint) -> bool {
    footprint.grid.origin == LocationSource::TimeZone
}

/// Serialises an energy as kilowatt-hours, the unit of `energy_consumed` on the Hub.
mod kilowatt_hours {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use sootprint_core::Energy;

    pub(super) fn serialize<S: Serializer>(energy: &Option<Energy>, to: S) -> Result<S::Ok, S::Error> {
        energy.map(Energy::kilowatt_hours).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Energy>, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.map(Energy::from_kilowatt_hours))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::number::first_number;
    use crate::python_value::PyValue;

    proptest! {
        /// The number that Python reads from the card, prints and filters by.
        #[test]
        #[expect(clippy::float_cmp, reason = "the filter reads exactly the written digits")]
        fn filter_reads_the_published_emissions(
            grams in prop_oneof![1e-9..1e-3, 1e-4..1.0, 1.0..1e6, 1e3..1e13],
            low in 0.0..1.0,
            high in 1.0..2.0,
        ) {
            let mut footprint = fixtures::footprint();
            let emissions = &mut footprint.emissions;
            (emissions.best, emissions.low, emissions.high) =
                (Co2e::from_grams(grams), Co2e::from_grams(low * grams), Co2e::from_grams(high * grams));
            let bounds = low * grams..=high * grams;
            let written = grams_text(published_emissions(&footprint)).unwrap();
            let read = first_number(&PyValue::from_plain_scalar(&written).to_py_str()).unwrap();
            prop_assert_eq!(read, written.parse::<f64>().unwrap());
            if grams < 1e-4 {
                prop_assert_eq!(read, 1e-4);
            } else {
                prop_assert!((read - grams).abs() <= 0.006 * grams, "{} for {}", written, grams);
                // Bounds closer than nine decimals cannot be kept.
                prop_assert!(bounds.contains(&read) || (high - low) * grams < 1e-8, "{} for {}", written, grams);
            }
        }
    }

    fn rendered_block(footprint: &Footprint) -> String {
        let block = EmissionsBlock::from_footprint(footprint).unwrap();
        let lines = block.yaml_entries().unwrap();
        lines.iter().map(|(key, value)| format!("{key}: {value}\n").replace(SHORT_VERSION, "X.Y")).collect()
    }

    #[test]
    fn block_for_two_gpus() {
        insta::assert_snapshot!(rendered_block(&fixtures::footprint()), @r#"
        emissions: 40.7
        source: "sootprint X.Y (GPU counter; CPU, memory modelled)"
        training_type: "pre-training"
        geographical_location: "France"
        hardware_used: "2 x NVIDIA H200"
        energy_consumed: 0.726
        "#);
    }

    #[test]
    fn unknown_values_are_omitted() {
        let mut footprint = fixtures::footprint();
        footprint.run.training_type = None;
        footprint.grid.place = None;
        footprint.hardware = String::new();
        insta::assert_snapshot!(rendered_block(&footprint), @r#"
        emissions: 40.7
        source: "sootprint X.Y (GPU counter; CPU, memory modelled)"
        energy_consumed: 0.726
        "#);
    }

    #[test]
    fn guessed_location_is_omitted() {
        let mut footprint = fixtures::footprint();
        footprint.grid.origin = LocationSource::TimeZone;
        assert!(!rendered_block(&footprint).contains("geographical_location"));
    }

    #[test]
    fn source_lists_method_per_component() {
        let mut footprint = fixtures::footprint();
        footprint.components[1].method = Some(MeasurementMethod::Integrated);
        footprint.components[3].method = None;
        assert_eq!(
            source_text(&footprint).replace(SHORT_VERSION, "X.Y"),
            "sootprint X.Y (GPU counter; GPU integrated; CPU modelled; memory not measured)"
        );
    }

    #[test]
    fn unmeasured_footprint_is_an_error() {
        let mut footprint = fixtures::footprint();
        footprint.components.iter_mut().for_each(|component| component.method = None);
        assert!(matches!(EmissionsBlock::from_footprint(&footprint), Err(CardError::NotMeasured)));
        footprint.components.clear();
        assert!(matches!(EmissionsBlock::from_footprint(&footprint), Err(CardError::NotMeasured)));
    }

    #[test]
    fn unrepresentable_figures_are_rejected() {
        for grams in [f64::NAN, f64::INFINITY, -1.0, 1e16] {
            let mut footprint = fixtures::footprint();
            footprint.emissions.best = Co2e::from_grams(grams);
            let error = EmissionsBlock::from_footprint(&footprint).unwrap_err();
            assert!(matches!(error, CardError::InvalidAmount { key: "emissions", .. }), "{error}");
        }
        let mut footprint = fixtures::footprint();
        footprint.energy.facility = Energy::from_joules(-1.0);
        let error = EmissionsBlock::from_footprint(&footprint).unwrap_err();
        assert!(matches!(error, CardError::InvalidAmount { key: "energy_consumed", .. }), "{error}");
    }

    #[test]
    fn json_uses_grams_and_kilowatt_hours() {
        let block = EmissionsBlock::from_footprint(&fixtures::footprint()).unwrap();
        let json = serde_json::to_value(&block).unwrap();
        assert_eq!(json["emissions"], 40.7);
        assert_eq!(json["energy_consumed"], 0.726);
        assert_eq!(serde_json::from_value::<EmissionsBlock>(json).unwrap().source, block.source);
    }
}
