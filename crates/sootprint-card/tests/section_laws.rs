//! Properties of the section that hold for every body.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

use proptest::prelude::*;
use proptest::sample::select;
use sootprint_card::{CardError, CardOptions, CardUpdate, CardWriter, ModelCard};
use sootprint_core::{Co2e, Footprint};

/// Lines of Markdown that are difficult for an editor of one section.
const BODY_PIECES: [&str; 23] = [
    "# Title\n",
    "## Environmental Impact\n",
    "### Environmental Impact [optional] ###\n",
    "Environmental Impact\n---\n",
    "\n",
    "\n",
    "Text with `code` and <!-- a comment -->.\n",
    "- **Hardware Type:** [More Information Needed]\n",
    "- **Hours used:** 3\n",
    "- **Hours used:**\n",
    "* **Carbon Emitted**:  \n",
    "- **Compute Region:**\n  - Mars\n",
    "**Cloud Provider:** \t\n",
    "```\n## Environmental Impact\n- **Hours used:**\n```\n",
    "~~~ text\n",
    "<!--\n## Environmental Impact\n-->\n",
    "<!-- open\n",
    "---\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "    - **Hours used:**\n",
    "日本語 🌍 Ünïcödé\n",
    "> ## Environmental Impact\n",
    "bare\r",
];

fn arbitrary_body() -> impl Strategy<Value = String> {
    (proptest::collection::vec(select(BODY_PIECES.to_vec()), 0..9), any::<bool>(), any::<bool>()).prop_map(
        |(pieces, crlf, has_end)| {
            let body = pieces.concat();
            let body = if has_end { body.as_str() } else { body.trim_end_matches('\n') };
            if crlf { body.replace('\n', "\r\n") } else { body.to_owned() }
        },
    )
}

fn apply(text: &str, footprint: &Footprint) -> Result<(String, CardUpdate), CardError> {
    CardWriter::new(footprint).apply(text)
}

fn apply_with(
    text: &str,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<(String, CardUpdate), CardError> {
    CardWriter::new(footprint).options(options.clone()).apply(text)
}

fn footprint_with_grams(grams: f64) -> Footprint {
    let mut footprint = Footprint::from_json(include_str!("footprint.json")).unwrap();
    footprint.emissions.best = Co2e::from_grams(grams);
    footprint
}

/// The card without the generated parts, found by a second implementation.
fn strip_generated(card: &str) -> String {
    let mut rest = String::new();
    let mut after = card;
    while let Some((before, generated)) = after.split_once(" <!-- sootprint:") {
        let Some((old, value)) = generated.split_once("-->") else { break };
        let Some((_, next)) = value.split_once("<!-- /sootprint -->") else { break };
        rest += before;
        rest += old;
        after = next;
    }
    rest += after;
    let (before, section) = rest.split_once("<!-- sootprint:begin -->").unwrap();
    let (_, after) = section.split_once("<!-- sootprint:end -->").unwrap();
    format!("{before}{after}")
}

/// The text without line breaks: the section adds its own.
fn strip_line_breaks(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

proptest! {
    #[test]
    fn section_edit_preserves_other_bytes(body in arbitrary_body(), grams in 0.1..1e6) {
        let front = "---\nlicense: mit\n---\n";
        let card = format!("{front}{body}");
        let options = CardOptions::default().dia_report(false);
        let (once, _) = apply_with(&card, &footprint_with_grams(grams), &options).unwrap();
        let (twice, _) = apply_with(&once, &footprint_with_grams(grams), &options).unwrap();
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(once.matches("<!-- sootprint:begin -->").count(), 1);

        let back = ModelCard::parse(once.as_str()).unwrap();
        let back = back.without_section().unwrap().without_emissions().unwrap();
        prop_assert_eq!(back.text(), &card);
        let (_, written) = once.split_once("---\n").unwrap().1.split_once("---\n").unwrap();
        prop_assert_eq!(strip_line_breaks(&strip_generated(written)), strip_line_breaks(&body));
        let is_crlf = |text: &str| text.matches('\n').count() == text.matches("\r\n").count();
        prop_assert!(!body.contains('\n') || !is_crlf(&body) || is_crlf(written));
    }

    #[test]
    fn second_run_replaces_first_section(body in arbitrary_body(), first in 0.1..1e6, second in 0.1..1e6) {
        let (over, _) = apply(&apply(&body, &footprint_with_grams(first)).unwrap_or_else(|_| apply("", &footprint_with_grams(first)).unwrap()).0, &footprint_with_grams(second)).unwrap();
        let once = apply(&body, &footprint_with_grams(second)).map_or_else(|_| apply("", &footprint_with_grams(second)).unwrap().0, |(text, _)| text);
        prop_assert_eq!(over, once);
    }

    #[test]
    fn footprint_text_stays_between_markers(
        texts in proptest::collection::vec(
            prop_oneof![any::<String>(), Just("<!-- sootprint:end -->\n# Mine\n-->".to_owned()), Just("<!-- /sootprint -->".to_owned())], 6),
    ) {
        let mut json: serde_json::Value = serde_json::from_str(include_str!("footprint.json")).unwrap();
        json["hardware"] = texts[0].as_str().into();
        json["components"][0]["name"] = texts[1].as_str().into();
        for (key, text) in ["place", "source", "provider", "region"].iter().zip(&texts[2..]) {
            json["grid"][key] = text.as_str().into();
        }
        let footprint: Footprint = serde_json::from_value(json).unwrap();
        let card = "---\nlicense: mit\n---\n## Environmental Impact\n- **Hardware Type:**\n- **Cloud Provider:**\n\n# End\n";
        let options = CardOptions::default().dia_report(false);
        let (once, _) = apply_with(card, &footprint, &options).unwrap();
        prop_assert_eq!(&apply_with(&once, &footprint, &options).unwrap().0, &once);
        prop_assert!(once.ends_with("\n<!-- sootprint:end -->\n\n# End\n"), "{}", once);
        let back = ModelCard::parse(once).unwrap().without_section().unwrap().without_emissions().unwrap();
        prop_assert_eq!(back.text(), card);
    }

    #[test]
    fn arbitrary_markdown_never_panics(text in "([ #*_:`~<!>\\-=\n\r\t|\\[\\]]|sootprint|:begin|/|Hours used|Environmental Impact|é){0,60}") {
        if let Ok((once, _)) = apply(&text, &footprint_with_grams(1.0)) {
            prop_assert_eq!(&apply(&once, &footprint_with_grams(1.0)).unwrap().0, &once);
            prop_assert!(ModelCard::parse(once).unwrap().without_section().is_ok());
        }
    }
}
