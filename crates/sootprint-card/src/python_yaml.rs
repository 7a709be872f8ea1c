//! Finds YAML that Python's parser, which the Hub's client uses, rejects although it is valid YAML 1.2.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use crate::error::{CardError, Position};
use crate::python_value::Timestamp;
use crate::python_yaml_problem::PythonYamlProblem;
use crate::yaml::{NodeKind, YamlDocument, YamlEntry};

/// The tags of YAML 1.1 that a safe loader constructs.
const KNOWN_TAGS: [&str; 13] = [
    "null",
    "bool",
    "int",
    "float",
    "str",
    "seq",
    "map",
    "binary",
    "timestamp",
    "omap",
    "pairs",
    "set",
    "merge",
];
const CORE_TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// Checks the YAML at `yaml` in the card's text.
///
/// # Errors
/// [`CardError::NotReadByPython`] and [`CardError::UnexpectedTab`].
pub(crate) fn check(text: &str, yaml: Range<usize>, document: &YamlDocument) -> Result<(), CardError> {
    let error =
        |offset, problem| CardError::NotReadByPython { at: Position::at_offset(text, offset), problem };
    if let Some((offset, problem)) = invalid_character(text, yaml.clone()) {
        return Err(error(offset, problem));
    }
    if let Some(offset) = separating_tab(text, yaml, document) {
        return Err(CardError::UnexpectedTab { at: Position::at_offset(text, offset) });
    }
    for (index, node) in document.nodes.iter().enumerate() {
        let problem = tag_problem(node.tag.as_deref()).or_else(|| match &node.kind {
            NodeKind::Scalar(value, ScalarStyle::Plain) if node.tag.is_none() => scalar_problem(value),
            NodeKind::Mapping { .. } => {
                document.entries(index).find_map(|entry| entry_problem(document, entry))
            }
            _ => None,
        });
        if let Some(problem) = problem {
            return Err(error(node.span.start, problem));
        }
    }
    Ok(())
}

fn invalid_character(text: &str, yaml: Range<usize>) -> Option<(usize, PythonYamlProblem)> {
    text[yaml.clone()].char_indices().find_map(|(at, character)| {
        let problem = match character {
            '\u{85}' | '\u{2028}' | '\u{2029}' => PythonYamlProblem::LineSeparator { character },
            '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{fffd}' | '\u{10000}'.. => return None,
            character => PythonYamlProblem::ControlCharacter { character },
        };
        Some((yaml.start + at, problem))
    })
}

/// The first tab outside of quotes, block scalars and comments, where Python allows only spaces.
fn separating_tab(text: &str, yaml: Range<usize>, document: &YamlDocument) -> Option<usize> {
    let is_quoted = |style: &ScalarStyle| !matches!(style, ScalarStyle::Plain);
    let scalars: Vec<Range<usize>> = document
        .nodes
        .iter()
        .filter_map(|node| match &node.kind {
            NodeKind::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) => {
                Some(node.span.start..node.span.start + quoted_length(&text[node.span.clone()]))
            }
            NodeKind::Scalar(_, style) if is_quoted(style) => Some(node.span.clone()),
            _ => None,
        })
        .collect();
    let scalar_at = |at: usize| {
        let index = scalars.partition_point(|span| span.end <= at);
        scalars.get(index).filter(|span| span.start <= at)
    };
    let mut at = yaml.start;
    while let Some(found) = text[at..yaml.end].find(['\t', '#']) {
        at += found;
        if let Some(scalar) = scalar_at(at) {
            at = scalar.end.max(at + 1);
            continue;
        }
        if text[at..].starts_with('\t') {
            return Some(at);
        }
        let starts_comment = text[yaml.start..at].chars().next_back().is_none_or(char::is_whitespace);
        let line_end = text[at..yaml.end].find('\n').map_or(yaml.end, |newline| at + newline);
        at = if starts_comment { line_end } else { at + 1 };
    }
    None
}

/// The length of a quoted scalar; the parser's span may include blanks and a comment after it.
fn quoted_length(text: &str) -> usize {
    let Some(start) = text.find(['"', '\'']) else { return text.len() };
    let quote = &text[start..=start];
    let mut letters = text[start + 1..].char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let is_escape = quote == "\"" && letter == '\\';
        let is_doubled =
            quote == "'" && letter == '\'' && letters.peek().is_some_and(|(_, next)| *next == '\'');
        if is_escape || is_doubled {
            letters.next();
        } else if quote.starts_with(letter) {
            return start + 1 + at + 1;
        }
    }
    text.len()
}

fn tag_problem(tag: Option<&str>) -> Option<PythonYamlProblem> {
    let tag = tag?;
    let is_known = match tag.strip_prefix(CORE_TAG_PREFIX) {
        // The parser writes `!!str` as `!str` with the prefix of the core tags.
        Some(name) => KNOWN_TAGS.contains(&name.trim_start_matches('!')),
        // A single `!` makes a scalar a text.
        None => tag == "!",
    };
    (!is_known).then(|| PythonYamlProblem::CustomTag { tag: tag.to_owned() })
}

fn scalar_problem(value: &str) -> Option<PythonYamlProblem> {
    if value == "=" {
        return Some(PythonYamlProblem::PlainEquals);
    }
    let is_invalid = Timestamp::parse(value).is_some_and(|timestamp| !timestamp.exists());
    is_invalid.then(|| PythonYamlProblem::InvalidDate { date: value.to_owned() })
}

fn entry_problem(document: &YamlDocument, entry: YamlEntry) -> Option<PythonYamlProblem> {
    let kind = |node: usize| document.nodes.get(document.resolve_alias(node)).map(|node| &node.kind);
    if matches!(kind(entry.key), Some(NodeKind::Mapping { .. } | NodeKind::Sequence)) {
        return Some(PythonYamlProblem::CollectionAsKey);
    }
    let is_merge = document.entry_key(entry) == Some("<<")
        && matches!(kind(entry.key), Some(NodeKind::Scalar(_, ScalarStyle::Plain)));
    let is_mergeable = matches!(kind(entry.value), Some(NodeKind::Mapping { .. } | NodeKind::Sequence));
    (is_merge && !is_mergeable).then_some(PythonYamlProblem::InvalidMerge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(yaml: &str) -> Option<String> {
        let document = YamlDocument::parse(yaml, 0..yaml.len()).unwrap();
        check(yaml, 0..yaml.len(), &document).err().map(|error| error.to_string())
    }

    /// Each was rejected by PyYAML 6.0.3's safe loader.
    #[test]
    fn yaml_that_python_rejects_is_found() {
        for (yaml, at, reason) in [
            ("a: \"x\u{7}y\"\n", "line 1, column 6", "U+0007"),
            ("a: x\u{2028}y\nb: 1\n", "line 1, column 5", "U+2028"),
            ("a: mit\t\n", "line 1, column 7", "tab"),
            ("a: x\ty\n", "line 1, column 5", "tab"),
            ("a: 'x'\t# c\n", "line 1, column 7", "tab"),
            ("a: !foo bar\n", "line 1, column 4", "tag `!foo`"),
            ("a: {{ license }}\n", "line 1, column 4", "as a key"),
            ("a:\n  [1]: 2\n", "line 2, column 3", "as a key"),
            ("a: 2026-02-30\n", "line 1, column 4", "does not exist"),
            ("a: 2026-13-01 10:20:30\n", "line 1, column 4", "does not exist"),
            ("a: 2026-1-32T1:02:03Z\n", "line 1, column 4", "does not exist"),
            ("a: 2026-01-01 25:20:30\n", "line 1, column 4", "does not exist"),
            ("a: 2026-01-01 10:20:61\n", "line 1, column 4", "does not exist"),
            ("a: 2026-01-01 10:20:30 +25:00\n", "line 1, column 4", "does not exist"),
            ("a: =\n", "line 1, column 4", "plain `=`"),
            ("a:\n  <<: 1\n", "line 2, column 3", "`<<`"),
        ] {
            let error = error(yaml).unwrap_or_else(|| panic!("{yaml:?} is accepted"));
            assert!(error.starts_with(at) && error.contains(reason), "{yaml:?}: {error}");
        }
    }

    #[test]
    fn yaml_that_python_reads_is_accepted() {
        for yaml in [
            "a: \"x\ty\" # c\td\n",
            "a: |\n  x\ty\nb: 1\n",
            "a: 'it''s\t#'\n",
            "a: x#y # \t\n",
            "a: !!str 12\nb: !!float 1\n",
            "a: 2024-02-29\nb: '2026-02-30'\nc: 2026-1-77\n",
            "a: 2026-01-01 10:20:30.5 +1:00\nb: 2026-01-01  10:20:30\nc: 2026-13-01 a:b:c\nd: 2026-13-01 10:20\n",
            "a: \"=\"\nb: a=b\n",
            "x: &x {a: 1}\nb:\n  <<: *x\nc:\n  <<: [*x]\n",
            "a: é 😀\n",
        ] {
            assert_eq!(error(yaml), None, "{yaml:?}");
        }
    }
}
