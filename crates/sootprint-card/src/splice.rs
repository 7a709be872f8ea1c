//! Edits of the front matter: bytes of one value change, the rest is the original text.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use crate::block::{EmissionsBlock, KEY, OWN_KEYS};
use crate::card::{Front, ModelCard};
use crate::error::{CardError, Position};
use crate::extent::{self, Extent};
use crate::front_matter::line_break_of;
use crate::verify;
use crate::yaml::{Document, Entry, What};

pub(crate) fn with_emissions(card: &ModelCard, block: &EmissionsBlock) -> Result<ModelCard, CardError> {
    let lines = block.lines()?;
    // What says it already stays as it is, to the last line break and comment.
    if card.front().is_some_and(|front| verify::are_written(&front.document, &lines)) {
        return Ok(card.clone());
    }
    let text = match card.front().and_then(|front| Some((front, find(card, front, KEY)?))) {
        None => add(card, KEY, |indent, line_break| {
            let inner: String =
                lines.iter().map(|(key, value)| format!("{indent}  {key}: {value}{line_break}")).collect();
            format!("{indent}{KEY}:{line_break}{inner}")
        })?,
        Some((front, own)) => match front.document.nodes.get(own.entry.value).map(|node| &node.what) {
            Some(What::Mapping { braces: false }) => among_lines(card, front, &own, &lines)?,
            _ => over_value(card, front, &own, &lines)?,
        },
    };
    let edited = ModelCard::parse(text).map_err(|_| verify::unsafe_edit(card, KEY))?;
    verify::emissions_are(card, &edited, &lines)?;
    Ok(edited)
}

/// What an edit would take out of the value of a key of ours, in one line; none when that is nothing. Of the emissions
/// only our own subkeys go.
pub(crate) fn old_value(card: &ModelCard, key: &'static str) -> Option<String> {
    let front = card.front()?;
    let own = find(card, front, key)?;
    let text = card.text();
    let pieces: Vec<&str> = match front.document.nodes.get(own.entry.value)?.what {
        What::Mapping { braces: false } => {
            let entries = extent::of_entries(text, &front.document, own.entry.value, own.boundary);
            entries
                .iter()
                .filter(|inner| key != KEY || is_own(&front.document, inner.entry))
                .map(|inner| &text[inner.start..inner.end])
                .collect()
        }
        _ => vec![&text[extent::behind_colon(text, &front.document, own.entry)?..own.end]],
    };
    let pieces: Vec<_> =
        pieces.iter().map(|piece| in_one_line(piece)).filter(|piece| !piece.is_empty()).collect();
    (!pieces.is_empty()).then(|| pieces.join(", "))
}

/// Adds lines for a key that the card does not have: last in the front matter, or in a new one.
pub(crate) fn add(
    card: &ModelCard,
    key: &'static str,
    lines: impl Fn(&str, &'static str) -> String,
) -> Result<String, CardError> {
    let text = card.text();
    let Some(front) = card.front() else {
        let line_break = line_break_of(text);
        let at = text.len() - card.body().len();
        let new = format!("---{line_break}{}---{line_break}", lines("", line_break));
        return Ok(replace(text, &[(at..at, new)]));
    };
    let entries = extent::of_entries(text, &front.document, 0, front.place.yaml.end);
    let indent = match entries.first() {
        None => "",
        Some(first) => first.indent(text, &front.document).ok_or_else(|| verify::unsafe_edit(card, key))?,
    };
    let at = end_of_keys(text, front, &entries);
    Ok(replace(text, &[(at..at, lines(indent, front.place.line_break))]))
}

/// Where a new key goes: behind the last line, unless that would change the last value.
///
/// A text in block style (`|`, `>`) counts its line breaks up to the end, and parsers disagree about how many there
/// are at the end of a front matter. So a new key goes in front of such a text, and of the comment above it.
fn end_of_keys(text: &str, front: &Front, entries: &[Extent]) -> usize {
    let last_value = front.document.nodes.last().map(|node| &node.what);
    let (Some(What::Scalar(value, ScalarStyle::Literal | ScalarStyle::Folded)), [before @ .., last]) =
        (last_value, entries)
    else {
        return front.place.yaml.end;
    };
    if !value.ends_with('\n') {
        return front.place.yaml.end;
    }
    let from = before.last().map_or(front.place.yaml.start, |entry| extent::next_line(text, entry.end));
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
fn among_lines(
    card: &ModelCard,
    front: &Front,
    own: &Extent,
    lines: &[(&'static str, String)],
) -> Result<String, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.place.line_break);
    let inner = extent::of_entries(text, document, own.entry.value, own.boundary);
    let first = inner.first().ok_or_else(|| verify::unsafe_edit(card, KEY))?;
    let indent = &text[first.start..];
    let indent = &indent[..indent.len() - indent.trim_start_matches(' ').len()];
    let new = lines.iter().map(|(key, value)| format!("{indent}{key}: {value}{line_break}")).collect();

    check_anchors(text, document, KEY, own.entry, &foreign_keys(document, own.entry))?;
    let mut edits = vec![(first.start..first.start, new)];
    let old = inner.iter().filter(|inner| is_own(document, inner.entry));
    edits.extend(old.map(|old| (old.start..extent::next_line(text, old.end), String::new())));
    Ok(replace(text, &edits))
}

/// Our lines in place of any other value. Comments beside it stay, and so do foreign keys of a mapping in braces.
fn over_value(
    card: &ModelCard,
    front: &Front,
    own: &Extent,
    lines: &[(&'static str, String)],
) -> Result<String, CardError> {
    let (text, document, line_break) = (card.text(), &front.document, front.place.line_break);
    let plain_key = own.indent(text, document).zip(extent::behind_colon(text, document, own.entry));
    let (outer, behind_colon) = plain_key.ok_or_else(|| verify::unsafe_edit(card, KEY))?;
    let indent = format!("{outer}  ");

    let foreign = foreign_keys(document, own.entry);
    check_anchors(text, document, KEY, own.entry, &foreign)?;

    let mut new = String::new();
    for (index, comment) in comments_beside(text, document, own, behind_colon).enumerate() {
        match index {
            0 => new += &format!(" {comment}"),
            _ => new += &format!("{line_break}{indent}{comment}"),
        }
    }
    for (key, value) in lines {
        new += &format!("{line_break}{indent}{key}: {value}");
    }
    for entry in foreign {
        new += &format!("{line_break}{indent}{}", moved_out_of_braces(text, document, entry));
    }
    Ok(replace(text, &[(behind_colon..own.end, new)]))
}

/// An entry of a mapping in braces as a line of its own.
fn moved_out_of_braces(text: &str, document: &Document, entry: Entry) -> String {
    let written = |index: usize| match document.nodes.get(index) {
        // Of a value that is not there the parser marks the comma.
        Some(node) if document.text(index) == Some("") && text[node.span.clone()].starts_with([',', '}']) => {
            String::new()
        }
        Some(node) => in_one_line(&text[node.span.clone()]),
        None => String::new(),
    };
    format!("{}: {}", written(entry.key), written(entry.value)).trim_end().to_owned()
}

/// Lines joined by blanks. In quotes and braces YAML reads them alike; where it does not, the check finds it.
fn in_one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The comments between the colon and the value, and behind the value on its last line.
pub(crate) fn comments_beside<'t>(
    text: &'t str,
    document: &Document,
    own: &Extent,
    behind_colon: usize,
) -> impl Iterator<Item = &'t str> {
    let (start, end) = match document.nodes.get(own.entry.value) {
        // Of a list without brackets the parser marks the beginning only.
        Some(node) if node.what == What::Sequence && !text[node.span.clone()].ends_with(']') => {
            (node.span.start, own.end)
        }
        Some(node) => (node.span.start, node.span.end),
        None => (own.end, own.end),
    };
    let before = &text[behind_colon..start.clamp(behind_colon, own.end)];
    let behind = &text[end.clamp(behind_colon, own.end)..own.end];
    before.lines().chain(behind.lines()).filter_map(comment)
}

/// The comment of a line that holds nothing else but the mark of a block text.
fn comment(line: &str) -> Option<&str> {
    let start =
        line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with([' ', '\t']) || *at == 0);
    start.map(|at| line[at..].trim_end())
}

/// Refuses to take away an anchor that something repeats which stays: another key, or these of the value's own.
pub(crate) fn check_anchors(
    text: &str,
    document: &Document,
    key: &'static str,
    own: Entry,
    kept: &[Entry],
) -> Result<(), CardError> {
    let is_dropped = |index: usize| {
        (own.value..own.end).contains(&index)
            && !kept.iter().any(|kept| (kept.key..kept.end).contains(&index))
    };
    for (index, node) in document.nodes.iter().enumerate() {
        if node.what != What::Alias || is_dropped(index) {
            continue;
        }
        if let Some(anchor) = document.anchored(node.anchor).filter(|anchor| is_dropped(*anchor)) {
            let place = |index: usize| document.nodes.get(index).map_or(0, |node| node.span.start);
            return Err(CardError::AnchorInUse {
                key,
                anchor: Position::of(text, place(anchor)),
                alias: Position::of(text, place(index)),
            });
        }
    }
    Ok(())
}

/// Where a key of the card stands.
pub(crate) fn find(card: &ModelCard, front: &Front, key: &str) -> Option<Extent> {
    extent::of_entries(card.text(), &front.document, 0, front.place.yaml.end)
        .into_iter()
        .find(|extent| front.document.name(extent.entry) == Some(key))
}

fn foreign_keys(document: &Document, own: Entry) -> Vec<Entry> {
    document.entries(own.value).filter(|entry| !is_own(document, *entry)).collect()
}

pub(crate) fn is_own(document: &Document, entry: Entry) -> bool {
    document.name(entry).is_some_and(|name| OWN_KEYS.contains(&name))
}

/// The text with these ranges, which are in order and do not overlap, replaced.
pub(crate) fn replace(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut new = String::with_capacity(text.len());
    let mut kept = 0;
    for (range, with) in edits {
        new.push_str(&text[kept..range.start]);
        new.push_str(with);
        kept = range.end;
    }
    new.push_str(&text[kept..]);
    new
}
