//! Environment variables, behind a function so that a test can supply its own.

/// Reads a variable of the environment.
pub(crate) type VariableLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable of this process. One that is not UTF-8 counts as unset.
pub(crate) fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
