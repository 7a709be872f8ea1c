use std::fs;

use super::*;
use crate::failure::error_chain;
use crate::test_footprint;

const USER_CARD: &str = "---\nlicense: mit # ours\n---\n# Digits\n";

fn merge_cards(
    local: Option<&str>,
    remote: Option<&str>,
) -> (tempfile::TempDir, Result<MergedCard, MergeFailure>) {
    merge_with_base(None, local, remote)
}

fn merge_with_base(
    base: Option<&str>,
    local: Option<&str>,
    remote: Option<&str>,
) -> (tempfile::TempDir, Result<MergedCard, MergeFailure>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CARD_FILE);
    if let Some(text) = local {
        fs::write(&path, text).unwrap();
    }
    let (footprint, options) = (test_footprint::sample_footprint(), CardOptions::default());
    let local = LocalCard::read(dir.path(), local.map(|_| path.as_path()), &footprint, &options).unwrap();
    let name = "me/digits".parse().unwrap();
    let remote = remote.map(|text| text.as_bytes().to_vec());
    let (base, new_card) = (base.map(str::to_owned), CardTemplate::default());
    let inputs =
        MergeInputs { local, remote, base, earlier_repositories: vec!["me/older".to_owned()], new_card };
    let card = MergedCard::from_inputs(inputs, &name, &footprint, &options);
    (dir, card)
}

fn with_footprint(text: &str) -> String {
    CardWriter::new(&test_footprint::sample_footprint()).apply(text).unwrap().0
}

/// Writes the card, and checks that the folder contains the pushed text.
fn write_and_read(dir: &Path, card: &MergedCard) -> String {
    assert!(card.write_local(&test_footprint::sample_footprint(), &CardOptions::default()).unwrap());
    let text = fs::read_to_string(dir.join(CARD_FILE)).unwrap();
    assert_eq!(text, card.text);
    text
}

#[test]
fn no_card_creates_minimal_card() {
    let (dir, card) = merge_cards(None, None);
    let card = card.unwrap();
    assert!(card.is_new());
    assert!(write_and_read(dir.path(), &card).contains("\n# digits\n"));
}

/// The card that a push to a repository of this name creates.
fn generated_card(title: &str) -> String {
    let template = CardTemplate::default().title(title);
    CardWriter::new(&test_footprint::sample_footprint()).template(template).render().unwrap()
}

#[test]
fn unedited_card_gives_way() {
    let theirs = generated_card("digits").replace("tags:", "license: mit\ntags:");
    for title in ["digits", "older"] {
        let (dir, card) = merge_cards(Some(&generated_card(title)), Some(&theirs));
        assert_eq!(write_and_read(dir.path(), &card.unwrap()), theirs);
        // A card of another run, created by a push from another folder.
        let older = generated_card(title).replace("emissions: 40.7", "emissions: 1.5");
        let (dir, card) = merge_cards(Some(&older), Some(&theirs));
        assert_eq!(write_and_read(dir.path(), &card.unwrap()), theirs);
    }
    let ours = generated_card("digits") + "\nTrained with love.\n";
    let (dir, card) = merge_cards(Some(&ours), Some(&generated_card("digits")));
    assert_eq!(write_and_read(dir.path(), &card.unwrap()), ours);
    let (_, card) = merge_cards(Some(&ours), Some(&theirs.replace("# digits", "# Numbers")));
    assert!(matches!(card, Err(MergeFailure::Conflict { .. })), "both were edited");
}

#[test]
fn only_card_is_used() {
    for (local, remote) in [(Some(USER_CARD), None), (None, Some(USER_CARD))] {
        let (dir, card) = merge_cards(local, remote);
        let card = card.unwrap();
        assert!(!card.is_new());
        assert_eq!(write_and_read(dir.path(), &card), with_footprint(USER_CARD));
    }
}

#[test]
fn cards_differing_in_footprint_are_equal() {
    let older = USER_CARD.replace("mit # ours\n", "mit # ours\nco2_eq_emissions: 5 # AutoTrain\n");
    let with_comment = with_footprint(&older);
    let (dir, card) = merge_cards(Some(&with_comment), Some(&older));
    let card = card.unwrap();
    assert_eq!(write_and_read(dir.path(), &card), with_comment);
    assert_eq!(card.replaced_emissions.as_deref(), Some("5 # AutoTrain"));
}

#[test]
fn different_cards_without_base_conflict() {
    let theirs = "---\nlicense: mit\n---\n# Digits\n";
    let (dir, card) = merge_cards(Some(USER_CARD), Some(theirs));
    match card.unwrap_err() {
        MergeFailure::Conflict { ours, theirs: remote, conflict_text } => {
            assert_eq!((ours.text, remote.as_str()), (with_footprint(USER_CARD), theirs));
            assert!(conflict_text.contains("license: mit # ours"), "{conflict_text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(dir.path().join(CARD_FILE)).unwrap(), USER_CARD);
}

#[test]
fn changed_side_since_base_wins() {
    let base = with_footprint(USER_CARD);
    let changed = base.replace("# Digits", "# Digits of mine");
    for (local, remote) in [(&changed, &base), (&base, &changed)] {
        let (dir, card) = merge_with_base(Some(&base), Some(local), Some(remote));
        assert_eq!(write_and_read(dir.path(), &card.unwrap()), changed);
    }
}

#[test]
fn changes_in_different_lines_merge() {
    let base = with_footprint(&format!("{USER_CARD}\nOne.\n\nTwo.\n\nThree.\n"));
    let (local, remote) = (base.replace("One.", "1."), base.replace("Three.", "3."));
    let (dir, card) = merge_with_base(Some(&base), Some(&local), Some(&remote));
    let expected = base.replace("One.", "1.").replace("Three.", "3.");
    assert_eq!(write_and_read(dir.path(), &card.unwrap()), expected);
}

#[test]
fn read_only_local_card_is_kept() {
    let base = with_footprint(USER_CARD);
    for remote in [Some(base.replace("Digits", "Figures")), None] {
        let local = if remote.is_some() { base.as_str() } else { USER_CARD };
        let (dir, card) = merge_with_base(Some(&base), Some(local), remote.as_deref());
        let path = dir.path().join(CARD_FILE);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let written = card.unwrap().write_local(&test_footprint::sample_footprint(), &CardOptions::default());
        assert!(matches!(written, Err(CardError::ReadOnly { .. })), "{written:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), local);
    }
}

#[test]
fn concurrent_local_edit_is_kept() {
    let base = with_footprint(USER_CARD);
    let (dir, card) = merge_with_base(Some(&base), Some(&base), Some(&base.replace("Digits", "Figures")));
    fs::write(dir.path().join(CARD_FILE), "mine").unwrap();
    assert!(
        !card.unwrap().write_local(&test_footprint::sample_footprint(), &CardOptions::default()).unwrap()
    );
    assert_eq!(fs::read_to_string(dir.path().join(CARD_FILE)).unwrap(), "mine");
}

#[test]
fn invalid_remote_card_is_named() {
    let (_dir, card) = merge_cards(None, Some("---\nlicense: mit\n"));
    match card.unwrap_err() {
        MergeFailure::InvalidCard(error) => {
            let chain = error_chain(&error);
            let expected = "cannot process README.md of me/digits on the Hub: line 1, column 1: ";
            assert!(chain.starts_with(expected), "{chain}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn new_local_card_is_not_overwritten() {
    let (dir, card) = merge_cards(None, Some(USER_CARD));
    fs::write(dir.path().join(CARD_FILE), "mine").unwrap();
    let written = card.unwrap().write_local(&test_footprint::sample_footprint(), &CardOptions::default());
    assert!(matches!(written, Err(CardError::Io { .. })));
    assert_eq!(fs::read_to_string(dir.path().join(CARD_FILE)).unwrap(), "mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
