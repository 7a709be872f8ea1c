//! What the Hub makes of the emissions in a card, against what stands there.

mod emissions_value;
mod pyyaml;

use saphyr_parser::ScalarStyle;
use serde::Serialize;
use sootprint_core::{CarbonIntensity, Co2e, Energy};

use crate::card::ModelCard;
use crate::emissions_block::{EMISSIONS_KEY, MANAGED_KEYS};
use crate::error::Position;
use crate::yaml::{NodeKind, YamlDocument, YamlEntry};
use emissions_value::EmissionsValue;
use pyyaml::PyValue;

/// What the Hub makes of the emissions in a card.
///
/// The Hub's clients filter models by the first number in Python's `str` of the value; and Python reads YAML by its
/// version 1.1, in which `no` is false and `012` is ten. Where that is not what stands in the card, it is a fault.
///
/// ```
/// use sootprint_card::{CardLint, ModelCard, Severity};
///
/// let card = ModelCard::parse("---\nco2_eq_emissions:\n  emissions: 0.5 kg\n---\n")?;
/// let check = CardLint::lint(&card);
/// assert!(!check.is_clean());
/// assert_eq!(check.filtered.map(|grams| grams.grams()), Some(0.5));
/// assert_eq!(
///     check.findings[0].to_string(),
///     "line 3, column 14: the Hub's filter takes `emissions: 0.5 kg` for 0.5 g: it knows no units but grams; write 500"
/// );
/// # Ok::<(), sootprint_card::CardError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CardLint {
    /// Whether the card has a value for `co2_eq_emissions`.
    pub is_there: bool,
    /// The grams that the card's author means, where the text leaves no doubt.
    pub meant: Option<Co2e>,
    /// The grams that the Hub's filter by emissions compares; none when it passes the model over.
    pub filtered: Option<Co2e>,
    /// The keys of the block and their texts, as they stand in the card; lists and mappings have none.
    pub values: Vec<(String, String)>,
    /// What is wrong, and what is to be known, in the order of the card.
    pub findings: Vec<Diagnostic>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Whether it has to be mended.
    pub severity: Severity,
    /// Where it is.
    pub at: Position,
    /// What it is, and what to write.
    pub message: String,
}

/// Whether a finding has to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// It is read as something else than what stands there.
    Fault,
    /// It is read as it stands there, and may surprise.
    Note,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// Grams by kilowatt-hour that some grid has: below the first one a ratio is a figure in kilograms most often.
const MIN_PLAUSIBLE_INTENSITY: f64 = 2.0;
const MAX_PLAUSIBLE_INTENSITY: f64 = 1_500.0;

impl CardLint {
    /// Of a card that was read. What keeps a card from being read is an error of [`ModelCard::parse`] already.
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

    /// Whether the Hub reads all of it as it stands there.
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
            let message = "the file begins with a byte order mark, behind which older clients of the Hub see no \
                           metadata; save it without";
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
            NodeKind::Sequence => {
                let message = format!(
                    "`{EMISSIONS_KEY}` is a list, of which the Hub reads no emissions; write `emissions: 12.3` \
                                       below it"
                );
                self.add_diagnostic(Severity::Fault, at, message);
            }
            _ => match py_value(document, value) {
                Some(PyValue::None) | None => self.lint.is_there = false,
                Some(py_value) => {
                    self.record_value(document, value, EMISSIONS_KEY);
                    self.check_emissions(document, value, at, EMISSIONS_KEY, &py_value);
                }
            },
        }
    }

    fn check_mapping(&mut self, document: &YamlDocument, mapping: usize, at: usize) {
        let mut grams = None;
        let mut energy = None;
        let mut merges = false;
        for entry in document.entries(mapping) {
            let Some(name) = document.entry_key(entry) else { continue };
            let value = document.resolve_alias(entry.value);
            let at = document.nodes.get(entry.value).map_or(at, |node| node.span.start);
            merges |= name == "<<";
            self.record_value(document, value, name);
            match (name, py_value(document, value)) {
                ("emissions", Some(PyValue::None) | None) => {}
                ("emissions", Some(py_value)) => {
                    grams = Some(at);
                    self.check_emissions(document, value, at, name, &py_value);
                }
                ("energy_consumed", Some(py_value)) => {
                    energy = self.check_energy(document, value, at, &py_value)
                }
                (name, Some(py_value)) if MANAGED_KEYS.contains(&name) => {
                    self.check_text(document, value, at, name, &py_value);
                }
                _ => {}
            }
        }
        if grams.is_none() && merges {
            let message = "the emissions may be in the mapping that `<<` merges, which is not looked into";
            self.add_diagnostic(Severity::Note, at, message.to_owned());
        } else if grams.is_none() {
            let message = format!(
                "`{EMISSIONS_KEY}` has no `emissions`, without which the Hub's filter ends with an error; add \
                                   `emissions: 12.3`"
            );
            self.add_diagnostic(Severity::Fault, at, message);
        }
        if let (Some(at), Some(energy)) = (grams, energy) {
            self.check_implied_intensity(at, energy);
        }
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
        match (amount.mismatch, amount.hub_value) {
            (Some(fault), Some(read)) => {
                let message = format!("the Hub's filter takes `{key}: {text}` for {read} g: it {fault}");
                self.add_diagnostic(Severity::Fault, at, message);
            }
            (Some(fault), None) => {
                let message = format!("the Hub's filter passes `{key}: {text}` over: it {fault}");
                self.add_diagnostic(Severity::Fault, at, message);
            }
            (None, None) => {
                let message = format!(
                    "the Hub's filter takes `{key}: {text}` for no figure, and passes the model over"
                );
                self.add_diagnostic(Severity::Note, at, message);
            }
            (None, Some(_)) if matches!(py_value, PyValue::Str(_)) => {
                let message = format!(
                    "`{key}: {text}` is a text, which programs cannot add up; write the number alone"
                );
                self.add_diagnostic(Severity::Note, at, message);
            }
            (None, Some(_)) => {}
        }
    }

    /// The energy, where Python and the card agree on it.
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
        let made = py_value.type_description().unwrap_or("a text");
        let message = format!(
            "Python reads {made} from `energy_consumed: {text}`; write kilowatt-hours with digits and a point"
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
            let message = format!("Python reads {kind} from `{key}: {text}`; put the text in quotes");
            self.add_diagnostic(Severity::Fault, at, message);
        } else if key == "training_type" && !matches!(text, "pre-training" | "fine-tuning") {
            let message =
                format!("the Hub documents `pre-training` and `fine-tuning` for `{key}`, not `{text}`");
            self.add_diagnostic(Severity::Note, at, message);
        }
    }

    /// A figure in kilograms is a thousandth of what it should be, and its energy tells.
    fn check_implied_intensity(&mut self, at: usize, energy: Energy) {
        let Some(grams) = self.lint.meant.map(Co2e::grams).filter(|grams| *grams > 0.0) else { return };
        let ratio = grams / energy.kilowatt_hours();
        if ratio < MIN_PLAUSIBLE_INTENSITY
            && (MIN_PLAUSIBLE_INTENSITY..MAX_PLAUSIBLE_INTENSITY).contains(&(ratio * 1e3))
        {
            let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(ratio);
            let message = format!(
                "by `energy_consumed` the electricity had {intensity}, which no grid has: `emissions` \
                                   looks like kilograms, and the Hub reads grams"
            );
            self.add_diagnostic(Severity::Note, at, message);
        }
    }

    fn add_diagnostic(&mut self, severity: Severity, offset: usize, message: String) {
        let at = Position::at_offset(self.card.text(), offset);
        self.lint.findings.push(Diagnostic { severity, at, message });
    }
}

/// What Python makes of a node; none of a list or a mapping.
fn py_value(document: &YamlDocument, node: usize) -> Option<PyValue> {
    match &document.nodes.get(node)?.kind {
        NodeKind::Scalar(text, ScalarStyle::Plain) => Some(PyValue::from_plain_scalar(text)),
        NodeKind::Scalar(text, _) => Some(PyValue::Str(text.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
