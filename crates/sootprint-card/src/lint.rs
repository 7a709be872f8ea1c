//! Compares the emissions in a card with the values that the Hub reads from it.

use serde::Serialize;
use sootprint_core::{CarbonIntensity, Co2e, Energy};

use crate::card::ModelCard;
use crate::emissions_block::{EMISSIONS_KEY, MANAGED_KEYS};
use crate::emissions_value::EmissionsValue;
use crate::error::Position;
use crate::number::first_number;
use crate::python_value::{PyValue, py_str, py_value, resolve_key};
use crate::yaml::{NodeKind, YamlDocument, YamlEntry};

/// The emissions in a card as the Hub reads them, and the values that the Hub misreads.
///
/// The Hub's filter is that of its Python client, `huggingface_hub`: it compares the first number in Python's `str` of
/// the value. That client parses YAML 1.1, in which `no` is false and `012` is ten. A value that it reads differently
/// from its text is a fault.
///
/// ```
/// use sootprint_card::{CardLint, ModelCard, Severity};
///
/// let card = ModelCard::parse("---\nco2_eq_emissions:\n  emissions: 0.5 kg\n---\n")?;
/// let lint = CardLint::lint(&card);
/// assert!(!lint.is_clean());
/// assert_eq!(lint.filtered.map(|grams| grams.grams()), Some(0.5));
/// assert_eq!(
///     lint.findings[0].to_string(),
///     "line 3, column 14: the Hub's filter reads `emissions: 0.5 kg` as 0.5 g: units other than grams are ignored; write 500"
/// );
/// # Ok::<(), sootprint_card::CardError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CardLint {
    /// Whether the card has a value for `co2_eq_emissions`.
    pub is_there: bool,
    /// The emissions in grams that the author intended, if the text is unambiguous.
    pub meant: Option<Co2e>,
    /// The emissions in grams that the Hub's filter compares. `None` if the filter skips the model.
    pub filtered: Option<Co2e>,
    /// The keys of the emissions with the texts of their values, as written in the card. Values that are lists or
    /// mappings are left out.
    pub values: Vec<(String, String)>,
    /// Faults and notes, in the order in which they were found.
    pub findings: Vec<Diagnostic>,
    #[serde(skip)]
    has_misread_emissions: bool,
}

/// One finding in a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Whether the finding has to be fixed.
    pub severity: Severity,
    /// The position in the card that the finding is about.
    pub at: Position,
    /// The problem and its fix.
    pub message: String,
}

/// Whether a finding has to be fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// The Hub reads the value differently from its text, or finds no emissions in it.
    Fault,
    /// A possible problem, such as emissions that look like kilograms.
    Note,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// The range of carbon intensities of real grids, in g/kWh. A ratio below it usually means a figure in kilograms.
const MIN_PLAUSIBLE_INTENSITY: f64 = 2.0;
const MAX_PLAUSIBLE_INTENSITY: f64 = 1_500.0;

impl CardLint {
    /// Checks a card. Problems that prevent parsing are not findings, but errors of [`ModelCard::parse`].
    #[must_use]
    pub fn lint(card: &ModelCard) -> Self {
        let mut linter = CardLinter { card, lint: Self::default() };
        linter.check_byte_order_mark();
        if let Some(front) = card.front_matter()
            && let Some(entry) = front.document.find_entry(EMISSIONS_KEY)
        {
            linter.check_value(&front.document, entry);
        }
        linter.lint
    }

    /// Whether the filter reads the emissions as their author meant them.
    pub(crate) fn is_emissions_value_clear(&self) -> bool {
        self.meant.is_some() && self.meant == self.filtered && !self.has_misread_emissions
    }

    /// The text of the emissions, as written.
    pub(crate) fn emissions_text(&self) -> Option<&str> {
        let keys = ["emissions", EMISSIONS_KEY];
        let found = |key: &str| self.values.iter().find(|(name, _)| name == key);
        keys.into_iter().find_map(found).map(|(_, text)| text.as_str())
    }

    /// Whether there is no fault: the Hub reads every value as written.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Fault)
    }
}

struct CardLinter<'a> {
    card: &'a ModelCard,
    lint: CardLint,
}

impl CardLinter<'_> {
    fn check_byte_order_mark(&mut self) {
        if self.card.text().starts_with('\u{feff}') {
            let message = "the file starts with a byte order mark, after which older Hub clients find no metadata; \
                           save it without one";
            self.add_diagnostic(Severity::Note, 0, message.to_owned());
        }
    }

    fn check_value(&mut self, document: &YamlDocument, entry: YamlEntry) {
        let value = document.resolve_alias(entry.value);
        let at = document.nodes.get(entry.value).map_or(0, |node| node.span.start);
        let Some(node) = document.nodes.get(value) else { return };
        self.lint.is_there = true;
        match &node.kind {
            NodeKind::Mapping { .. } => self.check_mapping(document, value, at),
            NodeKind::Sequence => self.check_collection(document, value, at, EMISSIONS_KEY),
            _ => match py_value(document, value) {
                Some(PyValue::None) | None => self.lint.is_there = false,
                Some(py_value) => {
                    self.record_value(document, value, EMISSIONS_KEY);
                    self.check_emissions(document, value, at, EMISSIONS_KEY, &py_value);
                }
            },
        }
    }

    /// The filter reads the first number of Python's text for a list or a mapping.
    fn check_collection(&mut self, document: &YamlDocument, node: usize, at: usize, key: &str) {
        let text = py_str(document, node);
        let read = if matches!(text.as_str(), "[]" | "{}") { None } else { first_number(&text) };
        self.lint.filtered = read.map(Co2e::from_grams);
        self.lint.has_misread_emissions = true;
        let found = match read {
            Some(read) => format!("the Hub's filter reads {read} g, the first number in it"),
            None => "the Hub's filter finds no number in it".to_owned(),
        };
        let kind = if text.starts_with('[') { "list" } else { "mapping" };
        let message = format!("`{key}` is a {kind}; {found}; replace it with grams, as in `emissions: 12.3`");
        self.add_diagnostic(Severity::Fault, at, message);
    }

    fn check_mapping(&mut self, document: &YamlDocument, mapping: usize, at: usize) {
        let grams = self.check_emissions_key(document, mapping, at);
        let mut energy = None;
        for entry in document.entries(mapping) {
            let Some(name) = document.entry_key(entry) else { continue };
            let value = document.resolve_alias(entry.value);
            let at = document.nodes.get(entry.value).map_or(at, |node| node.span.start);
            self.record_value(document, value, name);
            match (name, py_value(document, value)) {
                ("energy_consumed", Some(py_value)) => {
                    energy = self.check_energy(document, value, at, &py_value)
                }
                ("emissions", _) | (_, None) => {}
                (name, Some(py_value)) if MANAGED_KEYS.contains(&name) => {
                    self.check_text(document, value, at, name, &py_value);
                }
                _ => {}
            }
        }
        if grams.is_none() {
            let message = format!(
                "`{EMISSIONS_KEY}` has no `emissions`, without which the Hub's filter fails; add the grams, as in \
                 `emissions: 12.3`"
            );
            self.add_diagnostic(Severity::Fault, at, message);
        }
        if let (Some(at), Some(energy)) = (grams, energy) {
            self.check_implied_intensity(at, energy);
        }
    }

    /// Checks `emissions`, which may come from a merged mapping, and returns its position; `None` if there is none.
    fn check_emissions_key(&mut self, document: &YamlDocument, mapping: usize, at: usize) -> Option<usize> {
        let key = "emissions";
        let own = document.entries(mapping).find(|entry| document.entry_key(*entry) == Some(key));
        let at = own.and_then(|entry| document.nodes.get(entry.value)).map_or(at, |node| node.span.start);
        let value = resolve_key(document, mapping, key)?;
        match py_value(document, value) {
            Some(PyValue::None) => return None,
            Some(py_value) => {
                if own.is_none() {
                    self.record_value(document, value, key);
                }
                self.check_emissions(document, value, at, key, &py_value);
            }
            None => self.check_collection(document, value, at, key),
        }
        Some(at)
    }

    fn record_value(&mut self, document: &YamlDocument, value: usize, key: &str) {
        let text = document.scalar_text(value).map(str::to_owned);
        self.lint.values.extend(text.map(|text| (key.to_owned(), text)));
    }

    fn check_emissions(
        &mut self,
        document: &YamlDocument,
        value: usize,
        at: usize,
        key: &str,
        py_value: &PyValue,
    ) {
        let text = document.scalar_text(value).unwrap_or_default();
        let amount = EmissionsValue::parse(text, py_value);
        self.lint.meant = amount.intended.map(Co2e::from_grams);
        self.lint.filtered = amount.hub_value.map(Co2e::from_grams);
        self.lint.has_misread_emissions = amount.mismatch.is_some();
        match (amount.mismatch, amount.hub_value) {
            (Some(reason), Some(read)) => {
                let message = format!("the Hub's filter reads `{key}: {text}` as {read} g: {reason}");
                self.add_diagnostic(Severity::Fault, at, message);
            }
            (Some(reason), None) => {
                let message = format!("the Hub's filter skips `{key}: {text}`: {reason}");
                self.add_diagnostic(Severity::Fault, at, message);
            }
            (None, None) => {
                let message =
                    format!("the Hub's filter treats `{key}: {text}` as missing and skips the model");
                self.add_diagnostic(Severity::Note, at, message);
            }
            (None, Some(_)) if matches!(py_value, PyValue::Str(_)) => {
                let message = format!(
                    "`{key}: {text}` is read as a string, which programs cannot add up; write only the number, without quotes \
                     or a unit"
                );
                self.add_diagnostic(Severity::Note, at, message);
            }
            (None, Some(_)) => {}
        }
    }

    /// The energy, if Python reads it as written.
    fn check_energy(
        &mut self,
        document: &YamlDocument,
        value: usize,
        at: usize,
        py_value: &PyValue,
    ) -> Option<Energy> {
        let text = document.scalar_text(value).unwrap_or_default();
        let read = match py_value {
            PyValue::Int(number) => Some(*number as f64),
            PyValue::Float(number) => Some(*number),
            _ => None,
        };
        let written = text.parse::<f64>().ok();
        if read.is_some() && read == written {
            return read.filter(|energy| *energy > 0.0).map(Energy::from_kilowatt_hours);
        }
        let found = match read {
            Some(number) => number.to_string(),
            None => py_value.type_description().unwrap_or("a string").to_owned(),
        };
        let message = format!(
            "Python reads `energy_consumed: {text}` as {found}; write kilowatt-hours with digits and a decimal point"
        );
        self.add_diagnostic(Severity::Fault, at, message);
        None
    }

    fn check_text(
        &mut self,
        document: &YamlDocument,
        value: usize,
        at: usize,
        key: &str,
        py_value: &PyValue,
    ) {
        let text = document.scalar_text(value).unwrap_or_default();
        if *py_value == PyValue::None {
            return;
        }
        if let Some(kind) = py_value.type_description() {
            let message = format!("Python reads `{key}: {text}` as {kind}; put the text in quotes");
            self.add_diagnostic(Severity::Fault, at, message);
        } else if key == "training_type" && !matches!(text, "pre-training" | "fine-tuning") {
            let message =
                format!("the Hub documents `pre-training` and `fine-tuning` for `{key}`, not `{text}`");
            self.add_diagnostic(Severity::Note, at, message);
        }
    }

    /// Notes emissions that are a thousandth of a plausible value for their energy, and so probably in kilograms.
    fn check_implied_intensity(&mut self, at: usize, energy: Energy) {
        let Some(grams) = self.lint.meant.map(Co2e::grams).filter(|grams| *grams > 0.0) else { return };
        let ratio = grams / energy.kilowatt_hours();
        if ratio < MIN_PLAUSIBLE_INTENSITY
            && (MIN_PLAUSIBLE_INTENSITY..MAX_PLAUSIBLE_INTENSITY).contains(&(ratio * 1e3))
        {
            let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(ratio);
            let message = format!(
                "`energy_consumed` implies {intensity}, which is less than any grid has: `emissions` looks like \
                 kilograms, but the Hub reads grams"
            );
            self.add_diagnostic(Severity::Note, at, message);
        }
    }

    fn add_diagnostic(&mut self, severity: Severity, offset: usize, message: String) {
        let at = Position::at_offset(self.card.text(), offset);
        self.lint.findings.push(Diagnostic { severity, at, message });
    }
}

#[cfg(test)]
mod tests;
