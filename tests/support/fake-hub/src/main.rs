//! Runs a [`FakeHub`] for clients in other processes, until its standard input closes or Ctrl-C.
//!
//! ```sh
//! cargo run -p fake-hub
//! ```
//!
//! It prints two lines to run in the client's shell.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};

use fake_hub::FakeHub;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = FakeHub::start()?;
    writeln!(io::stdout(), "export HF_ENDPOINT={}\nexport HF_TOKEN={}", hub.endpoint(), hub.token())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
