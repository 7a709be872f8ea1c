//! Cards that were edited both locally and on the Hub.

use std::fs;

use fake_hub::{HubFault, HubFaultKind};
use sootprint_hub::{ConflictPolicy, PushError, staged_push};

use crate::fixture::{CARD, PushFixture, REPO, footprint_with_emissions, sample_footprint, strip_generated};
use crate::isolated;

/// A pushed card with several paragraphs, so that edits can be apart.
fn pushed_fixture() -> PushFixture {
    let fixture = PushFixture::with_small_weights();
    fs::write(fixture.card_path(), format!("{CARD}\r\nOne.\r\n\r\nTwo.\r\n\r\nThree.\r\n")).unwrap();
    fixture.push(&sample_footprint());
    fixture
}

fn edit_local_card(fixture: &PushFixture, from: &str, to: &str) {
    fs::write(fixture.card_path(), fixture.local_card().replace(from, to)).unwrap();
}

fn edit_hub_card(fixture: &PushFixture, from: &str, to: &str) {
    fixture.hub.commit_file(REPO, "README.md", fixture.hub_card().replace(from, to).as_bytes()).unwrap();
}

fn assert_both_cards(fixture: &PushFixture, expected: &str) {
    assert_eq!(strip_generated(&fixture.hub_card()), expected);
    assert_eq!(fixture.local_card(), fixture.hub_card());
}

#[test]
fn edited_side_wins() {
    isolated::run("merging::edited_side_wins", || {
        let fixture = pushed_fixture();
        let before = strip_generated(&fixture.hub_card());
        edit_hub_card(&fixture, "with love", "with care");
        fixture.push(&footprint_with_emissions(2.0));
        assert_both_cards(&fixture, &before.replace("with love", "with care"));

        edit_local_card(&fixture, "license: mit  # ours", "license: apache-2.0");
        fixture.push(&footprint_with_emissions(3.0));
        assert_both_cards(
            &fixture,
            &before.replace("with love", "with care").replace("license: mit  # ours", "license: apache-2.0"),
        );
        assert!(fixture.hub_card().contains("  emissions: 3\r\n"));
    });
}

#[test]
fn edits_in_different_lines_merge() {
    isolated::run("merging::edits_in_different_lines_merge", || {
        let fixture = pushed_fixture();
        let before = strip_generated(&fixture.hub_card());
        edit_local_card(&fixture, "One.", "1.");
        edit_hub_card(&fixture, "with love", "with care");
        fixture.push(&sample_footprint());
        let merged = before.replace("One.", "1.").replace("with love", "with care");
        assert_both_cards(&fixture, &merged);

        // Another merge on top of the first.
        edit_hub_card(&fixture, "Three.", "3.");
        fixture.push(&sample_footprint());
        assert_both_cards(&fixture, &merged.replace("Three.", "3."));
    });
}

#[test]
fn same_line_edit_needs_manual_resolution() {
    isolated::run("merging::same_line_edit_needs_manual_resolution", || {
        let fixture = pushed_fixture();
        edit_local_card(&fixture, "One.", "Our one.");
        edit_hub_card(&fixture, "One.", "Their one.");
        let cards_before = (fixture.local_card(), fixture.hub_card());
        let conflict = |fixture: &PushFixture| match fixture.upload(&sample_footprint()).push().unwrap_err() {
            PushError::CardConflict { conflict_file, .. } => conflict_file,
            other => panic!("{other}"),
        };
        let conflict_file = conflict(&fixture);
        assert!(staged_push(fixture.dir.path()).unwrap().reason.contains("were both edited"));
        let text = fs::read_to_string(&conflict_file).unwrap();
        assert!(
            text.contains("Our one.") && text.contains("Their one.") && text.contains("<<<<<<<"),
            "{text}"
        );
        // Nothing changes until the user confirms the resolution.
        assert_eq!(conflict(&fixture), conflict_file);
        assert_eq!((fixture.local_card(), fixture.hub_card()), cards_before);

        edit_local_card(&fixture, "Our one.", "Our one and their one.");
        fs::remove_file(&conflict_file).unwrap();
        // A newer edit on the Hub is another conflict.
        edit_hub_card(&fixture, "Their one.", "Their own.");
        assert_eq!(conflict(&fixture), conflict_file);
        fs::remove_file(&conflict_file).unwrap();
        fixture.push(&sample_footprint());
        assert!(fixture.hub_card().contains("Our one and their one."));
        assert_eq!(fixture.local_card(), fixture.hub_card());
        assert_eq!(staged_push(fixture.dir.path()), None);
    });
}

#[test]
fn conflict_can_open_pull_request() {
    isolated::run("merging::conflict_can_open_pull_request", || {
        let fixture = pushed_fixture();
        edit_local_card(&fixture, "One.", "Our one.");
        edit_hub_card(&fixture, "One.", "Their one.");
        let theirs = fixture.hub.head_commit(REPO).unwrap();
        let upload =
            fixture.upload(&footprint_with_emissions(7.0)).on_conflict(ConflictPolicy::OpenPullRequest);
        let report = upload.push().unwrap();
        assert_eq!(report.pull_request.unwrap().number, 1);
        assert_eq!(fixture.hub.head_commit(REPO).unwrap(), theirs, "main is unchanged");
        let proposed = fixture.hub.read_file(REPO, "refs/pr/1", "README.md").unwrap();
        assert!(String::from_utf8(proposed).unwrap().contains("Our one."));
        // A push that must commit still fails with the conflict.
        let error = fixture.upload(&footprint_with_emissions(7.0)).push().unwrap_err();
        assert!(matches!(error, PushError::CardConflict { .. }), "{error}");
    });
}

#[test]
fn edit_during_commit_is_merged() {
    isolated::run("merging::edit_during_commit_is_merged", || {
        let fixture = pushed_fixture();
        let before = strip_generated(&fixture.hub_card());
        edit_local_card(&fixture, "One.", "1.");
        fixture.hub.add_fault(HubFault::on_path(
            "/commit/",
            HubFaultKind::ConcurrentCommit {
                repository: REPO.to_owned(),
                path: "README.md".to_owned(),
                content: fixture.hub_card().replace("with love", "with care").into_bytes(),
            },
        ));
        fixture.push(&footprint_with_emissions(2.0));
        assert_both_cards(&fixture, &before.replace("One.", "1.").replace("with love", "with care"));
        assert_eq!(fixture.own_commits().len(), 2);
    });
}
