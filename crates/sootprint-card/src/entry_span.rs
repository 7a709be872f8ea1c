//! The lines of a card that belong to a key.

use crate::yaml::{NodeKind, YamlDocument, YamlEntry};

/// The lines of a key and its value, as byte offsets of the whole text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EntrySpan {
    pub(crate) entry: YamlEntry,
    /// The start of the key's line.
    pub(crate) start: usize,
    /// The end of the value's last line, without its line break. Blank lines and comments below do not belong to it.
    pub(crate) end: usize,
    /// The start of the next key's line, or the end of the mapping around it.
    pub(crate) boundary: usize,
}

/// The lines of each entry of a mapping without braces. The mapping ends at `outer`.
pub(crate) fn entry_spans(
    text: &str,
    document: &YamlDocument,
    mapping: usize,
    outer: usize,
) -> Vec<EntrySpan> {
    let entries: Vec<_> = document.entries(mapping).collect();
    let starts: Vec<_> = entries
        .iter()
        .map(|entry| document.nodes.get(entry.key).map_or(outer, |key| line_start(text, key.span.start)))
        .collect();
    let boundaries = starts.iter().copied().skip(1).chain([outer]);
    entries
        .iter()
        .zip(&starts)
        .zip(boundaries)
        .map(|((entry, start), boundary)| EntrySpan {
            entry: *entry,
            start: *start,
            end: value_end(text, document, *entry, *start, boundary),
            boundary,
        })
        .collect()
}

impl EntrySpan {
    /// The spaces before the key; `None` if other characters precede it, as in `? key`.
    pub(crate) fn indent<'t>(&self, text: &'t str, document: &YamlDocument) -> Option<&'t str> {
        let key = document.nodes.get(self.entry.key)?;
        let indent = text.get(self.start..key.span.start)?;
        indent.chars().all(|character| character == ' ').then_some(indent)
    }
}

/// The byte after the colon of an entry; `None` if there is no colon on the key's line.
pub(crate) fn value_start(text: &str, document: &YamlDocument, entry: YamlEntry) -> Option<usize> {
    let end = document.nodes.get(entry.key)?.span.end;
    let rest = text.get(end..)?.trim_start_matches(' ');
    rest.starts_with(':').then(|| text.len() - rest.len() + 1)
}

/// The start of the line after the one that contains `at`.
pub(crate) fn next_line_start(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The end of the last line between `start` and `boundary` that belongs to the value.
fn value_end(text: &str, document: &YamlDocument, entry: YamlEntry, start: usize, boundary: usize) -> usize {
    let mut line_at = start;
    let mut end = start;
    for line in text[start..boundary].split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            end = line_end(text, line_at);
        }
        line_at += line.len();
    }
    // A line of a block scalar may look like a comment.
    let scalars = document.nodes.get(entry.key..entry.end).unwrap_or_default();
    let texts =
        scalars.iter().filter(|node| matches!(&node.kind, NodeKind::Scalar(text, _) if !text.is_empty()));
    texts
        .filter(|node| node.span.start < boundary)
        .map(|node| line_end(text, node.span.start + text[node.span.clone()].trim_end().len()))
        .fold(end, usize::max)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The end of the line that contains `at`, before its line break.
fn line_end(text: &str, at: usize) -> usize {
    let line = text[at..].split('\n').next().unwrap_or_default();
    at + line.strip_suffix('\r').unwrap_or(line).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_texts(yaml: &str) -> Vec<&str> {
        let document = YamlDocument::parse(yaml, 0..yaml.len()).unwrap();
        let spans = entry_spans(yaml, &document, 0, yaml.len());
        spans.iter().map(|span| &yaml[span.start..span.end]).collect()
    }

    #[test]
    fn value_ends_at_last_content_line() {
        assert_eq!(entry_texts("a: 1 # c\n# about b\n\nb:\n  - 2\n  # end\n"), ["a: 1 # c", "b:\n  - 2"]);
        assert_eq!(entry_texts("a: {x: 1,\r\n  y: 2} # c\r\n\r\nb:\r\n"), ["a: {x: 1,\r\n  y: 2} # c", "b:"]);
        assert_eq!(entry_texts("a:\n- \n-\nb: 1"), ["a:\n- \n-", "b: 1"]);
    }

    #[test]
    fn block_scalar_lines_resemble_comments() {
        assert_eq!(
            entry_texts("a: |\n  x\n  # y\n\n  # z\n\n# c\nb: 1\n"),
            ["a: |\n  x\n  # y\n\n  # z", "b: 1"]
        );
        assert_eq!(entry_texts("a: \"x\n  # y\"\nb: 1\n"), ["a: \"x\n  # y\"", "b: 1"]);
        assert_eq!(entry_texts("a: |+\n\n\nb: 1\n"), ["a: |+", "b: 1"]);
    }
}
