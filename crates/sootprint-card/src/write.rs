//! A footprint into a card: its text, or its file.

use std::fs;
use std::io;
use std::path::{self, Path};

use sootprint::{Footprint, TrainingType};

use crate::block::EmissionsBlock;
use crate::card::{BASE_MODEL, ModelCard};
use crate::error::CardError;
use crate::file::write_whole;
use crate::minimal::NewCard;

/// What writing a footprint did to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Whether the card is new, changed or as it was.
    pub change: Change,
    /// The emissions of another author that made way, in one line, for the log and the commit's description.
    pub replaced: Option<String>,
    /// The `base_model` that was added.
    pub base_model: Option<String>,
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

/// The text of a card with this footprint in it.
///
/// `co2_eq_emissions` is written as [`ModelCard::with_emissions`] does. The `base_model` is added when the run was a
/// fine-tuning of a model named `owner/name` and the card names none.
///
/// # Errors
/// Those of [`ModelCard::parse`], [`EmissionsBlock::from_footprint`] and [`ModelCard::with_emissions`].
pub fn apply(text: &str, footprint: &Footprint) -> Result<(String, Written), CardError> {
    let block = EmissionsBlock::from_footprint(footprint)?;
    let card = ModelCard::parse(text)?;
    let base_model = base_model_of(footprint).filter(|_| !card.has(BASE_MODEL));
    let edited = match base_model {
        Some(name) => card.with_base_model(name)?.with_emissions(&block)?,
        None => card.with_emissions(&block)?,
    };
    let change = if edited.text() == text { Change::Unchanged } else { Change::Edited };
    let written =
        Written { change, replaced: card.foreign_emissions(), base_model: base_model.map(str::to_owned) };
    Ok((edited.into_text(), written))
}

/// Writes a footprint into the card at `path`, whole or not at all. Where there is no card, it makes a small one.
///
/// The file's permissions are kept, and a link is followed to its file.
///
/// # Errors
/// Those of [`apply`], with the path, and [`CardError::File`]. The file is then as it was.
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
    let path = path.as_ref();
    let old = match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(CardError::file(path, source)),
    };
    let (text, written) = match old {
        Some(bytes) => ModelCard::from_bytes(bytes).and_then(|card| apply(card.text(), footprint)),
        None => new.titled_at_last(|| folder_name(path)).render(footprint).map(|text| {
            let base_model = base_model_of(footprint).map(str::to_owned);
            (text, Written { change: Change::Created, replaced: None, base_model })
        }),
    }
    .map_err(|error| error.in_file(path))?;
    if written.change != Change::Unchanged {
        write_whole(path, &text).map_err(|source| CardError::file(path, source))?;
    }
    Ok(written)
}

/// The base model of a fine-tuning, when it has a name that the Hub could know. A path is nobody's business.
fn base_model_of(footprint: &Footprint) -> Option<&str> {
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

/// The name of the folder that the card lies in.
fn folder_name(card: &Path) -> Option<String> {
    let folder = path::absolute(card).ok()?;
    Some(folder.parent()?.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn an_unmeasured_run_makes_no_card() {
        let dir = tempfile::tempdir().unwrap();
        let mut footprint = sample::footprint();
        footprint.components.clear();
        let error = write_card(dir.path().join("README.md"), &footprint).unwrap_err();
        assert!(matches!(error, CardError::NotMeasured));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
