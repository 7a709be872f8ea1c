use super::*;
use crate::sample;

const CARD_OF_A_USER: &str = "---\nlicense: mit # ours\n---\n# Digits\n";

fn merge(local: Option<&str>, remote: Option<&str>) -> (tempfile::TempDir, Result<Card, Apart>) {
    merge_from(None, local, remote)
}

fn merge_from(
    base: Option<&str>,
    local: Option<&str>,
    remote: Option<&str>,
) -> (tempfile::TempDir, Result<Card, Apart>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CARD);
    if let Some(text) = local {
        fs::write(&path, text).unwrap();
    }
    let (footprint, options) = (sample::footprint(), CardOptions::default());
    let local = LocalCard::read(dir.path(), local.map(|_| path.as_path()), &footprint, &options).unwrap();
    let name = RepositoryName::parse("me/digits").unwrap();
    let remote = remote.map(|text| text.as_bytes().to_vec());
    let (base, new_card) = (base.map(str::to_owned), NewCard::default());
    let sides = Sides { local, remote, base, new_card };
    let card = Card::merge(sides, &name, &footprint, &options);
    (dir, card)
}

fn edited(text: &str) -> String {
    apply_with(text, &sample::footprint(), &CardOptions::default()).unwrap().0
}

/// What the folder holds afterwards is what was published.
fn written(dir: &Path, card: &Card) -> String {
    assert!(card.write(&sample::footprint(), &CardOptions::default()).unwrap());
    let text = fs::read_to_string(dir.join(CARD)).unwrap();
    assert_eq!(text, card.text);
    text
}

#[test]
fn without_any_card_a_small_one_is_made() {
    let (dir, card) = merge(None, None);
    let card = card.unwrap();
    assert!(card.is_created());
    assert!(written(dir.path(), &card).contains("\n# digits\n"));
}

#[test]
fn the_only_card_is_taken() {
    for (local, remote) in [(Some(CARD_OF_A_USER), None), (None, Some(CARD_OF_A_USER))] {
        let (dir, card) = merge(local, remote);
        let card = card.unwrap();
        assert!(!card.is_created());
        assert_eq!(written(dir.path(), &card), edited(CARD_OF_A_USER));
    }
}

#[test]
fn cards_that_differ_in_the_footprint_alone_are_one() {
    let older = CARD_OF_A_USER.replace("mit # ours\n", "mit # ours\nco2_eq_emissions: 5 # AutoTrain\n");
    let with_comment = edited(&older);
    let (dir, card) = merge(Some(&with_comment), Some(&older));
    let card = card.unwrap();
    assert_eq!(written(dir.path(), &card), with_comment);
    assert_eq!(card.replaced.as_deref(), Some("5 # AutoTrain"));
}

#[test]
fn cards_that_nothing_is_known_of_are_a_conflict_when_they_differ() {
    let theirs = "---\nlicense: mit\n---\n# Digits\n";
    let (dir, card) = merge(Some(CARD_OF_A_USER), Some(theirs));
    match card.unwrap_err() {
        Apart::Conflict { ours, theirs: kept, marked } => {
            assert_eq!((ours.text, kept.as_str()), (edited(CARD_OF_A_USER), theirs));
            assert!(marked.contains("license: mit # ours"), "{marked}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(dir.path().join(CARD)).unwrap(), CARD_OF_A_USER);
}

#[test]
fn the_side_that_changed_since_the_last_publication_is_taken() {
    let base = edited(CARD_OF_A_USER);
    let changed = base.replace("# Digits", "# Digits of mine");
    for (local, remote) in [(&changed, &base), (&base, &changed)] {
        let (dir, card) = merge_from(Some(&base), Some(local), Some(remote));
        assert_eq!(written(dir.path(), &card.unwrap()), changed);
    }
}

#[test]
fn changes_of_both_sides_are_merged_where_they_do_not_touch() {
    let base = edited(&format!("{CARD_OF_A_USER}\nOne.\n\nTwo.\n\nThree.\n"));
    let (local, remote) = (base.replace("One.", "1."), base.replace("Three.", "3."));
    let (dir, card) = merge_from(Some(&base), Some(&local), Some(&remote));
    let expected = base.replace("One.", "1.").replace("Three.", "3.");
    assert_eq!(written(dir.path(), &card.unwrap()), expected);
}

#[test]
fn a_card_that_was_written_meanwhile_keeps_what_was_written() {
    let base = edited(CARD_OF_A_USER);
    let (dir, card) = merge_from(Some(&base), Some(&base), Some(&base.replace("Digits", "Figures")));
    fs::write(dir.path().join(CARD), "mine").unwrap();
    assert!(!card.unwrap().write(&sample::footprint(), &CardOptions::default()).unwrap());
    assert_eq!(fs::read_to_string(dir.path().join(CARD)).unwrap(), "mine");
}

#[test]
fn a_card_that_cannot_be_edited_is_named() {
    let (_dir, card) = merge(None, Some("---\nlicense: mit\n"));
    match card.unwrap_err() {
        Apart::Unreadable(error) => {
            let error = error.to_string();
            assert!(error.starts_with("README.md of me/digits on the Hub: line 1, column 1: "), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_that_appeared_meanwhile_is_not_overwritten() {
    let (dir, card) = merge(None, Some(CARD_OF_A_USER));
    fs::write(dir.path().join(CARD), "mine").unwrap();
    let written = card.unwrap().write(&sample::footprint(), &CardOptions::default());
    assert!(matches!(written, Err(CardError::File { .. })));
    assert_eq!(fs::read_to_string(dir.path().join(CARD)).unwrap(), "mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
