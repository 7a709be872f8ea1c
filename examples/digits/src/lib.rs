//! What the examples and tests share: the data, a classifier for each framework, and the push to the Hub.

#[cfg(feature = "burn")]
pub mod burn;
#[cfg(feature = "candle")]
pub mod candle;
pub mod data;
#[cfg(feature = "hub")]
pub mod hub;
