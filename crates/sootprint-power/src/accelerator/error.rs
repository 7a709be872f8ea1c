//! Errors of the accelerator lookup.

/// The reason why an accelerator or its power cannot be determined.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceleratorError {
    /// The name is not in the table.
    #[error(
        "unknown hardware `{name}`{}; correct the name, or specify the power per device",
        did_you_mean(nearest)
    )]
    Unknown {
        /// The name that was looked up.
        name: String,
        /// Similar names, most similar first.
        nearest: Vec<String>,
    },
    /// The name matches several devices.
    #[error("ambiguous hardware `{name}`: use one of the names {}", candidates.join(", "))]
    Ambiguous {
        /// The name that was looked up.
        name: String,
        /// The names of the matching devices.
        candidates: Vec<String>,
    },
    /// The vendor has not published the power of the device.
    #[error("no published power for {name}; specify the power per device")]
    NoPublishedPower {
        /// The name of the device.
        name: String,
    },
    /// The given power is not greater than 0 and at most 1 MW.
    #[error("invalid power {watts} W: must be greater than 0 and at most 1 MW")]
    InvalidPower {
        /// The given power in watts.
        watts: f64,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}
