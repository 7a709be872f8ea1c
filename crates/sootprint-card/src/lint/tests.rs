use super::*;

fn lint_yaml(yaml: &str) -> CardLint {
    CardLint::lint(&ModelCard::parse(format!("---\n{yaml}\n---\n")).unwrap())
}

/// The findings, faults with a leading `!`.
fn diagnostic_messages(yaml: &str) -> Vec<String> {
    let sign = |severity| if severity == Severity::Fault { "! " } else { "" };
    lint_yaml(yaml).findings.iter().map(|finding| format!("{}{finding}", sign(finding.severity))).collect()
}

#[test]
fn generated_card_is_clean() {
    let card = include_str!("../../tests/corpus/01-no-front-matter.expected.md");
    let lint = CardLint::lint(&ModelCard::parse(card).unwrap());
    assert_eq!((lint.is_there, lint.is_clean(), lint.findings), (true, true, vec![]));
    assert_eq!(lint.filtered, lint.meant);
}

#[test]
fn card_without_emissions_is_clean() {
    for yaml in ["license: mit", "co2_eq_emissions:", "co2_eq_emissions: ~"] {
        let lint = lint_yaml(yaml);
        assert_eq!((lint.is_there, lint.findings), (false, vec![]), "{yaml}");
    }
    assert!(CardLint::lint(&ModelCard::parse("# Title\n").unwrap()).is_clean());
}

#[test]
fn misread_emissions_are_faults() {
    assert_eq!(
        diagnostic_messages("co2_eq_emissions: 0.00001"),
        [
            "! line 2, column 19: the Hub's filter reads `co2_eq_emissions: 0.00001` as 1 g: Python prints it as \
          `1e-05`; write 0.0001, the smallest number that the filter reads"
        ]
    );
    assert_eq!(
        diagnostic_messages("co2_eq_emissions:\n  source: me\n  emissions: '1,234'"),
        [
            "! line 4, column 14: the Hub's filter reads `emissions: 1,234` as 1 g: parsing stops at the comma; write \
          only digits and a decimal point"
        ]
    );
    assert_eq!(
        diagnostic_messages("co2_eq_emissions:\n  source: me"),
        ["! line 3, column 3: `co2_eq_emissions` has no `emissions`, without which the Hub's filter fails; \
          add the grams, as in `emissions: 12.3`"]
    );
    for (list, read) in [("[1, 2]", "reads 1 g"), ("[a]", "finds no number")] {
        let message = diagnostic_messages(&format!("co2_eq_emissions: {list}")).remove(0);
        assert!(message.starts_with("! line 2, column 19: `co2_eq_emissions` is a list"), "{message}");
        assert!(message.contains(read), "{message}");
        let message = diagnostic_messages(&format!("co2_eq_emissions:\n  emissions: {list}")).remove(0);
        assert!(message.starts_with("! line 3, column 14: `emissions` is a list"), "{message}");
        assert!(message.contains(read), "{message}");
    }
    assert!(
        diagnostic_messages("co2_eq_emissions: unknown")[0].contains("skips `co2_eq_emissions: unknown`")
    );
}

#[test]
fn mistyped_text_is_a_fault() {
    for (line, kind) in [
        ("geographical_location: no", "the boolean False"),
        ("hardware_used: 8", "a number"),
        ("source: 2026-11-23", "a date"),
        ("hardware_used: 12:30", "a number"),
    ] {
        let findings = diagnostic_messages(&format!("co2_eq_emissions:\n  emissions: 1\n  {line}"));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with("! line 4, column ") && findings[0].contains(kind), "{findings:?}");
    }
    for line in ["geographical_location: \"no\"", "geographical_location: NO-3", "hardware_used: 8 v100 GPUs"]
    {
        assert_eq!(
            diagnostic_messages(&format!("co2_eq_emissions:\n  emissions: 1\n  {line}")),
            [""; 0],
            "{line}"
        );
    }
    let energy = diagnostic_messages("co2_eq_emissions:\n  emissions: 1\n  energy_consumed: 1e-05");
    assert!(energy[0].contains("`energy_consumed: 1e-05` as a string"), "{energy:?}");
}

#[test]
fn surprising_values_are_notes() {
    assert!(diagnostic_messages("co2_eq_emissions: 0")[0].contains("as missing"));
    assert!(diagnostic_messages("co2_eq_emissions: 17g")[0].contains("is read as a string"));
    assert!(
        diagnostic_messages("co2_eq_emissions:\n  emissions: 1\n  training_type: pretraining")[0]
            .contains("documents")
    );
    assert_eq!(diagnostic_messages("base: &b {emissions: 1}\nco2_eq_emissions:\n  <<: *b"), [""; 0]);
    let kilograms = diagnostic_messages("co2_eq_emissions:\n  emissions: 0.045\n  energy_consumed: 0.123");
    assert!(kilograms[0].contains("looks like kilograms"), "{kilograms:?}");
    assert_eq!(diagnostic_messages("co2_eq_emissions:\n  emissions: 45\n  energy_consumed: 0.123"), [""; 0]);
    let marked = CardLint::lint(&ModelCard::parse("\u{feff}---\nco2_eq_emissions: 12.3\n---\n").unwrap());
    assert!(marked.is_clean() && marked.findings[0].message.contains("byte order mark"));
}

#[test]
fn written_emissions_are_clean() {
    for grams in [0.0, 1e-9, 0.00004, 0.1 + 0.2, 40.682_29, 1e6, 123_456_789.123_456, 9e15] {
        let block = crate::EmissionsBlock::new(Co2e::from_grams(grams));
        let card = ModelCard::parse("# Title\n").unwrap().with_emissions(&block).unwrap();
        let lint = CardLint::lint(&card);
        assert!(lint.is_clean(), "{grams}: {:?}", lint.findings);
    }
}
