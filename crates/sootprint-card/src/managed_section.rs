//! The marked region in the card's body, and the template's own lines: what is ours there, and how it is replaced.

use std::ops::Range;

use crate::card::ModelCard;
use crate::error::{CardError, Position};
use crate::front_matter::detect_line_break;
use crate::hub_template::{FIELD_LABELS, TemplateField, is_impact_section, template_fields};
use crate::markdown::{MarkdownLine, MarkdownSection, parse_lines, parse_sections};
use crate::splice::apply_edits;

/// The line above the region.
const BEGIN_MARKER: &str = "<!-- sootprint:begin -->";

/// The line below the region.
const END_MARKER: &str = "<!-- sootprint:end -->";

/// What the body says already, so that the region does not say it again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SectionContext {
    /// The region stands below the template's heading.
    pub(crate) has_heading: bool,
    /// The template's lines that the body has, by label.
    pub(crate) existing_fields: [bool; FIELD_LABELS.len()],
}

/// The card with these values in the template's empty lines, and this text between the two marks.
///
/// `content` is asked once, with line feeds and without a final one. A region that is there is replaced where it
/// stands; a new one goes to the end of the template's section, or of the card.
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
    let region =
        format!("{BEGIN_MARKER}\n\n{}\n\n{END_MARKER}", content(parsed.context())).replace('\n', line_break);

    let field_edits = parsed.field_edits(values);
    let mut edits: Vec<_> =
        field_edits.map(|(at, value)| (offset + at.start..offset + at.end, value)).collect();
    edits.push(match &parsed.managed_section {
        Some(old) => (offset + old.start..offset + old.end, region),
        None => insertion_edit(card, parsed.insertion_offset(), &region, line_break),
    });
    edit_and_reparse(card, edits)
}

/// The card without the region, and with what stood in the template's lines before they were filled in.
pub(crate) fn without_managed_section(card: &ModelCard) -> Result<ModelCard, CardError> {
    let parsed = ParsedBody::parse(card)?;
    let original_value =
        |line: &TemplateField<'_>| line.original.filter(|before| *before != line.value).map(str::to_owned);
    let mut edits: Vec<(Range<usize>, String)> = parsed
        .template_fields
        .iter()
        .filter_map(|line| {
            let at = body_offset(card) + line.value_start;
            Some((at..at + line.value.len(), original_value(line)?))
        })
        .collect();
    if let Some(region) = &parsed.managed_section {
        edits.push((span_with_line_breaks(card, region), String::new()));
    }
    edit_and_reparse(card, edits)
}

/// The body as it is read by people, apart from the region.
struct ParsedBody<'t> {
    managed_section: Option<Range<usize>>,
    /// Where the region stands or would stand: below a heading of the template?
    insertion_point: InsertionPoint,
    template_fields: Vec<TemplateField<'t>>,
}

/// Where a new region goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum InsertionPoint {
    /// To the end of the template's section, which is this byte.
    TemplateSection(usize),
    /// To the end of the body, but in front of code or a comment that nothing ends.
    BodyEnd(usize),
}

impl<'t> ParsedBody<'t> {
    fn parse(card: &'t ModelCard) -> Result<Self, CardError> {
        let body = card.body();
        let (all, unterminated) = parse_lines(body);
        let region = find_managed_section(card, &all)?;
        let is_outside =
            |line: &MarkdownLine<'_>| !region.as_ref().is_some_and(|region| region.contains(&line.start));
        let outside: Vec<MarkdownLine<'t>> = all.into_iter().filter(is_outside).collect();

        let sections: Vec<_> = parse_sections(&outside).into_iter().filter(is_impact_section).collect();
        let body_end = unterminated.unwrap_or(body.len());
        let insertion_point = match (&region, sections.first()) {
            (Some(region), _) if sections.iter().any(|it| section_contains(it, &outside, region.start)) => {
                InsertionPoint::TemplateSection(region.start)
            }
            (Some(region), _) => InsertionPoint::BodyEnd(region.start),
            (None, Some(first)) => {
                InsertionPoint::TemplateSection(section_end(first, &outside).min(body_end))
            }
            (None, None) => InsertionPoint::BodyEnd(body_end),
        };
        let template_fields = sections
            .iter()
            .flat_map(|section| template_fields(outside.get(section.lines.clone()).unwrap_or_default()))
            .collect();
        Ok(Self { managed_section: region, insertion_point, template_fields })
    }

    fn insertion_offset(&self) -> usize {
        match self.insertion_point {
            InsertionPoint::TemplateSection(at) | InsertionPoint::BodyEnd(at) => at,
        }
    }

    fn context(&self) -> SectionContext {
        let mut labels = [false; FIELD_LABELS.len()];
        for line in &self.template_fields {
            labels[line.label_index] = true;
        }
        SectionContext {
            has_heading: matches!(self.insertion_point, InsertionPoint::TemplateSection(_)),
            existing_fields: labels,
        }
    }

    fn field_edits<'a>(
        &'a self,
        values: &'a [Option<String>; FIELD_LABELS.len()],
    ) -> impl Iterator<Item = (Range<usize>, String)> + 'a {
        self.template_fields.iter().filter_map(|line| {
            let filled = match &values[line.label_index] {
                Some(value) => line.render_value(value)?,
                // Nothing is known now: what stood there comes back.
                None => line.original?.to_owned(),
            };
            Some((line.value_start..line.value_start + line.value.len(), filled))
        })
    }
}

/// The end of the last line of a section that says something, which may be its heading.
fn section_end(section: &MarkdownSection<'_>, lines: &[MarkdownLine<'_>]) -> usize {
    let heading = section.lines.start.saturating_sub(1);
    let with_heading = lines.get(heading..section.lines.end).unwrap_or_default();
    let last = with_heading.iter().rev().find(|line| !line.text.trim().is_empty());
    last.map_or(0, |line| line.next_start)
}

/// Whether a byte lies between a section's heading and the next one.
fn section_contains(section: &MarkdownSection<'_>, lines: &[MarkdownLine<'_>], at: usize) -> bool {
    let start_of = |index: usize| lines.get(index).map_or(usize::MAX, |line| line.start);
    let heading_end = lines.get(section.lines.start.saturating_sub(1)).map_or(0, |line| line.next_start);
    (heading_end..=start_of(section.lines.end)).contains(&at)
}

/// The bytes from the one mark to the other, both included; none when there is no mark.
fn find_managed_section(
    card: &ModelCard,
    lines: &[MarkdownLine<'_>],
) -> Result<Option<Range<usize>>, CardError> {
    let offset = body_offset(card);
    let at = |line: &MarkdownLine<'_>| Position::at_offset(card.text(), offset + line.start);
    let mut region: Option<Range<usize>> = None;
    let mut opened: Option<&MarkdownLine<'_>> = None;
    for line in lines.iter().filter(|line| line.is_prose) {
        match (line.text.trim(), opened) {
            (BEGIN_MARKER, None) if region.is_none() => opened = Some(line),
            (END_MARKER, Some(begin)) => {
                region = Some(begin.start..line.start + line.text.trim_end().len());
                opened = None;
            }
            (BEGIN_MARKER | END_MARKER, _) => return Err(CardError::UnpairedMarkers { at: at(line) }),
            _ => {}
        }
    }
    match opened {
        Some(begin) => Err(CardError::UnpairedMarkers { at: at(begin) }),
        None => Ok(region),
    }
}

/// A new region at `at`, with a blank line in front of it. A card without a final line break stays without one.
fn insertion_edit(card: &ModelCard, at: usize, region: &str, line_break: &str) -> (Range<usize>, String) {
    let before = &card.text()[..body_offset(card) + at];
    let text = match before.trim_start_matches('\u{feff}') {
        before if before.is_empty() || before.ends_with('\n') => format!("{line_break}{region}{line_break}"),
        _ => format!("{line_break}{line_break}{region}"),
    };
    (before.len()..before.len(), text)
}

/// The region with the line breaks that came with it, which are those that stand in it.
fn span_with_line_breaks(card: &ModelCard, region: &Range<usize>) -> Range<usize> {
    let (text, offset) = (card.text(), body_offset(card));
    let line_break = detect_line_break(&card.body()[region.clone()]);
    // A bare carriage return in front of it is not ours.
    let strip_line_break = |end: usize| text[..end].strip_suffix(line_break).map_or(end, str::len);
    let start = strip_line_break(offset + region.start);
    let behind = &card.body()[region.end..];
    match behind.find('\n') {
        Some(newline) if behind[..newline].trim().is_empty() => start..offset + region.end + newline + 1,
        // Without a line break behind it, the region came with one more in front of it.
        _ => strip_line_break(start)..offset + region.end,
    }
}

/// The card with these edits, read again.
fn edit_and_reparse(
    card: &ModelCard,
    mut edits: Vec<(Range<usize>, String)>,
) -> Result<ModelCard, CardError> {
    edits.sort_by_key(|(range, _)| range.start);
    ModelCard::parse(apply_edits(card.text(), &edits))
}

fn body_offset(card: &ModelCard) -> usize {
    card.text().len() - card.body().len()
}

#[cfg(test)]
mod tests;
