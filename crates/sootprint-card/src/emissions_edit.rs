//! Edits of an existing `co2_eq_emissions`: the managed subkeys are replaced, foreign subkeys and comments are kept.

use crate::card::{FrontMatter, ModelCard};
use crate::emissions_block::{EMISSIONS_KEY, is_managed_key};
use crate::entry_span::{EntrySpan, entry_spans, next_line_start, value_start};
use crate::error::CardError;
use crate::splice::{TextEdit, adjacent_comments, check_anchors, join_lines};
use crate::verify;
use crate::yaml::{NodeKind, YamlDocument, YamlEntry};

/// The edits that put these subkeys first in the value of `target` and remove the old ones.
pub(crate) fn emissions_edits(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    lines: &[(&'static str, String)],
) -> Result<Vec<TextEdit>, CardError> {
    let foreign = foreign_entries(&front.document, target.entry);
    check_anchors(card.text(), &front.document, EMISSIONS_KEY, target.entry, &foreign)?;
    match front.document.nodes.get(target.entry.value).map(|node| &node.kind) {
        Some(NodeKind::Mapping { flow: false }) => block_mapping_edits(card, front, target, lines),
        _ => Ok(vec![value_edit(card, front, target, lines, foreign)?]),
    }
}

/// In a mapping with one key per line, all other lines keep their place and their bytes.
fn block_mapping_edits(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    lines: &[(&'static str, String)],
) -> Result<Vec<TextEdit>, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.span.line_break);
    let inner = entry_spans(text, document, target.entry.value, target.boundary);
    let first = inner.first().ok_or_else(|| verify::unsupported_layout(card, EMISSIONS_KEY))?;
    let indent = &text[first.start..];
    let indent = &indent[..indent.len() - indent.trim_start_matches(' ').len()];
    let new = lines.iter().map(|(key, value)| format!("{indent}{key}: {value}{line_break}")).collect();
    let mut edits = vec![(first.start..first.start, new)];
    let old = inner.iter().filter(|inner| is_managed_key(document, inner.entry));
    edits.extend(old.map(|old| (old.start..next_line_start(text, old.end), String::new())));
    Ok(edits)
}

/// Any other value is replaced as a whole. Adjacent comments stay, and foreign keys of a mapping in braces move to
/// lines of their own.
fn value_edit(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    lines: &[(&'static str, String)],
    foreign: Vec<YamlEntry>,
) -> Result<TextEdit, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.span.line_break);
    let key_layout = target.indent(text, document).zip(value_start(text, document, target.entry));
    let (outer, start) = key_layout.ok_or_else(|| verify::unsupported_layout(card, EMISSIONS_KEY))?;
    let indent = format!("{outer}  ");

    let mut new = String::new();
    for (index, comment) in adjacent_comments(text, document, target, start).enumerate() {
        match index {
            0 => new += &format!(" {comment}"),
            _ => new += &format!("{line_break}{indent}{comment}"),
        }
    }
    for (key, value) in lines {
        new += &format!("{line_break}{indent}{key}: {value}");
    }
    for entry in foreign {
        new += &format!("{line_break}{indent}{}", flow_entry_as_block(text, document, entry));
    }
    Ok((start..target.end, new))
}

/// An entry of a mapping in braces as a line of its own.
fn flow_entry_as_block(text: &str, document: &YamlDocument, entry: YamlEntry) -> String {
    let source_text = |index: usize| match document.nodes.get(index) {
        // The parser's span of a missing value is the comma after it.
        Some(node)
            if document.scalar_text(index) == Some("") && text[node.span.clone()].starts_with([',', '}']) =>
        {
            String::new()
        }
        Some(node) => join_lines(&text[node.span.clone()]),
        None => String::new(),
    };
    format!("{}: {}", source_text(entry.key), source_text(entry.value)).trim_end().to_owned()
}

fn foreign_entries(document: &YamlDocument, target: YamlEntry) -> Vec<YamlEntry> {
    document.entries(target.value).filter(|entry| !is_managed_key(document, *entry)).collect()
}
