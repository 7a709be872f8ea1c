//! Exchanges the weights of all ranks through files in a shared folder.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor, safetensors};
use candle_nn::VarMap;

/// Bounds the wait for a rank that was killed without the launcher stopping the others.
const PEER_TIMEOUT: Duration = Duration::from_secs(120);

/// Shares one rank's weights and averages those of all ranks.
#[derive(Debug)]
pub struct WeightExchange {
    dir: PathBuf,
    rank: u32,
    world_size: u32,
}

impl WeightExchange {
    /// An exchange between `world_size` ranks in `dir`.
    #[must_use]
    pub fn new(dir: &Path, rank: u32, world_size: u32) -> Self {
        Self { dir: dir.to_owned(), rank, world_size }
    }

    /// Gives all ranks the same initial weights: the mean of their random ones.
    ///
    /// # Errors
    /// As [`share`](Self::share) and [`average`](Self::average).
    pub fn initialize(&self, weights: &VarMap) -> Result<()> {
        // A rank that restarts before the end of its first epoch has already shared its initial weights.
        if !self.weights_path(0, self.rank).exists() {
            self.share(0, weights)?;
        }
        self.average(0, weights)
    }

    /// Writes this rank's weights after an epoch, atomically.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn share(&self, epoch: u32, weights: &VarMap) -> Result<()> {
        let (path, temp_path) =
            (self.weights_path(epoch, self.rank), self.dir.join(format!("part-{}.safetensors", self.rank)));
        weights.save(&temp_path)?;
        Ok(fs::rename(temp_path, path)?)
    }

    /// Waits for the weights of all ranks after an epoch and replaces `weights` by their mean.
    ///
    /// # Errors
    /// If a rank shares nothing within two minutes, or a file cannot be read.
    pub fn average(&self, epoch: u32, weights: &VarMap) -> Result<()> {
        let mut all: Vec<HashMap<String, Tensor>> = Vec::new();
        for rank in 0..self.world_size {
            all.push(self.wait_for(epoch, rank)?);
        }
        for (name, variable) in weights.data().lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let variables: Vec<&Tensor> = all.iter().filter_map(|weights| weights.get(name)).collect();
            ensure!(variables.len() == all.len(), "weight {name} missing in the file of a rank");
            variable.set(&Tensor::stack(&variables, 0)?.mean(0)?)?;
        }
        Ok(())
    }

    fn wait_for(&self, epoch: u32, rank: u32) -> Result<HashMap<String, Tensor>> {
        let (path, started) = (self.weights_path(epoch, rank), Instant::now());
        while !path.exists() {
            ensure!(
                started.elapsed() < PEER_TIMEOUT,
                "timed out waiting for rank {rank} after epoch {epoch}"
            );
            thread::sleep(Duration::from_millis(2));
        }
        Ok(safetensors::load(path, &Device::Cpu)?)
    }

    fn weights_path(&self, epoch: u32, rank: u32) -> PathBuf {
        self.dir.join(format!("weights-{epoch}-{rank}.safetensors"))
    }
}
