//! Keys that are ours as a whole: their value is replaced, and what stands around it stays.

use std::ops::Range;

use crate::card::{FrontMatter, ModelCard};
use crate::error::CardError;
use crate::extent::{self, EntrySpan};
use crate::splice::{adjacent_comments, apply_edits, check_anchors, find_key, insert_key};
use crate::verify;
use crate::yaml::NodeKind;

/// The card with this value: one line for a scalar, several that end in a line break for a mapping.
///
/// A value that says the same already stays as it is, comments and quotes included.
pub(crate) fn with_key(card: &ModelCard, key: &'static str, value: &str) -> Result<ModelCard, CardError> {
    let text = match card.front_matter().and_then(|front| Some((front, find_key(card, front, key)?))) {
        None => insert_key(card, key, |indent, line_break| {
            let value = indent_value(value, indent, line_break);
            format!("{indent}{key}:{value}{line_break}")
        })?,
        Some(_) if verify::value_equals(card, key, value) => return Ok(card.clone()),
        Some((front, target)) => replace_key_value(card, front, &target, key, value)?,
    };
    let edited = ModelCard::parse(text).map_err(|_| verify::unsupported_layout(card, key))?;
    verify::check_only_key_changed(card, &edited, key)?;
    match verify::value_equals(&edited, key, value) {
        true => Ok(edited),
        false => Err(verify::unsupported_layout(card, key)),
    }
}

/// The card without this key and whatever stands in it.
pub(crate) fn without_key(card: &ModelCard, key: &'static str) -> Result<ModelCard, CardError> {
    let Some((front, target)) =
        card.front_matter().and_then(|front| Some((front, find_key(card, front, key)?)))
    else {
        return Ok(card.clone());
    };
    check_anchors(card.text(), &front.document, key, target.entry, &[])?;
    let removed = target.start..extent::next_line_start(card.text(), target.end);
    let span = &front.span;
    let is_rest_blank = [span.yaml.start..removed.start, removed.end..span.yaml.end]
        .into_iter()
        .all(|rest| card.text()[rest].trim().is_empty());
    let apply_edit = |edit: (Range<usize>, &str)| {
        let text = apply_edits(card.text(), &[(edit.0, edit.1.to_owned())]);
        let edited = ModelCard::parse(text).map_err(|_| verify::unsupported_layout(card, key))?;
        verify::check_only_key_changed(card, &edited, key).map(|()| edited)
    };
    match is_rest_blank {
        // The Hub takes an empty front matter and the text below it for YAML, but not one with a blank line in it,
        // which stays where the text below would else be taken for the front matter.
        true => {
            apply_edit((span.full.clone(), "")).or_else(|_| apply_edit((span.yaml.clone(), span.line_break)))
        }
        false => apply_edit((removed, "")),
    }
}

/// The text with this value in place of the old one.
fn replace_key_value(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    key: &'static str,
    value: &str,
) -> Result<String, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.span.line_break);
    check_anchors(text, document, key, target.entry, &[])?;
    let key_layout = target.indent(text, document).zip(extent::value_start(text, document, target.entry));
    let (outer, value_start) = key_layout.ok_or_else(|| verify::unsupported_layout(card, key))?;
    let new = indent_value(value, outer, line_break);

    let is_lines = |range: &Range<usize>| {
        matches!(
            document.nodes.get(target.entry.value).map(|node| &node.kind),
            Some(NodeKind::Mapping { flow: false })
        ) && range.start > value_start
    };
    let inner = extent::entry_spans(text, document, target.entry.value, target.boundary);
    let lines = inner.first().map(|first| first.start..target.end);
    let (old, comments) = match lines.filter(is_lines) {
        // What stands between the key and its first line stays where it is.
        Some(lines) if value.ends_with('\n') => {
            let new = new.strip_prefix(line_break).unwrap_or(&new).to_owned();
            return Ok(apply_edits(text, &[(lines, new)]));
        }
        _ => (value_start..target.end, adjacent_comments(text, document, target, value_start)),
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
    Ok(apply_edits(text, &[(old, new)]))
}

/// A value as it stands behind its key, without the last line break.
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

    fn edited_yaml(yaml: &str, value: &str) -> String {
        let card = ModelCard::parse(format!("---\n{yaml}---\nbody\n")).unwrap();
        let edited = with_key(&card, "dia_report", value).unwrap();
        assert_eq!(with_key(&edited, "dia_report", value).unwrap(), edited, "twice is once");
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
            "a number is no text"
        );
        assert_eq!(edited_yaml("dia_report: [{a: 1, b: [{c: 'x'}]}]\n", MAPPING), edited_yaml("", MAPPING));
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
        let error = with_key(&card, "dia_report", MAPPING).unwrap_err();
        assert!(error.to_string().starts_with("line 2, column 13: `dia_report` anchors"), "{error}");
        assert!(without_key(&card, "dia_report").is_err());
    }
}
