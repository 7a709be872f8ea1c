//! The parts of the body that this crate writes: the section between two markers, and values in the lines of the Hub's
//! template.
//!
//! A filled-in template line keeps its previous value in a comment before the new one. A later run can therefore update
//! it, an author can recognise it, and removing it restores the card byte for byte.

use std::ops::Range;

use crate::card::ModelCard;
use crate::error::{CardError, Position};
use crate::front_matter::detect_line_break;
use crate::hub_template::{EMISSIONS_LABEL, FIELD_LABELS, TemplateField, is_impact_section, template_fields};
use crate::markdown::{MarkdownLine, MarkdownSection, parse_lines, parse_sections};
use crate::splice::{TextEdit, apply_edits};

/// The first line of the section.
const BEGIN_MARKER: &str = "<!-- sootprint:begin -->";

/// The last line of the section.
const END_MARKER: &str = "<!-- sootprint:end -->";

/// What the body outside the section already contains, so that the section does not repeat it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SectionContext {
    /// The section is below the template's heading.
    pub(crate) has_heading: bool,
    /// The template lines in the body, by label. A line with grams by an author does not count.
    pub(crate) existing_fields: [bool; FIELD_LABELS.len()],
    /// An author filled in the grams, possibly of another training.
    pub(crate) has_other_emissions: bool,
}

impl ModelCard {
    /// Returns the card without the section that a [`CardWriter`](crate::CardWriter) wrote between its two marker
    /// comments. Lines of the Hub's template that it filled in get their previous values back.
    ///
    /// # Errors
    /// [`CardError::UnpairedMarkers`] if a marker has no counterpart.
    pub fn without_section(&self) -> Result<Self, CardError> {
        let parsed = ParsedBody::parse(self)?;
        let previous_value =
            |field: &TemplateField<'_>| field.original.filter(|it| *it != field.value).map(str::to_owned);
        let mut edits: Vec<TextEdit> = parsed
            .template_fields
            .iter()
            .filter_map(|field| {
                let at = body_offset(self) + field.value_start;
                Some((at..at + field.value.len(), previous_value(field)?))
            })
            .collect();
        if let Some(section) = &parsed.managed_section {
            edits.push((span_with_line_breaks(self, section), String::new()));
        }
        Self::parse(apply_edits(self.text(), edits))
    }
}

/// Returns the card with these values in the template's empty lines, and this content between the markers.
///
/// `content` returns lines separated by line feeds, without a final one. An existing section is replaced in place; a new
/// one goes to the end of the template's section, or of the card. The front matter is the same, and is not parsed again.
pub(crate) fn with_managed_section(
    card: &ModelCard,
    values: &[Option<String>; FIELD_LABELS.len()],
    content: impl FnOnce(SectionContext) -> String,
) -> Result<ModelCard, CardError> {
    let (body, offset) = (card.body(), body_offset(card));
    let parsed = ParsedBody::parse(card)?;
    let line_break = detect_line_break(match &parsed.managed_section {
        Some(old) => &body[old.clone()],
        None if body.contains('\n') => body,
        None => card.text(),
    });
    let section =
        format!("{BEGIN_MARKER}\n\n{}\n\n{END_MARKER}", content(parsed.context())).replace('\n', line_break);

    let field_edits = parsed.field_edits(values);
    let mut edits: Vec<TextEdit> =
        field_edits.map(|(at, value)| (offset + at.start..offset + at.end, value)).collect();
    edits.push(match &parsed.managed_section {
        Some(old) => (offset + old.start..offset + old.end, section),
        None => insertion_edit(card, parsed.insertion_offset(), &section, line_break),
    });
    Ok(card.with_edited_body(apply_edits(card.text(), edits)))
}

/// The body, with the section that this crate wrote set apart.
struct ParsedBody<'t> {
    managed_section: Option<Range<usize>>,
    insertion_point: InsertionPoint,
    template_fields: Vec<TemplateField<'t>>,
}

/// Where the section is or would be inserted, as a byte of the body.
#[derive(Debug, Clone, Copy, PartialEq)]
enum InsertionPoint {
    /// In the template's section: a new one goes to its end.
    TemplateSection(usize),
    /// Outside the template's section: a new one goes to the end of the body, but before unterminated code, raw HTML or
    /// comment.
    BodyEnd(usize),
}

impl<'t> ParsedBody<'t> {
    fn parse(card: &'t ModelCard) -> Result<Self, CardError> {
        let body = card.body();
        let (all, unterminated) = parse_lines(body);
        let managed_section = find_managed_section(card, &all)?;
        let is_outside = |line: &MarkdownLine<'_>| {
            !managed_section.as_ref().is_some_and(|section| section.contains(&line.start))
        };
        let outside: Vec<MarkdownLine<'t>> = all.into_iter().filter(is_outside).collect();

        let sections: Vec<_> = parse_sections(&outside).into_iter().filter(is_impact_section).collect();
        let body_end = unterminated.unwrap_or(body.len());
        let insertion_point = match (&managed_section, sections.first()) {
            (Some(old), _) if sections.iter().any(|it| section_contains(it, &outside, old.start)) => {
                InsertionPoint::TemplateSection(old.start)
            }
            (Some(old), _) => InsertionPoint::BodyEnd(old.start),
            (None, Some(first)) => {
                InsertionPoint::TemplateSection(section_end(first, &outside).min(body_end))
            }
            (None, None) => InsertionPoint::BodyEnd(body_end),
        };
        let template_fields = sections
            .iter()
            .flat_map(|section| template_fields(outside.get(section.lines.clone()).unwrap_or_default()))
            .collect();
        Ok(Self { managed_section, insertion_point, template_fields })
    }

    fn insertion_offset(&self) -> usize {
        match self.insertion_point {
            InsertionPoint::TemplateSection(at) | InsertionPoint::BodyEnd(at) => at,
        }
    }

    fn context(&self) -> SectionContext {
        let is_by_author =
            |field: &TemplateField<'_>| field.label_index == EMISSIONS_LABEL && field.original.is_none();
        let mut labels = [false; FIELD_LABELS.len()];
        for field in self.template_fields.iter().filter(|field| !is_by_author(field)) {
            labels[field.label_index] = true;
        }
        SectionContext {
            has_heading: matches!(self.insertion_point, InsertionPoint::TemplateSection(_)),
            existing_fields: labels,
            has_other_emissions: self.template_fields.iter().any(is_by_author),
        }
    }

    fn field_edits<'a>(
        &'a self,
        values: &'a [Option<String>; FIELD_LABELS.len()],
    ) -> impl Iterator<Item = (Range<usize>, String)> + 'a {
        self.template_fields.iter().filter_map(|line| {
            let filled = match &values[line.label_index] {
                Some(value) => line.render_value(value)?,
                // The value is unknown now: the previous one is restored.
                None => line.original?.to_owned(),
            };
            Some((line.value_start..line.value_start + line.value.len(), filled))
        })
    }
}

/// The end of the last non-blank line of a section, which may be its heading.
fn section_end(section: &MarkdownSection<'_>, lines: &[MarkdownLine<'_>]) -> usize {
    let heading = section.lines.start.saturating_sub(1);
    let with_heading = lines.get(heading..section.lines.end).unwrap_or_default();
    let last = with_heading.iter().rev().find(|line| !line.text.trim().is_empty());
    last.map_or(0, |line| line.next_start)
}

/// Whether a byte is between the heading of a section and the next heading.
fn section_contains(section: &MarkdownSection<'_>, lines: &[MarkdownLine<'_>], at: usize) -> bool {
    let start_of = |index: usize| lines.get(index).map_or(usize::MAX, |line| line.start);
    let heading_end = lines.get(section.lines.start.saturating_sub(1)).map_or(0, |line| line.next_start);
    (heading_end..=start_of(section.lines.end)).contains(&at)
}

/// The bytes from one marker to the other, both included; `None` without markers.
fn find_managed_section(
    card: &ModelCard,
    lines: &[MarkdownLine<'_>],
) -> Result<Option<Range<usize>>, CardError> {
    let offset = body_offset(card);
    let at = |line: &MarkdownLine<'_>| Position::at_offset(card.text(), offset + line.start);
    let mut section: Option<Range<usize>> = None;
    let mut opened: Option<&MarkdownLine<'_>> = None;
    for line in lines.iter().filter(|line| line.is_prose) {
        match (line.text.trim(), opened) {
            (BEGIN_MARKER, None) if section.is_none() => opened = Some(line),
            (END_MARKER, Some(begin)) => {
                section = Some(begin.start..line.start + line.text.trim_end().len());
                opened = None;
            }
            (BEGIN_MARKER | END_MARKER, _) => return Err(CardError::UnpairedMarkers { at: at(line) }),
            _ => {}
        }
    }
    match opened {
        Some(begin) => Err(CardError::UnpairedMarkers { at: at(begin) }),
        None => Ok(section),
    }
}

/// A new section at `at`, after a blank line. A card without a final line break does not get one.
fn insertion_edit(card: &ModelCard, at: usize, section: &str, line_break: &str) -> TextEdit {
    let before = &card.text()[..body_offset(card) + at];
    let text = match before.trim_start_matches('\u{feff}') {
        before if before.is_empty() || before.ends_with('\n') => format!("{line_break}{section}{line_break}"),
        _ => format!("{line_break}{line_break}{section}"),
    };
    (before.len()..before.len(), text)
}

/// The section with the line breaks that were inserted with it. They are the same as those inside it.
fn span_with_line_breaks(card: &ModelCard, section: &Range<usize>) -> Range<usize> {
    let (text, offset) = (card.text(), body_offset(card));
    let line_break = detect_line_break(&card.body()[section.clone()]);
    // A bare carriage return before the section is not part of its line break.
    let strip_line_break = |end: usize| text[..end].strip_suffix(line_break).map_or(end, str::len);
    let start = strip_line_break(offset + section.start);
    let after = &card.body()[section.end..];
    match after.find('\n') {
        Some(newline) if after[..newline].trim().is_empty() => start..offset + section.end + newline + 1,
        // A section without a line break after it was inserted with two before it.
        _ => strip_line_break(start)..offset + section.end,
    }
}

fn body_offset(card: &ModelCard) -> usize {
    card.text().len() - card.body().len()
}

#[cfg(test)]
mod tests;
