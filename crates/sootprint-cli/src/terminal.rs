//! The only place that prints. Nothing here panics or fails a run: a terminal may go away before its programs do.

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
/// When stdout does not take it. A reader that left early, as `head` does, has what it wanted.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a result whose lines begin with titles; on a terminal the titles stand out.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_titled(text: &str) -> io::Result<()> {
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => print(text),
        _ => print(&style_titles(text)),
    }
}

/// A value as JSON, with a final newline.
pub(crate) fn to_pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The first word of each line that is not indented, in bold; what is wrong in a colour.
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

/// Says on stderr what happened, under sootprint's name.
pub(crate) fn eprint_message(message: impl fmt::Display) {
    eprint_text(format_args!("sootprint: {message}\n"));
}

/// Shows a text on stderr as it stands.
pub(crate) fn eprint_text(text: impl fmt::Display) {
    // In one write, so that it stays whole beside what the command prints.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}

/// From now on the warnings of sootprint's libraries are shown on stderr.
///
/// Those of other crates are not: they may hold addresses and paths that are nobody's business.
pub(crate) fn log_warnings_to_stderr() {
    // `sootprint` is the beginning of the names of all our crates.
    let own_targets = Targets::new().with_target("sootprint", LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(WarningFormat)
        .with_writer(io::stderr)
        // Else a broken stderr is reported to stderr, with a panic.
        .log_internal_errors(false);
    // A subscriber that is there already shows them too.
    let _ = tracing_subscriber::registry().with(own_targets).with(lines).try_init();
}

/// A warning in one line, like all else that sootprint says.
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
