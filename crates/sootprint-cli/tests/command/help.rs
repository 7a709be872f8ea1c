//! Help, version, completions, the manual page, and colours.

use crate::sandbox::{TestSandbox, status, stderr, stdout};

/// All subcommands; the empty one is the command itself.
pub(crate) const SUBCOMMANDS: [&str; 14] = [
    "",
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
fn help_has_example_and_fits_terminal() {
    let sandbox = TestSandbox::new();
    for subcommand in SUBCOMMANDS {
        let words: Vec<&str> = subcommand.split_whitespace().chain(["--help"]).collect();
        let output = sandbox.output(&words);
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
fn short_help_fits_screen() {
    let sandbox = TestSandbox::new();
    for subcommand in SUBCOMMANDS {
        let words: Vec<&str> = subcommand.split_whitespace().chain(["-h"]).collect();
        let help = stdout(&sandbox.output(&words));
        let lines = help.lines().count();
        assert!(lines <= 40, "{subcommand}: {lines} lines\n{help}");
        let about = help.lines().next().unwrap();
        assert!(help.starts_with(&format!("{about}\n\nUsage:")), "{subcommand}: summary in one line: {help}");
    }
}

#[test]
fn version_names_commit() {
    let output = TestSandbox::new().output(&["--version"]);
    let version = stdout(&output);
    let rest = version.strip_prefix(concat!("sootprint ", env!("CARGO_PKG_VERSION"))).unwrap();
    // A copy of the source without its history has no commit.
    let is_commit = |text: &str| text.len() >= 9 && text.chars().all(|it| it.is_ascii_hexdigit());
    let commit = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    assert!(rest == "\n" || commit.is_some_and(is_commit), "{version}");
}

#[test]
fn completions_and_man_list_options() {
    let sandbox = TestSandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sandbox.output(&["completions", shell]);
        let script = stdout(&output);
        assert_eq!(status(&output), Some(0), "{}", stderr(&output));
        assert!(script.contains("fine-tuning") && script.contains("doctor"), "{shell}");
    }
    let page = stdout(&sandbox.output(&["man"]));
    assert!(page.contains(".TH sootprint 1") && page.contains("sootprint\\-run"), "{page}");
    let page = stdout(&sandbox.output(&["man", "card", "write"]));
    assert!(page.contains("sootprint card write") && page.contains("\\-\\-footprint"), "{page}");
}

#[test]
fn bash_accepts_completions() {
    let sandbox = TestSandbox::new();
    std::fs::write(sandbox.path("completions"), stdout(&sandbox.output(&["completions", "bash"]))).unwrap();
    let script = "source ./completions; COMP_WORDS=(sootprint car); COMP_CWORD=1; _sootprint sootprint car sootprint; \
                  echo \"${COMPREPLY[@]}\"";
    let Ok(output) =
        std::process::Command::new("bash").args(["-c", script]).current_dir(sandbox.path("")).output()
    else {
        return;
    };
    assert_eq!(stdout(&output), "card\n", "{}", stderr(&output));
}

#[test]
fn colours_follow_terminal_and_environment() {
    let sandbox = TestSandbox::new();
    let plain = sandbox.output(&["grid", "France"]);
    let mut forced = sandbox.sootprint_command(&["grid", "France"]);
    let forced = forced.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(stdout(&forced).contains("\u{1b}[1m"), "{}", stdout(&forced));
    assert!(!stdout(&plain).contains('\u{1b}'));
    let mut refused = sandbox.sootprint_command(&["grid", "France"]);
    let refused = refused.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert_eq!(stdout(&refused), stdout(&plain));
}

/// libc, libm and `libgcc_s` are in every Debian image; any other library would be a package to install first.
#[cfg(target_os = "linux")]
#[test]
fn binary_needs_only_base_libraries() {
    const BASE_LIBRARIES: [&str; 7] =
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
        assert!(BASE_LIBRARIES.iter().any(|known| name.starts_with(known)), "{line}");
    }
}
