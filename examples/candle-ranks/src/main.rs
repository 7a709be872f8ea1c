//! Trains the digit classifier with Candle in several processes: each trains on its part of the images, and after each
//! epoch all go on from the mean of their weights, which they exchange as files in the folder that they share.
//!
//! ```text
//! candle-ranks train DIR EPOCHS PASSES [resume]    one rank of the job; the launcher says which
//! candle-ranks report DIR                          the merged footprint as JSON
//! ```
//!
//! An epoch is so many passes over a rank's images. The boards are scripted, so that the energy is known:
//! `tests/cluster/run.sh` starts this job under Slurm and Open MPI, kills a rank, starts it again and compares. Rank r trains on
//! a board of 100 + 50 r watts; the host's processor draws 80 watts, which the ranks of the host share.
//!
//! By hand, in two shells: `RANK=0 WORLD_SIZE=2 cargo run -p candle-ranks -- train /tmp/digits 3 5`, and with `RANK=1`.

#![allow(clippy::print_stdout, reason = "an example talks to who runs it")]

mod exchange;
mod uptime_log;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Linear, Module as _, Optimizer as _, SGD, VarBuilder, VarMap, linear, loss};
use sootprint::{CarbonIntensity, ComponentKind, DeviceId, Power, Replay, Run, RunBuilder, load_footprint};

use digits::data::{self, CLASSES, DigitImage, PIXELS};
use exchange::WeightExchange;

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
        _ => bail!("candle-ranks train DIR EPOCHS PASSES [resume] | candle-ranks report DIR"),
    }
}

fn train(dir: &Path, epochs: u32, passes: u32, resume: bool) -> Result<()> {
    let builder = scripted_run(dir);
    let run = if resume { builder.resume() } else { builder }.try_start()?;
    let rank = run.rank();
    run.handle().add_devices([DeviceId::CudaOrdinal(rank as usize)]);
    let uptime_logger = uptime_log::UptimeLogger::start(dir, rank)?;

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
    // The first rank waits for the others in its finish, which is no training.
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

/// A run on the scripted boards and the scripted processor.
fn scripted_run(dir: &Path) -> RunBuilder {
    let steady = |watts: f64| [(Duration::from_secs(1), Power::from_watts(watts))];
    let gpus = (0..GPUS).fold(Replay::new(), |replay, gpu| {
        replay.with_component(ComponentKind::Gpu, "Scripted board", steady(100.0 + 50.0 * f64::from(gpu)))
    });
    Run::pre_training(dir)
        .replay(gpus.with_component(ComponentKind::Cpu, "Scripted CPU", steady(80.0)))
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(100.0))
}

/// How many processes train, as the launchers say it.
fn world_size() -> u32 {
    let variables = ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"];
    let sizes = variables.into_iter().filter_map(|name| std::env::var(name).ok()?.parse().ok());
    sizes.into_iter().next().unwrap_or(1)
}

/// One pass over a rank's images, in their order.
fn train_pass(layer: &Linear, optimizer: &mut SGD, digits: &[DigitImage], device: &Device) -> Result<()> {
    for digits in digits.chunks(BATCH_SIZE) {
        let (pixels, classes) = to_tensors(digits, device)?;
        optimizer.backward_step(&loss::cross_entropy(&layer.forward(&pixels)?, &classes)?)?;
    }
    Ok(())
}

/// The part of the images that is classified rightly, from 0 to 1.
fn accuracy(layer: &Linear, digits: &[DigitImage], device: &Device) -> Result<f32> {
    let (pixels, classes) = to_tensors(digits, device)?;
    let correct = layer.forward(&pixels)?.argmax(1)?.eq(&classes)?.to_dtype(DType::F32)?;
    Ok(correct.mean_all()?.to_scalar()?)
}

fn to_tensors(digits: &[DigitImage], device: &Device) -> Result<(Tensor, Tensor)> {
    let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
    let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.class)).collect();
    let pixels = Tensor::from_vec(pixels, (digits.len(), PIXELS), device)?;
    Ok((pixels, Tensor::from_vec(classes, digits.len(), device)?))
}
