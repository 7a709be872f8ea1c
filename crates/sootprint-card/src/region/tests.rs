use super::*;

const VALUES: [&str; 5] = ["2 x H200", "1", "", "France", "40 g"];

fn values() -> [Option<String>; 5] {
    VALUES.map(|value| Some(value.to_owned()).filter(|value| !value.is_empty()))
}

fn written(body: &str) -> String {
    let card = ModelCard::parse(body).unwrap();
    let content = |around: Around| {
        let missing: Vec<_> =
            LABELS.iter().zip(around.labels).filter(|(_, has)| !has).map(|(label, _)| *label).collect();
        format!("{}{}", if around.has_heading { "" } else { "## H\n" }, missing.join(", "))
    };
    let edited = with_region(&card, &values(), content).unwrap();
    assert_eq!(with_region(&edited, &values(), content).unwrap(), edited, "twice is once");
    assert_eq!(without_region(&edited).unwrap(), card, "what was added can be taken away");
    edited.into_text()
}

#[test]
fn a_card_without_the_section_gets_one_at_its_end() {
    insta::assert_snapshot!(written("# Title\n\nText.\n"), @r"
    # Title

    Text.

    <!-- sootprint:begin -->

    ## H
    Hardware Type, Hours used, Cloud Provider, Compute Region, Carbon Emitted

    <!-- sootprint:end -->
    ");
    assert!(written("# Title").starts_with("# Title\n\n<!-- sootprint:begin -->\n"));
    assert!(!written("# Title").ends_with('\n'));
    assert!(written("# Title\ntext\r").starts_with("# Title\ntext\r\n\n<!-- sootprint:begin -->\n"));
    assert!(written("").starts_with("\n<!-- sootprint:begin -->\n"));
    assert!(
        written("---\r\na: 1\r\n---").starts_with("---\r\na: 1\r\n---\r\n\r\n<!-- sootprint:begin -->\r\n")
    );
}

#[test]
fn the_template_s_section_is_filled_in_and_its_lines_are_not_doubled() {
    let template = "# Title\n\n## Environmental Impact\n\n<!-- Total emissions -->\n\n\
        - **Hardware Type:** 8 x A100\n- **Hours used:** [More Information Needed]\n\
        - **Cloud Provider:**\n- **Carbon Emitted:**  \n\n## Citation\n\ntext";
    insta::assert_snapshot!(written(template), @r"
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
    let crlf = written(&template.replace('\n', "\r\n"));
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
}

#[test]
fn a_region_is_replaced_where_its_author_moved_it() {
    let card = ModelCard::parse("a\n  <!-- sootprint:begin -->\nold\n<!-- sootprint:end -->  \nb\n").unwrap();
    let edited = with_region(&card, &values(), |_| "new".to_owned()).unwrap();
    assert_eq!(edited.text(), "a\n<!-- sootprint:begin -->\n\nnew\n\n<!-- sootprint:end -->  \nb\n");
}

#[test]
fn an_own_heading_is_kept_while_the_region_has_it() {
    let card = ModelCard::parse("# Title\n").unwrap();
    let content = |around: Around| match around.has_heading {
        true => "no heading".to_owned(),
        false => "## Environmental Impact\n\n- **Hours used:** 1".to_owned(),
    };
    let once = with_region(&card, &values(), content).unwrap();
    assert_eq!(with_region(&once, &values(), content).unwrap(), once);
}

#[test]
fn marks_in_code_are_not_ours_and_nothing_is_hidden_in_code() {
    let body = "```\n<!-- sootprint:begin -->\n```\n";
    assert!(written(body).starts_with(&format!("{body}\n<!-- sootprint:begin -->")));
    let unended = "# Title\n\n```\ncode\n";
    let text = written(unended);
    assert!(text.find("sootprint:end").unwrap() < text.find("```").unwrap(), "{text}");
    let unended = "## Environmental Impact\n\n<!-- open\n\n## Other\n";
    let text = written(unended);
    assert!(text.find("sootprint:end").unwrap() < text.find("<!-- open").unwrap(), "{text}");
}

#[test]
fn marks_without_their_other_half_are_refused_at_their_place() {
    let (begin, end) = (BEGIN, END);
    for (body, line) in [
        (format!("a\n{begin}\nb\n"), 2),
        (format!("{end}\n"), 1),
        (format!("{begin}\n{begin}\n{end}\n"), 2),
        (format!("{begin}\n{end}\n{begin}\n{end}\n"), 3),
    ] {
        let error = with_region(&ModelCard::parse(body).unwrap(), &values(), |_| String::new()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {line}, column 1: ")), "{error}");
    }
}
