//! The parts of the `candle-ranks` job that do not train: the exchange of weights and a reference clock.

pub mod uptime_log;
pub mod weight_exchange;
