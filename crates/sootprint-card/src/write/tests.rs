use super::*;
use crate::Relation;
use crate::sample;

#[test]
fn a_fine_tuning_names_its_base_model_once() {
    let footprint = sample::fine_tuning("org/base");
    let (text, written) = apply("---\nlicense: mit\n---\n", &footprint).unwrap();
    assert!(text.starts_with("---\nlicense: mit\nbase_model: \"org/base\"\nco2_eq_emissions:\n"), "{text}");
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
    for base in
        ["/home/alice/base", "./base", "../a/b", "a/b/c", "base", "~/base", "a/ b", "a//b", "/a", "a/", ""]
    {
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

#[cfg(feature = "plot")]
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
        sootprint_report::render_plot(&sample::with_epochs()).unwrap().unwrap()
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
