//! Writes a footprint into the text or the file of a card.

use std::io;
use std::path::Path;

use sootprint_core::Footprint;
use sootprint_core::file::{is_read_only, parent_dir, read_bytes, resolve_link, write_atomic};

use crate::base_model::{added_base_model, base_model_repo_id, base_model_values};
use crate::card::ModelCard;
use crate::card_template::CardTemplate;
use crate::card_update::{CardUpdate, UpdateKind, foreign_emissions, foreign_report};
use crate::dia_report::{report_values, without_generated_report};
use crate::dir_lock::{DirLock, LOCK_TIMEOUT};
use crate::emissions_block::EmissionsBlock;
use crate::error::CardError;
use crate::file_change::changes_by;
use crate::impact_section::{render_section, template_values};
use crate::keys::{KeyValue, write_keys};
use crate::managed_section::with_managed_section;
use crate::options::CardOptions;
use crate::plot_file::prepare_plot;

/// Writes a footprint into a model card.
///
/// In the metadata, it writes `co2_eq_emissions` as [`ModelCard::with_emissions`] does, and `dia_report` with its
/// `dia_version`. It adds the `base_model` if the run was a fine-tuning of a model named `owner/name` and the card names
/// no base model. In the body, it writes a section "Environmental Impact" between two marker comments. If the card
/// follows the Hub's own template, it also fills in the template's lines without a value, such as `Hardware Type:`;
/// lines that an author has filled in are never changed.
///
/// ```
/// use sootprint_card::{CardOptions, CardTemplate, CardWriter};
///
/// # let footprint = sootprint_core::Footprint::from_json(include_str!("../tests/footprint.json"))?;
/// let writer = CardWriter::new(&footprint)
///     .options(CardOptions::default().dia_report(false))
///     .template(CardTemplate::default().title("Digits").library("burn"));
/// let (edited, _) = writer.apply("---\nlicense: mit\n---\n# My digits\n")?;
/// assert!(edited.starts_with("---\nlicense: mit\nco2_eq_emissions:\n"));
/// assert!(writer.render()?.contains("\n# Digits\n"));
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("README.md");
/// let update = writer.write(&path)?; // edits the card, or creates it from the template
/// # assert_eq!(update.kind, sootprint_card::UpdateKind::Created);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a writer does nothing until `write`, `apply` or `render` is called"]
pub struct CardWriter<'f> {
    footprint: &'f Footprint,
    options: CardOptions,
    template: CardTemplate,
    replaces_read_only: bool,
}

impl<'f> CardWriter<'f> {
    /// Creates a writer for this footprint, with the default options and the default template.
    pub fn new(footprint: &'f Footprint) -> Self {
        let (options, template) = (CardOptions::default(), CardTemplate::default());
        Self { footprint, options, template, replaces_read_only: false }
    }

    /// Sets what is written in addition to the emissions.
    pub fn options(mut self, options: CardOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the content of a new card. Existing cards do not use it.
    pub fn template(mut self, template: CardTemplate) -> Self {
        self.template = template;
        self
    }

    /// Sets whether [`CardWriter::write`] replaces a read-only file. By default it does not.
    pub const fn replace_read_only(mut self, is_enabled: bool) -> Self {
        self.replaces_read_only = is_enabled;
        self
    }

    /// Writes the footprint into the card at `path`, or creates the card from the template.
    ///
    /// The file is replaced as a whole or not at all. Its permissions are kept, and a symbolic link is followed to its
    /// target. [`CardUpdate::file_changes`] lists what could not be kept. Writers of the same folder wait for each other; the last one wins.
    ///
    /// # Errors
    /// The errors of [`CardWriter::apply`], wrapped in [`CardError::InFile`] if they are about the card's text;
    /// [`CardError::Io`], [`CardError::MissingFolder`], [`CardError::ReadOnly`], [`CardError::Locked`] and
    /// [`CardError::Plot`]. The card is then unchanged.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<CardUpdate, CardError> {
        let path = path.as_ref();
        let io_error = |source| CardError::io(path, source);
        let target = resolve_link(path).map_err(io_error)?;
        let folder = parent_dir(&target);
        if !folder.is_dir() {
            return Err(CardError::MissingFolder { path: folder.to_owned() });
        }
        // Held from reading to writing: another writer's change in between would be lost.
        let _lock = DirLock::acquire(&target, LOCK_TIMEOUT).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => CardError::Locked { path: path.to_owned() },
            _ => io_error(source),
        })?;
        let old = match read_bytes(&target, ModelCard::MAX_LEN) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(io_error(source)),
        };
        if old.is_some() && !self.replaces_read_only && is_read_only(&target) {
            return Err(CardError::ReadOnly { path: path.to_owned() });
        }
        let plot_file = prepare_plot(path, self.footprint, &self.options)?;
        let writer = self.clone().options(self.options.clone().plot(plot_file.is_shown()));
        let (text, mut update) = match old {
            Some(bytes) => ModelCard::from_bytes(bytes).and_then(|card| writer.edit(&card)),
            None => writer.create(&self.template.with_defaults_from(path)),
        }
        .map_err(|error| error.with_path(path))?;
        // The plot is written first, so that the card never refers to a missing file.
        update.plot = plot_file.write()?;
        if update.kind != UpdateKind::Unchanged {
            update.file_changes =
                changes_by(&target, || write_atomic(&target, text.as_bytes())).map_err(io_error)?;
        }
        Ok(update)
    }

    /// Writes the footprint into the text of a card. Returns the new text and a report of the changes.
    ///
    /// # Errors
    /// The errors of [`ModelCard::parse`], [`EmissionsBlock::from_footprint`] and [`ModelCard::with_emissions`], and
    /// [`CardError::UnpairedMarkers`].
    pub fn apply(&self, text: &str) -> Result<(String, CardUpdate), CardError> {
        self.edit(&ModelCard::parse(text)?)
    }

    /// Returns the text of a new card, created from the template, with the footprint written into it.
    ///
    /// The card has no licence, because only the author can choose one. A comment states where to add it.
    ///
    /// # Errors
    /// The errors of [`EmissionsBlock::from_footprint`].
    pub fn render(&self) -> Result<String, CardError> {
        self.create(&self.template).map(|(text, _)| text)
    }

    fn create(&self, template: &CardTemplate) -> Result<(String, CardUpdate), CardError> {
        let (text, update) = self.edit(&ModelCard::parse(template.render())?)?;
        let base_model = base_model_repo_id(self.footprint).map(str::to_owned);
        Ok((text, CardUpdate { kind: UpdateKind::Created, base_model, ..update }))
    }

    fn edit(&self, card: &ModelCard) -> Result<(String, CardUpdate), CardError> {
        let (footprint, options) = (self.footprint, &self.options);
        let block = EmissionsBlock::from_footprint(footprint)?;
        let with_section = with_managed_section(card, &template_values(footprint), |context| {
            render_section(footprint, options, context)
        })?;
        let mut values = base_model_values(card, footprint, options);
        values.push(KeyValue::emissions(&block)?);
        let edited = if options.includes_dia_report() {
            values.extend(report_values(footprint, options)?);
            write_keys(&with_section, &values)?
        } else {
            without_generated_report(&write_keys(&with_section, &values)?)?
        };
        // An edit of the front matter parses its result. If only the section changed, the card is parsed here.
        if edited.text() != card.text() && edited.front_matter() == card.front_matter() {
            ModelCard::parse(edited.text())?;
        }
        let update = CardUpdate {
            kind: if edited.text() == card.text() { UpdateKind::Unchanged } else { UpdateKind::Edited },
            replaced_emissions: foreign_emissions(card),
            replaced_report: foreign_report(card, options),
            base_model: added_base_model(card, footprint).map(str::to_owned),
            plot: None,
            file_changes: Vec::new(),
        };
        Ok((edited.into_text(), update))
    }
}

#[cfg(test)]
mod tests;
