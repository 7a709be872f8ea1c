//! Cards that were edited on both sides.

use std::fs;

use fake_hub::{HubFault, HubFaultKind};
use sootprint_hub::{ConflictPolicy, PushError, staged_push};

use crate::fixture::{CARD, PushFixture, REPO, footprint_with_emissions, sample_footprint, strip_generated};
use crate::isolated;

/// A published card of a few paragraphs, so that edits need not touch.
fn pushed_fixture() -> PushFixture {
    let bench = PushFixture::with_small_weights();
    fs::write(bench.card_path(), format!("{CARD}\r\nOne.\r\n\r\nTwo.\r\n\r\nThree.\r\n")).unwrap();
    bench.push(&sample_footprint());
    bench
}

fn edit_local_card(bench: &PushFixture, from: &str, to: &str) {
    fs::write(bench.card_path(), bench.local_card().replace(from, to)).unwrap();
}

fn edit_hub_card(bench: &PushFixture, from: &str, to: &str) {
    bench.hub.commit_file(REPO, "README.md", bench.hub_card().replace(from, to).as_bytes()).unwrap();
}

fn assert_both_cards(bench: &PushFixture, expected: &str) {
    assert_eq!(strip_generated(&bench.hub_card()), expected);
    assert_eq!(bench.local_card(), bench.hub_card());
}

#[test]
fn edited_side_wins() {
    isolated::run("merging::edited_side_wins", || {
        let bench = pushed_fixture();
        let before = strip_generated(&bench.hub_card());
        edit_hub_card(&bench, "with love", "with care");
        bench.push(&footprint_with_emissions(2.0));
        assert_both_cards(&bench, &before.replace("with love", "with care"));

        edit_local_card(&bench, "license: mit  # ours", "license: apache-2.0");
        bench.push(&footprint_with_emissions(3.0));
        assert_both_cards(
            &bench,
            &before.replace("with love", "with care").replace("license: mit  # ours", "license: apache-2.0"),
        );
        assert!(bench.hub_card().contains("  emissions: 3\r\n"));
    });
}

#[test]
fn edits_in_different_lines_merge() {
    isolated::run("merging::edits_in_different_lines_merge", || {
        let bench = pushed_fixture();
        let before = strip_generated(&bench.hub_card());
        edit_local_card(&bench, "One.", "1.");
        edit_hub_card(&bench, "with love", "with care");
        bench.push(&sample_footprint());
        let merged = before.replace("One.", "1.").replace("with love", "with care");
        assert_both_cards(&bench, &merged);

        // And again on top of the merge.
        edit_hub_card(&bench, "Three.", "3.");
        bench.push(&sample_footprint());
        assert_both_cards(&bench, &merged.replace("Three.", "3."));
    });
}

#[test]
fn same_line_edit_needs_manual_resolution() {
    isolated::run("merging::same_line_edit_needs_manual_resolution", || {
        let bench = pushed_fixture();
        edit_local_card(&bench, "One.", "Our one.");
        edit_hub_card(&bench, "One.", "Their one.");
        let (here, there) = (bench.local_card(), bench.hub_card());
        let conflict = |bench: &PushFixture| match bench.upload(&sample_footprint()).push().unwrap_err() {
            PushError::CardConflict { conflict_file: both, .. } => both,
            other => panic!("{other}"),
        };
        let both = conflict(&bench);
        assert!(staged_push(bench.dir.path()).unwrap().reason.contains("were both edited"));
        let text = fs::read_to_string(&both).unwrap();
        assert!(
            text.contains("Our one.") && text.contains("Their one.") && text.contains("<<<<<<<"),
            "{text}"
        );
        // Until somebody says that it is settled, nothing changes.
        assert_eq!(conflict(&bench), both);
        assert_eq!((bench.local_card(), bench.hub_card()), (here, there));

        edit_local_card(&bench, "Our one.", "Our one and their one.");
        fs::remove_file(&both).unwrap();
        // A newer edit on the Hub is not what was settled.
        edit_hub_card(&bench, "Their one.", "Their own.");
        assert_eq!(conflict(&bench), both);
        fs::remove_file(&both).unwrap();
        bench.push(&sample_footprint());
        assert!(bench.hub_card().contains("Our one and their one."));
        assert_eq!(bench.local_card(), bench.hub_card());
        assert_eq!(staged_push(bench.dir.path()), None);
    });
}

#[test]
fn conflict_can_open_pull_request() {
    isolated::run("merging::conflict_can_open_pull_request", || {
        let bench = pushed_fixture();
        edit_local_card(&bench, "One.", "Our one.");
        edit_hub_card(&bench, "One.", "Their one.");
        let theirs = bench.hub.head_commit(REPO).unwrap();
        let publication =
            bench.upload(&footprint_with_emissions(7.0)).on_conflict(ConflictPolicy::OpenPullRequest);
        let published = publication.push().unwrap();
        assert_eq!(published.pull_request.unwrap().number, 1);
        assert_eq!(bench.hub.head_commit(REPO).unwrap(), theirs, "main stays");
        let proposed = bench.hub.read_file(REPO, "refs/pr/1", "README.md").unwrap();
        assert!(String::from_utf8(proposed).unwrap().contains("Our one."));
        // The conflict is still one for who asks for a commit.
        let error = bench.upload(&footprint_with_emissions(7.0)).push().unwrap_err();
        assert!(matches!(error, PushError::CardConflict { .. }), "{error}");
    });
}

#[test]
fn edit_during_commit_is_merged() {
    isolated::run("merging::edit_during_commit_is_merged", || {
        let bench = pushed_fixture();
        let before = strip_generated(&bench.hub_card());
        edit_local_card(&bench, "One.", "1.");
        bench.hub.add_fault(HubFault::on_path(
            "/commit/",
            HubFaultKind::ConcurrentCommit {
                repository: REPO.to_owned(),
                path: "README.md".to_owned(),
                content: bench.hub_card().replace("with love", "with care").into_bytes(),
            },
        ));
        bench.push(&footprint_with_emissions(2.0));
        assert_both_cards(&bench, &before.replace("One.", "1.").replace("with love", "with care"));
        assert_eq!(bench.own_commits().len(), 2);
    });
}
