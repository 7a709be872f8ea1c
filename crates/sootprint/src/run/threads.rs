//! Named background threads.

use std::{io, thread};

/// Starts a detached thread. Its name is visible in debuggers and, cut to 15 bytes, in `/proc`.
pub(crate) fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
