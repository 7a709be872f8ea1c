//! `sootprint completions` and `sootprint man`, generated from the arguments.

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::{CliArgs, CompletionsArgs, ManArgs};
use crate::terminal::print;

/// Prints the completion script of a shell.
pub(crate) fn print_completions(arguments: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CliArgs::command(), "sootprint", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(())
}

/// Prints the manual page of the command or of a subcommand.
pub(crate) fn print_man_page(arguments: &ManArgs) -> anyhow::Result<()> {
    let words = &arguments.subcommand;
    let mut command = CliArgs::command();
    command.build();
    for word in words {
        command = find_subcommand(&command, word)
            .with_context(|| format!("unknown subcommand `{}`; see `sootprint --help`", words.join(" ")))?;
    }
    let mut page = Vec::new();
    Man::new(command.disable_help_subcommand(true)).render(&mut page)?;
    print(&String::from_utf8(page)?)?;
    Ok(())
}

fn find_subcommand(command: &Command, word: &str) -> Option<Command> {
    command.get_subcommands().find(|subcommand| subcommand.get_name() == word).cloned()
}
