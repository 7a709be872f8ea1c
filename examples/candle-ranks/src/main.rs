//! Trains a digit classifier with Candle in several processes. Each rank trains on a shard of the images; after each
//! epoch all ranks continue from the mean of their weights, which they exchange as files in a shared folder.
//!
//! ```text
//! candle-ranks train DIR EPOCHS PASSES [resume]    runs one rank; the launcher's environment sets its number
//! candle-ranks report DIR                          prints the merged footprint as JSON
//! ```
//!
//! An epoch is PASSES passes over a rank's images. The power readings are scripted, so the energy is known: the GPU of
//! rank r draws 100 + 50 r watts, and the ranks of a host share a CPU that draws 80 watts. `tests/cluster/run.sh` starts
//! this job under Slurm and Open MPI, kills and restarts a rank, and compares the result.
//!
//! To run it by hand, use two shells: `RANK=0 WORLD_SIZE=2 cargo run -p candle-ranks -- train /tmp/digits 3 5`, and the
//! same with `RANK=1`.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use candle_core::{DType, Device};
use candle_nn::{Linear, Module as _, Optimizer as _, SGD, VarBuilder, VarMap, linear, loss};
use sootprint::{CarbonIntensity, ComponentKind, DeviceId, Power, Replay, Run, RunBuilder, load_footprint};

use candle_ranks::uptime_log::UptimeLogger;
use candle_ranks::weight_exchange::WeightExchange;
use digits::candle::batch::CandleBatch;
use digits::candle::model::accuracy;
use digits::data::{self, CLASSES, DigitImage, PIXELS};

const GPUS: u32 = 4;
const BATCH_SIZE: usize = 16;
const LEARNING_RATE: f64 = 0.2;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["train", dir, epochs, passes, mode @ ..] => {
            train(Path::new(dir), epochs.parse()?, passes.parse()?, mode == ["resume"])
        }
        ["report", dir] => {
            println!("{}", load_footprint(Path::new(dir), None)?.to_json()?);
            Ok(())
        }
        _ => bail!("usage: candle-ranks train DIR EPOCHS PASSES [resume] | candle-ranks report DIR"),
    }
}

fn train(dir: &Path, epochs: u32, passes: u32, resume: bool) -> Result<()> {
    let builder = scripted_run(dir);
    let run = if resume { builder.resume() } else { builder }.try_start()?;
    let rank = run.rank();
    run.handle().add_devices([DeviceId::CudaOrdinal(rank as usize)]);
    let uptime_logger = UptimeLogger::start(dir, rank)?;

    let device = Device::Cpu;
    let weights = VarMap::new();
    let layer = linear(PIXELS, CLASSES, VarBuilder::from_varmap(&weights, DType::F32, &device))?;
    let exchange = WeightExchange::new(dir, rank, world_size());
    let (train, test) = data::load()?;
    let shard: Vec<DigitImage> =
        train.into_iter().skip(rank as usize).step_by(world_size() as usize).collect();
    let mut optimizer = SGD::new(weights.all_vars(), LEARNING_RATE)?;

    let checkpoint = dir.join(format!("checkpoint-{rank}"));
    let epochs_done: u32 =
        fs::read_to_string(&checkpoint).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    match epochs_done {
        0 => exchange.initialize(&weights)?,
        epoch => exchange.average(epoch, &weights)?,
    }
    for epoch in run.epochs(epochs_done + 1..=epochs) {
        for _ in 0..passes {
            train_pass(&layer, &mut optimizer, &shard, &device)?;
            run.add_samples(shard.len() as u64);
        }
        let _phase = run.phase("exchange");
        exchange.share(epoch, &weights)?;
        exchange.average(epoch, &weights)?;
        fs::write(&checkpoint, epoch.to_string())?;
    }
    // `finish` of rank 0 waits for the other ranks, which is not training time.
    uptime_logger.stop();
    let footprint = run.finish();
    println!(
        "rank {rank} of {}: {} in {:.1} s, {:?}; accuracy {:.1} %",
        world_size(),
        footprint.energy.total,
        footprint.run.duration_s,
        footprint.run.outcome,
        100.0 * accuracy(&layer, &test, &device)?
    );
    Ok(())
}

/// A run whose GPUs and CPU follow a script.
fn scripted_run(dir: &Path) -> RunBuilder {
    let steady = |watts: f64| [(Duration::from_secs(1), Power::from_watts(watts))];
    let gpus = (0..GPUS).fold(Replay::new(), |replay, gpu| {
        replay.with_component(ComponentKind::Gpu, "Scripted GPU", steady(100.0 + 50.0 * f64::from(gpu)))
    });
    Run::pre_training(dir)
        .replay(gpus.with_component(ComponentKind::Cpu, "Scripted CPU", steady(80.0)))
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(100.0))
}

/// The number of ranks according to the launcher's environment.
fn world_size() -> u32 {
    let variables = ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"];
    variables.iter().find_map(|name| std::env::var(name).ok()?.parse().ok()).unwrap_or(1)
}

/// Trains one pass over the images in order.
fn train_pass(layer: &Linear, optimizer: &mut SGD, digits: &[DigitImage], device: &Device) -> Result<()> {
    for digits in digits.chunks(BATCH_SIZE) {
        let CandleBatch { pixels, classes } = CandleBatch::new(digits, device)?;
        optimizer.backward_step(&loss::cross_entropy(&layer.forward(&pixels)?, &classes)?)?;
    }
    Ok(())
}
