//! Reads the emissions of a card, in every form that cards use.

use saphyr_parser::ScalarStyle;
use sootprint_core::{Co2e, Energy};

use crate::card::ModelCard;
use crate::emissions_block::{EMISSIONS_KEY, EmissionsBlock, MANAGED_KEYS};
use crate::error::{CardError, Position};
use crate::number::{first_number, scalar_number};
use crate::python_value::{py_str, resolve_key};
use crate::yaml::{NodeKind, YamlDocument};

impl ModelCard {
    /// Returns the emissions that the card states. `None` if it states none.
    ///
    /// The emissions may be a number, a string with a unit (`17g`), a list or a mapping. They are those that the Hub's
    /// own filter reads: the first number of Python's text for the value, without units and exponents. `0.5 kg` is read
    /// as half a gram, and `1.2e-05` as 1.2 g. [`CardLint`](crate::CardLint) finds such values.
    ///
    /// # Errors
    /// [`CardError::UnreadableEmissions`] if the value contains no number.
    pub fn emissions(&self) -> Result<Option<EmissionsBlock>, CardError> {
        let Some(document) = self.front_matter().map(|front| &front.document) else { return Ok(None) };
        let Some(entry) = document.find_entry(EMISSIONS_KEY) else { return Ok(None) };
        let value = document.resolve_alias(entry.value);
        if is_null(document, value) {
            return Ok(None);
        }
        let block = match document.nodes.get(value).map(|node| &node.kind) {
            Some(NodeKind::Mapping { .. }) => block_from_mapping(document, value),
            _ => filtered_grams(document, value).map(|grams| EmissionsBlock::new(Co2e::from_grams(grams))),
        };
        let at = document.nodes.get(entry.value).map_or(0, |node| node.span.start);
        let at = Position::at_offset(self.text(), at);
        block.map(Some).ok_or(CardError::UnreadableEmissions { at })
    }

    /// Whether this crate wrote the emissions of the card, judging by their `source`.
    pub(crate) fn has_generated_emissions(&self) -> bool {
        self.emissions().is_ok_and(|block| block.is_some_and(|block| block.is_generated()))
    }
}

/// The emissions of a mapping; `None` if it has no `emissions` with a number.
fn block_from_mapping(document: &YamlDocument, mapping: usize) -> Option<EmissionsBlock> {
    let [emissions, source, training_type, location, hardware, energy] =
        MANAGED_KEYS.map(|key| mapping_value(document, mapping, key));
    let text = |node: Option<usize>| node.and_then(|node| document.scalar_text(node)).map(str::to_owned);
    let mut block = EmissionsBlock::new(Co2e::from_grams(filtered_grams(document, emissions?)?));
    block.source = text(source);
    block.training_type = text(training_type);
    block.geographical_location = text(location);
    block.hardware_used = text(hardware);
    block.energy_consumed =
        energy.and_then(|node| node_number(document, node)).map(Energy::from_kilowatt_hours);
    Some(block)
}

/// The value of a key of this mapping, unless it is null.
fn mapping_value(document: &YamlDocument, mapping: usize, key: &str) -> Option<usize> {
    resolve_key(document, mapping, key).filter(|node| !is_null(document, *node))
}

/// The grams that the Hub's filter reads; zero, which it takes for missing, is zero here.
fn filtered_grams(document: &YamlDocument, node: usize) -> Option<f64> {
    first_number(&py_str(document, node))
}

fn node_number(document: &YamlDocument, node: usize) -> Option<f64> {
    match &document.nodes.get(node)?.kind {
        NodeKind::Scalar(text, ScalarStyle::Plain) => scalar_number(text),
        NodeKind::Scalar(text, _) => first_number(text),
        _ => None,
    }
}

fn is_null(document: &YamlDocument, node: usize) -> bool {
    let what = document.nodes.get(node).map(|node| &node.kind);
    matches!(what, Some(NodeKind::Scalar(text, ScalarStyle::Plain)) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the parsed number is the literal in the card")]
mod tests {
    use super::*;

    fn parse_yaml(yaml: &str) -> Result<Option<EmissionsBlock>, CardError> {
        ModelCard::parse(format!("---\n{yaml}\n---\n")).unwrap().emissions()
    }

    fn parse_grams(yaml: &str) -> f64 {
        parse_yaml(yaml).unwrap().unwrap().emissions.grams()
    }

    #[test]
    fn every_emissions_form_is_parsed() {
        assert_eq!(parse_grams("co2_eq_emissions: 0.012147398577917884"), 0.012_147_398_577_917_884);
        assert_eq!(parse_grams("co2_eq_emissions: 1.2e-05 # g"), 1.2);
        assert_eq!(parse_grams("co2_eq_emissions: 24_700_000"), 24_700_000.0);
        assert_eq!(parse_grams("co2_eq_emissions: 0x10"), 16.0);
        assert_eq!(parse_grams("co2_eq_emissions: [12.5]"), 12.5);
        assert_eq!(parse_grams("co2_eq_emissions:\n- emissions: 1.2g CO2\n- source: x"), 1.2);
        assert_eq!(parse_grams("b: &b {emissions: 12}\nco2_eq_emissions:\n  <<: *b"), 12.0);
        assert_eq!(parse_grams("b: &b {emissions: 12}\nco2_eq_emissions:\n  <<: [*b]\n  emissions: 3"), 3.0);
        assert_eq!(parse_grams("co2_eq_emissions: '17g'"), 17.0);
        assert_eq!(parse_grams("co2_eq_emissions: 17 grams"), 17.0);
        assert_eq!(parse_grams("co2_eq_emissions: {emissions: 25.4, source: x}"), 25.4);
        assert_eq!(parse_grams("co2_eq_emissions:\n  source: x\n  emissions: \"< 5 kg\""), 5.0);
        assert_eq!(parse_grams("base: &e {emissions: 3}\nco2_eq_emissions: *e"), 3.0);
        assert_eq!(parse_grams("n: &n 4\nco2_eq_emissions:\n  emissions: *n"), 4.0);
    }

    #[test]
    fn all_block_keys_are_parsed() {
        let block = parse_yaml(
            "co2_eq_emissions:\n  emissions: 1710\n  source: CodeCarbon\n  training_type: fine-tuning\n  \
             geographical_location: Singapore\n  hardware_used: NVIDIA A100-SXM4-40GB\n  energy_consumed: 4.2\n  \
             hours_used: 3",
        );
        let block = block.unwrap().unwrap();
        assert_eq!(
            serde_json::to_string(&block).unwrap(),
            r#"{"emissions":1710.0,"source":"CodeCarbon","training_type":"fine-tuning","geographical_location":"Singapore","hardware_used":"NVIDIA A100-SXM4-40GB","energy_consumed":4.2}"#
        );
    }

    #[test]
    fn missing_emissions_parse_as_none() {
        for yaml in ["license: mit", "co2_eq_emissions:", "co2_eq_emissions: ~", "co2_eq_emissions: null"] {
            assert_eq!(parse_yaml(yaml).unwrap(), None, "{yaml}");
        }
        assert_eq!(ModelCard::parse("# Title\n").unwrap().emissions().unwrap(), None);
    }

    #[test]
    fn value_without_number_is_an_error() {
        for yaml in ["co2_eq_emissions: unknown", "co2_eq_emissions: {source: 12}", "co2_eq_emissions: [a]"] {
            let error = parse_yaml(yaml).unwrap_err();
            assert!(matches!(error, CardError::UnreadableEmissions { .. }), "{error}");
            assert!(error.to_string().starts_with("line 2, column 19: "), "{error}");
        }
    }
}
