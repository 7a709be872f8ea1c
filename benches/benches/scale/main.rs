//! Cost at scale: `cargo bench -p sootprint-benches --bench scale`.
//!
//! One to eight GPUs, merging the ledgers of one to a thousand ranks for a day, and a run of thirty days.
//! Each measurement runs in its own process. A thousand ledgers take 0.2 GB in the temporary folder.

#![expect(clippy::print_stdout, reason = "the tables are the program's result")]

mod child;
mod gpus;
mod ledgers;

use std::path::Path;
use std::process::ExitCode;

use child::TASK_ARGUMENT;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [TASK_ARGUMENT, "boards", count] => gpus::measure(count),
        [TASK_ARGUMENT, "merge", dir] => ledgers::measure_merge(Path::new(dir)),
        _ => gpus::print_table().and_then(|passes| Ok(ledgers::print_tables()? && passes)),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            println!("not measured: {failure}");
            ExitCode::FAILURE
        }
    }
}
