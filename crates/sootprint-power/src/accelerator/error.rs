//! Why a name is not an accelerator.

/// Why a name is no device.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceleratorError {
    /// No table has it.
    #[error(
        "no hardware is known by the name `{name}`{}; give the watts that a device draws, then the name is free",
        did_you_mean(nearest)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that may have been meant, nearest first.
        nearest: Vec<String>,
    },
    /// More than one device has it.
    #[error("`{name}` may mean {}; give the name of the one that is meant", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The devices that have this name.
        candidates: Vec<String>,
    },
    /// Its vendor says nothing of what it draws.
    #[error("nobody published what a {name} draws; give the watts")]
    NoPublishedPower {
        /// The device.
        name: String,
    },
    /// No device draws that.
    #[error("{watts} W are no power of a device; give the mean watts of one, more than 0")]
    InvalidPower {
        /// What was given.
        watts: f64,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}
