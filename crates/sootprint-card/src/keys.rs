//! Writes keys into the front matter and removes them.
//!
//! An edit is a splice: the bytes outside the edited ranges are those of the original. Its result is parsed once and
//! compared with the original before it is returned.

use std::ops::Range;

use crate::card::{FrontMatter, ModelCard};
use crate::emissions_block::{EMISSIONS_KEY, EmissionsBlock};
use crate::emissions_edit::emissions_edits;
use crate::entry_span::{self, EntrySpan, entry_spans};
use crate::error::CardError;
use crate::splice::{TextEdit, adjacent_comments, apply_edits, check_anchors, find_key, insertion_edit};
use crate::verify;
use crate::yaml::NodeKind;

impl ModelCard {
    /// Returns the card with these emissions. They replace existing emissions or are added as a new key.
    ///
    /// Only the value of `co2_eq_emissions` changes, and within it only the keys of [`EmissionsBlock`]: other keys of
    /// an old value are kept, and so is a comment on the key's line. Writing the same block again changes nothing. If
    /// the card has no front matter, one is added.
    ///
    /// # Errors
    /// [`CardError::InvalidAmount`] for a figure that a card cannot hold; [`CardError::AnchorInUse`] and
    /// [`CardError::UnsupportedLayout`] if the value cannot be changed without affecting others.
    pub fn with_emissions(&self, block: &EmissionsBlock) -> Result<Self, CardError> {
        write_keys(self, &[KeyValue::emissions(block)?])
    }

    /// Returns the card without `co2_eq_emissions` and everything in it.
    ///
    /// This undoes [`ModelCard::with_emissions`] on a card that had no emissions. Front matter that contains nothing
    /// else is removed as well, because the Hub parses empty front matter together with the text below it as YAML. If
    /// the text below would then be parsed as front matter, the two lines of `---` are kept, with a blank line between
    /// them.
    ///
    /// # Errors
    /// [`CardError::AnchorInUse`] and [`CardError::UnsupportedLayout`], as for [`ModelCard::with_emissions`].
    pub fn without_emissions(&self) -> Result<Self, CardError> {
        without_key(self, EMISSIONS_KEY)
    }
}

/// A top-level key of the front matter and the value to write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KeyValue {
    /// The managed subkeys of `co2_eq_emissions`; foreign ones are kept.
    Emissions(Vec<(&'static str, String)>),
    /// Any other key, whose value is replaced as a whole.
    Whole {
        key: &'static str,
        /// One line for a scalar; for a mapping, lines that end with a line break.
        value: String,
    },
}

impl KeyValue {
    pub(crate) fn emissions(block: &EmissionsBlock) -> Result<Self, CardError> {
        block.yaml_entries().map(Self::Emissions)
    }

    fn key(&self) -> &'static str {
        match self {
            Self::Emissions(_) => EMISSIONS_KEY,
            Self::Whole { key, .. } => key,
        }
    }

    /// Whether the card has this value. Comments, the style of quotes, and braces are ignored.
    fn is_in(&self, card: &ModelCard) -> bool {
        match self {
            Self::Emissions(lines) => {
                card.front_matter().is_some_and(|front| verify::emissions_match(&front.document, lines))
            }
            Self::Whole { key, value } => verify::value_equals(card, key, value),
        }
    }

    /// The lines of the key as a new entry.
    fn new_lines(&self, indent: &str, line_break: &str) -> String {
        match self {
            Self::Emissions(lines) => {
                let inner = lines.iter().map(|(key, value)| format!("{indent}  {key}: {value}{line_break}"));
                format!("{indent}{EMISSIONS_KEY}:{line_break}{}", inner.collect::<String>())
            }
            Self::Whole { key, value } => {
                format!("{indent}{key}:{}{line_break}", indent_value(value, indent, line_break))
            }
        }
    }

    /// The edits that replace the value of an existing key.
    fn replacement_edits(
        &self,
        card: &ModelCard,
        front: &FrontMatter,
        target: &EntrySpan,
    ) -> Result<Vec<TextEdit>, CardError> {
        match self {
            Self::Emissions(lines) => emissions_edits(card, front, target, lines),
            Self::Whole { key, value } => Ok(vec![value_edit(card, front, target, key, value)?]),
        }
    }
}

/// Returns the card with these values, in at most two steps: existing keys are replaced, then missing ones are added in
/// the order given. A value that the card already has stays as it is.
pub(crate) fn write_keys(card: &ModelCard, values: &[KeyValue]) -> Result<ModelCard, CardError> {
    let (existing, missing): (Vec<_>, Vec<_>) =
        values.iter().filter(|value| !value.is_in(card)).partition(|value| card.has_key(value.key()));
    let card = edit_keys(card, &existing, replace_values)?;
    edit_keys(&card, &missing, insert_values)
}

/// Returns the card without this key and everything in it.
pub(crate) fn without_key(card: &ModelCard, key: &'static str) -> Result<ModelCard, CardError> {
    let Some((front, target)) =
        card.front_matter().and_then(|front| Some((front, find_key(card, front, key)?)))
    else {
        return Ok(card.clone());
    };
    check_anchors(card.text(), &front.document, key, target.entry, &[])?;
    let removed = target.start..entry_span::next_line_start(card.text(), target.end);
    let span = &front.span;
    let is_rest_blank = [span.yaml.start..removed.start, removed.end..span.yaml.end]
        .into_iter()
        .all(|rest| card.text()[rest].trim().is_empty());
    let apply_edit = |range: Range<usize>, replacement: &str| {
        let edited = ModelCard::parse(apply_edits(card.text(), vec![(range, replacement.to_owned())])).ok();
        let edited = edited.filter(|edited| verify::is_otherwise_equal(card, edited, &[key], false));
        edited.ok_or_else(|| verify::unsupported_layout(card, key))
    };
    match is_rest_blank {
        // The Hub parses an empty front matter and the text below it as YAML, but not one that has a blank line.
        // That line stays where the text below would otherwise be parsed as front matter.
        true => apply_edit(span.full.clone(), "").or_else(|_| apply_edit(span.yaml.clone(), span.line_break)),
        false => apply_edit(removed, ""),
    }
}

/// Applies one kind of edit for several keys, and parses and verifies the result.
fn edit_keys(
    card: &ModelCard,
    values: &[&KeyValue],
    edits: fn(&ModelCard, &[&KeyValue]) -> Result<Vec<TextEdit>, CardError>,
) -> Result<ModelCard, CardError> {
    let Some(first) = values.first() else { return Ok(card.clone()) };
    let keys: Vec<&str> = values.iter().map(|value| value.key()).collect();
    let edited = ModelCard::parse(apply_edits(card.text(), edits(card, values)?)).ok();
    let is_as_intended = |edited: &ModelCard| {
        verify::is_otherwise_equal(card, edited, &keys, true)
            && values.iter().all(|value| value.is_in(edited))
    };
    if let Some(edited) = edited.filter(is_as_intended) {
        return Ok(edited);
    }
    // One by one, to report the key that cannot be edited.
    if values.len() > 1 {
        for value in values {
            edit_keys(card, &[value], edits)?;
        }
    }
    Err(verify::unsupported_layout(card, first.key()))
}

fn replace_values(card: &ModelCard, values: &[&KeyValue]) -> Result<Vec<TextEdit>, CardError> {
    let mut edits = Vec::new();
    for value in values {
        let target = card.front_matter().and_then(|front| Some((front, find_key(card, front, value.key())?)));
        if let Some((front, target)) = target {
            edits.extend(value.replacement_edits(card, front, &target)?);
        }
    }
    Ok(edits)
}

fn insert_values(card: &ModelCard, values: &[&KeyValue]) -> Result<Vec<TextEdit>, CardError> {
    let key = values.first().map_or(EMISSIONS_KEY, |value| value.key());
    let edit = insertion_edit(card, key, |indent, line_break| {
        values.iter().map(|value| value.new_lines(indent, line_break)).collect()
    })?;
    let braces = card.front_matter().and_then(|front| front.document.empty_braces.clone());
    Ok(braces
        .map(|braces| (braces_with_line(card.text(), braces), String::new()))
        .into_iter()
        .chain([edit])
        .collect())
}

/// The bytes to remove so that nothing of `{}` remains: its whole line, unless it has a comment.
fn braces_with_line(text: &str, braces: Range<usize>) -> Range<usize> {
    // The parser may end the span at the opening brace.
    let close = text[braces.start..].find('}').map_or(braces.end, |length| braces.start + length + 1);
    let braces = braces.start..close;
    let start = text[..braces.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = entry_span::next_line_start(text, braces.end);
    let is_alone =
        [start..braces.start, braces.end..end].into_iter().all(|rest| text[rest].trim().is_empty());
    if is_alone { start..end } else { braces }
}

/// The edit that replaces a whole value; comments next to it stay.
fn value_edit(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    key: &'static str,
    value: &str,
) -> Result<TextEdit, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.span.line_break);
    check_anchors(text, document, key, target.entry, &[])?;
    let key_layout = target.indent(text, document).zip(entry_span::value_start(text, document, target.entry));
    let (outer, value_start) = key_layout.ok_or_else(|| verify::unsupported_layout(card, key))?;
    let new = indent_value(value, outer, line_break);

    let is_block_mapping = matches!(
        document.nodes.get(target.entry.value).map(|node| &node.kind),
        Some(NodeKind::Mapping { flow: false })
    );
    let inner = entry_spans(text, document, target.entry.value, target.boundary);
    let first_line = inner.first().map(|first| first.start).filter(|start| *start > value_start);
    if let Some(first_line) = first_line.filter(|_| is_block_mapping && value.ends_with('\n')) {
        // Lines between the key and its first subkey keep their place.
        let new = new.strip_prefix(line_break).unwrap_or(&new).to_owned();
        return Ok((first_line..target.end, new));
    }
    let comments: Vec<_> = adjacent_comments(text, document, target, value_start).collect();
    let comments = match comments.is_empty() {
        true => String::new(),
        false => format!(" {}", comments.join(" ")),
    };
    let new = match value.ends_with('\n') {
        true => format!("{comments}{new}"),
        false => format!("{new}{comments}"),
    };
    Ok((value_start..target.end, new))
}

/// A value as it follows its key, without the last line break.
fn indent_value(value: &str, outer: &str, line_break: &str) -> String {
    match value.ends_with('\n') {
        true => value.lines().map(|line| format!("{line_break}{outer}  {line}")).collect(),
        false => format!(" {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "a: 1\nb:\n  - c: \"x\"\n";

    fn with_value(card: &ModelCard, value: &str) -> Result<ModelCard, CardError> {
        write_keys(card, &[KeyValue::Whole { key: "dia_report", value: value.to_owned() }])
    }

    fn edited_yaml(yaml: &str, value: &str) -> String {
        let card = ModelCard::parse(format!("---\n{yaml}---\nbody\n")).unwrap();
        let edited = with_value(&card, value).unwrap();
        assert_eq!(with_value(&edited, value).unwrap(), edited, "a second edit changes nothing");
        let text = edited.into_text();
        text.strip_prefix("---\n").unwrap().strip_suffix("---\nbody\n").unwrap().to_owned()
    }

    #[test]
    fn new_key_is_appended() {
        assert_eq!(edited_yaml("k: 1 # c\n", "\"0.1\""), "k: 1 # c\ndia_report: \"0.1\"\n");
        assert_eq!(
            edited_yaml("  k: 1\n", MAPPING),
            "  k: 1\n  dia_report:\n    a: 1\n    b:\n      - c: \"x\"\n"
        );
    }

    #[test]
    fn replaced_value_keeps_surroundings() {
        let new = "dia_report:\n  a: 1\n  b:\n    - c: \"x\"\n";
        for (old, wanted) in [
            ("dia_report: 3\nk: 1\n", format!("{new}k: 1\n")),
            ("dia_report: 3 # c\n", new.replace("report:", "report: # c")),
            ("dia_report:\nk: 1\n", format!("{new}k: 1\n")),
            ("dia_report: {x: 1,\n  y: 2} # c\n", new.replace("report:", "report: # c")),
            (
                "k: 1\ndia_report: # c\n\n  # d\n    a: 2 # e\n    z: |\n      text\n# f\nl: 1\n",
                format!("k: 1\n{}# f\nl: 1\n", new.replace("report:", "report: # c\n\n  # d")),
            ),
            ("dia_report:\n- x\n- y\nk: 1\n", format!("{new}k: 1\n")),
        ] {
            assert_eq!(edited_yaml(old, MAPPING), wanted, "{old}");
        }
        assert_eq!(edited_yaml("dia_report: 0.2 # c\nk: 1\n", "\"0.1\""), "dia_report: \"0.1\" # c\nk: 1\n");
        assert_eq!(edited_yaml("dia_report:\n  x: 1\nk: 1\n", "\"0.1\""), "dia_report: \"0.1\"\nk: 1\n");
    }

    #[test]
    fn equal_value_is_left_untouched() {
        for same in [
            "dia_report: {a: 1, b: [{c: 'x'}]} # c\n",
            "dia_report:\n    a: 1 # why\n    b:\n    - c: \"x\"\n",
        ] {
            assert_eq!(edited_yaml(same, MAPPING), same);
        }
        assert_eq!(edited_yaml("dia_report: '0.1'\n", "\"0.1\""), "dia_report: '0.1'\n");
        assert_eq!(
            edited_yaml("dia_report: 0.1\n", "\"0.1\""),
            "dia_report: \"0.1\"\n",
            "a number is not a text"
        );
        assert_eq!(edited_yaml("dia_report: [{a: 1, b: [{c: 'x'}]}]\n", MAPPING), edited_yaml("", MAPPING));
    }

    fn whole(key: &'static str, value: &str) -> KeyValue {
        KeyValue::Whole { key, value: value.to_owned() }
    }

    #[test]
    fn several_keys_are_written_in_order() {
        let card = ModelCard::parse("---\nb: 1 # c\nk: 1\n---\nbody\n").unwrap();
        let values = [whole("a", "\"x\""), whole("b", "\"y\""), whole("c", MAPPING)];
        let edited = write_keys(&card, &values).unwrap();
        assert_eq!(
            edited.text(),
            "---\nb: \"y\" # c\nk: 1\na: \"x\"\nc:\n  a: 1\n  b:\n    - c: \"x\"\n---\nbody\n"
        );
        assert_eq!(write_keys(&edited, &values).unwrap(), edited, "a second edit changes nothing");
    }

    #[test]
    fn error_names_uneditable_key() {
        let card =
            ModelCard::parse("---\nb: 1\nco2_eq_emissions: {x: [1, # c\n  2], emissions: 1}\n---\n").unwrap();
        let block = EmissionsBlock::new(sootprint_core::Co2e::from_grams(2.0));
        let values = [whole("b", "\"y\""), KeyValue::emissions(&block).unwrap()];
        let error = write_keys(&card, &values).unwrap_err();
        assert!(
            error.to_string().starts_with("line 3, column 1: cannot write `co2_eq_emissions`"),
            "{error}"
        );
    }

    #[test]
    fn last_key_removes_front_matter() {
        let without = |text: &str| {
            let card = ModelCard::parse(text).unwrap();
            without_key(&card, "dia_report").unwrap().into_text()
        };
        assert_eq!(without("---\ndia_report: 1\n\n---\n# T\n\n---\n"), "# T\n\n---\n");
        assert_eq!(without("---\ndia_report: 1\n---\n--- x\n---\n"), "--- x\n---\n");
        let rule_first = "\n---\n## T\n\n---\n";
        assert_eq!(
            without(&format!("---\ndia_report: 1\n---\n{rule_first}")),
            format!("---\n\n---\n{rule_first}")
        );
    }

    #[test]
    fn anchored_value_in_use_is_kept() {
        let card = ModelCard::parse("---\ndia_report: &x {a: 2}\nk: *x\n---\n").unwrap();
        let error = with_value(&card, MAPPING).unwrap_err();
        assert!(error.to_string().starts_with("line 2, column 13: anchor in `dia_report`"), "{error}");
        assert!(without_key(&card, "dia_report").is_err());
    }
}
