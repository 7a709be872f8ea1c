//! Colours, texts and the file of the picture.

use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::BoxedError;

/// A part of the picture.
pub(super) type PlotArea<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Half as large again as most pages show it, so that it stays sharp.
pub(super) const PLOT_SIZE: (u32, u32) = (1_200, 800);

/// The name under which the font is registered.
pub(super) const FONT_NAME: &str = "sootprint";

pub(super) const TEXT_COLOR: RGBColor = RGBColor(31, 41, 55);
pub(super) const MUTED_COLOR: RGBColor = RGBColor(91, 102, 117);
pub(super) const GRID_COLOR: RGBColor = RGBColor(221, 226, 232);
/// Blue and orange differ for all kinds of eyes.
pub(super) const MEASURED_COLOR: RGBColor = RGBColor(31, 111, 178);
pub(super) const MODELLED_COLOR: RGBColor = RGBColor(230, 151, 46);

/// Of what is in part measured and in part modelled.
pub(super) const MIXED_COLOR: RGBColor = RGBColor(83, 97, 120);

/// Which point of a text is put at its coordinates.
#[derive(Clone, Copy)]
pub(super) struct TextAnchor(HPos, VPos);

impl TextAnchor {
    /// The upper left corner.
    pub(super) const TOP_LEFT: Self = Self(HPos::Left, VPos::Top);
    /// The middle of the left edge.
    pub(super) const MIDDLE_LEFT: Self = Self(HPos::Left, VPos::Center);
    /// The middle of the right edge.
    pub(super) const MIDDLE_RIGHT: Self = Self(HPos::Right, VPos::Center);
    /// The middle of the lower edge.
    pub(super) const BOTTOM_CENTER: Self = Self(HPos::Center, VPos::Bottom);
}

/// Text of this height in pixels.
pub(super) fn draw_text(
    area: &PlotArea<'_>,
    text: &str,
    at: (i32, i32),
    height: i32,
    color: &RGBColor,
    anchor: TextAnchor,
) -> Result<(), BoxedError> {
    // The middle of the font's box is above that of its letters.
    let at = if matches!(anchor.1, VPos::Center) { (at.0, at.1 + 3) } else { at };
    let style =
        TextStyle::from((FONT_NAME, height).into_font()).color(color).pos(Pos::new(anchor.0, anchor.1));
    Ok(area.draw_text(text, &style, at)?)
}

/// Registers the font; once more does no harm.
pub(super) fn register_plot_font() -> Result<(), BoxedError> {
    register_font(FONT_NAME, FontStyle::Normal, ttf_noto_sans::REGULAR)
        .map_err(|_| "the font cannot be read".into())
}

/// The pixels as a file.
pub(super) fn encode_png(pixels: &[u8]) -> Result<Vec<u8>, BoxedError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, PLOT_SIZE.0, PLOT_SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}
