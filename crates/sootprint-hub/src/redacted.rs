//! The footprint as anybody may read it.

use serde_json::Value;
use sootprint::{Footprint, FootprintError, Kind, Outcome};

use crate::error::PublishError;
use crate::name::RepositoryName;

/// Stands in for a note that names a place on this machine.
const LEFT_OUT: &str = "a note is left out here: it names a file or folder of the machine";

/// The footprint that is published: boards are called `gpu0`, `gpu1` and so on, and neither a UUID nor a path of this
/// machine is left in it.
///
/// # Errors
/// [`PublishError::NotMeasured`] and [`PublishError::Unfinished`] for what is no account of a model's training.
pub(crate) fn publishable(footprint: &Footprint) -> Result<Footprint, PublishError> {
    if !footprint.is_measured() {
        return Err(PublishError::NotMeasured);
    }
    let outcome = footprint.run.outcome;
    if matches!(outcome, Outcome::Failed | Outcome::Panicked | Outcome::Running) {
        return Err(PublishError::Unfinished { outcome });
    }
    redact(footprint).map_err(PublishError::Footprint)
}

fn redact(footprint: &Footprint) -> Result<Footprint, FootprintError> {
    let mut footprint = footprint.clone();
    let names = rename_boards(&mut footprint);
    footprint.run.base_model = footprint.run.base_model.filter(|name| RepositoryName::parse(name).is_ok());
    let notes = footprint.components.iter_mut().filter_map(|component| component.note.as_mut());
    for note in notes.chain(&mut footprint.notes) {
        if names_a_path(note) {
            LEFT_OUT.clone_into(note);
        }
    }
    // All texts of the document, so that a field that comes later is not forgotten here.
    let mut document: Value = serde_json::from_str(&footprint.to_json()?)?;
    scrub(&mut document, &names);
    Footprint::from_json(&document.to_string())
}

/// Gives the boards their public names and returns what they were called, the longest first: one may begin another.
fn rename_boards(footprint: &mut Footprint) -> Vec<(String, String)> {
    let boards = footprint.components.iter_mut().filter(|component| component.kind == Kind::Gpu);
    let mut names: Vec<_> = boards
        .enumerate()
        .map(|(index, board)| {
            let public = format!("gpu{index}");
            (std::mem::replace(&mut board.id, public.clone()), public)
        })
        .filter(|(id, _)| !id.is_empty())
        .collect();
    names.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
    names
}

fn scrub(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) if names.iter().any(|(id, _)| text.contains(id)) || has_uuid(text) => {
            let named = names.iter().fold(text.clone(), |text, (id, public)| text.replace(id, public));
            *text = without_uuids(&named);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| scrub(value, names)),
        Value::Object(fields) => fields.values_mut().for_each(|value| scrub(value, names)),
        _ => {}
    }
}

fn has_uuid(text: &str) -> bool {
    text.char_indices().any(|(at, _)| uuid_length(&text[at..]) > 0)
}

/// The text with a dash for what is left of each UUID; `GPU-` or `MIG-` before it stay.
fn without_uuids(text: &str) -> String {
    let mut scrubbed = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match uuid_length(rest) {
            0 => {
                scrubbed.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
            length => {
                scrubbed.push('…');
                rest = &rest[length..];
            }
        }
    }
    scrubbed
}

/// The length of the UUID that a text begins with, or of a part of one behind `GPU-` or `MIG-`; 0 for none.
///
/// CUDA takes a board's UUID by its first digits, so a part of one may stand in a note, too.
fn uuid_length(text: &str) -> usize {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_hexadecimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(whole) = text.get(..36) {
        let groups: Vec<&str> = whole.split('-').collect();
        if groups.iter().map(|group| group.len()).eq(GROUPS) && groups.into_iter().all(is_hexadecimal) {
            return 36;
        }
    }
    let behind = text.strip_prefix("GPU-").or_else(|| text.strip_prefix("MIG-")).unwrap_or_default();
    let digits = behind.bytes().take_while(|byte| byte.is_ascii_hexdigit() || *byte == b'-').count();
    if digits >= 4 { 4 + digits } else { 0 }
}

/// Whether a word of the text is a path that tells of this machine: not one of the kernel's, not a unit, not a link.
fn names_a_path(text: &str) -> bool {
    let is_public = |word: &str| {
        ["/proc/", "/sys/", "/dev/", "https://"].iter().any(|prefix| word.starts_with(prefix))
            || word.trim_end_matches(['.', ',', ';', ':', ')']).ends_with("/kWh")
    };
    let words = text.split(|letter: char| letter.is_whitespace() || "\"'`(=".contains(letter));
    words.filter(|word| word.contains(['/', '\\'])).any(|word| !is_public(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn boards_lose_their_uuids_and_nothing_else_changes() {
        let original = sample::footprint();
        let public = publishable(&original).unwrap();
        let ids: Vec<_> = public.components.iter().map(|component| component.id.as_str()).collect();
        assert_eq!(ids, ["gpu0", "gpu1", "cpu", "memory"]);
        assert_eq!(public.components[1].note.as_deref(), Some("gpu1 is hotter than gpu0"));
        assert_eq!(public.notes, ["NVIDIA H200 (…) is not measured: it has no sensor"]);

        let mut restored = public.clone();
        for (component, original) in restored.components.iter_mut().zip(&original.components) {
            component.id.clone_from(&original.id);
            component.note.clone_from(&original.note);
        }
        restored.notes.clone_from(&original.notes);
        assert_eq!(restored, original);
    }

    #[test]
    fn no_digit_of_a_uuid_is_left_anywhere() {
        let json = publishable(&sample::footprint()).unwrap().to_json().unwrap();
        for part in ["5c1bd4f2", "0e6b7a2f9d31", "e2a90c77", "11111111", "GPU-"] {
            assert!(!json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn uuids_are_found_whole_in_part_and_among_other_text() {
        for (text, scrubbed) in [
            ("5C1BD4F2-27d7-4d4c-9a64-0e6b7a2f9d31", "…"),
            ("é GPU-5c1bd4f2 and MIG-GPU-5c1bd4f2-27d7-4d4c-9a64-0e6b7a2f9d31/1/0.", "é … and MIG-…/1/0."),
            ("GPU-bound, MIG-3g", "GPU-bound, MIG-3g"),
            ("5c1bd4f2-27d7-4d4c-9a64", "5c1bd4f2-27d7-4d4c-9a64"),
        ] {
            assert_eq!(without_uuids(text), scrubbed);
        }
    }

    #[test]
    fn a_name_that_begins_another_does_not_break_it() {
        let mut footprint = sample::footprint();
        "board1".clone_into(&mut footprint.components[0].id);
        "board10".clone_into(&mut footprint.components[1].id);
        footprint.components[1].note = Some("board10 waits for board1".to_owned());
        let public = publishable(&footprint).unwrap();
        assert_eq!(public.components[1].note.as_deref(), Some("gpu1 waits for gpu0"));
    }

    #[test]
    fn a_note_that_names_a_place_on_the_machine_is_left_out() {
        let mut footprint = sample::footprint();
        footprint.notes = [
            "cannot write /home/alice/digits/x.jsonl: disk full",
            r"C:\Users\alice is full",
            "artifacts/digits is full",
            "(~/digits) is full",
            "unknown: /proc/stat or /proc/meminfo cannot be read",
            "the world's mean intensity, 36 to 802 g/kWh, stands in",
        ]
        .map(str::to_owned)
        .to_vec();
        let expected: Vec<_> =
            std::iter::repeat_n(LEFT_OUT, 4).chain(footprint.notes[4..].iter().map(|note| &**note)).collect();
        assert_eq!(publishable(&footprint).unwrap().notes, expected);
    }

    #[test]
    fn a_base_model_is_published_only_by_its_name_on_the_hub() {
        for (given, published) in
            [("org/base", Some("org/base")), ("/home/alice/base", None), ("./base", None)]
        {
            let mut footprint = sample::footprint();
            footprint.run.base_model = Some(given.to_owned());
            assert_eq!(publishable(&footprint).unwrap().run.base_model.as_deref(), published);
        }
    }

    #[test]
    fn what_was_not_measured_or_not_finished_is_refused() {
        let mut unmeasured = sample::footprint();
        unmeasured.components.clear();
        assert!(matches!(publishable(&unmeasured), Err(PublishError::NotMeasured)));

        let mut footprint = sample::footprint();
        for outcome in [Outcome::Failed, Outcome::Panicked, Outcome::Running] {
            footprint.run.outcome = outcome;
            let error = publishable(&footprint).unwrap_err();
            assert!(
                matches!(error, PublishError::Unfinished { outcome: found } if found == outcome),
                "{error}"
            );
        }
        for outcome in [Outcome::Completed, Outcome::StoppedEarly, Outcome::Interrupted, Outcome::Killed] {
            footprint.run.outcome = outcome;
            assert!(publishable(&footprint).is_ok());
        }
    }
}
