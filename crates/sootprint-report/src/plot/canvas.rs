//! Colours, text and the PNG file of the plot.

use std::error::Error;

use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The error of a plotting step.
pub(crate) type BoxedError = Box<dyn Error + Send + Sync>;

/// A part of the plot.
pub(crate) type PlotArea<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Width and height in pixels: 1.5 times the width at which most pages show it, so that it stays sharp.
pub(crate) const PLOT_SIZE: (u32, u32) = (1_200, 800);

/// The name under which the font is registered.
pub(crate) const FONT_NAME: &str = "sootprint";

pub(crate) const TEXT_COLOR: RGBColor = RGBColor(31, 41, 55);
pub(crate) const MUTED_COLOR: RGBColor = RGBColor(91, 102, 117);
pub(crate) const GRID_COLOR: RGBColor = RGBColor(221, 226, 232);
/// Blue and orange are distinguishable with any kind of colour vision.
pub(crate) const MEASURED_COLOR: RGBColor = RGBColor(31, 111, 178);
pub(crate) const MODELLED_COLOR: RGBColor = RGBColor(230, 151, 46);

/// For a sum of measured and modelled values.
pub(crate) const MIXED_COLOR: RGBColor = RGBColor(83, 97, 120);

/// The point of a text that is placed at its coordinates.
#[derive(Clone, Copy)]
pub(crate) struct TextAnchor(HPos, VPos);

impl TextAnchor {
    /// The top left corner.
    pub(crate) const TOP_LEFT: Self = Self(HPos::Left, VPos::Top);
    /// The centre of the left side.
    pub(crate) const MIDDLE_LEFT: Self = Self(HPos::Left, VPos::Center);
    /// The centre of the right side.
    pub(crate) const MIDDLE_RIGHT: Self = Self(HPos::Right, VPos::Center);
    /// The centre of the bottom side.
    pub(crate) const BOTTOM_CENTER: Self = Self(HPos::Center, VPos::Bottom);
}

/// The start of a text with at most `max_chars` characters, the last three of which show that it is cut.
pub(crate) fn truncate_text(text: &str, max_chars: usize) -> String {
    match text.chars().count() {
        count if count <= max_chars => text.to_owned(),
        _ => text.chars().take(max_chars - 3).chain("...".chars()).collect(),
    }
}

/// Draws a text with this height in pixels.
pub(crate) fn draw_text(
    area: &PlotArea<'_>,
    text: &str,
    at: (i32, i32),
    height: i32,
    color: &RGBColor,
    anchor: TextAnchor,
) -> Result<(), BoxedError> {
    // The centre of the font's box is above the centre of its letters.
    let at = if matches!(anchor.1, VPos::Center) { (at.0, at.1 + 3) } else { at };
    let style =
        TextStyle::from((FONT_NAME, height).into_font()).color(color).pos(Pos::new(anchor.0, anchor.1));
    Ok(area.draw_text(text, &style, at)?)
}

/// Registers the font. Repeated calls have no effect.
pub(crate) fn register_plot_font() -> Result<(), BoxedError> {
    register_font(FONT_NAME, FontStyle::Normal, ttf_noto_sans::REGULAR).map_err(|_| "invalid font".into())
}

/// Encodes the pixels as a PNG file.
pub(crate) fn encode_png(pixels: &[u8]) -> Result<Vec<u8>, BoxedError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, PLOT_SIZE.0, PLOT_SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}
