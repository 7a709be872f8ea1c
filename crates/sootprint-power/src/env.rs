//! Environment variables, behind a function so that tests can supply their own.

/// Reads an environment variable.
pub(crate) type VariableLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable of this process. A value that is not UTF-8 counts as unset.
pub(crate) fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
