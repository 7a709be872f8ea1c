//! A footprint into a card: its text, or its file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sootprint::{Footprint, TrainingType};

use crate::beside::picture_beside;
use crate::block::EmissionsBlock;
use crate::card::{BASE_MODEL, ModelCard, RELATION};
use crate::error::CardError;
use crate::file::{FolderLock, target_of, write_whole};
use crate::minimal::NewCard;
use crate::options::CardOptions;
use crate::region::with_region;
use crate::report::{REPORT, is_own, with_report};
use crate::section;
use crate::splice::old_value;

/// What writing a footprint did to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Whether the card is new, changed or as it was.
    pub change: Change,
    /// The emissions of another author that made way, in one line, for the log and the commit's description.
    pub replaced: Option<String>,
    /// The `dia_report` of another author that made way, in one line.
    pub replaced_report: Option<String>,
    /// The `base_model` that was added.
    pub base_model: Option<String>,
    /// The picture that was drawn beside the card.
    pub picture: Option<PathBuf>,
}

/// What became of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// There was no card.
    Created,
    /// The card's text is another one.
    Edited,
    /// The card said all of it already; its file was not written.
    Unchanged,
}

/// The text of a card with this footprint in it, as [`CardOptions`] are by default.
///
/// # Errors
/// Those of [`apply_with`].
pub fn apply(text: &str, footprint: &Footprint) -> Result<(String, Written), CardError> {
    apply_with(text, footprint, &CardOptions::default())
}

/// The text of a card with this footprint in it.
///
/// In the metadata, `co2_eq_emissions` is written as [`ModelCard::with_emissions`] does, and `dia_report` with its
/// `dia_version`. The `base_model` is added when the run was a fine-tuning of a model named `owner/name` and the card
/// names none. In the body, a section "Environmental Impact" is written between two marks, which are comments; the
/// empty lines of the Hub's own template are filled in, and a filled one is never changed.
///
/// # Errors
/// Those of [`ModelCard::parse`], [`EmissionsBlock::from_footprint`] and [`ModelCard::with_emissions`], and
/// [`CardError::Marks`].
pub fn apply_with(
    text: &str,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<(String, Written), CardError> {
    let block = EmissionsBlock::from_footprint(footprint)?;
    let card = ModelCard::parse(text)?;
    let base_model = base_model_of(footprint).filter(|_| !card.has(BASE_MODEL));
    let values = section::values(footprint);
    // Each edit of the front matter that fails is tried on the card as it is: its author knows no other lines.
    let step = |edited: &ModelCard, edit: &dyn Fn(&ModelCard) -> Result<ModelCard, CardError>| {
        edit(edited).map_err(|error| edit(&card).err().unwrap_or(error))
    };
    let edited = with_region(&card, &values, |around| section::content(footprint, options, around))?;
    let edited = step(&edited, &|card| with_base_model(card, footprint, options))?;
    let edited = step(&edited, &|card| card.with_emissions(&block))?;
    let edited = step(&edited, &|card| with_report(card, footprint, options))?;
    let written = Written {
        change: if edited.text() == text { Change::Unchanged } else { Change::Edited },
        replaced: card.foreign_emissions(),
        replaced_report: replaced_report(&card, options),
        base_model: base_model.map(str::to_owned),
        picture: None,
    };
    Ok((edited.into_text(), written))
}

/// Writes a footprint into the card at `path`, whole or not at all. Where there is no card, it makes a small one.
///
/// The file's permissions are kept, and a link is followed to its file. Two that write at once take turns, and the
/// last one wins.
///
/// # Errors
/// Those of [`apply`], with the path, [`CardError::File`] and [`CardError::Locked`]. The file is then as it was.
pub fn write_card(path: impl AsRef<Path>, footprint: &Footprint) -> Result<Written, CardError> {
    write_card_or(path, footprint, &NewCard::default())
}

/// As [`write_card`], and says what a new card says.
///
/// # Errors
/// Those of [`write_card`].
pub fn write_card_or(
    path: impl AsRef<Path>,
    footprint: &Footprint,
    new: &NewCard,
) -> Result<Written, CardError> {
    write_card_with(path, footprint, new, &CardOptions::default())
}

/// As [`write_card_or`], with options.
///
/// # Errors
/// Those of [`write_card`].
pub fn write_card_with(
    path: impl AsRef<Path>,
    footprint: &Footprint,
    new: &NewCard,
    options: &CardOptions,
) -> Result<Written, CardError> {
    let path = path.as_ref();
    let file = |source| CardError::file(path, source);
    let target = target_of(path).map_err(file)?;
    // From the reading to the writing: what another one writes in between would be lost.
    let _lock = FolderLock::take(&target).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => CardError::Locked { path: path.to_owned() },
        _ => file(source),
    })?;
    let old = match fs::read(&target) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(file(source)),
    };
    let picture = picture_beside(path, footprint, options)?;
    let options = options.clone().picture(picture.is_shown());
    let (text, mut written) = match old {
        Some(bytes) => {
            ModelCard::from_bytes(bytes).and_then(|card| apply_with(card.text(), footprint, &options))
        }
        None => new.completed_from(path).render_with(footprint, &options).map(|text| {
            let base_model = base_model_of(footprint).map(str::to_owned);
            (
                text,
                Written {
                    change: Change::Created,
                    replaced: None,
                    replaced_report: None,
                    base_model,
                    picture: None,
                },
            )
        }),
    }
    .map_err(|error| error.in_file(path))?;
    // The picture comes first, so that the card never shows one that is not there.
    written.picture = picture.write().map_err(|(path, source)| CardError::file(&path, source))?;
    if written.change != Change::Unchanged {
        write_whole(&target, text.as_bytes()).map_err(file)?;
    }
    Ok(written)
}

fn with_base_model(
    card: &ModelCard,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<ModelCard, CardError> {
    let Some(base_model) = base_model_of(footprint) else { return Ok(card.clone()) };
    let card = card.with_absent(BASE_MODEL, base_model)?;
    match options.known_relation() {
        // The relation is one to this base model; of another one that the card names we know nothing.
        Some(relation) if card.text_of(BASE_MODEL) == Some(base_model) => {
            card.with_absent(RELATION, relation.as_str())
        }
        _ => Ok(card),
    }
}

/// The report that another author wrote and that made way.
fn replaced_report(card: &ModelCard, options: &CardOptions) -> Option<String> {
    let is_foreign = options.has_report() && card.has(REPORT) && !is_own(card);
    is_foreign.then(|| old_value(card, REPORT)).flatten()
}

/// The base model of a fine-tuning, when it has a name that the Hub could know. A path is nobody's business.
pub(crate) fn base_model_of(footprint: &Footprint) -> Option<&str> {
    let name = footprint.run.base_model.as_deref()?;
    (footprint.run.training_type == Some(TrainingType::FineTuning) && is_repository(name)).then_some(name)
}

/// The Hub's rules for `owner/name`: at most 96 ASCII letters, digits, `-`, `_` and `.` in two parts that neither
/// begin nor end with `-` or `.` and hold neither `--` nor `..`.
fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("--")
            && !part.contains("..")
    };
    name.len() <= 96 && name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Relation;
    use crate::sample;

    #[test]
    fn a_fine_tuning_names_its_base_model_once() {
        let footprint = sample::fine_tuning("org/base");
        let (text, written) = apply("---\nlicense: mit\n---\n", &footprint).unwrap();
        assert!(
            text.starts_with("---\nlicense: mit\nbase_model: \"org/base\"\nco2_eq_emissions:\n"),
            "{text}"
        );
        assert!(text.contains("  training_type: \"fine-tuning\"\n"), "{text}");
        assert_eq!((written.change, written.base_model.as_deref()), (Change::Edited, Some("org/base")));

        let (again, written) = apply(&text, &footprint).unwrap();
        assert_eq!((again, written.change, written.base_model), (text, Change::Unchanged, None));
    }

    #[test]
    fn a_base_model_that_is_there_is_never_changed() {
        for base in ["base_model: other/base", "base_model:", "base_model: [a/b, c/d]"] {
            let (text, written) =
                apply(&format!("---\n{base}\n---\n"), &sample::fine_tuning("org/base")).unwrap();
            assert!(text.starts_with(&format!("---\n{base}\nco2_eq_emissions:")), "{text}");
            assert_eq!(written.base_model, None);
        }
    }

    #[test]
    fn a_base_model_that_is_no_repository_is_never_written() {
        for base in [
            "/home/alice/base",
            "./base",
            "../a/b",
            "a/b/c",
            "base",
            "~/base",
            "a/ b",
            "a//b",
            "/a",
            "a/",
            "",
        ] {
            let (text, written) = apply("# Title\n", &sample::fine_tuning(base)).unwrap();
            assert!(!text.contains("base_model") && written.base_model.is_none(), "{base}: {text}");
        }
        let mut footprint = sample::footprint();
        footprint.run.base_model = Some("org/base".to_owned());
        assert!(!apply("# Title\n", &footprint).unwrap().0.contains("base_model"));
    }

    #[test]
    fn what_another_author_wrote_is_named_when_it_makes_way() {
        let replaced = |yaml: &str| {
            let (text, written) = apply(&format!("---\n{yaml}\n---\n"), &sample::footprint()).unwrap();
            assert_eq!(
                apply(&text, &sample::footprint()).unwrap().1.replaced,
                None,
                "our own value is not foreign"
            );
            written.replaced
        };
        assert_eq!(replaced("co2_eq_emissions: 12.3 # AutoTrain").as_deref(), Some("12.3 # AutoTrain"));
        assert_eq!(
            replaced("co2_eq_emissions:\n  emissions: 25.4\n  # kept\n  on_cloud: no\n  source: >-\n    Code\n    Carbon")
                .as_deref(),
            Some("emissions: 25.4, source: >- Code Carbon")
        );
        assert_eq!(
            replaced("co2_eq_emissions: {emissions: 1,\n  a: 2}").as_deref(),
            Some("{emissions: 1, a: 2}")
        );
        assert_eq!(replaced("co2_eq_emissions: ~").as_deref(), Some("~"));
        assert_eq!(replaced("co2_eq_emissions:"), None);
        assert_eq!(replaced("license: mit"), None);
    }

    #[test]
    fn a_card_is_created_edited_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("digits");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("README.md");
        let write = |footprint: &Footprint| write_card(&path, footprint).unwrap().change;

        assert_eq!(write(&sample::footprint()), Change::Created);
        assert!(fs::read_to_string(&path).unwrap().contains("\n# digits\n"));
        assert_eq!(write(&sample::footprint()), Change::Unchanged);
        assert_eq!(write(&sample::fine_tuning("org/base")), Change::Edited);
        let emissions = ModelCard::open(&path).unwrap().emissions().unwrap().unwrap();
        assert_eq!(emissions.training_type.as_deref(), Some("fine-tuning"));
    }

    #[test]
    fn a_card_that_cannot_be_read_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        let broken = "---\na: 1\na: 2\n---\n";
        fs::write(&path, broken).unwrap();
        let error = write_card(&path, &sample::footprint()).unwrap_err();
        assert!(matches!(error.problem(), CardError::DuplicateKey { .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("{}: line 3, column 1: ", path.display())), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_relation_is_one_to_the_base_model_that_was_trained() {
        let options = CardOptions::default().relation(Relation::Adapter);
        let relation = |card: &str, footprint: &Footprint| {
            let (text, _) = apply_with(card, footprint, &options).unwrap();
            ModelCard::parse(text).unwrap().text_of(RELATION).map(str::to_owned)
        };
        let adapter = Some("adapter".to_owned());
        assert_eq!(relation("# T\n", &sample::fine_tuning("org/base")), adapter);
        assert_eq!(relation("---\nbase_model: org/base\n---\n", &sample::fine_tuning("org/base")), adapter);
        let said = "---\nbase_model: org/base\nbase_model_relation: merge\n---\n";
        assert_eq!(relation(said, &sample::fine_tuning("org/base")).as_deref(), Some("merge"));
        assert_eq!(relation("---\nbase_model: org/other\n---\n", &sample::fine_tuning("org/base")), None);
        assert_eq!(relation("# T\n", &sample::footprint()), None, "a pre-training has no base model");
    }

    #[test]
    fn a_section_and_a_report_are_written_and_renewed() {
        let card = "---\nlicense: mit\n---\n# Digits\n";
        let (once, _) = apply(card, &sample::footprint()).unwrap();
        let (renewed, written) = apply(&once, &sample::fine_tuning("org/base")).unwrap();
        let (at_once, _) = apply(card, &sample::fine_tuning("org/base")).unwrap();
        let parts = |text: &str| text.split_once("# Digits").map(|(_, body)| body.to_owned());
        assert_eq!(parts(&renewed), parts(&at_once));
        assert_eq!((renewed.matches("dia_report:").count(), renewed.matches("## Env").count()), (1, 1));
        assert_eq!(written.replaced_report, None, "our own report is not foreign");
        let foreign = "---\ndia_version: '0.1'\ndia_report: {tool: other}\n---\n";
        let (_, written) = apply(foreign, &sample::footprint()).unwrap();
        assert_eq!(written.replaced_report.as_deref(), Some("{tool: other}"));
    }

    #[cfg(feature = "picture")]
    #[test]
    fn a_picture_is_drawn_beside_the_card_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        let picture = dir.path().join(crate::PICTURE_FILE);
        let write = |footprint: &Footprint, options: &CardOptions| {
            let written = write_card_with(&path, footprint, &NewCard::default(), options).unwrap();
            (written.picture, fs::read_to_string(&path).unwrap().contains("](sootprint.png)"))
        };
        let shown = CardOptions::default().picture(true);
        assert_eq!(write(&sample::footprint(), &shown), (None, false), "no trace of its power");
        assert_eq!(write(&sample::with_epochs(), &CardOptions::default()), (None, false), "not asked for");
        assert!(!picture.exists());
        assert_eq!(write(&sample::with_epochs(), &shown), (Some(picture.clone()), true));
        assert_eq!(
            fs::read(&picture).unwrap(),
            crate::draw_picture(&sample::with_epochs()).unwrap().unwrap()
        );
    }

    #[test]
    fn nothing_private_gets_into_a_card() {
        let mut footprint = sample::fine_tuning("/home/alice/base");
        footprint.notes = vec!["cannot read /home/alice/x on host-7".to_owned()];
        footprint.grid.source = "/home/alice/series.csv".to_owned();
        for component in &mut footprint.components {
            component.id = "GPU-0e4f1a52-aaaa-bbbb-cccc-0123456789ab".to_owned();
            component.note = Some("host-7 at /home/alice".to_owned());
        }
        let (text, _) = apply("# Title\n", &footprint).unwrap();
        for private in ["alice", "host-7", "0e4f1a52"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
    }

    #[test]
    fn an_unmeasured_run_makes_no_card() {
        let dir = tempfile::tempdir().unwrap();
        let mut footprint = sample::footprint();
        footprint.components.clear();
        let error = write_card(dir.path().join("README.md"), &footprint).unwrap_err();
        assert!(matches!(error, CardError::NotMeasured));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
