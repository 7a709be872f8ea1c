//! Rust code in README.md must be an excerpt of an example, so that it is compiled.

use std::fs;

use crate::workspace::{read_file, workspace_packages, workspace_root};

#[test]
fn readme_code_is_excerpt_of_example() {
    let examples: Vec<Vec<String>> = workspace_packages()
        .iter()
        .filter_map(|package| fs::read_dir(package.manifest_path.parent()?.join("examples")).ok())
        .flatten()
        .map(|entry| trimmed_lines(&read_file(entry.unwrap().path())))
        .collect();
    let blocks = rust_blocks(&read_file(workspace_root().join("README.md")));
    assert!(blocks.len() >= 3, "README.md has {} Rust blocks", blocks.len());
    for block in blocks {
        let lines = trimmed_lines(&block);
        let is_excerpt = |example: &Vec<String>| example.windows(lines.len()).any(|window| window == lines);
        assert!(examples.iter().any(is_excerpt), "no example contains these lines:\n{block}");
    }
}

fn rust_blocks(markdown: &str) -> Vec<String> {
    let starts = markdown.split("\n```rust").skip(1);
    starts.filter_map(|rest| Some(rest.split_once('\n')?.1.split_once("\n```")?.0.to_owned())).collect()
}

fn trimmed_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}
