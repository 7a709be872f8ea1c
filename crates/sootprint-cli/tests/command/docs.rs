//! docs/cli.md shows the help texts and the outputs of the current binary.
//!
//! A code block after `<!-- help: SUBCOMMAND -->` holds `sootprint SUBCOMMAND --help`, one after `<!-- output: WORDS -->`
//! the stdout of `sootprint WORDS` in a folder with a recorded run. `UPDATE_DOCS=1` rewrites the blocks.

use std::fs;
use std::path::Path;

use crate::help::SUBCOMMANDS;
use crate::outputs::sandbox_with_recorded_run;
use crate::sandbox::{TestSandbox, stdout};

const MISREAD_CARD: &str =
    "---\nco2_eq_emissions:\n  emissions: 0.5 kg\n  geographical_location: no\n---\n# Digits\n";

#[test]
fn cli_page_matches_binary() {
    let sandbox = sandbox_with_recorded_run();
    fs::write(sandbox.path("README.md"), MISREAD_CARD).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = fs::read_to_string(&path).unwrap();
    let current = fill_blocks(&page, &sandbox);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &current).unwrap();
        return;
    }
    for (line, (found, expected)) in page.lines().zip(current.lines()).enumerate() {
        assert_eq!(found, expected, "docs/cli.md:{} is outdated; run the test with UPDATE_DOCS=1", line + 1);
    }
    assert_eq!(page, current, "docs/cli.md is outdated; run the test with UPDATE_DOCS=1");
}

#[test]
fn cli_page_has_every_subcommand() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md")).unwrap();
    for subcommand in SUBCOMMANDS {
        let marker = format!("<!-- {} -->\n", format!("help: {subcommand}").trim_end());
        assert!(page.contains(&marker), "{marker}");
    }
}

/// The page with the current text in every block that follows a marker.
fn fill_blocks(page: &str, sandbox: &TestSandbox) -> String {
    let mut text = String::new();
    let mut lines = page.split_inclusive('\n');
    while let Some(line) = lines.next() {
        text += line;
        let Some(marker) = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let words: Vec<&str> = marker.split_whitespace().collect();
        let output = match words.split_first() {
            Some((&"help:", words)) => sandbox.output(&[words, &["--help"]].concat()),
            Some((&"output:", words)) => sandbox.output(&split_quoted(&words.join(" "))),
            _ => continue,
        };
        // The code block after the marker is replaced.
        assert_eq!(lines.next(), Some("```text\n"), "a code block follows {marker}");
        lines.by_ref().find(|line| line.starts_with("```")).unwrap();
        let lines = stdout(&output);
        let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
        text += &format!("```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    text
}

/// Splits at blanks; a text in double quotes is one word.
fn split_quoted(text: &str) -> Vec<&str> {
    let parts = text.split('"').enumerate();
    parts
        .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}
