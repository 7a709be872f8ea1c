use super::*;

const FIELD_VALUES: [&str; 5] = ["2 x H200", "1", "", "France", "40 g"];

fn field_values() -> [Option<String>; 5] {
    FIELD_VALUES.map(|value| Some(value.to_owned()).filter(|value| !value.is_empty()))
}

fn edited_text(body: &str) -> String {
    let card = ModelCard::parse(body).unwrap();
    let content = |context: SectionContext| {
        let missing: Vec<_> = FIELD_LABELS
            .iter()
            .zip(context.existing_fields)
            .filter(|(_, has)| !has)
            .map(|(label, _)| *label)
            .collect();
        format!("{}{}", if context.has_heading { "" } else { "## H\n" }, missing.join(", "))
    };
    let edited = with_managed_section(&card, &field_values(), content).unwrap();
    assert_eq!(
        with_managed_section(&edited, &field_values(), content).unwrap(),
        edited,
        "a second edit changes nothing"
    );
    assert_eq!(edited.without_section().unwrap(), card, "removal restores the card");
    assert_eq!(ModelCard::parse(edited.text()).unwrap(), edited, "the front matter needs no second parse");
    edited.into_text()
}

#[test]
fn missing_section_is_appended() {
    insta::assert_snapshot!(edited_text("# Title\n\nText.\n"), @r"
    # Title

    Text.

    <!-- sootprint:begin -->

    ## H
    Hardware Type, Hours used, Cloud Provider, Compute Region, Carbon Emitted

    <!-- sootprint:end -->
    ");
    assert!(edited_text("# Title").starts_with("# Title\n\n<!-- sootprint:begin -->\n"));
    assert!(!edited_text("# Title").ends_with('\n'));
    assert!(edited_text("# Title\ntext\r").starts_with("# Title\ntext\r\n\n<!-- sootprint:begin -->\n"));
    assert!(edited_text("").starts_with("\n<!-- sootprint:begin -->\n"));
    assert!(
        edited_text("---\r\na: 1\r\n---")
            .starts_with("---\r\na: 1\r\n---\r\n\r\n<!-- sootprint:begin -->\r\n")
    );
}

#[test]
fn template_section_is_filled_in_once() {
    let template = "# Title\n\n## Environmental Impact\n\n<!-- Total emissions -->\n\n\
        - **Hardware Type:** 8 x A100\n- **Hours used:** [More Information Needed]\n\
        - **Cloud Provider:**\n- **Carbon Emitted:**  \n\n## Citation\n\ntext";
    insta::assert_snapshot!(edited_text(template), @r"
    # Title

    ## Environmental Impact

    <!-- Total emissions -->

    - **Hardware Type:** 8 x A100
    - **Hours used:** <!-- sootprint: [More Information Needed]-->1<!-- /sootprint -->
    - **Cloud Provider:**
    - **Carbon Emitted:** <!-- sootprint:  -->40 g<!-- /sootprint -->

    <!-- sootprint:begin -->

    Compute Region

    <!-- sootprint:end -->

    ## Citation

    text
    ");
    let crlf = edited_text(&template.replace('\n', "\r\n"));
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
}

#[test]
fn moved_section_is_replaced_in_place() {
    let card = ModelCard::parse("a\n  <!-- sootprint:begin -->\nold\n<!-- sootprint:end -->  \nb\n").unwrap();
    let edited = with_managed_section(&card, &field_values(), |_| "new".to_owned()).unwrap();
    assert_eq!(edited.text(), "a\n<!-- sootprint:begin -->\n\nnew\n\n<!-- sootprint:end -->  \nb\n");
}

#[test]
fn generated_heading_is_kept() {
    let card = ModelCard::parse("# Title\n").unwrap();
    let content = |context: SectionContext| match context.has_heading {
        true => "no heading".to_owned(),
        false => "## Environmental Impact\n\n- **Hours used:** 1".to_owned(),
    };
    let once = with_managed_section(&card, &field_values(), content).unwrap();
    assert_eq!(with_managed_section(&once, &field_values(), content).unwrap(), once);
}

#[test]
fn markers_in_code_are_ignored() {
    let body = "```\n<!-- sootprint:begin -->\n```\n";
    assert!(edited_text(body).starts_with(&format!("{body}\n<!-- sootprint:begin -->")));
    let unterminated = "# Title\n\n```\ncode\n";
    let text = edited_text(unterminated);
    assert!(text.find("sootprint:end").unwrap() < text.find("```").unwrap(), "{text}");
    let unterminated = "## Environmental Impact\n\n<!-- open\n\n## Other\n";
    let text = edited_text(unterminated);
    assert!(text.find("sootprint:end").unwrap() < text.find("<!-- open").unwrap(), "{text}");
}

#[test]
fn unpaired_markers_are_rejected() {
    let (begin, end) = (BEGIN_MARKER, END_MARKER);
    for (body, line) in [
        (format!("a\n{begin}\nb\n"), 2),
        (format!("{end}\n"), 1),
        (format!("{begin}\n{begin}\n{end}\n"), 2),
        (format!("{begin}\n{end}\n{begin}\n{end}\n"), 3),
    ] {
        let error =
            with_managed_section(&ModelCard::parse(body).unwrap(), &field_values(), |_| String::new())
                .unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {line}, column 1: ")), "{error}");
    }
}
