use clap::CommandFactory as _;
use sootprint::Pue;

use super::*;

fn parse_run(words: &str) -> Result<RunArgs, clap::Error> {
    let words = ["sootprint", "run"].into_iter().chain(words.split_whitespace());
    CliArgs::try_parse_from(words).map(|arguments| match arguments.subcommand {
        CliCommand::Run(arguments) => *arguments,
        other => panic!("not a run: {other:?}"),
    })
}

#[test]
fn clap_definition_is_valid() {
    CliArgs::command().debug_assert();
}

#[test]
fn options_after_dashes_reach_command() {
    let arguments = parse_run("--pue 1.2 --place FR -- train --pue 3 -- x").unwrap();
    assert_eq!(arguments.command().get_program(), "train");
    assert_eq!(arguments.command().get_args().collect::<Vec<_>>(), ["--pue", "3", "--", "x"]);
    assert_eq!(arguments.pue, Pue::new(1.2).ok());
    assert_eq!(arguments.place, "France".parse().ok());
}

#[test]
fn invalid_options_fail_with_reason() {
    for (words, reason) in [
        ("--pue 0.9 -- x", "0.9"),
        ("--pue NaN -- x", "NaN"),
        ("--intensity many -- x", "invalid number"),
        ("--intensity -1 -- x", "-1"),
        ("--place Atlantis -- x", "Atlantis"),
        ("--place Frnace -- x", "did you mean France?"),
        ("--place Georgia -- x", "US-GA"),
        ("--series /nowhere/hours.csv -- x", "/nowhere/hours.csv"),
        ("--live uk --intensity 5 -- x", "cannot be used with"),
        ("--live unknown -- x", "electricity-maps"),
        ("--pre-training --push digits -- x", "owner/name"),
        ("--pre-training --push me/digits/x -- x", "owner/name"),
        ("--push me/digits -- x", "--pre-training"),
        ("--card README.md -- x", "--pre-training"),
        ("--pre-training --fine-tuning me/base -- x", "cannot be used with"),
        ("--pre-training", "COMMAND"),
    ] {
        let error = parse_run(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(reason), "{words}: {error}");
    }
}
