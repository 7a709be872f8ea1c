//! The lines of the section "Environmental Impact" in the Hub's model card template.

use crate::markdown::{MarkdownLine, MarkdownSection, strip_indent};

/// The section's heading.
pub(crate) const SECTION_TITLE: &str = "Environmental Impact";

/// The labels of the section's lines, in the order of the template.
pub(crate) const FIELD_LABELS: [&str; 5] =
    ["Hardware Type", "Hours used", "Cloud Provider", "Compute Region", "Carbon Emitted"];

/// The index of the line with the grams.
pub(crate) const EMISSIONS_LABEL: usize = 4;

/// Texts for a missing value, in lower case. The first one is that of the template.
const PLACEHOLDERS: [&str; 14] = [
    "more information needed",
    "more info needed",
    "needs more information",
    "information needed",
    "n/a",
    "not available",
    "not applicable",
    "tba",
    "tbd",
    "to be added",
    "to be determined",
    "todo",
    "to do",
    "unknown",
];

/// The comments around a filled-in value. The first one contains the previous value, so that it can be restored.
const VALUE_MARKERS: (&str, &str, &str) = ("<!-- sootprint:", "-->", "<!-- /sootprint -->");

/// A line of the template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TemplateField<'t> {
    /// The index of its label.
    pub(crate) label_index: usize,
    /// The byte of the body at which the value starts, including blanks.
    pub(crate) value_start: usize,
    pub(crate) value: &'t str,
    /// The value before it was filled in; `None` if an author wrote the current one.
    pub(crate) original: Option<&'t str>,
}

impl TemplateField<'_> {
    /// The text to write for a value, including the previous value; `None` if the line must not be changed.
    pub(crate) fn render_value(&self, value: &str) -> Option<String> {
        let (open, after, close) = VALUE_MARKERS;
        self.original.map(|before| format!(" {open}{before}{after}{value}{close}"))
    }
}

/// Whether a section is that of the template. Its title may be numbered, as in `## 7. Environmental Impact`.
pub(crate) fn is_impact_section(section: &MarkdownSection<'_>) -> bool {
    let title = without_tags(section.title).to_lowercase();
    let is_number = |word: &&str| word.len() == 1 || word.bytes().all(|it| it.is_ascii_digit());
    let words: Vec<&str> = title
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .skip_while(is_number)
        .collect();
    matches!(words[..], ["environmental", "impact"] | ["environmental", "impact", "optional"])
}

/// The text outside `<…>`.
fn without_tags(text: &str) -> String {
    let mut is_tag = false;
    let outside = text.chars().filter(|character| {
        let was_tag = is_tag;
        is_tag = *character == '<' || (is_tag && *character != '>');
        !is_tag && !was_tag
    });
    outside.collect()
}

/// Whether a value is missing: blank, a text such as "N/A" in any brackets, or an unfilled variable of a template.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    let is_variable = value.starts_with("{{") && value.ends_with("}}") && !value.contains("--");
    let text = value.trim_matches(|it: char| it.is_whitespace() || "[](){}*_`\"'.…?!–—".contains(it));
    is_variable || text.is_empty() || PLACEHOLDERS.iter().any(|it| text.eq_ignore_ascii_case(it))
}

/// The lines of the template among these lines.
pub(crate) fn template_fields<'t>(lines: &[MarkdownLine<'t>]) -> Vec<TemplateField<'t>> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((label, at)) = parse_label(line) else { continue };
        let value = &line.text[at..];
        let original = original_value(value).or_else(|| {
            (is_placeholder(value) && !lines.get(index + 1).is_some_and(is_continuation)).then_some(value)
        });
        found.push(TemplateField { label_index: label, value_start: line.start + at, value, original });
    }
    found
}

/// The index of the label at the start of a line, as in `- **Hours used:** 3`, and the byte after its colon.
fn parse_label(line: &MarkdownLine<'_>) -> Option<(usize, usize)> {
    let content = strip_indent(line.text).filter(|_| line.is_prose)?;
    let content =
        ["- ", "* ", "+ "].iter().find_map(|bullet| content.strip_prefix(bullet)).unwrap_or(content);
    let content = content.trim_start().trim_start_matches(['*', '_']);
    let label = FIELD_LABELS.iter().position(|label| {
        content.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label))
    })?;
    let rest = &content[FIELD_LABELS[label].len()..];
    let value = rest.trim_start_matches(['*', '_']).strip_prefix(':')?;
    // A value may start with its own emphasis, after a blank.
    Some((label, line.text.len() - value.trim_start_matches(['*', '_']).len()))
}

/// The previous value of a filled-in line; `None` if an author wrote the value.
fn original_value(value: &str) -> Option<&str> {
    let (open, after, close) = VALUE_MARKERS;
    let inner = value.trim().strip_prefix(open)?.strip_suffix(close)?;
    inner.split_once(after).map(|(before, _)| before)
}

/// Whether a line continues the one above it, as a list under a label does.
fn is_continuation(line: &MarkdownLine<'_>) -> bool {
    let content = line.text.trim_start();
    let is_indented = content.len() < line.text.len();
    let starts_construct =
        content.starts_with(['-', '*', '+', '#', '<', '`', '~']) || parse_label(line).is_some();
    !content.is_empty() && (is_indented && parse_label(line).is_none() || !starts_construct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::{parse_lines, parse_sections};

    fn parse_fields(body: &str) -> Vec<(&str, &str, bool)> {
        let lines = parse_lines(body).0;
        let found = template_fields(&lines);
        found.into_iter().map(|it| (FIELD_LABELS[it.label_index], it.value, it.original.is_some())).collect()
    }

    #[test]
    fn template_field_variants_are_recognized() {
        let body = "- **Hardware Type:** 8 x A100\n* **hours used**: 3\n**Cloud Provider:** **AWS**\n\
                    Compute Region: x\n__Carbon Emitted:__ 1 kg\n- **Hours used for** it: 1\n    - **Hours used:** 2\n";
        assert_eq!(
            parse_fields(body),
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
    fn empty_fields_and_placeholders_are_fillable() {
        let body = "- **Hardware Type:** [More Information Needed]\n- **Hours used:**\n- **Cloud Provider:**  \r\n\
                    - **Compute Region:** nowhere\n- **Carbon Emitted:**\n  - 3 kg\n";
        let fillable: Vec<bool> =
            parse_fields(body).into_iter().map(|(_, _, is_fillable)| is_fillable).collect();
        assert_eq!(
            fillable,
            [true, true, true, false, false],
            "the value of the last line is the list below it"
        );
    }

    #[test]
    fn placeholders_are_recognized() {
        for value in [
            " More information needed",
            "[More Information Needed]",
            "*[more information needed]*.",
            " N/A",
            " (n/a)",
            "TBD.",
            "`Unknown`",
            " To be determined...",
            "???",
            " —",
            "{{ hours_used | default(\"[More Information Needed]\", true)}}",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["0", "none", "unknown, about 3", "N/A on-premises", "-", "{{ a --> b }}", "A100"] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn filled_value_keeps_original() {
        let body = "- **Hours used:** [More Information Needed] ";
        let lines_before = parse_lines(body).0;
        let line = template_fields(&lines_before)[0];
        let filled = line.render_value("3").unwrap();
        assert_eq!(filled, " <!-- sootprint: [More Information Needed] -->3<!-- /sootprint -->");
        let again = format!("{}{filled}", &body[..line.value_start]);
        let lines_after = parse_lines(&again).0;
        assert_eq!(template_fields(&lines_after)[0].original, Some(" [More Information Needed] "));
    }

    #[test]
    fn section_is_recognized_by_title() {
        let is = |body: &str| parse_sections(&parse_lines(body).0).iter().any(is_impact_section);
        for title in [
            "## Environmental Impact",
            "# environmental impact [optional]",
            "### 🌍 **Environmental Impact**",
            "Environmental Impact\n---",
            "## 7. Environmental Impact",
            "## 4.2) Environmental Impact (optional)",
            "## G. Environmental Impact",
            "<h2 id=\"impact\">🌍 <b>Environmental Impact</b></h2>",
        ] {
            assert!(is(title), "{title}");
        }
        for title in ["## Impact", "## Environmental impact of bees", "Environmental Impact", "## 3 Impact"] {
            assert!(!is(title), "{title}");
        }
    }
}
