//! The card's body, line by line: which lines are prose, where a section begins and ends.

use std::ops::Range;

/// A line of the body. All offsets are bytes of the whole body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line<'t> {
    pub(crate) start: usize,
    /// Without its line break.
    pub(crate) text: &'t str,
    /// The start of the line below.
    pub(crate) next: usize,
    /// Neither code nor a comment of several lines.
    pub(crate) is_prose: bool,
}

/// A heading and the lines up to the next heading of any level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section<'t> {
    pub(crate) title: &'t str,
    /// Indices of the lines below the heading.
    pub(crate) lines: Range<usize>,
}

/// The lines of a body, and where code or a comment begins that nothing ends.
pub(crate) fn lines(body: &str) -> (Vec<Line<'_>>, Option<usize>) {
    let mut lines = Vec::new();
    let mut inside: Option<(Inside, usize)> = None;
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        let text = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
        let opened = match inside {
            Some(_) => None,
            None => Inside::opened_by(text),
        };
        lines.push(Line {
            start,
            text,
            next: start + line.len(),
            is_prose: inside.is_none() && opened.is_none(),
        });
        inside = match (inside, opened) {
            (Some((construct, _)), _) if construct.is_closed_by(text) => None,
            (None, Some(construct)) => Some((construct, start)),
            (inside, _) => inside,
        };
        start += line.len();
    }
    (lines, inside.map(|(_, from)| from))
}

/// The sections of these lines. What stands before the first heading is none.
pub(crate) fn sections<'t>(lines: &[Line<'t>]) -> Vec<Section<'t>> {
    let mut sections: Vec<Section<'t>> = Vec::new();
    let end_last = |sections: &mut Vec<Section<'t>>, end: usize| {
        if let Some(last) = sections.last_mut() {
            last.lines.end = end;
        }
    };
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.is_prose) {
        let underlined = lines.get(index + 1).filter(|below| below.is_prose && is_underline(below.text));
        let (title, below) = match (heading(line.text), underlined) {
            (Some(title), _) => (title, index + 1),
            (None, Some(_)) if is_paragraph(line.text) => (line.text.trim(), index + 2),
            _ => continue,
        };
        end_last(&mut sections, index);
        sections.push(Section { title, lines: below..lines.len() });
    }
    sections
}

/// What hides a line from readers of Markdown.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Inside {
    Code { mark: char, length: usize },
    Comment,
}

impl Inside {
    /// What this line opens and does not end.
    fn opened_by(text: &str) -> Option<Self> {
        let content = unindented(text)?;
        if let Some(comment) = content.strip_prefix("<!--") {
            return (!comment.contains("-->")).then_some(Self::Comment);
        }
        let mark = content.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = content.trim_start_matches(mark);
        let length = content.len() - info.len();
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self::Code { mark, length })
    }

    fn is_closed_by(self, text: &str) -> bool {
        match self {
            Self::Comment => text.contains("-->"),
            Self::Code { mark, length } => unindented(text).is_some_and(|content| {
                let rest = content.trim_start_matches(mark);
                content.len() - rest.len() >= length && rest.trim().is_empty()
            }),
        }
    }
}

/// The line without the blanks before it; none when there are so many that Markdown takes it for code.
pub(crate) fn unindented(text: &str) -> Option<&str> {
    let content = text.trim_start_matches(' ');
    (text.len() - content.len() <= 3 && !content.starts_with('\t')).then_some(content)
}

/// The title of `## Title ##`.
fn heading(text: &str) -> Option<&str> {
    let content = unindented(text)?;
    let title = content.trim_start_matches('#');
    let level = content.len() - title.len();
    let is_heading = (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t']));
    is_heading.then(|| title.trim().trim_end_matches('#').trim_end())
}

/// A line of `===` or `---`, which makes a heading of the line above it.
fn is_underline(text: &str) -> bool {
    let line = unindented(text).unwrap_or_default().trim_end();
    !line.is_empty() && (line.chars().all(|mark| mark == '=') || line.chars().all(|mark| mark == '-'))
}

/// Whether an underline makes a heading of this line: it is text, and no list, quotation, table or HTML.
fn is_paragraph(text: &str) -> bool {
    let Some(content) = unindented(text) else { return false };
    let is_list = ["- ", "* ", "+ "].iter().any(|bullet| content.starts_with(bullet));
    !content.trim().is_empty()
        && !is_list
        && !content.starts_with(['>', '|', '<', '#'])
        && !is_underline(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(body: &str) -> Vec<&str> {
        sections(&lines(body).0).into_iter().map(|section| section.title).collect()
    }

    #[test]
    fn headings_of_both_kinds_are_found() {
        assert_eq!(titles("# A\n\n  ## B ##\r\n###### C\n####### no\n#no\n    # no\n"), ["A", "B", "C"]);
        assert_eq!(titles("A\n===\ntext\n\nB b\n---\n- no\n---\n\n---\n| no |\n---\n"), ["A", "B b"]);
    }

    #[test]
    fn what_stands_in_code_and_comments_is_no_heading() {
        assert_eq!(titles("```md\n# no\n~~~\n# no\n````\n# yes\n"), ["yes"]);
        assert_eq!(titles("~~~\n# no\n``` \n~~\n~~~ x\n~~~\n# yes\n"), ["yes"]);
        assert_eq!(
            titles("<!--\n# no\n-->\n# yes\n<!-- a -->\n# and\n``` `\n# this\n"),
            ["yes", "and", "this"]
        );
    }

    #[test]
    fn what_nothing_ends_is_told() {
        assert_eq!(lines("a\n```\nb\n").1, Some(2));
        assert_eq!(lines("a\n<!-- b\n").1, Some(2));
        assert_eq!(lines("a\n```\n```\n<!-- b -->\n").1, None);
    }

    #[test]
    fn a_section_ends_at_the_next_heading() {
        let body = "before\n# A\none\n## B\n\nC\n-\nthree";
        let (lines, _) = lines(body);
        let found: Vec<_> = sections(&lines).into_iter().map(|it| (it.title, it.lines)).collect();
        assert_eq!(found, [("A", 2..3), ("B", 4..5), ("C", 7..8)]);
    }

    #[test]
    fn lines_cover_the_body() {
        for body in ["", "a", "a\r\nb\n", "\n\n", "```\r\n"] {
            let (lines, _) = lines(body);
            let mut at = 0;
            for line in lines {
                assert_eq!(line.start, at);
                assert!(body[at..line.next].starts_with(line.text));
                at = line.next;
            }
            assert_eq!(at, body.len());
        }
    }
}
