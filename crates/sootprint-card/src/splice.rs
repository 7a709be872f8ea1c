//! Edits of the front matter: bytes of one value change, the rest is the original text.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use crate::card::{FrontMatter, ModelCard};
use crate::emissions_block::{EMISSIONS_KEY, EmissionsBlock, MANAGED_KEYS};
use crate::error::{CardError, Position};
use crate::extent::{self, EntrySpan};
use crate::front_matter::detect_line_break;
use crate::verify;
use crate::yaml::{NodeKind, YamlDocument, YamlEntry};

pub(crate) fn with_emissions(card: &ModelCard, block: &EmissionsBlock) -> Result<ModelCard, CardError> {
    let lines = block.yaml_entries()?;
    // What says it already stays as it is, to the last line break and comment.
    if card.front_matter().is_some_and(|front| verify::emissions_match(&front.document, &lines)) {
        return Ok(card.clone());
    }
    let text = match card
        .front_matter()
        .and_then(|front| Some((front, find_key(card, front, EMISSIONS_KEY)?)))
    {
        None => insert_key(card, EMISSIONS_KEY, |indent, line_break| {
            let inner: String =
                lines.iter().map(|(key, value)| format!("{indent}  {key}: {value}{line_break}")).collect();
            format!("{indent}{EMISSIONS_KEY}:{line_break}{inner}")
        })?,
        Some((front, target)) => match front.document.nodes.get(target.entry.value).map(|node| &node.kind) {
            Some(NodeKind::Mapping { flow: false }) => edit_block_mapping(card, front, &target, &lines)?,
            _ => replace_value(card, front, &target, &lines)?,
        },
    };
    let edited = ModelCard::parse(text).map_err(|_| verify::unsupported_layout(card, EMISSIONS_KEY))?;
    verify::check_emissions(card, &edited, &lines)?;
    Ok(edited)
}

/// What an edit would take out of the value of a key of ours, in one line; none when that is nothing. Of the emissions
/// only our own subkeys go.
pub(crate) fn replaced_text(card: &ModelCard, key: &'static str) -> Option<String> {
    let front = card.front_matter()?;
    let target = find_key(card, front, key)?;
    let text = card.text();
    let pieces: Vec<&str> = match front.document.nodes.get(target.entry.value)?.kind {
        NodeKind::Mapping { flow: false } => {
            let entries = extent::entry_spans(text, &front.document, target.entry.value, target.boundary);
            entries
                .iter()
                .filter(|inner| key != EMISSIONS_KEY || is_managed_key(&front.document, inner.entry))
                .map(|inner| &text[inner.start..inner.end])
                .collect()
        }
        _ => vec![&text[extent::value_start(text, &front.document, target.entry)?..target.end]],
    };
    let pieces: Vec<_> =
        pieces.iter().map(|piece| join_lines(piece)).filter(|piece| !piece.is_empty()).collect();
    (!pieces.is_empty()).then(|| pieces.join(", "))
}

/// Adds lines for a key that the card does not have: last in the front matter, or in a new one.
pub(crate) fn insert_key(
    card: &ModelCard,
    key: &'static str,
    lines: impl Fn(&str, &'static str) -> String,
) -> Result<String, CardError> {
    let text = card.text();
    let Some(front) = card.front_matter() else {
        let line_break = detect_line_break(text);
        let at = text.len() - card.body().len();
        let new = format!("---{line_break}{}---{line_break}", lines("", line_break));
        return Ok(apply_edits(text, &[(at..at, new)]));
    };
    let entries = extent::entry_spans(text, &front.document, 0, front.span.yaml.end);
    let indent = match entries.first() {
        None => "",
        Some(first) => {
            first.indent(text, &front.document).ok_or_else(|| verify::unsupported_layout(card, key))?
        }
    };
    let at = insertion_point(text, front, &entries);
    Ok(apply_edits(text, &[(at..at, lines(indent, front.span.line_break))]))
}

/// Where a new key goes: behind the last line, unless that would change the last value.
///
/// A text in block style (`|`, `>`) counts its line breaks up to the end, and parsers disagree about how many there
/// are at the end of a front matter. So a new key goes in front of such a text, and of the comment above it.
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
    let from = before.last().map_or(front.span.yaml.start, |entry| extent::next_line_start(text, entry.end));
    let mut at = last.start;
    for line in text[from..last.start].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        at -= line.len();
    }
    at
}

/// Our lines in a mapping with one key per line: the old ones go, all others stay where and as they are.
fn edit_block_mapping(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    lines: &[(&'static str, String)],
) -> Result<String, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.span.line_break);
    let inner = extent::entry_spans(text, document, target.entry.value, target.boundary);
    let first = inner.first().ok_or_else(|| verify::unsupported_layout(card, EMISSIONS_KEY))?;
    let indent = &text[first.start..];
    let indent = &indent[..indent.len() - indent.trim_start_matches(' ').len()];
    let new = lines.iter().map(|(key, value)| format!("{indent}{key}: {value}{line_break}")).collect();

    check_anchors(text, document, EMISSIONS_KEY, target.entry, &foreign_entries(document, target.entry))?;
    let mut edits = vec![(first.start..first.start, new)];
    let old = inner.iter().filter(|inner| is_managed_key(document, inner.entry));
    edits.extend(old.map(|old| (old.start..extent::next_line_start(text, old.end), String::new())));
    Ok(apply_edits(text, &edits))
}

/// Our lines in place of any other value. Comments beside it stay, and so do foreign keys of a mapping in braces.
fn replace_value(
    card: &ModelCard,
    front: &FrontMatter,
    target: &EntrySpan,
    lines: &[(&'static str, String)],
) -> Result<String, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.span.line_break);
    let key_layout = target.indent(text, document).zip(extent::value_start(text, document, target.entry));
    let (outer, value_start) = key_layout.ok_or_else(|| verify::unsupported_layout(card, EMISSIONS_KEY))?;
    let indent = format!("{outer}  ");

    let foreign = foreign_entries(document, target.entry);
    check_anchors(text, document, EMISSIONS_KEY, target.entry, &foreign)?;

    let mut new = String::new();
    for (index, comment) in adjacent_comments(text, document, target, value_start).enumerate() {
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
    Ok(apply_edits(text, &[(value_start..target.end, new)]))
}

/// An entry of a mapping in braces as a line of its own.
fn flow_entry_as_block(text: &str, document: &YamlDocument, entry: YamlEntry) -> String {
    let source_text = |index: usize| match document.nodes.get(index) {
        // Of a value that is not there the parser marks the comma.
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

/// Lines joined by blanks. In quotes and braces YAML reads them alike; where it does not, the check finds it.
fn join_lines(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The comments between the colon and the value, and behind the value on its last line.
pub(crate) fn adjacent_comments<'t>(
    text: &'t str,
    document: &YamlDocument,
    target: &EntrySpan,
    value_start: usize,
) -> impl Iterator<Item = &'t str> {
    let (start, end) = match document.nodes.get(target.entry.value) {
        // Of a list without brackets the parser marks the beginning only.
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

/// The comment of a line that holds nothing else but the mark of a block text.
fn line_comment(line: &str) -> Option<&str> {
    let start =
        line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with([' ', '\t']) || *at == 0);
    start.map(|at| line[at..].trim_end())
}

/// Refuses to take away an anchor that something repeats which stays: another key, or these of the value's own.
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
            let place = |index: usize| document.nodes.get(index).map_or(0, |node| node.span.start);
            return Err(CardError::AnchorInUse {
                key,
                anchor: Position::at_offset(text, place(anchor)),
                alias: Position::at_offset(text, place(index)),
            });
        }
    }
    Ok(())
}

/// Where a key of the card stands.
pub(crate) fn find_key(card: &ModelCard, front: &FrontMatter, key: &str) -> Option<EntrySpan> {
    extent::entry_spans(card.text(), &front.document, 0, front.span.yaml.end)
        .into_iter()
        .find(|extent| front.document.entry_key(extent.entry) == Some(key))
}

fn foreign_entries(document: &YamlDocument, target: YamlEntry) -> Vec<YamlEntry> {
    document.entries(target.value).filter(|entry| !is_managed_key(document, *entry)).collect()
}

pub(crate) fn is_managed_key(document: &YamlDocument, entry: YamlEntry) -> bool {
    document.entry_key(entry).is_some_and(|name| MANAGED_KEYS.contains(&name))
}

/// The text with these ranges, which are in order and do not overlap, replaced.
pub(crate) fn apply_edits(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut new = String::with_capacity(text.len());
    let mut kept = 0;
    for (range, replacement) in edits {
        new.push_str(&text[kept..range.start]);
        new.push_str(replacement);
        kept = range.end;
    }
    new.push_str(&text[kept..]);
    new
}
