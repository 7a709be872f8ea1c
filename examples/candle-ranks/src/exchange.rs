//! The weights of all ranks, through files in the folder that they share.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor, safetensors};
use candle_nn::VarMap;

/// A rank that was killed leaves the others waiting; a launcher that does not end them is not waited for longer.
const PEER_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct WeightExchange {
    dir: PathBuf,
    rank: u32,
    world_size: u32,
}

impl WeightExchange {
    pub(crate) fn new(dir: &Path, rank: u32, world_size: u32) -> Self {
        Self { dir: dir.to_owned(), rank, world_size }
    }

    /// All begin with the same weights: the mean of their random ones.
    pub(crate) fn initialize(&self, weights: &VarMap) -> Result<()> {
        // Who is started again before its first epoch was done has given some already.
        if !self.weights_path(0, self.rank).exists() {
            self.share(0, weights)?;
        }
        self.average(0, weights)
    }

    /// Lets the others have this rank's weights after an epoch, whole or not at all.
    pub(crate) fn share(&self, epoch: u32, weights: &VarMap) -> Result<()> {
        let (path, temp_path) =
            (self.weights_path(epoch, self.rank), self.dir.join(format!("part-{}.safetensors", self.rank)));
        weights.save(&temp_path)?;
        Ok(fs::rename(temp_path, path)?)
    }

    /// Goes on from the mean of all ranks' weights after an epoch, once they are there.
    pub(crate) fn average(&self, epoch: u32, weights: &VarMap) -> Result<()> {
        let mut all: Vec<HashMap<String, Tensor>> = Vec::new();
        for rank in 0..self.world_size {
            all.push(self.wait_for(epoch, rank)?);
        }
        for (name, variable) in
            weights.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter()
        {
            let variables = all.iter().filter_map(|weights| weights.get(name));
            let variables: Vec<&Tensor> = variables.collect();
            ensure!(variables.len() == all.len(), "a rank has no {name}");
            variable.set(&Tensor::stack(&variables, 0)?.mean(0)?)?;
        }
        Ok(())
    }

    fn wait_for(&self, epoch: u32, rank: u32) -> Result<HashMap<String, Tensor>> {
        let (path, started) = (self.weights_path(epoch, rank), Instant::now());
        while !path.exists() {
            ensure!(started.elapsed() < PEER_TIMEOUT, "rank {rank} gave no weights after epoch {epoch}");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(safetensors::load(path, &Device::Cpu)?)
    }

    fn weights_path(&self, epoch: u32, rank: u32) -> PathBuf {
        self.dir.join(format!("weights-{epoch}-{rank}.safetensors"))
    }
}
