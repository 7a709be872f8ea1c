//! The marked region in the card's body, and the template's own lines: what is ours there, and how it is replaced.

use std::ops::Range;

use crate::card::ModelCard;
use crate::error::{CardError, Position};
use crate::front_matter::line_break_of;
use crate::markdown::{Line, Section, lines, sections};
use crate::splice::replace;
use crate::template::{LABELS, Labelled, is_environmental, labelled};

/// The line above the region.
const BEGIN: &str = "<!-- sootprint:begin -->";

/// The line below the region.
const END: &str = "<!-- sootprint:end -->";

/// What the body says already, so that the region does not say it again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Around {
    /// The region stands below the template's heading.
    pub(crate) has_heading: bool,
    /// The template's lines that the body has, by label.
    pub(crate) labels: [bool; LABELS.len()],
}

/// The card with these values in the template's empty lines, and this text between the two marks.
///
/// `content` is asked once, with line feeds and without a final one. A region that is there is replaced where it
/// stands; a new one goes to the end of the template's section, or of the card.
pub(crate) fn with_region(
    card: &ModelCard,
    values: &[Option<String>; LABELS.len()],
    content: impl FnOnce(Around) -> String,
) -> Result<ModelCard, CardError> {
    let (body, offset) = (card.body(), offset_of_body(card));
    let read = Body::read(card)?;
    let line_break = line_break_of(match &read.region {
        Some(old) => &body[old.clone()],
        None if body.contains('\n') => body,
        None => card.text(),
    });
    let region = format!("{BEGIN}\n\n{}\n\n{END}", content(read.around())).replace('\n', line_break);

    let fillings = read.fillings(values);
    let mut edits: Vec<_> = fillings.map(|(at, value)| (offset + at.start..offset + at.end, value)).collect();
    edits.push(match &read.region {
        Some(old) => (offset + old.start..offset + old.end, region),
        None => insertion(card, read.home(), &region, line_break),
    });
    edited(card, edits)
}

/// The card without the region, and with what stood in the template's lines before they were filled in.
pub(crate) fn without_region(card: &ModelCard) -> Result<ModelCard, CardError> {
    let read = Body::read(card)?;
    let ours = |line: &Labelled<'_>| line.before.filter(|before| *before != line.value).map(str::to_owned);
    let mut edits: Vec<(Range<usize>, String)> = read
        .labelled
        .iter()
        .filter_map(|line| {
            let at = offset_of_body(card) + line.value_at;
            Some((at..at + line.value.len(), ours(line)?))
        })
        .collect();
    if let Some(region) = &read.region {
        edits.push((with_breaks(card, region), String::new()));
    }
    edited(card, edits)
}

/// The body as it is read by people, apart from the region.
struct Body<'t> {
    region: Option<Range<usize>>,
    /// Where the region stands or would stand: below a heading of the template?
    home: Home,
    labelled: Vec<Labelled<'t>>,
}

/// Where a new region goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Home {
    /// To the end of the template's section, which is this byte.
    Section(usize),
    /// To the end of the body, but in front of code or a comment that nothing ends.
    Card(usize),
}

impl<'t> Body<'t> {
    fn read(card: &'t ModelCard) -> Result<Self, CardError> {
        let body = card.body();
        let (all, unended) = lines(body);
        let region = region(card, &all)?;
        let is_outside =
            |line: &Line<'_>| !region.as_ref().is_some_and(|region| region.contains(&line.start));
        let outside: Vec<Line<'t>> = all.into_iter().filter(is_outside).collect();

        let sections: Vec<_> = sections(&outside).into_iter().filter(is_environmental).collect();
        let body_end = unended.unwrap_or(body.len());
        let home = match (&region, sections.first()) {
            (Some(region), _) if sections.iter().any(|it| reaches(it, &outside, region.start)) => {
                Home::Section(region.start)
            }
            (Some(region), _) => Home::Card(region.start),
            (None, Some(first)) => Home::Section(end_of(first, &outside).min(body_end)),
            (None, None) => Home::Card(body_end),
        };
        let labelled = sections
            .iter()
            .flat_map(|section| labelled(outside.get(section.lines.clone()).unwrap_or_default()))
            .collect();
        Ok(Self { region, home, labelled })
    }

    fn home(&self) -> usize {
        match self.home {
            Home::Section(at) | Home::Card(at) => at,
        }
    }

    fn around(&self) -> Around {
        let mut labels = [false; LABELS.len()];
        for line in &self.labelled {
            labels[line.label] = true;
        }
        Around { has_heading: matches!(self.home, Home::Section(_)), labels }
    }

    fn fillings<'a>(
        &'a self,
        values: &'a [Option<String>; LABELS.len()],
    ) -> impl Iterator<Item = (Range<usize>, String)> + 'a {
        self.labelled.iter().filter_map(|line| {
            let filled = match &values[line.label] {
                Some(value) => line.filled(value)?,
                // Nothing is known now: what stood there comes back.
                None => line.before?.to_owned(),
            };
            Some((line.value_at..line.value_at + line.value.len(), filled))
        })
    }
}

/// The end of the last line of a section that says something, which may be its heading.
fn end_of(section: &Section<'_>, lines: &[Line<'_>]) -> usize {
    let heading = section.lines.start.saturating_sub(1);
    let with_heading = lines.get(heading..section.lines.end).unwrap_or_default();
    let last = with_heading.iter().rev().find(|line| !line.text.trim().is_empty());
    last.map_or(0, |line| line.next)
}

/// Whether a byte lies between a section's heading and the next one.
fn reaches(section: &Section<'_>, lines: &[Line<'_>], at: usize) -> bool {
    let start_of = |index: usize| lines.get(index).map_or(usize::MAX, |line| line.start);
    let heading_end = lines.get(section.lines.start.saturating_sub(1)).map_or(0, |line| line.next);
    (heading_end..=start_of(section.lines.end)).contains(&at)
}

/// The bytes from the one mark to the other, both included; none when there is no mark.
fn region(card: &ModelCard, lines: &[Line<'_>]) -> Result<Option<Range<usize>>, CardError> {
    let offset = offset_of_body(card);
    let at = |line: &Line<'_>| Position::of(card.text(), offset + line.start);
    let mut region: Option<Range<usize>> = None;
    let mut opened: Option<&Line<'_>> = None;
    for line in lines.iter().filter(|line| line.is_prose) {
        match (line.text.trim(), opened) {
            (BEGIN, None) if region.is_none() => opened = Some(line),
            (END, Some(begin)) => {
                region = Some(begin.start..line.start + line.text.trim_end().len());
                opened = None;
            }
            (BEGIN | END, _) => return Err(CardError::Marks { at: at(line) }),
            _ => {}
        }
    }
    match opened {
        Some(begin) => Err(CardError::Marks { at: at(begin) }),
        None => Ok(region),
    }
}

/// A new region at `at`, with a blank line in front of it. A card without a final line break stays without one.
fn insertion(card: &ModelCard, at: usize, region: &str, line_break: &str) -> (Range<usize>, String) {
    let before = &card.text()[..offset_of_body(card) + at];
    let text = match before.trim_start_matches('\u{feff}') {
        before if before.is_empty() || before.ends_with('\n') => format!("{line_break}{region}{line_break}"),
        _ => format!("{line_break}{line_break}{region}"),
    };
    (before.len()..before.len(), text)
}

/// The region with the line breaks that came with it, which are those that stand in it.
fn with_breaks(card: &ModelCard, region: &Range<usize>) -> Range<usize> {
    let (text, offset) = (card.text(), offset_of_body(card));
    let line_break = line_break_of(&card.body()[region.clone()]);
    // A bare carriage return in front of it is not ours.
    let broken_off = |end: usize| text[..end].strip_suffix(line_break).map_or(end, str::len);
    let start = broken_off(offset + region.start);
    let behind = &card.body()[region.end..];
    match behind.find('\n') {
        Some(newline) if behind[..newline].trim().is_empty() => start..offset + region.end + newline + 1,
        // Without a line break behind it, the region came with one more in front of it.
        _ => broken_off(start)..offset + region.end,
    }
}

/// The card with these edits, read again.
fn edited(card: &ModelCard, mut edits: Vec<(Range<usize>, String)>) -> Result<ModelCard, CardError> {
    edits.sort_by_key(|(range, _)| range.start);
    ModelCard::parse(replace(card.text(), &edits))
}

fn offset_of_body(card: &ModelCard) -> usize {
    card.text().len() - card.body().len()
}

#[cfg(test)]
mod tests;
