//! An error with its causes, as one line.

use std::error::Error;

/// The message of an error and of all its sources, separated by colons: for notes and logs, which have one line.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
