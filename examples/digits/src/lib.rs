//! What the examples share: the data that they train on, and the way to the Hub.

pub mod data;
pub mod hub;
