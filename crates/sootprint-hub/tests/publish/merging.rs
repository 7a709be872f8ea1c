//! Cards that were edited on both sides.

use std::fs;

use fake_hub::{Fault, Misbehaviour};
use sootprint_hub::{OnConflict, PublishError, staged};

use crate::bench::{Bench, CARD, REPO, footprint, footprint_of, without_ours};
use crate::isolated;

/// A published card of a few paragraphs, so that edits need not touch.
fn published() -> Bench {
    let bench = Bench::small();
    fs::write(bench.card_path(), format!("{CARD}\r\nOne.\r\n\r\nTwo.\r\n\r\nThree.\r\n")).unwrap();
    bench.publish(&footprint());
    bench
}

fn edit_here(bench: &Bench, from: &str, to: &str) {
    fs::write(bench.card_path(), bench.local_card().replace(from, to)).unwrap();
}

fn edit_there(bench: &Bench, from: &str, to: &str) {
    bench.hub.write(REPO, "README.md", bench.card_on_hub().replace(from, to).as_bytes()).unwrap();
}

fn both_are(bench: &Bench, expected: &str) {
    assert_eq!(without_ours(&bench.card_on_hub()), expected);
    assert_eq!(bench.local_card(), bench.card_on_hub());
}

#[test]
fn the_side_that_was_edited_is_taken() {
    isolated::run("merging::the_side_that_was_edited_is_taken", || {
        let bench = published();
        let before = without_ours(&bench.card_on_hub());
        edit_there(&bench, "with love", "with care");
        bench.publish(&footprint_of(2.0));
        both_are(&bench, &before.replace("with love", "with care"));

        edit_here(&bench, "license: mit  # ours", "license: apache-2.0");
        bench.publish(&footprint_of(3.0));
        both_are(
            &bench,
            &before.replace("with love", "with care").replace("license: mit  # ours", "license: apache-2.0"),
        );
        assert!(bench.card_on_hub().contains("  emissions: 3\r\n"));
    });
}

#[test]
fn edits_of_both_sides_are_merged_where_they_do_not_touch() {
    isolated::run("merging::edits_of_both_sides_are_merged_where_they_do_not_touch", || {
        let bench = published();
        let before = without_ours(&bench.card_on_hub());
        edit_here(&bench, "One.", "1.");
        edit_there(&bench, "with love", "with care");
        bench.publish(&footprint());
        let merged = before.replace("One.", "1.").replace("with love", "with care");
        both_are(&bench, &merged);

        // And again on top of the merge.
        edit_there(&bench, "Three.", "3.");
        bench.publish(&footprint());
        both_are(&bench, &merged.replace("Three.", "3."));
    });
}

#[test]
fn edits_of_one_line_are_a_conflict_that_a_person_settles() {
    isolated::run("merging::edits_of_one_line_are_a_conflict_that_a_person_settles", || {
        let bench = published();
        edit_here(&bench, "One.", "Our one.");
        edit_there(&bench, "One.", "Their one.");
        let (here, there) = (bench.local_card(), bench.card_on_hub());
        let conflict = |bench: &Bench| match bench.publication(&footprint()).publish().unwrap_err() {
            PublishError::CardConflict { both, .. } => both,
            other => panic!("{other}"),
        };
        let both = conflict(&bench);
        assert!(staged(bench.dir.path()).unwrap().reason.contains("were both edited"));
        let text = fs::read_to_string(&both).unwrap();
        assert!(
            text.contains("Our one.") && text.contains("Their one.") && text.contains("<<<<<<<"),
            "{text}"
        );
        // Until somebody says that it is settled, nothing changes.
        assert_eq!(conflict(&bench), both);
        assert_eq!((bench.local_card(), bench.card_on_hub()), (here, there));

        edit_here(&bench, "Our one.", "Our one and their one.");
        fs::remove_file(&both).unwrap();
        // A newer edit on the Hub is not what was settled.
        edit_there(&bench, "Their one.", "Their own.");
        assert_eq!(conflict(&bench), both);
        fs::remove_file(&both).unwrap();
        bench.publish(&footprint());
        assert!(bench.card_on_hub().contains("Our one and their one."));
        assert_eq!(bench.local_card(), bench.card_on_hub());
        assert_eq!(staged(bench.dir.path()), None);
    });
}

#[test]
fn a_conflict_may_become_a_pull_request() {
    isolated::run("merging::a_conflict_may_become_a_pull_request", || {
        let bench = published();
        edit_here(&bench, "One.", "Our one.");
        edit_there(&bench, "One.", "Their one.");
        let theirs = bench.hub.head(REPO).unwrap();
        let publication = bench.publication(&footprint_of(7.0)).on_conflict(OnConflict::PullRequest);
        let published = publication.publish().unwrap();
        assert_eq!(published.pull_request.unwrap().number, 1);
        assert_eq!(bench.hub.head(REPO).unwrap(), theirs, "main stays");
        let proposed = bench.hub.read(REPO, "refs/pr/1", "README.md").unwrap();
        assert!(String::from_utf8(proposed).unwrap().contains("Our one."));
        // The conflict is still one for who asks for a commit.
        let error = bench.publication(&footprint_of(7.0)).publish().unwrap_err();
        assert!(matches!(error, PublishError::CardConflict { .. }), "{error}");
    });
}

#[test]
fn an_edit_that_comes_while_the_commit_is_made_is_merged() {
    isolated::run("merging::an_edit_that_comes_while_the_commit_is_made_is_merged", || {
        let bench = published();
        let before = without_ours(&bench.card_on_hub());
        edit_here(&bench, "One.", "1.");
        bench.hub.add_fault(Fault::at(
            "/commit/",
            Misbehaviour::Meanwhile {
                repository: REPO.to_owned(),
                path: "README.md".to_owned(),
                content: bench.card_on_hub().replace("with love", "with care").into_bytes(),
            },
        ));
        bench.publish(&footprint_of(2.0));
        both_are(&bench, &before.replace("One.", "1.").replace("with love", "with care"));
        assert_eq!(bench.ours().len(), 2);
    });
}
