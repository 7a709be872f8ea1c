//! Keys that are ours as a whole: their value is replaced, and what stands around it stays.

use std::ops::Range;

use crate::card::{Front, ModelCard};
use crate::error::CardError;
use crate::extent::{self, Extent};
use crate::splice::{add, check_anchors, comments_beside, find, replace};
use crate::verify;
use crate::yaml::What;

/// The card with this value: one line for a scalar, several that end in a line break for a mapping.
///
/// A value that says the same already stays as it is, comments and quotes included.
pub(crate) fn with_key(card: &ModelCard, key: &'static str, value: &str) -> Result<ModelCard, CardError> {
    let text = match card.front().and_then(|front| Some((front, find(card, front, key)?))) {
        None => add(card, key, |indent, line_break| {
            let value = indented(value, indent, line_break);
            format!("{indent}{key}:{value}{line_break}")
        })?,
        Some(_) if verify::says(card, key, value) => return Ok(card.clone()),
        Some((front, own)) => over(card, front, &own, key, value)?,
    };
    let edited = ModelCard::parse(text).map_err(|_| verify::unsafe_edit(card, key))?;
    verify::only_changed(card, &edited, key)?;
    match verify::says(&edited, key, value) {
        true => Ok(edited),
        false => Err(verify::unsafe_edit(card, key)),
    }
}

/// The card without this key and whatever stands in it.
pub(crate) fn without_key(card: &ModelCard, key: &'static str) -> Result<ModelCard, CardError> {
    let Some((front, own)) = card.front().and_then(|front| Some((front, find(card, front, key)?))) else {
        return Ok(card.clone());
    };
    check_anchors(card.text(), &front.document, key, own.entry, &[])?;
    let gone = own.start..extent::next_line(card.text(), own.end);
    let place = &front.place;
    let is_rest_blank = [place.yaml.start..gone.start, gone.end..place.yaml.end]
        .into_iter()
        .all(|rest| card.text()[rest].trim().is_empty());
    let edited = |edit: (Range<usize>, &str)| {
        let text = replace(card.text(), &[(edit.0, edit.1.to_owned())]);
        let edited = ModelCard::parse(text).map_err(|_| verify::unsafe_edit(card, key))?;
        verify::only_changed(card, &edited, key).map(|()| edited)
    };
    match is_rest_blank {
        // The Hub takes an empty front matter and the text below it for YAML, but not one with a blank line in it,
        // which stays where the text below would else be taken for the front matter.
        true => edited((place.block.clone(), "")).or_else(|_| edited((place.yaml.clone(), place.line_break))),
        false => edited((gone, "")),
    }
}

/// The text with this value in place of the old one.
fn over(
    card: &ModelCard,
    front: &Front,
    own: &Extent,
    key: &'static str,
    value: &str,
) -> Result<String, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.place.line_break);
    check_anchors(text, document, key, own.entry, &[])?;
    let plain_key = own.indent(text, document).zip(extent::behind_colon(text, document, own.entry));
    let (outer, behind_colon) = plain_key.ok_or_else(|| verify::unsafe_edit(card, key))?;
    let new = indented(value, outer, line_break);

    let is_lines = |range: &Range<usize>| {
        matches!(
            document.nodes.get(own.entry.value).map(|node| &node.what),
            Some(What::Mapping { braces: false })
        ) && range.start > behind_colon
    };
    let inner = extent::of_entries(text, document, own.entry.value, own.boundary);
    let lines = inner.first().map(|first| first.start..own.end);
    let (old, comments) = match lines.filter(is_lines) {
        // What stands between the key and its first line stays where it is.
        Some(lines) if value.ends_with('\n') => {
            let new = new.strip_prefix(line_break).unwrap_or(&new).to_owned();
            return Ok(replace(text, &[(lines, new)]));
        }
        _ => (behind_colon..own.end, comments_beside(text, document, own, behind_colon)),
    };
    let comments: Vec<_> = comments.collect();
    let comments = match comments.is_empty() {
        true => String::new(),
        false => format!(" {}", comments.join(" ")),
    };
    let new = match value.ends_with('\n') {
        true => format!("{comments}{new}"),
        false => format!("{new}{comments}"),
    };
    Ok(replace(text, &[(old, new)]))
}

/// A value as it stands behind its key, without the last line break.
fn indented(value: &str, outer: &str, line_break: &str) -> String {
    match value.ends_with('\n') {
        true => value.lines().map(|line| format!("{line_break}{outer}  {line}")).collect(),
        false => format!(" {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "a: 1\nb:\n  - c: \"x\"\n";

    fn written(yaml: &str, value: &str) -> String {
        let card = ModelCard::parse(format!("---\n{yaml}---\nbody\n")).unwrap();
        let edited = with_key(&card, "dia_report", value).unwrap();
        assert_eq!(with_key(&edited, "dia_report", value).unwrap(), edited, "twice is once");
        let text = edited.into_text();
        text.strip_prefix("---\n").unwrap().strip_suffix("---\nbody\n").unwrap().to_owned()
    }

    #[test]
    fn a_new_key_goes_to_the_end() {
        assert_eq!(written("k: 1 # c\n", "\"0.1\""), "k: 1 # c\ndia_report: \"0.1\"\n");
        assert_eq!(
            written("  k: 1\n", MAPPING),
            "  k: 1\n  dia_report:\n    a: 1\n    b:\n      - c: \"x\"\n"
        );
    }

    #[test]
    fn an_old_value_goes_and_what_stands_around_it_stays() {
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
            assert_eq!(written(old, MAPPING), wanted, "{old}");
        }
        assert_eq!(written("dia_report: 0.2 # c\nk: 1\n", "\"0.1\""), "dia_report: \"0.1\" # c\nk: 1\n");
        assert_eq!(written("dia_report:\n  x: 1\nk: 1\n", "\"0.1\""), "dia_report: \"0.1\"\nk: 1\n");
    }

    #[test]
    fn a_value_that_says_the_same_stays_as_it_is() {
        for same in [
            "dia_report: {a: 1, b: [{c: 'x'}]} # c\n",
            "dia_report:\n    a: 1 # why\n    b:\n    - c: \"x\"\n",
        ] {
            assert_eq!(written(same, MAPPING), same);
        }
        assert_eq!(written("dia_report: '0.1'\n", "\"0.1\""), "dia_report: '0.1'\n");
        assert_eq!(written("dia_report: 0.1\n", "\"0.1\""), "dia_report: \"0.1\"\n", "a number is no text");
        assert_eq!(written("dia_report: [{a: 1, b: [{c: 'x'}]}]\n", MAPPING), written("", MAPPING));
    }

    #[test]
    fn a_front_matter_goes_with_its_last_key_unless_the_body_would_become_one() {
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
    fn what_another_key_repeats_is_not_taken_away() {
        let card = ModelCard::parse("---\ndia_report: &x {a: 2}\nk: *x\n---\n").unwrap();
        let error = with_key(&card, "dia_report", MAPPING).unwrap_err();
        assert!(error.to_string().starts_with("line 2, column 13: `dia_report` anchors"), "{error}");
        assert!(without_key(&card, "dia_report").is_err());
    }
}
