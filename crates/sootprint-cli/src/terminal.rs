//! All printing of the command. Nothing here panics or fails a run: the terminal may close before its programs end.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints a command's result on stdout.
///
/// # Errors
/// If writing to stdout fails; a closed pipe, as with `head`, is not an error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    // Other programs receive the text as it is.
    let text = if stdout.is_terminal() { without_controls(text) } else { Cow::Borrowed(text) };
    write_stdout(&mut stdout, &text)
}

fn write_stdout(stdout: &mut impl io::Write, text: &str) -> io::Result<()> {
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a result whose lines start with titles, which are bold on a terminal.
///
/// # Errors
/// If writing to stdout fails, as with [`print`].
pub(crate) fn print_titled(text: &str) -> io::Result<()> {
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => write_stdout(&mut io::stdout().lock(), &without_controls(text)),
        _ => write_stdout(&mut io::stdout().lock(), &style_titles(&without_controls(text))),
    }
}

/// The value as indented JSON with a final newline.
pub(crate) fn to_pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Styles the first word of each line that is not indented: bold, and coloured for faults and notes.
fn style_titles(text: &str) -> String {
    let line = |line: &str| {
        let end = line.find([' ', '\n']).unwrap_or(line.len());
        let (title, rest) = line.split_at(end);
        let style = match title {
            "" => return line.to_owned(),
            "Fault" => AnsiColor::Red.on_default().bold(),
            "Note" => AnsiColor::Yellow.on_default().bold(),
            _ => Style::new().bold(),
        };
        format!("{style}{title}{style:#}{rest}")
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Prints a message on stderr, prefixed with `sootprint:`.
pub(crate) fn eprint_message(message: impl fmt::Display) {
    eprint_text(format_args!("sootprint: {message}\n"));
}

/// Replaces characters that control a terminal or reverse the direction of a text, except line feeds and tabs.
///
/// Names of GPUs, places and files, and messages of servers come from others, who could otherwise hide or forge what a
/// terminal shows.
pub(crate) fn without_controls(text: &str) -> Cow<'_, str> {
    let is_control = |character: char| match character {
        '\n' | '\t' => false,
        // Marks, embeddings, overrides and isolates of bidirectional text; separators of lines and paragraphs.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        character => character.is_control(),
    };
    if text.contains(is_control) {
        Cow::Owned(text.replace(is_control, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Prints a text on stderr, without characters that control a terminal.
pub(crate) fn eprint_text(text: impl fmt::Display) {
    // One write, so that the command's own output cannot split it.
    let _ = io::stderr().write_all(without_controls(&text.to_string()).as_bytes());
}

/// Prints the warnings of sootprint's libraries on stderr from here on.
///
/// Warnings of other crates are dropped, because they may contain addresses and paths.
pub(crate) fn log_warnings_to_stderr() {
    // The prefix `sootprint` matches all crates of this workspace.
    let own_targets = Targets::new().with_target("sootprint", LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(WarningFormat)
        .with_writer(io::stderr)
        // Otherwise a failed write to stderr would panic while it is reported to stderr.
        .log_internal_errors(false);
    // Fails if a subscriber is already installed, which prints them too.
    let _ = tracing_subscriber::registry().with(own_targets).with(lines).try_init();
}

/// Formats a warning like the command's own messages.
struct WarningFormat;

impl<S, N> FormatEvent<S, N> for WarningFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        writeln!(writer, "sootprint: {}", without_controls(&fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_replaced() {
        let text = "GPU\u{1b}[2J\u{9b}31m\r\u{202e}sdrawkcab\u{7}\n\té \u{1f331}";
        let expected = "GPU\u{fffd}[2J\u{fffd}31m\u{fffd}\u{fffd}sdrawkcab\u{fffd}\n\té \u{1f331}";
        assert_eq!(without_controls(text), expected);
    }

    #[test]
    fn titles_are_styled_text_unchanged() {
        let text = "Note    a loss\nEnergy  1 J\n  GPU   1 J\n";
        let styled = style_titles(text);
        assert_eq!(
            styled,
            "\u{1b}[1m\u{1b}[33mNote\u{1b}[0m    a loss\n\u{1b}[1mEnergy\u{1b}[0m  1 J\n  GPU   1 J\n"
        );
    }
}
