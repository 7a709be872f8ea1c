//! The lines of a card's body: which ones are prose, and where sections start and end.
//!
//! This is a line scanner instead of a Markdown parser. With `pulldown-cmark`, the property tests fail on bodies with a
//! bare carriage return: the parser ends a line there, the Hub's grammar and an edit do not, so a second edit differs from
//! the first. Its events also do not report whether a code block is closed, which decides where a new section goes.

use std::ops::Range;

/// A line of the body. All offsets are bytes of the whole body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MarkdownLine<'t> {
    pub(crate) start: usize,
    /// Without its line break.
    pub(crate) text: &'t str,
    /// The start of the line below.
    pub(crate) next_start: usize,
    /// Not code, not raw HTML such as `<pre>`, and not part of a multi-line comment.
    pub(crate) is_prose: bool,
}

/// A heading and the lines up to the next heading of any level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MarkdownSection<'t> {
    /// As written, possibly with tags and emphasis.
    pub(crate) title: &'t str,
    /// Indices of the lines below the heading.
    pub(crate) lines: Range<usize>,
}

/// The lines of a body, and the start of unterminated code, raw HTML or comment.
pub(crate) fn parse_lines(body: &str) -> (Vec<MarkdownLine<'_>>, Option<usize>) {
    let mut lines = Vec::new();
    let mut context: Option<(MarkdownContext, usize)> = None;
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        let text = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
        let opened = match context {
            Some(_) => None,
            None => MarkdownContext::opened_by(text),
        };
        lines.push(MarkdownLine {
            start,
            text,
            next_start: start + line.len(),
            is_prose: context.is_none() && opened.is_none(),
        });
        context = match (context, opened) {
            (Some((construct, _)), _) if construct.is_closed_by(text) => None,
            (None, Some(construct)) => Some((construct, start)),
            (inside, _) => inside,
        };
        start += line.len();
    }
    (lines, context.map(|(_, from)| from))
}

/// The sections of these lines. Text before the first heading is not part of a section.
pub(crate) fn parse_sections<'t>(lines: &[MarkdownLine<'t>]) -> Vec<MarkdownSection<'t>> {
    let mut sections: Vec<MarkdownSection<'t>> = Vec::new();
    let end_last = |sections: &mut Vec<MarkdownSection<'t>>, end: usize| {
        if let Some(last) = sections.last_mut() {
            last.lines.end = end;
        }
    };
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.is_prose) {
        let underlined =
            lines.get(index + 1).filter(|below| below.is_prose && is_setext_underline(below.text));
        let (title, below) = match (heading_title(line.text), underlined) {
            (Some(title), _) => (title, index + 1),
            (None, Some(_)) if is_paragraph(line.text) => (line.text.trim(), index + 2),
            _ => continue,
        };
        end_last(&mut sections, index);
        sections.push(MarkdownSection { title, lines: below..lines.len() });
    }
    sections
}

/// A construct in which lines are not prose.
#[derive(Debug, Clone, Copy, PartialEq)]
enum MarkdownContext {
    CodeFence {
        mark: char,
        length: usize,
    },
    /// An HTML block in which blank lines do not end the block, and the texts of which one ends it.
    Html(&'static [&'static str]),
}

/// The start of such an HTML block, in lower case, and the texts of which one ends it.
const HTML_BLOCKS: [(&str, &[&str]); 7] = [
    ("<!--", &["-->"]),
    ("<![cdata[", &["]]>"]),
    ("<?", &["?>"]),
    ("<pre", CLOSING_TAGS),
    ("<script", CLOSING_TAGS),
    ("<style", CLOSING_TAGS),
    ("<textarea", CLOSING_TAGS),
];

/// `CommonMark` does not require the tag that opened the block.
const CLOSING_TAGS: &[&str] = &["</pre>", "</script>", "</style>", "</textarea>"];

impl MarkdownContext {
    /// The construct that this line opens without closing it.
    fn opened_by(text: &str) -> Option<Self> {
        let content = strip_indent(text)?;
        if content.starts_with('<') {
            let content = content.to_ascii_lowercase();
            let (rest, ends) = HTML_BLOCKS.iter().find_map(|(start, ends)| {
                let rest = content.strip_prefix(start)?;
                let is_tag = !start.ends_with(|it: char| it.is_ascii_lowercase())
                    || rest.is_empty()
                    || rest.starts_with([' ', '\t', '>']);
                is_tag.then_some((rest, *ends))
            })?;
            return (!ends.iter().any(|end| rest.contains(end))).then_some(Self::Html(ends));
        }
        let mark = content.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = content.trim_start_matches(mark);
        let length = content.len() - info.len();
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self::CodeFence { mark, length })
    }

    fn is_closed_by(self, text: &str) -> bool {
        match self {
            Self::Html(ends) => {
                let text = text.to_ascii_lowercase();
                ends.iter().any(|end| text.contains(end))
            }
            Self::CodeFence { mark, length } => strip_indent(text).is_some_and(|content| {
                let rest = content.trim_start_matches(mark);
                content.len() - rest.len() >= length && rest.trim().is_empty()
            }),
        }
    }
}

/// The line without its indentation; `None` if it is indented so far that it is code.
pub(crate) fn strip_indent(text: &str) -> Option<&str> {
    let content = text.trim_start_matches(' ');
    (text.len() - content.len() <= 3 && !content.starts_with('\t')).then_some(content)
}

/// The title of `## Title ##` or `<h2>Title</h2>`.
fn heading_title(text: &str) -> Option<&str> {
    let content = strip_indent(text)?;
    if content.starts_with('<') {
        return html_heading_title(content);
    }
    let title = content.trim_start_matches('#');
    let level = content.len() - title.len();
    let is_heading = (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t']));
    is_heading.then(|| title.trim().trim_end_matches('#').trim_end())
}

/// The title of a heading that starts and ends on this line, as in `<h2 align="center">Title</h2>`.
fn html_heading_title(content: &str) -> Option<&str> {
    let level = content.strip_prefix("<h").or_else(|| content.strip_prefix("<H"))?;
    let tag = level.strip_prefix(['1', '2', '3', '4', '5', '6'])?;
    let (attributes, title) = tag.split_once('>')?;
    let (title, closing) = title.rsplit_once("</")?;
    let is_closed = closing.trim_end().len() == 3 && closing.starts_with(['h', 'H']);
    (is_closed && (attributes.is_empty() || attributes.starts_with([' ', '\t']))).then(|| title.trim())
}

/// Whether a line of `===` or `---` makes the line above it a heading.
fn is_setext_underline(text: &str) -> bool {
    let line = strip_indent(text).unwrap_or_default().trim_end();
    !line.is_empty() && (line.chars().all(|mark| mark == '=') || line.chars().all(|mark| mark == '-'))
}

/// Whether a line can be a heading by underlining: text that is not a list, quotation, table or HTML.
fn is_paragraph(text: &str) -> bool {
    let Some(content) = strip_indent(text) else { return false };
    let is_list = ["- ", "* ", "+ "].iter().any(|bullet| content.starts_with(bullet));
    !content.trim().is_empty()
        && !is_list
        && !content.starts_with(['>', '|', '<', '#'])
        && !is_setext_underline(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(body: &str) -> Vec<&str> {
        parse_sections(&parse_lines(body).0).into_iter().map(|section| section.title).collect()
    }

    #[test]
    fn atx_and_setext_headings_are_found() {
        assert_eq!(titles("# A\n\n  ## B ##\r\n###### C\n####### no\n#no\n    # no\n"), ["A", "B", "C"]);
        assert_eq!(titles("A\n===\ntext\n\nB b\n---\n- no\n---\n\n---\n| no |\n---\n"), ["A", "B b"]);
    }

    #[test]
    fn code_and_comments_contain_no_headings() {
        assert_eq!(titles("```md\n# no\n~~~\n# no\n````\n# yes\n"), ["yes"]);
        assert_eq!(titles("~~~\n# no\n``` \n~~\n~~~ x\n~~~\n# yes\n"), ["yes"]);
        assert_eq!(
            titles("<!--\n# no\n-->\n# yes\n<!-- a -->\n# and\n``` `\n# this\n"),
            ["yes", "and", "this"]
        );
    }

    #[test]
    fn html_headings_are_found() {
        let body = "<h2>A</h2>\n\n <H3 id=\"x\"> <b>B</b> </H3> \n<h7>no</h7>\n<hr>\n<h2>no\n<h2no>no</h2>\n<h1>C</h1> no\n";
        assert_eq!(titles(body), ["A", "<b>B</b>"]);
    }

    #[test]
    fn raw_html_contains_no_headings() {
        for (open, close) in [
            ("<pre>", "</pre>"),
            ("<PRE class=\"x\">", "a </Pre>"),
            ("<script", "</script>"),
            ("<style>", "</textarea> b"),
            ("<?php", "?>"),
            ("<![CDATA[", "]]>"),
        ] {
            assert_eq!(titles(&format!("{open}\n\n# no\n{close}\n# yes\n")), ["yes"], "{open}");
            assert_eq!(parse_lines(&format!("a\n{open}\n\nb\n")).1, Some(2), "{open}");
            assert_eq!(titles(&format!("{open} a {close}\n# yes\n")), ["yes"], "{open}");
        }
        assert_eq!(titles("<prefix>\n# yes\n"), ["yes"]);
    }

    #[test]
    fn unterminated_construct_is_reported() {
        assert_eq!(parse_lines("a\n```\nb\n").1, Some(2));
        assert_eq!(parse_lines("a\n<!-- b\n").1, Some(2));
        assert_eq!(parse_lines("a\n```\n```\n<!-- b -->\n").1, None);
    }

    #[test]
    fn section_ends_at_next_heading() {
        let body = "before\n# A\none\n## B\n\nC\n-\nthree";
        let (lines, _) = parse_lines(body);
        let found: Vec<_> = parse_sections(&lines).into_iter().map(|it| (it.title, it.lines)).collect();
        assert_eq!(found, [("A", 2..3), ("B", 4..5), ("C", 7..8)]);
    }

    #[test]
    fn lines_cover_the_body() {
        for body in ["", "a", "a\r\nb\n", "\n\n", "```\r\n"] {
            let (lines, _) = parse_lines(body);
            let mut at = 0;
            for line in lines {
                assert_eq!(line.start, at);
                assert!(body[at..line.next_start].starts_with(line.text));
                at = line.next_start;
            }
            assert_eq!(at, body.len());
        }
    }
}
