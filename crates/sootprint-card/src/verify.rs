//! The check after each edit: apart from the edited keys, the card has the same content as before.

use std::collections::HashMap;

use saphyr_parser::ScalarStyle;

use crate::card::{FrontMatter, ModelCard};
use crate::emissions_block::{EMISSIONS_KEY, is_managed_key};
use crate::error::CardError;
use crate::yaml::{NodeKind, YamlDocument, YamlEntry, YamlNode};
use crate::yaml_quote::double_quote;

/// Whether every key except these has its place and its value, and the body is the same. With `keeps_foreign`, the
/// subkeys of `co2_eq_emissions` that this crate does not write have to be the same, too.
pub(crate) fn is_otherwise_equal(
    before: &ModelCard,
    after: &ModelCard,
    keys: &[&str],
    keeps_foreign: bool,
) -> bool {
    let kept = |card| {
        node_contents(card, |document| {
            let others = document
                .top_level_entries()
                .filter(|entry| !document.entry_key(*entry).is_some_and(|key| keys.contains(&key)));
            let emissions = document.find_entry(EMISSIONS_KEY).filter(|_| keeps_foreign);
            let subkeys = emissions.into_iter().flat_map(|entry| document.entries(entry.value));
            others.chain(subkeys.filter(|entry| !is_managed_key(document, *entry))).collect()
        })
    };
    kept(before) == kept(after) && before.body() == after.body()
}

/// Whether a key has this value, which ends with a line break if it is a mapping. A number has to be plain and a text
/// quoted; the style of the quotes, and braces, make no difference.
pub(crate) fn value_equals(card: &ModelCard, key: &str, value: &str) -> bool {
    let (wanted, at) = match value.ends_with('\n') {
        true => (value.to_owned(), 0),
        false => (format!("key: {value}\n"), 2),
    };
    let Ok(wanted) = YamlDocument::parse(&wanted, 0..wanted.len()) else { return false };
    let Some(FrontMatter { document, .. }) = card.front_matter() else { return false };
    let Some(entry) = document.find_entry(key) else { return false };
    let found = document.nodes.get(entry.value..entry.end).unwrap_or_default();
    let wanted_nodes = wanted.nodes.get(at..).unwrap_or_default();
    let is_same = |(index, (found, wanted)): (usize, (&YamlNode, &YamlNode))| {
        let is_same = match (&found.kind, &wanted.kind) {
            (NodeKind::Scalar(found, style), NodeKind::Scalar(wanted, other)) => {
                let is_plain = |style: &ScalarStyle| *style == ScalarStyle::Plain;
                found == wanted && is_plain(style) == is_plain(other)
            }
            (NodeKind::Mapping { .. }, NodeKind::Mapping { .. })
            | (NodeKind::Sequence, NodeKind::Sequence) => true,
            _ => false,
        };
        is_same && found.end - entry.value - index == wanted.end - at - index
    };
    found.len() == wanted_nodes.len() && found.iter().zip(wanted_nodes).enumerate().all(is_same)
}

/// The error for an edit that would change more than its own key.
pub(crate) fn unsupported_layout(card: &ModelCard, key: &'static str) -> CardError {
    let next_step = match card.has_key(key) {
        true => "write it as a plain mapping, one key per line, or delete it",
        false => "write the keys as plain `key: value` lines, without `?`",
    };
    CardError::UnsupportedLayout { at: card.key_position(key), key, next_step }
}

/// The content of a node, without its position. Anchors are numbered by their first use.
#[derive(Debug, PartialEq)]
struct NodeContent<'d> {
    kind: &'d NodeKind,
    tag: Option<&'d str>,
    anchor: usize,
    length: usize,
}

fn node_contents(
    card: &ModelCard,
    entries: impl Fn(&YamlDocument) -> Vec<YamlEntry>,
) -> Vec<NodeContent<'_>> {
    let Some(FrontMatter { document, .. }) = card.front_matter() else { return Vec::new() };
    let mut numbers = HashMap::from([(0, 0)]);
    let indices = entries(document).into_iter().flat_map(|entry| entry.key..entry.end);
    let nodes = indices.filter_map(|index| Some((index, document.nodes.get(index)?)));
    nodes
        .map(|(index, node)| {
            let next = numbers.len();
            let anchor = *numbers.entry(node.anchor).or_insert(next);
            NodeContent { kind: &node.kind, tag: node.tag.as_deref(), anchor, length: node.end - index }
        })
        .collect()
}

/// Whether the emissions start with these lines, in this order, and contain no other managed key.
pub(crate) fn emissions_match(document: &YamlDocument, lines: &[(&'static str, String)]) -> bool {
    let Some(emissions_entry) = document.find_entry(EMISSIONS_KEY) else { return false };
    let reads_as = |(entry, (key, value)): (YamlEntry, &(&str, String))| {
        let written = match document.nodes.get(entry.value).map(|node| &node.kind) {
            Some(NodeKind::Scalar(text, ScalarStyle::Plain)) => text == value,
            Some(NodeKind::Scalar(text, ScalarStyle::DoubleQuoted)) => double_quote(text) == *value,
            _ => false,
        };
        written && document.entry_key(entry) == Some(key)
    };
    let managed_count =
        document.entries(emissions_entry.value).filter(|entry| is_managed_key(document, *entry)).count();
    managed_count == lines.len() && document.entries(emissions_entry.value).zip(lines).all(reads_as)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_card(yaml: &str) -> ModelCard {
        ModelCard::parse(format!("---\n{yaml}---\nbody\n")).unwrap()
    }

    #[test]
    fn change_of_other_key_is_detected() {
        let before = parse_card("license: mit\ntags: [a]\n");
        let is_detected = |after: ModelCard| !is_otherwise_equal(&before, &after, &[EMISSIONS_KEY], false);
        assert!(!is_detected(parse_card("co2_eq_emissions: 1\nlicense: mit\ntags: [a]\n")));
        assert!(is_detected(parse_card("license: mit\n")));
        assert!(is_detected(parse_card("license: mit\ntags: [b]\n")));
        assert!(is_detected(parse_card("tags: [a]\nlicense: mit\n")));
        assert!(is_detected(parse_card("license: 'mit'\ntags: [a]\n")));
        assert!(is_detected(ModelCard::parse("---\nlicense: mit\ntags: [a]\n---\nother\n").unwrap()));
    }

    #[test]
    fn anchors_compare_by_target() {
        let before = parse_card("a: &x [1]\nb: *x\n");
        let is_detected =
            |after: &str| !is_otherwise_equal(&before, &parse_card(after), &[EMISSIONS_KEY], false);
        assert!(!is_detected("co2_eq_emissions: &z 0\na: &y   [1] # c\nb: *y\n"));
        for different in
            ["a: &x [2]\nb: *x\n", "a: &x ['1']\nb: *x\n", "a: &x [1]\nb: [1]\n", "a: &x [[1]]\nb: *x\n"]
        {
            assert!(is_detected(different), "{different}");
        }
    }

    #[test]
    fn wrong_emissions_are_detected() {
        let before = parse_card("co2_eq_emissions: {emissions: 1, gpu: T4}\n");
        let lines = [("emissions", "2.5".to_owned()), ("source", "\"x\"".to_owned())];
        let is_detected = |yaml: &str| {
            let after = parse_card(&format!("co2_eq_emissions: {yaml}\n"));
            let document = &after.front_matter().unwrap().document;
            !emissions_match(document, &lines) || !is_otherwise_equal(&before, &after, &[EMISSIONS_KEY], true)
        };
        assert!(!is_detected("{emissions: 2.5, source: \"x\", gpu: T4}"));
        assert!(is_detected("{emissions: 2.5, gpu: T4}"), "a line is missing");
        assert!(is_detected("{emissions: 2.5, source: \"x\"}"), "a foreign key is missing");
        assert!(is_detected("{emissions: 2.5, source: \"x\", gpu: A100}"), "a foreign key differs");
        assert!(is_detected("{emissions: 2.6, source: \"x\", gpu: T4}"), "a number differs");
        assert!(is_detected("{emissions: \"2.5\", source: \"x\", gpu: T4}"), "a number is a text");
        assert!(is_detected("{gpu: T4, emissions: 2.5, source: \"x\"}"), "the order differs");
        assert!(
            is_detected("{emissions: 2.5, source: \"x\", gpu: T4, energy_consumed: 1}"),
            "an old line is left"
        );
        assert!(is_detected("2.5"));
    }
}
