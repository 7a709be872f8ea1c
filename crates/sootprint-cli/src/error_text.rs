//! Errors as one line of text.

use std::error::Error;

/// The error and its causes, joined by `: `. A cause that the text already contains is left out: some errors include
/// their source in their own message.
pub(crate) fn describe_error(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::*;

    #[test]
    fn repeated_cause_is_printed_once() {
        let error = anyhow::Error::new(io::Error::other("disk full"))
            .context("cannot write a.json: disk full; free some space")
            .context("cannot save the run");
        assert_eq!(
            describe_error(error.as_ref()),
            "cannot save the run: cannot write a.json: disk full; free some space"
        );
    }

    #[test]
    fn causes_follow_their_error() {
        let error = Err::<(), _>(io::Error::other("disk full")).context("cannot save the run").unwrap_err();
        assert_eq!(describe_error(error.as_ref()), "cannot save the run: disk full");
    }
}
