//! The lines of the Hub's own template for a model card, section "Environmental Impact".

use crate::markdown::{Line, Section, unindented};

/// The section's heading.
pub(crate) const TITLE: &str = "Environmental Impact";

/// The labels of its lines, in the template's order.
pub(crate) const LABELS: [&str; 5] =
    ["Hardware Type", "Hours used", "Cloud Provider", "Compute Region", "Carbon Emitted"];

/// What the template writes where nobody said anything.
const PLACEHOLDER: &str = "[More Information Needed]";

/// Around a value that we filled in; the first holds what stood there, so that nothing is lost.
const FILLED: (&str, &str, &str) = ("<!-- sootprint:", "-->", "<!-- /sootprint -->");

/// A line of the template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Labelled<'t> {
    /// The index of its label.
    pub(crate) label: usize,
    /// The byte of the body at which its value begins, blanks included.
    pub(crate) value_at: usize,
    pub(crate) value: &'t str,
    /// What stood there before we filled it in; none for a value that is not ours to change.
    pub(crate) before: Option<&'t str>,
}

impl Labelled<'_> {
    /// The value as it is written into the line, with what stood there.
    pub(crate) fn filled(&self, value: &str) -> Option<String> {
        let (open, behind, close) = FILLED;
        self.before.map(|before| format!(" {open}{before}{behind}{value}{close}"))
    }
}

/// Whether a section is the template's.
pub(crate) fn is_environmental(section: &Section<'_>) -> bool {
    let words: Vec<String> = section
        .title
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    matches!(
        words.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["environmental", "impact"] | ["environmental", "impact", "optional"]
    )
}

/// The template's lines among these.
pub(crate) fn labelled<'t>(lines: &[Line<'t>]) -> Vec<Labelled<'t>> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((label, at)) = label(line) else { continue };
        let value = &line.text[at..];
        let before = what_stood_there(value).or_else(|| {
            let is_empty = value.trim().is_empty() || value.trim().eq_ignore_ascii_case(PLACEHOLDER);
            (is_empty && !lines.get(index + 1).is_some_and(continues)).then_some(value)
        });
        found.push(Labelled { label, value_at: line.start + at, value, before });
    }
    found
}

/// The label that a line begins with, as in `- **Hours used:** 3`, and the byte behind its colon.
fn label(line: &Line<'_>) -> Option<(usize, usize)> {
    let content = unindented(line.text).filter(|_| line.is_prose)?;
    let content =
        ["- ", "* ", "+ "].iter().find_map(|bullet| content.strip_prefix(bullet)).unwrap_or(content);
    let content = content.trim_start().trim_start_matches(['*', '_']);
    let label = LABELS.iter().position(|label| {
        content.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label))
    })?;
    let rest = &content[LABELS[label].len()..];
    let value = rest.trim_start_matches(['*', '_']).strip_prefix(':')?;
    // A value may begin with an emphasis of its own, behind a blank.
    Some((label, line.text.len() - value.trim_start_matches(['*', '_']).len()))
}

/// What we once filled in for; none when the value is not of our making.
fn what_stood_there(value: &str) -> Option<&str> {
    let (open, behind, close) = FILLED;
    let inner = value.trim().strip_prefix(open)?.strip_suffix(close)?;
    inner.split_once(behind).map(|(before, _)| before)
}

/// Whether a line belongs to the one above it, as a list under a label does.
fn continues(line: &Line<'_>) -> bool {
    let content = line.text.trim_start();
    let is_indented = content.len() < line.text.len();
    let begins_something = content.starts_with(['-', '*', '+', '#', '<', '`', '~']) || label(line).is_some();
    !content.is_empty() && (is_indented && label(line).is_none() || !begins_something)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::{lines, sections};

    fn read(body: &str) -> Vec<(&str, &str, bool)> {
        let lines = lines(body).0;
        let found = labelled(&lines);
        found.into_iter().map(|it| (LABELS[it.label], it.value, it.before.is_some())).collect()
    }

    #[test]
    fn the_template_s_lines_in_the_ways_in_which_people_write_them() {
        let body = "- **Hardware Type:** 8 x A100\n* **hours used**: 3\n**Cloud Provider:** **AWS**\n\
                    Compute Region: x\n__Carbon Emitted:__ 1 kg\n- **Hours used for** it: 1\n    - **Hours used:** 2\n";
        assert_eq!(
            read(body),
            [
                ("Hardware Type", " 8 x A100", false),
                ("Hours used", " 3", false),
                ("Cloud Provider", " **AWS**", false),
                ("Compute Region", " x", false),
                ("Carbon Emitted", " 1 kg", false),
            ]
        );
    }

    #[test]
    fn empty_lines_and_placeholders_may_be_filled() {
        let body = "- **Hardware Type:** [More Information Needed]\n- **Hours used:**\n- **Cloud Provider:**  \r\n\
                    - **Compute Region:** unknown\n- **Carbon Emitted:**\n  - 3 kg\n";
        let free: Vec<bool> = read(body).into_iter().map(|(_, _, is_free)| is_free).collect();
        assert_eq!(free, [true, true, true, false, false], "the last one's value is the list below it");
    }

    #[test]
    fn a_value_of_ours_keeps_what_stood_there() {
        let body = "- **Hours used:** [More Information Needed] ";
        let lines_before = lines(body).0;
        let line = labelled(&lines_before)[0];
        let filled = line.filled("3").unwrap();
        assert_eq!(filled, " <!-- sootprint: [More Information Needed] -->3<!-- /sootprint -->");
        let again = format!("{}{filled}", &body[..line.value_at]);
        let lines_after = lines(&again).0;
        assert_eq!(labelled(&lines_after)[0].before, Some(" [More Information Needed] "));
    }

    #[test]
    fn the_section_is_known_by_its_title() {
        let is = |body: &str| sections(&lines(body).0).iter().any(is_environmental);
        for title in [
            "## Environmental Impact",
            "# environmental impact [optional]",
            "### 🌍 **Environmental Impact**",
            "Environmental Impact\n---",
        ] {
            assert!(is(title), "{title}");
        }
        for title in ["## Impact", "## Environmental impact of bees", "Environmental Impact"] {
            assert!(!is(title), "{title}");
        }
    }
}
