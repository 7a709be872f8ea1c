//! The only place that prints. Nothing here panics or fails a run: a terminal may go away before its programs do.

use std::fmt;
use std::io::{self, Write as _};

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

/// Says on stderr what happened, under sootprint's name.
pub(crate) fn say(message: impl fmt::Display) {
    show(format_args!("sootprint: {message}\n"));
}

/// Shows a text on stderr as it stands.
pub(crate) fn show(text: impl fmt::Display) {
    // In one write, so that it stays whole beside what the command prints.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}

/// From now on the warnings of sootprint's libraries are shown on stderr.
///
/// Those of other crates are not: they may hold addresses and paths that are nobody's business.
pub(crate) fn show_warnings() {
    // `sootprint` is the beginning of the names of all our crates.
    let ours = Targets::new().with_target("sootprint", LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(io::stderr)
        // Else a broken stderr is reported to stderr, with a panic.
        .log_internal_errors(false);
    // A subscriber that is there already shows them too.
    let _ = tracing_subscriber::registry().with(ours).with(lines).try_init();
}

/// A warning in one line, like all else that sootprint says.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
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
