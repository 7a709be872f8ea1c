//! The front matter's YAML: checked, and flattened into nodes that know their bytes.

use std::collections::HashMap;
use std::iter;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::error::{CardError, Position};

/// A YAML mapping, one key per line, as a list of nodes in the order of the text.
///
/// A collection's children follow it directly, up to its `end`: nothing recurses, however deep a card nests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Document {
    pub(crate) nodes: Vec<Node>,
}

/// A scalar, an alias, or the head of a collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) tag: Option<String>,
    /// The number of the anchor that it has, or that it repeats; 0 for none.
    pub(crate) anchor: usize,
    /// Its bytes in the card, anchor and tag included. Of a collection without braces only where it begins.
    pub(crate) span: Range<usize>,
    /// The index behind its last child.
    pub(crate) end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Scalar(String, ScalarStyle),
    Alias,
    /// In braces or one key per line.
    Mapping {
        braces: bool,
    },
    Sequence,
}

/// A key and its value, as indices of nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: usize,
    pub(crate) value: usize,
    pub(crate) end: usize,
}

impl Document {
    /// Reads and checks the YAML at `yaml` in the card's text.
    ///
    /// # Errors
    /// Everything that the Hub's parsers refuse or read in different ways, with its place in the card.
    pub(crate) fn parse(text: &str, yaml: Range<usize>) -> Result<Self, CardError> {
        let bytes = Offsets::new(text, yaml.clone());
        let mut document = Self::default();
        let mut open = Vec::new();
        let mut documents = 0;
        for event in Parser::new_from_str(&text[yaml]) {
            let (event, span) = event.map_err(|error| malformed(text, &bytes, &error))?;
            let span = bytes.of(span.start)..bytes.of(span.end);
            let node = |what, tag: Option<_>, anchor| Node {
                what,
                tag: tag.map(|tag: std::borrow::Cow<'_, Tag>| tag.to_string()),
                anchor,
                span: span.clone(),
                end: 0,
            };
            let in_braces = text[span.clone()].ends_with(['{', '[']);
            match event {
                Event::Scalar(value, style, anchor, tag) => {
                    document.push(node(What::Scalar(value.into_owned(), style), tag, anchor));
                }
                Event::Alias(anchor) => document.push(node(What::Alias, None, anchor)),
                Event::MappingStart(anchor, tag) => {
                    open.push(document.nodes.len());
                    document.push(node(What::Mapping { braces: in_braces }, tag, anchor));
                }
                Event::SequenceStart(anchor, tag) => {
                    open.push(document.nodes.len());
                    document.push(node(What::Sequence, tag, anchor));
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    document.close(open.pop(), &text[span.clone()], span.end)
                }
                Event::DocumentStart(_) if documents > 0 => return Err(ends_early(text, span.start)),
                Event::DocumentStart(_) => documents += 1,
                Event::DocumentEnd if !span.is_empty() => return Err(ends_early(text, span.start)),
                Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
            }
        }
        document.check_root(text)?;
        document.check_keys(text)?;
        Ok(document)
    }

    /// The keys of the card.
    pub(crate) fn top(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries(0)
    }

    /// The entry of a key of the card.
    pub(crate) fn find(&self, name: &str) -> Option<Entry> {
        self.top().find(|entry| self.name(*entry) == Some(name))
    }

    /// The entries of a mapping; none when the node is something else.
    pub(crate) fn entries(&self, mapping: usize) -> impl Iterator<Item = Entry> + '_ {
        let end = match self.nodes.get(mapping) {
            Some(node) if matches!(node.what, What::Mapping { .. }) => node.end,
            _ => mapping,
        };
        let mut key = mapping + 1;
        iter::from_fn(move || {
            let value = self.nodes.get(key).filter(|_| key < end)?.end;
            let entry = Entry { key, value, end: self.nodes.get(value)?.end };
            key = entry.end;
            Some(entry)
        })
    }

    /// The text of the key; none when it is not a scalar.
    pub(crate) fn name(&self, entry: Entry) -> Option<&str> {
        self.text(entry.key)
    }

    /// The text of a scalar, whatever its style.
    pub(crate) fn text(&self, node: usize) -> Option<&str> {
        match &self.nodes.get(node)?.what {
            What::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The node that an alias repeats; any other node is itself.
    pub(crate) fn resolve(&self, node: usize) -> usize {
        match self.nodes.get(node) {
            Some(Node { what: What::Alias, anchor, .. }) => self.anchored(*anchor).unwrap_or(node),
            _ => node,
        }
    }

    /// The node with the anchor of this number.
    pub(crate) fn anchored(&self, anchor: usize) -> Option<usize> {
        self.nodes.iter().position(|node| node.anchor == anchor && node.what != What::Alias)
    }

    fn push(&mut self, mut node: Node) {
        node.end = self.nodes.len() + 1;
        self.nodes.push(node);
    }

    /// Ends a collection: the braces end its span, and what else ends one lies behind comments that are not its own.
    fn close(&mut self, collection: Option<usize>, closing: &str, end: usize) {
        let behind = self.nodes.len();
        if let Some(node) = collection.and_then(|index| self.nodes.get_mut(index)) {
            node.end = behind;
            if matches!(closing, "}" | "]") {
                node.span.end = end;
            }
        }
    }

    fn check_root(&self, text: &str) -> Result<(), CardError> {
        let Some(root) = self.nodes.first() else { return Ok(()) };
        let found = match root.what {
            What::Mapping { braces: false } => return Ok(()),
            What::Mapping { braces: true } => "a mapping in braces",
            What::Sequence => "a list",
            What::Scalar(..) | What::Alias => "a text",
        };
        Err(CardError::NoMapping { at: Position::of(text, root.span.start), found })
    }

    /// Refuses a key that stands twice in one mapping, at any depth. Only `<<` may: it merges both.
    fn check_keys(&self, text: &str) -> Result<(), CardError> {
        for mapping in 0..self.nodes.len() {
            let mut seen = HashMap::new();
            for entry in self.entries(mapping) {
                let (Some(name), Some(node)) = (self.name(entry), self.nodes.get(entry.key)) else {
                    continue;
                };
                let here = node.span.start;
                match seen.insert(name, here) {
                    Some(first) if name != "<<" => {
                        return Err(CardError::DuplicateKey {
                            key: name.to_owned(),
                            first: Position::of(text, first),
                            second: Position::of(text, here),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The bytes of the parser's marks, which count characters.
struct Offsets {
    bytes: Vec<usize>,
    end: usize,
}

impl Offsets {
    fn new(text: &str, yaml: Range<usize>) -> Self {
        let bytes = text[yaml.clone()].char_indices().map(|(byte, _)| yaml.start + byte).collect();
        Self { bytes, end: yaml.end }
    }

    /// The byte of a mark. An error at the end is marked one character beyond it.
    fn of(&self, mark: Marker) -> usize {
        self.bytes.get(mark.index()).copied().unwrap_or(self.end)
    }
}

fn ends_early(text: &str, at: usize) -> CardError {
    CardError::SeveralDocuments { at: Position::of(text, at) }
}

/// The parser's complaint; a tab, which hides behind several of them, gets its own name.
fn malformed(text: &str, bytes: &Offsets, error: &ScanError) -> CardError {
    let byte = bytes.of(*error.marker());
    let line_start = text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = text[line_start..].trim_start_matches([' ', '\t']);
    let before_content = text.len() - indent.len();
    let tab = match text[..byte].ends_with('\t') {
        true => Some(byte - 1),
        false => text[line_start..before_content].find('\t').map(|tab| line_start + tab),
    };
    match tab {
        Some(tab) => CardError::Tab { at: Position::of(text, tab) },
        None => CardError::Malformed { at: Position::of(text, byte), reason: error.info().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(yaml: &str) -> Document {
        Document::parse(yaml, 0..yaml.len()).unwrap()
    }

    fn refusal(yaml: &str) -> String {
        Document::parse(yaml, 0..yaml.len()).unwrap_err().to_string()
    }

    #[test]
    fn keys_and_values_are_found_with_their_bytes() {
        let yaml = "é: 1\n\"two\": {a: [1, 2], b}\nthree:\n  - x\n  - y: z\nfour:\n";
        let document = document(yaml);
        let names: Vec<_> = document.top().filter_map(|entry| document.name(entry)).collect();
        assert_eq!(names, ["é", "two", "three", "four"]);
        let two = document.find("two").unwrap();
        assert_eq!(&yaml[document.nodes[two.key].span.clone()], "\"two\"");
        assert_eq!(&yaml[document.nodes[two.value].span.clone()], "{a: [1, 2], b}");
        let inner: Vec<_> = document.entries(two.value).filter_map(|entry| document.name(entry)).collect();
        assert_eq!(inner, ["a", "b"]);
        assert_eq!(document.entries(document.find("three").unwrap().value).count(), 0);
    }

    #[test]
    fn nothing_and_comments_alone_are_an_empty_mapping() {
        assert_eq!(document("").top().count(), 0);
        assert_eq!(document("\n# only a comment\n").top().count(), 0);
    }

    #[test]
    fn an_alias_resolves_to_its_anchor() {
        let document = document("a: &x 12\nb: *x\nc: &x 13\nd: *x\n");
        let value = |name| document.text(document.resolve(document.find(name).unwrap().value)).unwrap();
        assert_eq!((value("b"), value("d")), ("12", "13"));
    }

    #[test]
    fn problems_name_their_place() {
        assert_eq!(
            refusal("a: 1\nb: 2\na: 3\n"),
            "line 3, column 1: `a` stands here and at line 1, column 1; keep one of them"
        );
        assert!(
            refusal("a:\n  b: {c: 1, c: 2}\n")
                .starts_with("line 2, column 13: `c` stands here and at line 2, column 7")
        );
        assert_eq!(
            refusal("a:\n\tb: 1\n"),
            "line 2, column 1: YAML allows no tab here; replace it by blanks"
        );
        assert_eq!(refusal("a:\tb\n"), "line 1, column 3: YAML allows no tab here; replace it by blanks");
        assert!(refusal("a: b: c\n").starts_with("line 1, column 5: the front matter is not YAML: "));
        assert!(refusal("é: 'x\n").starts_with("line 1, column 4: the front matter is not YAML: "));
        assert!(refusal("- a\n").starts_with("line 1, column 1: the front matter is a list"));
        assert!(refusal("{a: 1}\n").starts_with("line 1, column 1: the front matter is a mapping in braces"));
        assert!(refusal("just text\n").starts_with("line 1, column 1: the front matter is a text"));
        assert!(refusal("a: 1\n...\n").starts_with("line 2, column 1: the YAML ends here"));
    }

    #[test]
    fn merge_keys_may_repeat() {
        assert_eq!(document("<<: {a: 1}\n<<: {b: 1}\n").top().count(), 2);
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let lists = format!("a:\n  {}x\n", "- ".repeat(5_000));
        assert_eq!(document(&lists).nodes.len(), 5_003);
        // The parser itself stops at 255 brackets.
        assert!(refusal(&format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000))).contains("limit"));
    }
}
