//! Help, version, completions, the manual page, and how the command looks in a terminal.

use crate::room::{Room, status, stderr, stdout};

const SUBCOMMANDS: [&str; 13] = [
    "run",
    "estimate",
    "report",
    "verify",
    "card",
    "card write",
    "card show",
    "card check",
    "push",
    "grid",
    "doctor",
    "completions",
    "man",
];

#[test]
fn each_help_has_an_example_and_fits_the_terminal() {
    let room = Room::new();
    for subcommand in SUBCOMMANDS.iter().chain(&[""]) {
        let words: Vec<&str> = subcommand.split_whitespace().chain(["--help"]).collect();
        let output = room.output(&words);
        let help = stdout(&output);
        assert_eq!(status(&output), Some(0));
        assert!(help.contains("Example"), "{subcommand}: {help}");
        assert!(help.contains(&format!("\n  sootprint {subcommand}")), "{subcommand}: {help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{subcommand}: {line}");
        }
        assert!(!help.contains('\u{1b}'), "no colours in a pipe");
    }
}

#[test]
fn the_version_names_the_commit() {
    let output = Room::new().output(&["--version"]);
    let version = stdout(&output);
    let rest = version.strip_prefix(concat!("sootprint ", env!("CARGO_PKG_VERSION"))).unwrap();
    // A copy of the source without its history has no commit to name.
    let is_commit = |text: &str| text.len() >= 9 && text.chars().all(|it| it.is_ascii_hexdigit());
    let commit = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    assert!(rest == "\n" || commit.is_some_and(is_commit), "{version}");
}

#[test]
fn completions_and_manual_pages_know_the_options() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = room.output(&["completions", shell]);
        let script = stdout(&output);
        assert_eq!(status(&output), Some(0), "{}", stderr(&output));
        assert!(script.contains("fine-tuning") && script.contains("doctor"), "{shell}");
    }
    let page = stdout(&room.output(&["man"]));
    assert!(page.contains(".TH sootprint 1") && page.contains("sootprint\\-run"), "{page}");
    let page = stdout(&room.output(&["man", "card", "write"]));
    assert!(page.contains("sootprint card write") && page.contains("\\-\\-footprint"), "{page}");
}

#[test]
fn bash_takes_the_completions() {
    let room = Room::new();
    std::fs::write(room.path("completions"), stdout(&room.output(&["completions", "bash"]))).unwrap();
    let script = "source ./completions; COMP_WORDS=(sootprint car); COMP_CWORD=1; _sootprint sootprint car sootprint; \
                  echo \"${COMPREPLY[@]}\"";
    let Ok(output) =
        std::process::Command::new("bash").args(["-c", script]).current_dir(room.path("")).output()
    else {
        return;
    };
    assert_eq!(stdout(&output), "card\n", "{}", stderr(&output));
}

#[test]
fn colours_are_for_terminals_and_for_who_wants_them() {
    let room = Room::new();
    let plain = room.output(&["grid", "France"]);
    let mut forced = room.sootprint(&["grid", "France"]);
    let forced = forced.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(stdout(&forced).contains("\u{1b}[1m"), "{}", stdout(&forced));
    assert!(!stdout(&plain).contains('\u{1b}'));
    let mut refused = room.sootprint(&["grid", "France"]);
    let refused = refused.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert_eq!(stdout(&refused), stdout(&plain));
}

/// libc, libm and `libgcc_s` are in every Debian, however small; anything else would be a package to install first.
#[cfg(target_os = "linux")]
#[test]
fn the_binary_needs_no_library_that_a_fresh_system_lacks() {
    const EVERYWHERE: [&str; 7] =
        ["linux-vdso", "ld-linux", "libc.so", "libm.so", "libgcc_s.so", "libdl.so", "libpthread.so"];
    let Ok(output) = std::process::Command::new("ldd").arg(env!("CARGO_BIN_EXE_sootprint")).output() else {
        return;
    };
    for line in stdout(&output).lines() {
        let name = line
            .trim()
            .rsplit_once('/')
            .filter(|_| !line.contains("=>"))
            .map_or(line.trim(), |(_, name)| name);
        assert!(EVERYWHERE.iter().any(|known| name.starts_with(known)), "{line}");
    }
}
