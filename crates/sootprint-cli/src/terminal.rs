//! All printing of the command. Nothing here panics or fails a run: the terminal may close before its programs end.

use std::fmt;
use std::io::{self, Write as _};

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
        ColorChoice::Never => print(text),
        _ => print(&style_titles(text)),
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

/// Prints a text on stderr unchanged.
pub(crate) fn eprint_text(text: impl fmt::Display) {
    // One write, so that the command's own output cannot split it.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
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
        write!(writer, "sootprint: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
