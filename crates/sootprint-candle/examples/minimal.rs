//! A measured Candle training in a few lines: `cargo run -p sootprint-candle --example candle-minimal`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Module as _, Optimizer as _, SGD, VarBuilder, VarMap, linear, loss};
use sootprint::Run;
use sootprint_candle::CandleLoopExt as _;

fn main() -> Result<()> {
    let device = Device::Cpu;
    let numbers = Tensor::rand(-1f32, 1f32, (256, 1), &device)?;
    let targets = numbers.affine(3.0, 1.0)?;
    let weights = VarMap::new();
    let layer = linear(1, 1, VarBuilder::from_varmap(&weights, DType::F32, &device))?;
    let mut optimizer = SGD::new(weights.all_vars(), 0.1)?;

    let run = Run::pre_training("artifacts/minimal").start();
    for epoch in run.epochs(1..=3).on(&device) {
        for _ in 0..100 {
            optimizer.backward_step(&loss::mse(&layer.forward(&numbers)?, &targets)?)?;
        }
        let loss = loss::mse(&layer.forward(&numbers)?, &targets)?.to_scalar::<f32>()?;
        println!("epoch {epoch}: loss {loss:.6}");
    }
    println!("{}", run.finish());
    Ok(())
}
