//! The YAML of the front matter, checked and flattened into nodes with byte positions.

use std::collections::HashMap;
use std::iter;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::error::{CardError, Position};

/// A YAML mapping with one key per line, as a list of nodes in the order of the text.
///
/// The children of a collection follow it directly, up to its `end`, so nothing recurses, however deep the nesting.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct YamlDocument {
    pub(crate) nodes: Vec<YamlNode>,
    /// The bytes of `{}` in the card, if that is the whole document: the first key replaces it.
    pub(crate) empty_braces: Option<Range<usize>>,
}

/// A scalar, an alias, or the start of a collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlNode {
    pub(crate) kind: NodeKind,
    pub(crate) tag: Option<String>,
    /// The number of the node's anchor, or for an alias, of the anchor it refers to; 0 for none.
    pub(crate) anchor: usize,
    /// Its bytes in the card, including anchor and tag. For a collection without braces, only its start.
    pub(crate) span: Range<usize>,
    /// The index after its last child.
    pub(crate) end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NodeKind {
    Scalar(String, ScalarStyle),
    Alias,
    /// With braces (`flow`) or with one key per line.
    Mapping {
        flow: bool,
    },
    Sequence,
}

/// A key and its value, as indices of nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct YamlEntry {
    pub(crate) key: usize,
    pub(crate) value: usize,
    pub(crate) end: usize,
}

impl YamlDocument {
    /// Parses and checks the YAML at `yaml` in the card's text.
    ///
    /// # Errors
    /// Everything that the Hub's parsers reject or interpret differently, with its position in the card.
    pub(crate) fn parse(text: &str, yaml: Range<usize>) -> Result<Self, CardError> {
        let bytes = ByteOffsets::new(text, yaml.clone());
        let mut document = Self::default();
        let mut open = Vec::new();
        let mut documents = 0;
        for event in Parser::new_from_str(&text[yaml]) {
            let (event, span) = event.map_err(|error| syntax_error(text, &bytes, &error))?;
            let span = bytes.byte_at(span.start)..bytes.byte_at(span.end);
            let node = |what, tag: Option<_>, anchor| YamlNode {
                kind: what,
                tag: tag.map(|tag: std::borrow::Cow<'_, Tag>| tag.to_string()),
                anchor,
                span: span.clone(),
                end: 0,
            };
            let is_flow = text[span.clone()].ends_with(['{', '[']);
            match event {
                Event::Scalar(value, style, anchor, tag) => {
                    document.push_node(node(NodeKind::Scalar(value.into_owned(), style), tag, anchor));
                }
                Event::Alias(anchor) => document.push_node(node(NodeKind::Alias, None, anchor)),
                Event::MappingStart(anchor, tag) => {
                    open.push(document.nodes.len());
                    document.push_node(node(NodeKind::Mapping { flow: is_flow }, tag, anchor));
                }
                Event::SequenceStart(anchor, tag) => {
                    open.push(document.nodes.len());
                    document.push_node(node(NodeKind::Sequence, tag, anchor));
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    document.close_collection(open.pop(), &text[span.clone()], span.end)
                }
                Event::DocumentStart(_) if documents > 0 => return Err(multiple_documents(text, span.start)),
                Event::DocumentStart(_) => documents += 1,
                Event::DocumentEnd if !span.is_empty() => return Err(multiple_documents(text, span.start)),
                Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
            }
        }
        document.take_empty_braces();
        document.check_root(text)?;
        document.check_duplicate_keys(text)?;
        Ok(document)
    }

    /// The top-level entries.
    pub(crate) fn top_level_entries(&self) -> impl Iterator<Item = YamlEntry> + '_ {
        self.entries(0)
    }

    /// The top-level entry with this key.
    pub(crate) fn find_entry(&self, name: &str) -> Option<YamlEntry> {
        self.top_level_entries().find(|entry| self.entry_key(*entry) == Some(name))
    }

    /// The entries of a mapping; empty for any other node.
    pub(crate) fn entries(&self, mapping: usize) -> impl Iterator<Item = YamlEntry> + '_ {
        let end = match self.nodes.get(mapping) {
            Some(node) if matches!(node.kind, NodeKind::Mapping { .. }) => node.end,
            _ => mapping,
        };
        let mut key = mapping + 1;
        iter::from_fn(move || {
            let value = self.nodes.get(key).filter(|_| key < end)?.end;
            let entry = YamlEntry { key, value, end: self.nodes.get(value)?.end };
            key = entry.end;
            Some(entry)
        })
    }

    /// The text of the key; `None` if it is not a scalar.
    pub(crate) fn entry_key(&self, entry: YamlEntry) -> Option<&str> {
        self.scalar_text(entry.key)
    }

    /// The text of a scalar of any style.
    pub(crate) fn scalar_text(&self, node: usize) -> Option<&str> {
        match &self.nodes.get(node)?.kind {
            NodeKind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The node that an alias refers to; any other node itself.
    pub(crate) fn resolve_alias(&self, node: usize) -> usize {
        match self.nodes.get(node) {
            Some(YamlNode { kind: NodeKind::Alias, anchor, .. }) => {
                self.anchor_target(*anchor).unwrap_or(node)
            }
            _ => node,
        }
    }

    /// The node with the anchor of this number.
    pub(crate) fn anchor_target(&self, anchor: usize) -> Option<usize> {
        self.nodes.iter().position(|node| node.anchor == anchor && node.kind != NodeKind::Alias)
    }

    fn push_node(&mut self, mut node: YamlNode) {
        node.end = self.nodes.len() + 1;
        self.nodes.push(node);
    }

    /// Ends a collection. Only a closing brace or bracket extends its span: any other end comes after comments that do not
    /// belong to it.
    fn close_collection(&mut self, collection: Option<usize>, closing: &str, end: usize) {
        let next_index = self.nodes.len();
        if let Some(node) = collection.and_then(|index| self.nodes.get_mut(index)) {
            node.end = next_index;
            if matches!(closing, "}" | "]") {
                node.span.end = end;
            }
        }
    }

    /// Treats `{}` as a document without keys, as the Hub's client writes an empty card.
    fn take_empty_braces(&mut self) {
        if let [YamlNode { kind: NodeKind::Mapping { flow: true }, tag: None, anchor: 0, span, .. }] =
            &*self.nodes
        {
            self.empty_braces = Some(span.clone());
            self.nodes.clear();
        }
    }

    fn check_root(&self, text: &str) -> Result<(), CardError> {
        let Some(root) = self.nodes.first() else { return Ok(()) };
        let found = match root.kind {
            NodeKind::Mapping { flow: false } => return Ok(()),
            NodeKind::Mapping { flow: true } => "a mapping in braces",
            NodeKind::Sequence => "a list",
            NodeKind::Scalar(..) | NodeKind::Alias => "plain text",
        };
        Err(CardError::NotAMapping { at: Position::at_offset(text, root.span.start), found })
    }

    /// Rejects a duplicate key at any depth. Only `<<` may be repeated: each one is merged.
    fn check_duplicate_keys(&self, text: &str) -> Result<(), CardError> {
        for mapping in 0..self.nodes.len() {
            let mut seen = HashMap::new();
            for entry in self.entries(mapping) {
                let (Some(name), Some(node)) = (self.entry_key(entry), self.nodes.get(entry.key)) else {
                    continue;
                };
                let here = node.span.start;
                match seen.insert(name, here) {
                    Some(first) if name != "<<" => {
                        return Err(CardError::DuplicateKey {
                            key: name.to_owned(),
                            first: Position::at_offset(text, first),
                            second: Position::at_offset(text, here),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Converts the parser's marks, which count characters, to byte offsets.
struct ByteOffsets {
    bytes: Vec<usize>,
    end: usize,
}

impl ByteOffsets {
    fn new(text: &str, yaml: Range<usize>) -> Self {
        let bytes = text[yaml.clone()].char_indices().map(|(byte, _)| yaml.start + byte).collect();
        Self { bytes, end: yaml.end }
    }

    /// The byte of a mark. The mark of an error at the end is one character beyond it.
    fn byte_at(&self, mark: Marker) -> usize {
        self.bytes.get(mark.index()).copied().unwrap_or(self.end)
    }
}

fn multiple_documents(text: &str, at: usize) -> CardError {
    CardError::MultipleDocuments { at: Position::at_offset(text, at) }
}

/// The parser's error. Several of its messages are caused by a tab, which is reported as such.
fn syntax_error(text: &str, bytes: &ByteOffsets, error: &ScanError) -> CardError {
    let byte = bytes.byte_at(*error.marker());
    let line_start = text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = text[line_start..].trim_start_matches([' ', '\t']);
    let before_content = text.len() - indent.len();
    let tab = match text[..byte].ends_with('\t') {
        true => Some(byte - 1),
        false => text[line_start..before_content].find('\t').map(|tab| line_start + tab),
    };
    match tab {
        Some(tab) => CardError::UnexpectedTab { at: Position::at_offset(text, tab) },
        None => {
            CardError::InvalidYaml { at: Position::at_offset(text, byte), reason: error.info().to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_document(yaml: &str) -> YamlDocument {
        YamlDocument::parse(yaml, 0..yaml.len()).unwrap()
    }

    fn parse_error(yaml: &str) -> String {
        YamlDocument::parse(yaml, 0..yaml.len()).unwrap_err().to_string()
    }

    #[test]
    fn entries_have_byte_spans() {
        let yaml = "é: 1\n\"two\": {a: [1, 2], b}\nthree:\n  - x\n  - y: z\nfour:\n";
        let document = parse_document(yaml);
        let names: Vec<_> =
            document.top_level_entries().filter_map(|entry| document.entry_key(entry)).collect();
        assert_eq!(names, ["é", "two", "three", "four"]);
        let two = document.find_entry("two").unwrap();
        assert_eq!(&yaml[document.nodes[two.key].span.clone()], "\"two\"");
        assert_eq!(&yaml[document.nodes[two.value].span.clone()], "{a: [1, 2], b}");
        let inner: Vec<_> =
            document.entries(two.value).filter_map(|entry| document.entry_key(entry)).collect();
        assert_eq!(inner, ["a", "b"]);
        assert_eq!(document.entries(document.find_entry("three").unwrap().value).count(), 0);
    }

    #[test]
    fn comments_only_is_empty_mapping() {
        assert_eq!(parse_document("").top_level_entries().count(), 0);
        assert_eq!(parse_document("\n# only a comment\n").top_level_entries().count(), 0);
    }

    #[test]
    fn alias_resolves_to_anchor() {
        let document = parse_document("a: &x 12\nb: *x\nc: &x 13\nd: *x\n");
        let value = |name| {
            document.scalar_text(document.resolve_alias(document.find_entry(name).unwrap().value)).unwrap()
        };
        assert_eq!((value("b"), value("d")), ("12", "13"));
    }

    #[test]
    fn errors_report_position() {
        assert_eq!(
            parse_error("a: 1\nb: 2\na: 3\n"),
            "line 3, column 1: duplicate key `a` (first defined at line 1, column 1)"
        );
        assert!(
            parse_error("a:\n  b: {c: 1, c: 2}\n")
                .starts_with("line 2, column 13: duplicate key `c` (first defined at line 2, column 7)")
        );
        assert_eq!(
            parse_error("a:\n\tb: 1\n"),
            "line 2, column 1: tab not allowed in YAML; replace it with spaces"
        );
        assert_eq!(
            parse_error("a:\tb\n"),
            "line 1, column 3: tab not allowed in YAML; replace it with spaces"
        );
        assert!(parse_error("a: b: c\n").starts_with("line 1, column 5: invalid YAML: "));
        assert!(parse_error("é: 'x\n").starts_with("line 1, column 4: invalid YAML: "));
        assert!(
            parse_error("- a\n")
                .starts_with("line 1, column 1: expected one `key: value` per line, found a list")
        );
        assert!(
            parse_error("{a: 1}\n").starts_with(
                "line 1, column 1: expected one `key: value` per line, found a mapping in braces"
            )
        );
        assert!(
            parse_error("just text\n")
                .starts_with("line 1, column 1: expected one `key: value` per line, found plain text")
        );
        assert!(parse_error("a: 1\n...\n").starts_with("line 2, column 1: this line ends the YAML document"));
    }

    #[test]
    fn merge_keys_may_repeat() {
        assert_eq!(parse_document("<<: {a: 1}\n<<: {b: 1}\n").top_level_entries().count(), 2);
    }

    #[test]
    fn deep_nesting_does_not_overflow_stack() {
        let lists = format!("a:\n  {}x\n", "- ".repeat(5_000));
        assert_eq!(parse_document(&lists).nodes.len(), 5_003);
        // The parser itself allows at most 255 brackets.
        assert!(parse_error(&format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000))).contains("limit"));
    }
}
