//! The rooms of the core: each imports only from those before it, in the order of `ARCHITECTURE.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::{read, root};

#[test]
fn each_room_of_the_core_imports_only_from_those_before_it() {
    let rooms = rooms();
    let library = read(source().join("lib.rs"));
    let declared: BTreeSet<&str> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let told: BTreeSet<&str> = rooms.iter().map(String::as_str).collect();
    assert_eq!(told, declared, "the rooms that ARCHITECTURE.md lists and those that lib.rs has");

    let mut wrong = Vec::new();
    for (position, room) in rooms.iter().enumerate() {
        for file in files(room) {
            for imported in imports(&read(&file)) {
                let from = rooms.iter().position(|it| *it == imported);
                if from.is_none_or(|from| from > position) {
                    wrong
                        .push(format!("{} imports {imported}", file.strip_prefix(root()).unwrap().display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_found_in_all_their_forms_and_those_of_tests_are_left_out() {
    let text = "use crate::units::Energy;\n//! crate::comment\nuse crate::{grid::{Answer, Hour}, place, Run};\n\
                fn f() -> crate::clock::Tick { }\npub(crate) fn g() {}\n#[cfg(test)]\nmod tests {\nuse crate::run;\n}";
    assert_eq!(imports(text), ["clock", "grid", "place", "units"].map(str::to_owned).into());
}

fn source() -> PathBuf {
    root().join("crates/sootprint/src")
}

/// From the ground up, as the document lists them.
fn rooms() -> Vec<String> {
    let document = read(root().join("ARCHITECTURE.md"));
    let (_, list) = document.split_once("each room imports only from those before it:").unwrap();
    let list = list.trim_start().lines().next().unwrap();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The files of a room that are not only for tests.
fn files(room: &str) -> Vec<PathBuf> {
    let (file, folder) = (source().join(format!("{room}.rs")), source().join(room));
    let mut all: Vec<PathBuf> = file.is_file().then_some(file).into_iter().collect();
    walk(&folder, &mut all);
    assert!(!all.is_empty(), "there is no room {room}");
    let tests: BTreeSet<String> = all.iter().flat_map(|file| modules_for_tests(&read(file))).collect();
    let is_test = |file: &PathBuf| {
        let inside = file.strip_prefix(source()).unwrap().with_extension("");
        inside.components().any(|part| tests.contains(&part.as_os_str().to_string_lossy().into_owned()))
    };
    all.retain(|file| !is_test(file));
    all
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of `mod name;` behind `#[cfg(test)]`.
fn modules_for_tests(text: &str) -> Vec<String> {
    let after_each = text.split("#[cfg(test)]").skip(1);
    let line = after_each
        .filter_map(|rest| rest.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')));
    line.filter_map(|line| {
        let (_, name) = line.split_once("mod ")?;
        name.strip_suffix(';').map(str::to_owned)
    })
    .collect()
}

/// The rooms that a file names behind `crate::`, outside of comments and of its tests.
fn imports(text: &str) -> BTreeSet<String> {
    // A module of tests ends a file, by the house's custom.
    let end = text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| {
        let behind = text[*at..].lines().skip(1).find(|line| !line.starts_with('#')).unwrap_or_default();
        behind.contains("mod ") && behind.ends_with('{')
    });
    let code: String = text[..end.unwrap_or(text.len())]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    code.split("crate::").skip(1).flat_map(names).collect()
}

/// The modules at the beginning of a path, or of each path in braces; items of the crate's root have large letters.
fn names(path: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let mut list = String::new();
    let braced = path.starts_with('{');
    for letter in path.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth <= 1 => list.push(letter),
            _ => {}
        }
        if depth == 0 && !(letter.is_alphanumeric() || letter == '_') {
            break;
        }
    }
    let parts: Vec<&str> = if braced { list.split(',').collect() } else { vec![&list] };
    parts
        .into_iter()
        .map(|part| part.trim().split("::").next().unwrap_or_default())
        .map(|part| {
            part.trim_end_matches(|letter: char| !(letter.is_alphanumeric() || letter == '_')).to_owned()
        })
        .filter(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .collect()
}
