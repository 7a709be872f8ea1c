//! What the Hub makes of the emissions in a card, against what stands there.

mod amount;
mod python;

use saphyr_parser::ScalarStyle;
use serde::Serialize;
use sootprint_core::{CarbonIntensity, Co2e, Energy};

use crate::block::{KEY, OWN_KEYS};
use crate::card::ModelCard;
use crate::error::Position;
use crate::yaml::{Document, Entry, What};
use amount::Amount;
use python::Python;

/// What the Hub makes of the emissions in a card.
///
/// The Hub's clients filter models by the first number in Python's `str` of the value; and Python reads YAML by its
/// version 1.1, in which `no` is false and `012` is ten. Where that is not what stands in the card, it is a fault.
///
/// ```
/// use sootprint_card::{CardCheck, ModelCard, Severity};
///
/// let card = ModelCard::parse("---\nco2_eq_emissions:\n  emissions: 0.5 kg\n---\n")?;
/// let check = CardCheck::of(&card);
/// assert!(!check.is_sound());
/// assert_eq!(check.filtered.map(|grams| grams.grams()), Some(0.5));
/// assert_eq!(
///     check.findings[0].to_string(),
///     "line 3, column 14: the Hub's filter takes `emissions: 0.5 kg` for 0.5 g: it knows no units but grams; write 500"
/// );
/// # Ok::<(), sootprint_card::CardError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CardCheck {
    /// Whether the card has a value for `co2_eq_emissions`.
    pub is_there: bool,
    /// The grams that the card's author means, where the text leaves no doubt.
    pub meant: Option<Co2e>,
    /// The grams that the Hub's filter by emissions compares; none when it passes the model over.
    pub filtered: Option<Co2e>,
    /// The keys of the block and their texts, as they stand in the card; lists and mappings have none.
    pub values: Vec<(String, String)>,
    /// What is wrong, and what is to be known, in the order of the card.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
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

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// Grams by kilowatt-hour that some grid has: below the first one a ratio is a figure in kilograms most often.
const LEAST_INTENSITY: f64 = 2.0;
const MOST_INTENSITY: f64 = 1_500.0;

impl CardCheck {
    /// Of a card that was read. What keeps a card from being read is an error of [`ModelCard::parse`] already.
    #[must_use]
    pub fn of(card: &ModelCard) -> Self {
        let mut checker = Checker { card, check: Self::default() };
        checker.check_mark();
        if let Some(front) = card.front()
            && let Some(entry) = front.document.find(KEY)
        {
            checker.check_value(&front.document, entry);
        }
        checker.check
    }

    /// Whether the Hub reads all of it as it stands there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Fault)
    }
}

struct Checker<'a> {
    card: &'a ModelCard,
    check: CardCheck,
}

impl Checker<'_> {
    fn check_mark(&mut self) {
        if self.card.text().starts_with('\u{feff}') {
            let message = "the file begins with a byte order mark, behind which older clients of the Hub see no \
                           metadata; save it without";
            self.find(Severity::Note, 0, message.to_owned());
        }
    }

    fn check_value(&mut self, document: &Document, entry: Entry) {
        let value = document.resolve(entry.value);
        let at = document.nodes.get(entry.value).map_or(0, |node| node.span.start);
        let Some(node) = document.nodes.get(value) else { return };
        self.check.is_there = true;
        match &node.what {
            What::Mapping { .. } => self.check_mapping(document, value, at),
            What::Sequence => {
                let message = format!(
                    "`{KEY}` is a list, of which the Hub reads no emissions; write `emissions: 12.3` \
                                       below it"
                );
                self.find(Severity::Fault, at, message);
            }
            _ => match python(document, value) {
                Some(Python::None) | None => self.check.is_there = false,
                Some(python) => {
                    self.keep(document, value, KEY);
                    self.check_amount(document, value, at, KEY, &python);
                }
            },
        }
    }

    fn check_mapping(&mut self, document: &Document, mapping: usize, at: usize) {
        let mut grams = None;
        let mut energy = None;
        let mut merges = false;
        for entry in document.entries(mapping) {
            let Some(name) = document.name(entry) else { continue };
            let value = document.resolve(entry.value);
            let at = document.nodes.get(entry.value).map_or(at, |node| node.span.start);
            merges |= name == "<<";
            self.keep(document, value, name);
            match (name, python(document, value)) {
                ("emissions", Some(Python::None) | None) => {}
                ("emissions", Some(python)) => {
                    grams = Some(at);
                    self.check_amount(document, value, at, name, &python);
                }
                ("energy_consumed", Some(python)) => energy = self.check_energy(document, value, at, &python),
                (name, Some(python)) if OWN_KEYS.contains(&name) => {
                    self.check_text(document, value, at, name, &python);
                }
                _ => {}
            }
        }
        if grams.is_none() && merges {
            let message = "the emissions may be in the mapping that `<<` merges, which is not looked into";
            self.find(Severity::Note, at, message.to_owned());
        } else if grams.is_none() {
            let message = format!(
                "`{KEY}` has no `emissions`, without which the Hub's filter ends with an error; add \
                                   `emissions: 12.3`"
            );
            self.find(Severity::Fault, at, message);
        }
        if let (Some(at), Some(energy)) = (grams, energy) {
            self.check_ratio(at, energy);
        }
    }

    fn keep(&mut self, document: &Document, value: usize, key: &str) {
        let text = document.text(value).map(str::to_owned);
        self.check.values.extend(text.map(|text| (key.to_owned(), text)));
    }

    fn check_amount(&mut self, document: &Document, value: usize, at: usize, key: &str, python: &Python) {
        let text = document.text(value).unwrap_or_default();
        let amount = Amount::of(text, python);
        self.check.meant = amount.meant.map(Co2e::from_grams);
        self.check.filtered = amount.filtered.map(Co2e::from_grams);
        match (amount.fault, amount.filtered) {
            (Some(fault), Some(read)) => {
                let message = format!("the Hub's filter takes `{key}: {text}` for {read} g: it {fault}");
                self.find(Severity::Fault, at, message);
            }
            (Some(fault), None) => {
                let message = format!("the Hub's filter passes `{key}: {text}` over: it {fault}");
                self.find(Severity::Fault, at, message);
            }
            (None, None) => {
                let message = format!(
                    "the Hub's filter takes `{key}: {text}` for no figure, and passes the model over"
                );
                self.find(Severity::Note, at, message);
            }
            (None, Some(_)) if matches!(python, Python::Text(_)) => {
                let message = format!(
                    "`{key}: {text}` is a text, which programs cannot add up; write the number alone"
                );
                self.find(Severity::Note, at, message);
            }
            (None, Some(_)) => {}
        }
    }

    /// The energy, where Python and the card agree on it.
    fn check_energy(
        &mut self,
        document: &Document,
        value: usize,
        at: usize,
        python: &Python,
    ) -> Option<Energy> {
        let text = document.text(value).unwrap_or_default();
        let read = match python {
            Python::Int(number) => Some(*number as f64),
            Python::Float(number) => Some(*number),
            _ => None,
        };
        let written = text.parse::<f64>().ok();
        if read.is_some() && read == written {
            return read.filter(|energy| *energy > 0.0).map(Energy::from_kilowatt_hours);
        }
        let made = python.kind().unwrap_or("a text");
        let message = format!(
            "Python reads {made} from `energy_consumed: {text}`; write kilowatt-hours with digits and a point"
        );
        self.find(Severity::Fault, at, message);
        None
    }

    fn check_text(&mut self, document: &Document, value: usize, at: usize, key: &str, python: &Python) {
        let text = document.text(value).unwrap_or_default();
        if *python == Python::None {
            return;
        }
        if let Some(kind) = python.kind() {
            let message = format!("Python reads {kind} from `{key}: {text}`; put the text in quotes");
            self.find(Severity::Fault, at, message);
        } else if key == "training_type" && !matches!(text, "pre-training" | "fine-tuning") {
            let message =
                format!("the Hub documents `pre-training` and `fine-tuning` for `{key}`, not `{text}`");
            self.find(Severity::Note, at, message);
        }
    }

    /// A figure in kilograms is a thousandth of what it should be, and its energy tells.
    fn check_ratio(&mut self, at: usize, energy: Energy) {
        let Some(grams) = self.check.meant.map(Co2e::grams).filter(|grams| *grams > 0.0) else { return };
        let ratio = grams / energy.kilowatt_hours();
        if ratio < LEAST_INTENSITY && (LEAST_INTENSITY..MOST_INTENSITY).contains(&(ratio * 1e3)) {
            let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(ratio);
            let message = format!(
                "by `energy_consumed` the electricity had {intensity}, which no grid has: `emissions` \
                                   looks like kilograms, and the Hub reads grams"
            );
            self.find(Severity::Note, at, message);
        }
    }

    fn find(&mut self, severity: Severity, offset: usize, message: String) {
        let at = Position::of(self.card.text(), offset);
        self.check.findings.push(Finding { severity, at, message });
    }
}

/// What Python makes of a node; none of a list or a mapping.
fn python(document: &Document, node: usize) -> Option<Python> {
    match &document.nodes.get(node)?.what {
        What::Scalar(text, ScalarStyle::Plain) => Some(Python::of_plain(text)),
        What::Scalar(text, _) => Some(Python::Text(text.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
