//! Properties that hold for every card and every block.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

use proptest::prelude::*;
use proptest::sample::select;
use serde_yaml::Value;
use sootprint_card::{EmissionsBlock, ModelCard};
use sootprint_core::{Co2e, Energy};

/// Entries that are difficult for an editor. Their names differ, so that they can be combined.
const OTHER_ENTRIES: [&str; 14] = [
    "license: mit   # ours\n",
    "# a comment between\n",
    "\n",
    "tags:\n- a\n- \"b: c\"\n",
    "text: |\n  one\n\n  # two\n",
    "kept: |+\n  three\n\n\n",
    "folded: >-\n  four\n   five\n",
    "double: \"six\n  seven # eight\"\n",
    "braces: {a: [1, 2],\n  b: {c: d}} # end\n",
    "anchored: &x {y: 1}\nrepeated: *x\n",
    "\"quoted key\": 'it''s' \n",
    "empty:\n",
    "emoji: 😀 é \u{a0}x\n",
    "model-index:\n  - name: n\n    results:\n    - {task: t}\n",
];

/// Values of `co2_eq_emissions` by other authors, without the key.
const OLD_VALUES: [&str; 12] = [
    " 12.3 # scalar\n",
    "\n",
    " # nothing\n",
    " '17g'\n",
    " >\n  17 g\n  # text\n",
    "\n  emissions: 25.4\n",
    "\n    # note\n    source: >-\n      Code\n      Carbon\n    on_cloud: no # why\n    emissions: 1\n",
    "\n  hours:\n  - 1\n\n  - 2\n  energy_consumed: 3\n",
    " {emissions: 1, \"on_cloud\": no,\n  x}\n",
    " [1, 2]\n",
    " {}\n",
    " !!map {emissions: \"1 g\", }   # end\n",
];

const BODIES: [&str; 5] =
    ["", "# Title\n", "\n---\n\ntext", "---\nco2_eq_emissions: 1\n---\n", "  \n\ttext  "];

fn other_entries() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(OTHER_ENTRIES.to_vec(), 0..6).prop_shuffle()
}

/// Entries before and after `co2_eq_emissions`, without a common key.
fn surrounding_entries() -> impl Strategy<Value = (String, String)> {
    (other_entries(), any::<prop::sample::Index>()).prop_map(|(pieces, index)| {
        let (front, rest) = pieces.split_at(index.index(pieces.len() + 1));
        (front.concat(), rest.concat())
    })
}

prop_compose! {
    fn arbitrary_block()(
        grams in 0.0..1e9,
        source in proptest::option::of(any::<String>()),
        place in proptest::option::of("[ -~é😀]{0,20}"),
        joules in proptest::option::of(0.0..1e12),
    ) -> EmissionsBlock {
        let mut block = EmissionsBlock::new(Co2e::from_grams(grams));
        block.source = source;
        block.geographical_location = place;
        block.energy_consumed = joules.map(Energy::from_joules);
        block
    }
}

fn parse_front_matter(card: &str) -> Value {
    let yaml = card.strip_prefix("---\n").unwrap().split("\n---\n").next().unwrap();
    serde_yaml::from_str(&format!("{yaml}\n")).unwrap()
}

proptest! {
    #[test]
    fn edit_preserves_surrounding_bytes((front, rest) in surrounding_entries(), old in select(OLD_VALUES.to_vec()), body in select(BODIES.to_vec()), block in arbitrary_block(), crlf: bool) {
        let line_break = |text: &str| if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
        let (before, after) = (line_break(&format!("---\n{front}co2_eq_emissions:")), line_break(&format!("{rest}---\n{body}")));
        let card = ModelCard::parse(format!("{before}{}{after}", line_break(old))).unwrap();
        let written = card.with_emissions(&block).unwrap();

        prop_assert!(written.text().starts_with(&before), "{}", written.text());
        prop_assert!(written.text().ends_with(&after), "{}", written.text());
        let written_value = &written.text()[before.len()..written.text().len() - after.len()];
        prop_assert!(!crlf || written_value.matches('\n').count() == written_value.matches("\r\n").count(), "{written_value:?}");
        prop_assert_eq!(written.with_emissions(&block).unwrap(), written);
    }

    #[test]
    fn serde_yaml_reads_written_block((front, rest) in surrounding_entries(), old in select(OLD_VALUES.to_vec()), block in arbitrary_block()) {
        let before = format!("---\n{front}co2_eq_emissions:{old}{rest}---\n");
        let written = ModelCard::parse(before.as_str()).unwrap().with_emissions(&block).unwrap();
        let (mut old, mut new) = (parse_front_matter(&before), parse_front_matter(written.text()));
        let old_emissions = old.as_mapping_mut().unwrap().shift_remove("co2_eq_emissions").unwrap();
        let emissions = new.as_mapping_mut().unwrap().shift_remove("co2_eq_emissions").unwrap();
        prop_assert_eq!(new, old);

        prop_assert!((emissions["emissions"].as_f64().unwrap() - block.emissions.grams()).abs() <= 1e-4);
        prop_assert_eq!(emissions.get("source").and_then(Value::as_str), block.source.as_deref());
        prop_assert_eq!(emissions.get("geographical_location").and_then(Value::as_str), block.geographical_location.as_deref());
        prop_assert_eq!(emissions.get("energy_consumed").is_some(), block.energy_consumed.is_some());
        for foreign in ["on_cloud", "hours", "x"] {
            prop_assert_eq!(emissions.get(foreign), old_emissions.as_mapping().and_then(|old| old.get(foreign)));
        }
    }

    #[test]
    fn mixed_line_breaks_are_accepted(old in select(OLD_VALUES.to_vec()), breaks in proptest::collection::vec(any::<bool>(), 20), block in arbitrary_block()) {
        let mut breaks = breaks.into_iter().cycle();
        let text = format!("---\nlicense: mit\nco2_eq_emissions:{old}tags: [a]\n---\nbody\n");
        let text: String = text
            .split_inclusive('\n')
            .map(|line| if breaks.next() == Some(true) { line.replace('\n', "\r\n") } else { line.to_owned() })
            .collect();
        let written = ModelCard::parse(text).unwrap().with_emissions(&block).unwrap();
        prop_assert_eq!(written.with_emissions(&block).unwrap(), written);
    }

    #[test]
    fn removal_undoes_addition(yaml in other_entries(), body in select(BODIES.to_vec()), block in arbitrary_block(), bare: bool, crlf: bool, bom: bool) {
        // Only an empty front matter is not restored: the Hub does not end it at the second `---`.
        let yaml = yaml.concat();
        let front = if bare || yaml.trim().is_empty() { String::new() } else { format!("---\n{yaml}---\n") };
        let body = if front.is_empty() { body.trim_start_matches("---\nco2") } else { body };
        let text = format!("{}{front}{body}", if bom { "\u{feff}" } else { "" });
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let Ok(card) = ModelCard::parse(text.as_str()) else {
            // Only a body that starts with a rule can be parsed as front matter.
            prop_assert!(front.is_empty() && body.trim_start().starts_with("---"));
            return Ok(());
        };
        let written = card.with_emissions(&block).unwrap();
        prop_assert!(written.emissions().unwrap().is_some());
        prop_assert_eq!(written.without_emissions().unwrap().into_text(), text);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(---\n)?[ -~\n\t\ré😀\u{feff}]{0,80}(\n---\n)?.{0,20}", block in arbitrary_block()) {
        if let Ok(written) = ModelCard::parse(text).and_then(|card| card.with_emissions(&block)) {
            prop_assert!(written.emissions().unwrap().is_some());
            prop_assert_eq!(written.with_emissions(&block).unwrap(), written);
        }
    }

    #[test]
    fn yaml_like_text_never_panics(lines in proptest::collection::vec(
        "( {0,4})(- |\\? |&a |!!x )?(a|b|co2_eq_emissions|emissions|\"source\")?(: ?)?(\\||>|\\*a|&a 1|\\{|\\}|\\[|x # y|'|\\.\\.\\.)?", 0..8), block in arbitrary_block()) {
        let text = format!("---\n{}\n---\n", lines.join("\n"));
        if let Ok(card) = ModelCard::parse(text) {
            let _ = card.emissions();
            let _ = card.without_emissions();
            if let Ok(written) = card.with_emissions(&block) {
                prop_assert_eq!(written.with_emissions(&block).unwrap(), written);
            }
        }
    }
}
