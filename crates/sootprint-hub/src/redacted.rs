//! The public version of a footprint, without identifiers and paths of the machine.

use serde_json::Value;
use sootprint::{ComponentKind, Footprint, FootprintError, RunStatus};
use sootprint_core::RepoId;

use crate::error::PushError;

/// Replaces a note that contains a path.
const REDACTED_NOTE: &str = "note removed: it contained a local path";

/// The footprint that is pushed: GPUs are named `gpu0`, `gpu1` and so on, and all UUIDs and paths are removed.
///
/// # Errors
/// [`PushError::NotMeasured`] and [`PushError::UnsuccessfulRun`] if the footprint does not describe a trained model.
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
    footprint.run.base_model = footprint.run.base_model.filter(|name| name.parse::<RepoId>().is_ok());
    let notes = footprint.components.iter_mut().filter_map(|component| component.note.as_mut());
    for note in notes.chain(&mut footprint.notes) {
        if contains_path(note) {
            REDACTED_NOTE.clone_into(note);
        }
    }
    // Redacting the JSON covers every text, including fields that are added later.
    let mut document: Value = serde_json::from_str(&footprint.to_json()?)?;
    redact_strings(&mut document, &names);
    Footprint::from_json(&document.to_string())
}

/// Gives the GPUs their public names, and returns pairs of old and new name. Longer names come first, because a name
/// may be a prefix of another.
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

/// Replaces each UUID by `…`; a prefix `GPU-` or `MIG-` is kept.
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

/// The length of the UUID that a text begins with, or of a part of one after `GPU-` or `MIG-`; 0 if there is none.
///
/// CUDA accepts the first digits of a GPU's UUID, so a note may contain a part of one.
fn uuid_len_at_start(text: &str) -> usize {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_hexadecimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(whole) = text.get(..36) {
        let groups: Vec<&str> = whole.split('-').collect();
        if groups.iter().map(|group| group.len()).eq(GROUPS) && groups.into_iter().all(is_hexadecimal) {
            return 36;
        }
    }
    let rest = text.strip_prefix("GPU-").or_else(|| text.strip_prefix("MIG-")).unwrap_or_default();
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_hexdigit() || *byte == b'-').count();
    if digits >= 4 { 4 + digits } else { 0 }
}

/// Whether a word of the text is a path of this machine. Paths of the kernel, URLs and units (`g/kWh`) are public.
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
    fn pushed_json_contains_no_uuid() {
        let json = redact_for_publication(&test_footprint::sample_footprint()).unwrap().to_json().unwrap();
        for part in ["5c1bd4f2", "0e6b7a2f9d31", "e2a90c77", "11111111", "GPU-"] {
            assert!(!json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn full_and_partial_uuids_are_found() {
        for (text, redacted) in [
            ("5C1BD4F2-27d7-4d4c-9a64-0e6b7a2f9d31", "…"),
            ("é GPU-5c1bd4f2 and MIG-GPU-5c1bd4f2-27d7-4d4c-9a64-0e6b7a2f9d31/1/0.", "é … and MIG-…/1/0."),
            ("GPU-bound, MIG-3g", "GPU-bound, MIG-3g"),
            ("5c1bd4f2-27d7-4d4c-9a64", "5c1bd4f2-27d7-4d4c-9a64"),
        ] {
            assert_eq!(redact_uuids(text), redacted);
        }
    }

    #[test]
    fn prefix_gpu_ids_are_replaced_separately() {
        let mut footprint = test_footprint::sample_footprint();
        "device1".clone_into(&mut footprint.components[0].id);
        "device10".clone_into(&mut footprint.components[1].id);
        footprint.components[1].note = Some("device10 waits for device1".to_owned());
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
            "location unknown: using the world average (480 g/kWh, range 36 to 802 g/kWh)",
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
