//! The footprint as anybody may read it.

use serde_json::Value;
use sootprint::{ComponentKind, Footprint, FootprintError, RunStatus};

use crate::error::PushError;
use crate::repo_id::RepoId;

/// Stands in for a note that names a place on this machine.
const REDACTED_NOTE: &str = "a note is left out here: it names a file or folder of the machine";

/// The footprint that is published: boards are called `gpu0`, `gpu1` and so on, and neither a UUID nor a path of this
/// machine is left in it.
///
/// # Errors
/// [`PushError::NotMeasured`] and [`PushError::UnsuccessfulRun`] for what is no account of a model's training.
pub(crate) fn redact_for_publication(footprint: &Footprint) -> Result<Footprint, PushError> {
    if !footprint.is_measured() {
        return Err(PushError::NotMeasured);
    }
    let outcome = footprint.run.outcome;
    if matches!(outcome, RunStatus::Failed | RunStatus::Panicked | RunStatus::Running) {
        return Err(PushError::UnsuccessfulRun { status: outcome });
    }
    redact(footprint).map_err(PushError::FootprintSerialization)
}

fn redact(footprint: &Footprint) -> Result<Footprint, FootprintError> {
    let mut footprint = footprint.clone();
    let names = rename_gpus(&mut footprint);
    footprint.run.base_model = footprint.run.base_model.filter(|name| RepoId::parse(name).is_ok());
    let notes = footprint.components.iter_mut().filter_map(|component| component.note.as_mut());
    for note in notes.chain(&mut footprint.notes) {
        if contains_path(note) {
            REDACTED_NOTE.clone_into(note);
        }
    }
    // All texts of the document, so that a field that comes later is not forgotten here.
    let mut document: Value = serde_json::from_str(&footprint.to_json()?)?;
    redact_strings(&mut document, &names);
    Footprint::from_json(&document.to_string())
}

/// Gives the boards their public names and returns what they were called, the longest first: one may begin another.
fn rename_gpus(footprint: &mut Footprint) -> Vec<(String, String)> {
    let gpus = footprint.components.iter_mut().filter(|component| component.kind == ComponentKind::Gpu);
    let mut names: Vec<_> = gpus
        .enumerate()
        .map(|(index, gpu)| {
            let public = format!("gpu{index}");
            (std::mem::replace(&mut gpu.id, public.clone()), public)
        })
        .filter(|(id, _)| !id.is_empty())
        .collect();
    names.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
    names
}

fn redact_strings(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) if names.iter().any(|(id, _)| text.contains(id)) || has_uuid(text) => {
            let named = names.iter().fold(text.clone(), |text, (id, public)| text.replace(id, public));
            *text = redact_uuids(&named);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact_strings(value, names)),
        Value::Object(fields) => fields.values_mut().for_each(|value| redact_strings(value, names)),
        _ => {}
    }
}

fn has_uuid(text: &str) -> bool {
    text.char_indices().any(|(at, _)| uuid_len_at_start(&text[at..]) > 0)
}

/// The text with a dash for what is left of each UUID; `GPU-` or `MIG-` before it stay.
fn redact_uuids(text: &str) -> String {
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match uuid_len_at_start(rest) {
            0 => {
                redacted.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
            length => {
                redacted.push('…');
                rest = &rest[length..];
            }
        }
    }
    redacted
}

/// The length of the UUID that a text begins with, or of a part of one behind `GPU-` or `MIG-`; 0 for none.
///
/// CUDA takes a board's UUID by its first digits, so a part of one may stand in a note, too.
fn uuid_len_at_start(text: &str) -> usize {
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
fn contains_path(text: &str) -> bool {
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
    use crate::test_footprint;

    #[test]
    fn only_gpu_uuids_are_redacted() {
        let original = test_footprint::sample_footprint();
        let public = redact_for_publication(&original).unwrap();
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
    fn published_json_contains_no_uuid() {
        let json = redact_for_publication(&test_footprint::sample_footprint()).unwrap().to_json().unwrap();
        for part in ["5c1bd4f2", "0e6b7a2f9d31", "e2a90c77", "11111111", "GPU-"] {
            assert!(!json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn full_and_partial_uuids_are_found() {
        for (text, scrubbed) in [
            ("5C1BD4F2-27d7-4d4c-9a64-0e6b7a2f9d31", "…"),
            ("é GPU-5c1bd4f2 and MIG-GPU-5c1bd4f2-27d7-4d4c-9a64-0e6b7a2f9d31/1/0.", "é … and MIG-…/1/0."),
            ("GPU-bound, MIG-3g", "GPU-bound, MIG-3g"),
            ("5c1bd4f2-27d7-4d4c-9a64", "5c1bd4f2-27d7-4d4c-9a64"),
        ] {
            assert_eq!(redact_uuids(text), scrubbed);
        }
    }

    #[test]
    fn prefix_gpu_ids_are_replaced_separately() {
        let mut footprint = test_footprint::sample_footprint();
        "board1".clone_into(&mut footprint.components[0].id);
        "board10".clone_into(&mut footprint.components[1].id);
        footprint.components[1].note = Some("board10 waits for board1".to_owned());
        let public = redact_for_publication(&footprint).unwrap();
        assert_eq!(public.components[1].note.as_deref(), Some("gpu1 waits for gpu0"));
    }

    #[test]
    fn note_with_path_is_redacted() {
        let mut footprint = test_footprint::sample_footprint();
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
        let expected: Vec<_> = std::iter::repeat_n(REDACTED_NOTE, 4)
            .chain(footprint.notes[4..].iter().map(|note| &**note))
            .collect();
        assert_eq!(redact_for_publication(&footprint).unwrap().notes, expected);
    }

    #[test]
    fn base_model_must_be_repo_id() {
        for (given, published) in
            [("org/base", Some("org/base")), ("/home/alice/base", None), ("./base", None)]
        {
            let mut footprint = test_footprint::sample_footprint();
            footprint.run.base_model = Some(given.to_owned());
            assert_eq!(redact_for_publication(&footprint).unwrap().run.base_model.as_deref(), published);
        }
    }

    #[test]
    fn unmeasured_or_unfinished_run_is_refused() {
        let mut unmeasured = test_footprint::sample_footprint();
        unmeasured.components.clear();
        assert!(matches!(redact_for_publication(&unmeasured), Err(PushError::NotMeasured)));

        let mut footprint = test_footprint::sample_footprint();
        for outcome in [RunStatus::Failed, RunStatus::Panicked, RunStatus::Running] {
            footprint.run.outcome = outcome;
            let error = redact_for_publication(&footprint).unwrap_err();
            assert!(
                matches!(error, PushError::UnsuccessfulRun { status: found } if found == outcome),
                "{error}"
            );
        }
        for outcome in
            [RunStatus::Completed, RunStatus::StoppedEarly, RunStatus::Interrupted, RunStatus::Killed]
        {
            footprint.run.outcome = outcome;
            assert!(redact_for_publication(&footprint).is_ok());
        }
    }
}
