//! The cards of `tests/data/cards`: see the table in `tests/data/README.md`.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::path::Path;

use sootprint_card::{CardError, CardWriter, ModelCard};
use sootprint_core::Footprint;

fn read_case(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cards").join(name);
    fs::read_to_string(path).unwrap()
}

fn write(text: &str) -> Result<String, CardError> {
    let footprint = Footprint::from_json(include_str!("footprint.json")).unwrap();
    CardWriter::new(&footprint).apply(text).map(|(text, _)| text)
}

/// The metadata as `serde_yaml` reads it.
fn metadata(card: &str) -> serde_yaml::Mapping {
    let mut documents = card.split("---\n").filter(|part| !part.trim().is_empty());
    serde_yaml::from_str(documents.next().unwrap()).unwrap()
}

#[test]
fn cards_that_python_cannot_read_are_refused() {
    for (name, at, reason) in [
        ("bel-in-quotes.md", "line 2, column 10", "U+0007; remove it"),
        ("custom-tag.md", "line 2, column 4", "`!foo`"),
        ("jinja-value.md", "line 2, column 10", "fill in the template"),
        ("ls-in-plain.md", "line 2, column 9", "U+2028"),
        ("trailing-tab.md", "line 2, column 13", "tab not allowed"),
    ] {
        // Also with the line breaks of Windows, and after a byte order mark.
        let text = read_case(name);
        for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            let error = write(&text).unwrap_err().to_string();
            assert!(error.starts_with(at) && error.contains(reason), "{name}: {error}");
        }
    }
}

#[test]
fn empty_braces_give_way_to_the_first_key() {
    for name in ["empty-braces.md", "hf-default-empty.md"] {
        let text = read_case(name);
        assert_eq!(ModelCard::parse(text.clone()).unwrap().emissions().unwrap(), None);
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let written = write(&text).unwrap();
            assert!(!written.contains("{}"), "{written}");
            let comments = text.lines().filter(|line| line.starts_with("# For") || line.starts_with("# Doc"));
            comments.for_each(|comment| assert!(written.contains(comment), "{written}"));
            assert!(metadata(&written.replace("\r\n", "\n")).contains_key("co2_eq_emissions"), "{written}");
            assert_eq!(write(&written).unwrap(), written);
            let breaks = (written.matches("\r\n").count(), written.matches('\n').count());
            assert_eq!(breaks.0, if text.contains('\r') { breaks.1 } else { 0 }, "{written:?}");
        }
    }
}

#[test]
fn comment_next_to_braces_is_kept() {
    let written = write("---\n{} # why\n# below\n---\n# T\n").unwrap();
    assert!(written.starts_with("---\n # why\n# below\nco2_eq_emissions:\n"), "{written}");
}

#[test]
fn doubled_opening_keeps_the_metadata() {
    let written = write(&read_case("double-opening.md")).unwrap();
    let metadata = metadata(&written);
    for key in ["license", "tags", "co2_eq_emissions"] {
        assert!(metadata.contains_key(key), "{key}: {written}");
    }
}

#[test]
fn rule_at_the_start_is_kept() {
    let text = read_case("hr-first.md");
    let written = write(&text).unwrap();
    assert!(metadata(&written).contains_key("co2_eq_emissions"), "{written}");
    assert!(written.contains(&format!("---\n{text}")), "{written}");
}

#[test]
fn placeholders_of_the_template_are_filled() {
    let written = write(&read_case("placeholder-2022.md")).unwrap();
    for label in ["Hardware Type", "Hours used", "Carbon Emitted"] {
        let line = written.lines().find(|line| line.contains(&format!("**{label}:**"))).unwrap();
        assert!(line.contains("<!-- sootprint: More information needed-->"), "{line}");
        assert_eq!(written.matches(label).count(), 1, "{written}");
    }
    let unwritten = ModelCard::parse(written).unwrap().without_section().unwrap();
    assert!(
        unwritten
            .text()
            .ends_with(read_case("placeholder-2022.md").trim_start_matches("---\nlicense: mit\n---"))
    );
}

#[test]
fn grams_of_an_author_stay_next_to_those_of_the_run() {
    let body = "## Environmental Impact\n\n- **Hours used:** 3\n- **Carbon Emitted:** 149.2 kg eq.\n";
    let written = write(&format!("---\nlicense: mit\n---\n{body}")).unwrap();
    assert!(written.contains(body), "{written}");
    let lines: Vec<_> = written.lines().filter(|line| line.contains("**Carbon Emitted")).collect();
    assert_eq!(lines.len(), 2, "{written}");
    assert!(
        lines[1].starts_with("- **Carbon Emitted (this run):** ") && lines[1].contains(" g CO2eq"),
        "{written}"
    );
}

#[test]
fn numbered_and_html_headings_are_those_of_the_template() {
    let numbered = read_case("numbered-heading.md");
    let html = numbered.replace("## 7. Environmental Impact", "<h2>Environmental Impact</h2>");
    for text in [numbered, html] {
        let written = write(&text).unwrap();
        assert_eq!(written.matches("Environmental Impact").count(), 1, "{written}");
        assert!(
            written.contains("**Carbon Emitted:** <!-- sootprint: [More Information Needed]-->"),
            "{written}"
        );
        assert!(written.find("sootprint:begin") < written.find("# End"), "{written}");
    }
}

#[test]
fn nothing_is_written_into_open_raw_html() {
    let text = read_case("pre-open.md");
    for tag in ["<pre>", "<script>", "<STYLE>", "<textarea rows=3>"] {
        let written = write(&text.replace("<pre>", tag)).unwrap();
        assert!(written.find("sootprint:end").unwrap() < written.find(tag).unwrap(), "{written}");
        assert!(written.trim_end().ends_with(&format!("{tag}\ncode")), "{written}");
    }
}

#[test]
fn large_card_is_edited_in_linear_time() {
    let body = "A line of text with `code`, a [link](https://example.org) and more.\n".repeat(75_000);
    let text = format!("---\nlicense: mit\n---\n# T\n\n{body}");
    assert!(text.len() > 5_000_000);
    let written = write(&text).unwrap();
    assert!(written.contains(&body) && written.starts_with("---\nlicense: mit\nco2_eq_emissions:\n"));
}
