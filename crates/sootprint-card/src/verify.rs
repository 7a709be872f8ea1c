//! The check after each edit: the card says the same as before, except for what was to be changed.

use std::collections::HashMap;

use saphyr_parser::ScalarStyle;

use crate::block::KEY;
use crate::card::{Front, ModelCard};
use crate::error::CardError;
use crate::splice::is_own;
use crate::text::quoted;
use crate::yaml::{Document, Entry, Node, What};

/// Every other key has its place and its value, and the body is the same.
pub(crate) fn only_changed(
    before: &ModelCard,
    after: &ModelCard,
    key: &'static str,
) -> Result<(), CardError> {
    let others = |card| meaning(card, |document| others(document, key).collect());
    let is_same = others(before) == others(after) && before.body() == after.body();
    is_same.then_some(()).ok_or_else(|| unsafe_edit(before, key))
}

/// As [`only_changed`], and the emissions are these lines, followed by the foreign keys of the old value.
pub(crate) fn emissions_are(
    before: &ModelCard,
    after: &ModelCard,
    lines: &[(&'static str, String)],
) -> Result<(), CardError> {
    let kept = |card| {
        meaning(card, |document| {
            let own = document.find(KEY).into_iter().flat_map(|own| document.entries(own.value));
            others(document, KEY).chain(own.filter(|entry| !is_own(document, *entry))).collect()
        })
    };
    let is_written = after.front().is_some_and(|front| are_written(&front.document, lines));
    let is_same = kept(before) == kept(after) && before.body() == after.body();
    (is_written && is_same).then_some(()).ok_or_else(|| unsafe_edit(before, KEY))
}

/// Whether a key has this value, which ends in a line break when it is a mapping. Numbers stand plain and texts
/// quoted; which quotes, and whether in braces, is all the same.
pub(crate) fn says(card: &ModelCard, key: &str, value: &str) -> bool {
    let (wanted, at) = match value.ends_with('\n') {
        true => (value.to_owned(), 0),
        false => (format!("key: {value}\n"), 2),
    };
    let Ok(wanted) = Document::parse(&wanted, 0..wanted.len()) else { return false };
    let Some(Front { document, .. }) = card.front() else { return false };
    let Some(entry) = document.find(key) else { return false };
    let found = document.nodes.get(entry.value..entry.end).unwrap_or_default();
    let wanted_nodes = wanted.nodes.get(at..).unwrap_or_default();
    let is_same = |(index, (found, wanted)): (usize, (&Node, &Node))| {
        let is_same = match (&found.what, &wanted.what) {
            (What::Scalar(found, style), What::Scalar(wanted, other)) => {
                let is_plain = |style: &ScalarStyle| *style == ScalarStyle::Plain;
                found == wanted && is_plain(style) == is_plain(other)
            }
            (What::Mapping { .. }, What::Mapping { .. }) | (What::Sequence, What::Sequence) => true,
            _ => false,
        };
        is_same && found.end - entry.value - index == wanted.end - at - index
    };
    found.len() == wanted_nodes.len() && found.iter().zip(wanted_nodes).enumerate().all(is_same)
}

/// The error for an edit that would touch more than its own key.
pub(crate) fn unsafe_edit(card: &ModelCard, key: &'static str) -> CardError {
    let next_step = match card.has(key) {
        true => "write it as a plain mapping, one key per line, or delete it, and try again",
        false => "write the keys as plain `key: value` lines, without `?`, and try again",
    };
    CardError::Layout { at: card.position_of(key), key, next_step }
}

/// What a node says, apart from where it stands and how its anchor happens to be numbered.
#[derive(Debug, PartialEq)]
struct Meaning<'d> {
    what: &'d What,
    tag: Option<&'d str>,
    anchor: usize,
    length: usize,
}

fn meaning(card: &ModelCard, entries: impl Fn(&Document) -> Vec<Entry>) -> Vec<Meaning<'_>> {
    let Some(Front { document, .. }) = card.front() else { return Vec::new() };
    let mut numbers = HashMap::from([(0, 0)]);
    let indices = entries(document).into_iter().flat_map(|entry| entry.key..entry.end);
    let nodes = indices.filter_map(|index| Some((index, document.nodes.get(index)?)));
    nodes
        .map(|(index, node)| {
            let next = numbers.len();
            let anchor = *numbers.entry(node.anchor).or_insert(next);
            Meaning { what: &node.what, tag: node.tag.as_deref(), anchor, length: node.end - index }
        })
        .collect()
}

fn others<'d>(document: &'d Document, key: &'static str) -> impl Iterator<Item = Entry> + 'd {
    document.top().filter(move |entry| document.name(*entry) != Some(key))
}

/// Whether the emissions begin with these lines, in this order, and hold no second of our keys.
pub(crate) fn are_written(document: &Document, lines: &[(&'static str, String)]) -> bool {
    let Some(own) = document.find(KEY) else { return false };
    let reads_as = |(entry, (key, value)): (Entry, &(&str, String))| {
        let written = match document.nodes.get(entry.value).map(|node| &node.what) {
            Some(What::Scalar(text, ScalarStyle::Plain)) => text == value,
            Some(What::Scalar(text, ScalarStyle::DoubleQuoted)) => quoted(text) == *value,
            _ => false,
        };
        written && document.name(entry) == Some(key)
    };
    let ours = document.entries(own.value).filter(|entry| is_own(document, *entry)).count();
    ours == lines.len() && document.entries(own.value).zip(lines).all(reads_as)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(yaml: &str) -> ModelCard {
        ModelCard::parse(format!("---\n{yaml}---\nbody\n")).unwrap()
    }

    #[test]
    fn a_change_of_any_other_key_is_noticed() {
        let before = card("license: mit\ntags: [a]\n");
        let is_noticed = |after: ModelCard| only_changed(&before, &after, KEY).is_err();
        assert!(!is_noticed(card("co2_eq_emissions: 1\nlicense: mit\ntags: [a]\n")));
        assert!(is_noticed(card("license: mit\n")));
        assert!(is_noticed(card("license: mit\ntags: [b]\n")));
        assert!(is_noticed(card("tags: [a]\nlicense: mit\n")));
        assert!(is_noticed(card("license: 'mit'\ntags: [a]\n")));
        assert!(is_noticed(ModelCard::parse("---\nlicense: mit\ntags: [a]\n---\nother\n").unwrap()));
    }

    #[test]
    fn anchors_count_by_what_they_anchor() {
        let before = card("a: &x [1]\nb: *x\n");
        let is_noticed = |after: &str| only_changed(&before, &card(after), KEY).is_err();
        assert!(!is_noticed("co2_eq_emissions: &z 0\na: &y   [1] # c\nb: *y\n"));
        for different in
            ["a: &x [2]\nb: *x\n", "a: &x ['1']\nb: *x\n", "a: &x [1]\nb: [1]\n", "a: &x [[1]]\nb: *x\n"]
        {
            assert!(is_noticed(different), "{different}");
        }
    }

    #[test]
    fn emissions_that_are_not_as_written_are_noticed() {
        let before = card("co2_eq_emissions: {emissions: 1, gpu: T4}\n");
        let lines = [("emissions", "2.5".to_owned()), ("source", "\"x\"".to_owned())];
        let is_noticed = |yaml: &str| {
            emissions_are(&before, &card(&format!("co2_eq_emissions: {yaml}\n")), &lines).is_err()
        };
        assert!(!is_noticed("{emissions: 2.5, source: \"x\", gpu: T4}"));
        assert!(is_noticed("{emissions: 2.5, gpu: T4}"), "a line is missing");
        assert!(is_noticed("{emissions: 2.5, source: \"x\"}"), "a foreign key is missing");
        assert!(is_noticed("{emissions: 2.5, source: \"x\", gpu: A100}"), "a foreign key is another");
        assert!(is_noticed("{emissions: 2.6, source: \"x\", gpu: T4}"), "a number is another");
        assert!(is_noticed("{emissions: \"2.5\", source: \"x\", gpu: T4}"), "a number is a text");
        assert!(is_noticed("{gpu: T4, emissions: 2.5, source: \"x\"}"), "the order is another");
        assert!(
            is_noticed("{emissions: 2.5, source: \"x\", gpu: T4, energy_consumed: 1}"),
            "an old line is left"
        );
        assert!(is_noticed("2.5"));
    }
}
