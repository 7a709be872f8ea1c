//! Options that all frameworks share: `cargo run -p sootprint --example options`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use sootprint::{Budget, Co2e, PlaceError, Run, WindowLength};

fn main() -> Result<(), PlaceError> {
    let batches = (0..3_000).map(|batch| vec![f64::from(batch); 64]);

    let run = Run::pre_training("artifacts/options")
        .place("France".parse()?)
        .budget(Budget::max_emissions(Co2e::from_grams(500.0)).stop_when_exceeded())
        .start();
    for batch in run.windows(WindowLength::steps(1_000), batches) {
        let _step = run.phase("step"); // energy by phase
        run.add_samples(batch.len() as u64); // energy and CO2e per sample
    }
    let forecast = run.forecast(); // energy and CO2e of all planned epochs, with an interval
    println!("{forecast:?}\n{}", run.finish());
    Ok(())
}
