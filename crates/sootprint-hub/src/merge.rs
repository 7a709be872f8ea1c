//! Two texts that come from one.

/// What the two make together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Only the first was changed.
    Ours,
    /// Only the second was changed.
    Theirs,
    /// Both were changed, in different lines.
    Both(String),
    /// Both were changed in the same lines, or nobody knows what they come from: both texts, with git's marks.
    Conflict(String),
}

/// Merges by lines, as git does.
pub(crate) fn three_way(base: Option<&str>, ours: &str, theirs: &str) -> Merged {
    match base {
        Some(base) if theirs == base => Merged::Ours,
        Some(base) if ours == base => Merged::Theirs,
        base => match diffy::merge(base.unwrap_or_default(), ours, theirs) {
            // Without a base, one text's lines behind the other's are no merge.
            Ok(text) if base.is_some() => Merged::Both(text),
            Ok(marked) | Err(marked) => Merged::Conflict(marked),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "---\r\nlicense: mit\r\n---\r\n# Digits\r\n\r\nTrained.\r\n";

    #[test]
    fn the_side_that_changed_is_taken() {
        let changed = BASE.replace("mit", "apache-2.0");
        assert_eq!(three_way(Some(BASE), &changed, BASE), Merged::Ours);
        assert_eq!(three_way(Some(BASE), BASE, &changed), Merged::Theirs);
    }

    #[test]
    fn changes_of_different_lines_are_both_taken_with_their_line_breaks() {
        let ours = BASE.replace("Trained.", "Trained with love.");
        let theirs = BASE.replace("mit", "apache-2.0");
        let both = ours.replace("mit", "apache-2.0");
        assert_eq!(three_way(Some(BASE), &ours, &theirs), Merged::Both(both));
    }

    #[test]
    fn changes_of_one_line_are_a_conflict_that_shows_both() {
        let ours = BASE.replace("mit", "apache-2.0");
        let theirs = BASE.replace("mit", "gpl-3.0");
        match three_way(Some(BASE), &ours, &theirs) {
            Merged::Conflict(marked) => {
                assert!(marked.contains("apache-2.0") && marked.contains("gpl-3.0"), "{marked}");
                assert!(marked.contains("<<<<<<<"), "{marked}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_base_two_texts_are_a_conflict() {
        assert!(matches!(three_way(None, BASE, "# Theirs\n"), Merged::Conflict(_)));
        assert!(matches!(three_way(None, BASE, ""), Merged::Conflict(_)));
    }
}
