//! Edits of a card's text: byte ranges are replaced, all other bytes stay.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use crate::card::{FrontMatter, ModelCard};
use crate::entry_span::{EntrySpan, entry_spans, next_line_start};
use crate::error::{CardError, Position};
use crate::front_matter::detect_line_break;
use crate::verify;
use crate::yaml::{NodeKind, YamlDocument, YamlEntry};

/// A byte range of a card's text and its replacement.
pub(crate) type TextEdit = (Range<usize>, String);

/// The text with these edits, which do not overlap. Edits at the same byte keep their order.
pub(crate) fn apply_edits(text: &str, mut edits: Vec<TextEdit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut new = String::with_capacity(text.len());
    let mut kept = 0;
    for (range, replacement) in edits {
        new.push_str(&text[kept..range.start]);
        new.push_str(&replacement);
        kept = range.end;
    }
    new.push_str(&text[kept..]);
    new
}

/// The lines of a top-level key.
pub(crate) fn find_key(card: &ModelCard, front: &FrontMatter, key: &str) -> Option<EntrySpan> {
    entry_spans(card.text(), &front.document, 0, front.span.yaml.end)
        .into_iter()
        .find(|span| front.document.entry_key(span.entry) == Some(key))
}

/// Adds the lines of a missing key at the end of the front matter; a card without front matter gets one.
///
/// `lines` receives the indentation and the line break to use.
pub(crate) fn insertion_edit(
    card: &ModelCard,
    key: &'static str,
    lines: impl Fn(&str, &'static str) -> String,
) -> Result<TextEdit, CardError> {
    let text = card.text();
    let Some(front) = card.front_matter() else {
        let line_break = detect_line_break(text);
        let at = text.len() - card.body().len();
        return Ok((at..at, format!("---{line_break}{}---{line_break}", lines("", line_break))));
    };
    let entries = entry_spans(text, &front.document, 0, front.span.yaml.end);
    let indent = match entries.first() {
        None => "",
        Some(first) => {
            first.indent(text, &front.document).ok_or_else(|| verify::unsupported_layout(card, key))?
        }
    };
    let at = insertion_point(text, front, &entries);
    Ok((at..at, lines(indent, front.span.line_break)))
}

/// Where a new key goes: after the last line, unless that would change the last value.
///
/// The line breaks at the end of a block scalar (`|`, `>`) belong to its value, and parsers disagree about how many
/// there are at the end of a front matter. A new key therefore goes before such a scalar and the comments above it.
fn insertion_point(text: &str, front: &FrontMatter, entries: &[EntrySpan]) -> usize {
    let last_value = front.document.nodes.last().map(|node| &node.kind);
    let (Some(NodeKind::Scalar(value, ScalarStyle::Literal | ScalarStyle::Folded)), [before @ .., last]) =
        (last_value, entries)
    else {
        return front.span.yaml.end;
    };
    if !value.ends_with('\n') {
        return front.span.yaml.end;
    }
    let from = before.last().map_or(front.span.yaml.start, |entry| next_line_start(text, entry.end));
    let mut at = last.start;
    for line in text[from..last.start].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        at -= line.len();
    }
    at
}

/// The comments between the colon and the value, and after the value on its last line.
pub(crate) fn adjacent_comments<'t>(
    text: &'t str,
    document: &YamlDocument,
    target: &EntrySpan,
    value_start: usize,
) -> impl Iterator<Item = &'t str> {
    let (start, end) = match document.nodes.get(target.entry.value) {
        // The parser's span of a list without brackets covers only its start.
        Some(node) if node.kind == NodeKind::Sequence && !text[node.span.clone()].ends_with(']') => {
            (node.span.start, target.end)
        }
        Some(node) => (node.span.start, node.span.end),
        None => (target.end, target.end),
    };
    let before = &text[value_start..start.clamp(value_start, target.end)];
    let after = &text[end.clamp(value_start, target.end)..target.end];
    before.lines().chain(after.lines()).filter_map(line_comment)
}

/// The comment of a line that otherwise contains at most a block scalar indicator.
fn line_comment(line: &str) -> Option<&str> {
    let start =
        line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with([' ', '\t']) || *at == 0);
    start.map(|at| line[at..].trim_end())
}

/// Lines joined by spaces. Inside quotes and braces YAML treats a line break as a space; [`verify`] catches the rest.
pub(crate) fn join_lines(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Rejects the removal of an anchor that an alias outside the value, or in one of its `kept` entries, refers to.
pub(crate) fn check_anchors(
    text: &str,
    document: &YamlDocument,
    key: &'static str,
    target: YamlEntry,
    kept: &[YamlEntry],
) -> Result<(), CardError> {
    let is_dropped = |index: usize| {
        (target.value..target.end).contains(&index)
            && !kept.iter().any(|kept| (kept.key..kept.end).contains(&index))
    };
    for (index, node) in document.nodes.iter().enumerate() {
        if node.kind != NodeKind::Alias || is_dropped(index) {
            continue;
        }
        if let Some(anchor) = document.anchor_target(node.anchor).filter(|anchor| is_dropped(*anchor)) {
            let start = |index: usize| document.nodes.get(index).map_or(0, |node| node.span.start);
            return Err(CardError::AnchorInUse {
                key,
                anchor: Position::at_offset(text, start(anchor)),
                alias: Position::at_offset(text, start(index)),
            });
        }
    }
    Ok(())
}
