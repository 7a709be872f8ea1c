use std::fs;

use super::*;
use crate::base_model::BASE_MODEL_RELATION_KEY;
use crate::fixtures;
use crate::options::BaseModelRelation;

fn apply(text: &str, footprint: &Footprint) -> Result<(String, CardUpdate), CardError> {
    CardWriter::new(footprint).apply(text)
}

#[test]
fn fine_tuning_names_base_model_once() {
    let footprint = fixtures::fine_tuning("org/base");
    let (text, written) = apply("---\nlicense: mit\n---\n", &footprint).unwrap();
    assert!(text.starts_with("---\nlicense: mit\nbase_model: \"org/base\"\nco2_eq_emissions:\n"), "{text}");
    assert!(text.contains("  training_type: \"fine-tuning\"\n"), "{text}");
    assert_eq!((written.kind, written.base_model.as_deref()), (UpdateKind::Edited, Some("org/base")));

    let (again, written) = apply(&text, &footprint).unwrap();
    assert_eq!((again, written.kind, written.base_model), (text, UpdateKind::Unchanged, None));
}

#[test]
fn existing_base_model_is_kept() {
    for base in ["base_model: other/base", "base_model:", "base_model: [a/b, c/d]"] {
        let (text, written) =
            apply(&format!("---\n{base}\n---\n"), &fixtures::fine_tuning("org/base")).unwrap();
        assert!(text.starts_with(&format!("---\n{base}\nco2_eq_emissions:")), "{text}");
        assert_eq!(written.base_model, None);
    }
}

#[test]
fn invalid_base_model_is_not_written() {
    for base in
        ["/home/alice/base", "./base", "../a/b", "a/b/c", "base", "~/base", "a/ b", "a//b", "/a", "a/", ""]
    {
        let (text, written) = apply("# Title\n", &fixtures::fine_tuning(base)).unwrap();
        assert!(!text.contains("base_model") && written.base_model.is_none(), "{base}: {text}");
    }
    let mut footprint = fixtures::footprint();
    footprint.run.base_model = Some("org/base".to_owned());
    assert!(!apply("# Title\n", &footprint).unwrap().0.contains("base_model"));
}

#[test]
fn replaced_foreign_emissions_are_reported() {
    let replaced = |yaml: &str| {
        let (text, written) = apply(&format!("---\n{yaml}\n---\n"), &fixtures::footprint()).unwrap();
        assert_eq!(
            apply(&text, &fixtures::footprint()).unwrap().1.replaced_emissions,
            None,
            "a generated value is not foreign"
        );
        written.replaced_emissions
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
fn card_is_created_edited_or_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("digits");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("README.md");
    let write = |footprint: &Footprint| CardWriter::new(footprint).write(&path).unwrap().kind;

    assert_eq!(write(&fixtures::footprint()), UpdateKind::Created);
    assert!(fs::read_to_string(&path).unwrap().contains("\n# digits\n"));
    assert_eq!(write(&fixtures::footprint()), UpdateKind::Unchanged);
    assert_eq!(write(&fixtures::fine_tuning("org/base")), UpdateKind::Edited);
    let emissions = ModelCard::open(&path).unwrap().emissions().unwrap().unwrap();
    assert_eq!(emissions.training_type.as_deref(), Some("fine-tuning"));
}

#[test]
fn unreadable_card_is_not_modified() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("README.md");
    let broken = "---\na: 1\na: 2\n---\n";
    fs::write(&path, broken).unwrap();
    let error = CardWriter::new(&fixtures::footprint()).write(&path).unwrap_err();
    assert!(matches!(error.without_path(), CardError::DuplicateKey { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("{}: line 3, column 1: ", path.display())), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), broken);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn relation_requires_matching_base_model() {
    let options = CardOptions::default().relation(BaseModelRelation::Adapter);
    let relation = |card: &str, footprint: &Footprint| {
        let (text, _) = CardWriter::new(footprint).options(options.clone()).apply(card).unwrap();
        ModelCard::parse(text).unwrap().key_text(BASE_MODEL_RELATION_KEY).map(str::to_owned)
    };
    let adapter = Some("adapter".to_owned());
    assert_eq!(relation("# T\n", &fixtures::fine_tuning("org/base")), adapter);
    assert_eq!(relation("---\nbase_model: org/base\n---\n", &fixtures::fine_tuning("org/base")), adapter);
    let with_relation = "---\nbase_model: org/base\nbase_model_relation: merge\n---\n";
    assert_eq!(relation(with_relation, &fixtures::fine_tuning("org/base")).as_deref(), Some("merge"));
    assert_eq!(relation("---\nbase_model: org/other\n---\n", &fixtures::fine_tuning("org/base")), None);
    assert_eq!(relation("# T\n", &fixtures::footprint()), None, "a pre-training has no base model");
}

#[test]
fn section_and_report_are_updated() {
    let card = "---\nlicense: mit\n---\n# Digits\n";
    let (once, _) = apply(card, &fixtures::footprint()).unwrap();
    let (renewed, written) = apply(&once, &fixtures::fine_tuning("org/base")).unwrap();
    let (expected, _) = apply(card, &fixtures::fine_tuning("org/base")).unwrap();
    let body = |text: &str| text.split_once("# Digits").map(|(_, body)| body.to_owned());
    assert_eq!(body(&renewed), body(&expected));
    assert_eq!((renewed.matches("dia_report:").count(), renewed.matches("## Env").count()), (1, 1));
    assert_eq!(written.replaced_report, None, "a generated report is not foreign");
    let foreign = "---\ndia_version: '0.1'\ndia_report: {tool: other}\n---\n";
    let (_, written) = apply(foreign, &fixtures::footprint()).unwrap();
    assert_eq!(written.replaced_report.as_deref(), Some("{tool: other}"));
}

#[cfg(feature = "plot")]
#[test]
fn plot_is_written_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("README.md");
    let plot_path = dir.path().join(crate::PLOT_FILE);
    let write = |footprint: &Footprint, options: &CardOptions| {
        let written = CardWriter::new(footprint).options(options.clone()).write(&path).unwrap();
        (written.plot, fs::read_to_string(&path).unwrap().contains("](sootprint.png)"))
    };
    let with_plot = CardOptions::default().plot(true);
    assert_eq!(write(&fixtures::footprint(), &with_plot), (None, false), "the footprint has no power curve");
    assert_eq!(
        write(&fixtures::with_epochs(), &CardOptions::default()),
        (None, false),
        "the plot is off by default"
    );
    assert!(!plot_path.exists());
    assert_eq!(write(&fixtures::with_epochs(), &with_plot), (Some(plot_path.clone()), true));
    assert_eq!(
        fs::read(&plot_path).unwrap(),
        sootprint_report::render_plot(&fixtures::with_epochs()).unwrap().unwrap()
    );
}

#[test]
fn card_contains_no_private_data() {
    let mut footprint = fixtures::fine_tuning("/home/alice/base");
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
fn unmeasured_run_writes_no_card() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprint = fixtures::footprint();
    footprint.components.clear();
    let error = CardWriter::new(&footprint).write(dir.path().join("README.md")).unwrap_err();
    assert!(matches!(error, CardError::NotMeasured));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn read_only_card_is_replaced_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("README.md");
    fs::write(&path, "# T\n").unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let footprint = fixtures::footprint();
    let error = CardWriter::new(&footprint).write(&path).unwrap_err();
    assert!(matches!(error, CardError::ReadOnly { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# T\n");
    let update = CardWriter::new(&footprint).replace_read_only(true).write(&path).unwrap();
    assert_eq!((update.kind, update.file_changes), (UpdateKind::Edited, Vec::new()));
    assert!(fs::metadata(&path).unwrap().permissions().readonly());
}

#[cfg(unix)]
#[test]
fn other_hard_links_are_reported() {
    use crate::file_change::FileChange;

    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["README.md", "other.md"].map(|name| folder.path().join(name));
    fs::write(&path, "# T\n").unwrap();
    fs::hard_link(&path, &other).unwrap();
    let footprint = fixtures::footprint();
    let update = CardWriter::new(&footprint).write(&path).unwrap();
    assert_eq!(update.file_changes, [FileChange::HardLinks(1)]);
    assert_eq!(update.file_changes[0].to_string(), "another hard link to the card still has the old text");
    assert_eq!(fs::read_to_string(&other).unwrap(), "# T\n");
    assert_eq!(CardWriter::new(&footprint).write(&path).unwrap().file_changes, []);
}
