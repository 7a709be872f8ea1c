//! Reasons for which Python's YAML parser rejects valid YAML 1.2.

/// Why Python's YAML parser rejects a front matter, and how to change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PythonYamlProblem {
    /// A character that YAML 1.1 does not allow.
    #[error("control character U+{:04X}; remove it", u32::from(*character))]
    ControlCharacter {
        /// The character.
        character: char,
    },
    /// A character that YAML 1.1 reads as the end of a line.
    #[error("U+{:04X}, which ends the line for Python but not for others; replace it with a space", u32::from(*character))]
    LineSeparator {
        /// The character.
        character: char,
    },
    /// A tag that Python's parser does not know.
    #[error("tag `{tag}`, which Python cannot construct; remove it, or put the value in quotes")]
    CustomTag {
        /// The tag as written.
        tag: String,
    },
    /// A mapping or a list as a key, as in a template that was not filled in.
    #[error(
        "a mapping or list as a key, as in `{{{{ … }}}}`; fill in the template, or put the value in quotes"
    )]
    CollectionAsKey,
    /// A date that does not exist.
    #[error("`{date}`, a date that does not exist; correct it, or put it in quotes")]
    InvalidDate {
        /// The date as written.
        date: String,
    },
    /// A plain `=`, which has a special meaning in YAML 1.1.
    #[error("a plain `=`, which has a special meaning; put it in quotes")]
    PlainEquals,
    /// A merge (`<<`) of something that is not a mapping.
    #[error("`<<` with a value that is not a mapping; remove it")]
    InvalidMerge,
}
