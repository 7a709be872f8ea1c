//! Three-way merge of texts by lines.

/// The result of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MergeOutcome {
    /// Only ours was changed.
    Ours,
    /// Only theirs was changed.
    Theirs,
    /// Both were changed, in different lines.
    Merged(String),
    /// Both were changed in the same lines, or there is no base: both texts, with git's conflict markers.
    Conflict(String),
}

/// Merges by lines, as git does.
pub(crate) fn merge_three_way(base: Option<&str>, ours: &str, theirs: &str) -> MergeOutcome {
    match base {
        Some(base) if theirs == base => MergeOutcome::Ours,
        Some(base) if ours == base => MergeOutcome::Theirs,
        base => match diffy::merge(base.unwrap_or_default(), ours, theirs) {
            // Without a base, diffy may append one text to the other and report no conflict.
            Ok(text) if base.is_some() => MergeOutcome::Merged(text),
            Ok(marked) | Err(marked) => MergeOutcome::Conflict(marked),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "---\r\nlicense: mit\r\n---\r\n# Digits\r\n\r\nTrained.\r\n";

    #[test]
    fn changed_side_wins() {
        let changed = BASE.replace("mit", "apache-2.0");
        assert_eq!(merge_three_way(Some(BASE), &changed, BASE), MergeOutcome::Ours);
        assert_eq!(merge_three_way(Some(BASE), BASE, &changed), MergeOutcome::Theirs);
    }

    #[test]
    fn different_lines_merge_with_line_breaks() {
        let ours = BASE.replace("Trained.", "Trained with love.");
        let theirs = BASE.replace("mit", "apache-2.0");
        let both = ours.replace("mit", "apache-2.0");
        assert_eq!(merge_three_way(Some(BASE), &ours, &theirs), MergeOutcome::Merged(both));
    }

    #[test]
    fn same_line_change_conflicts() {
        let ours = BASE.replace("mit", "apache-2.0");
        let theirs = BASE.replace("mit", "gpl-3.0");
        match merge_three_way(Some(BASE), &ours, &theirs) {
            MergeOutcome::Conflict(marked) => {
                assert!(marked.contains("apache-2.0") && marked.contains("gpl-3.0"), "{marked}");
                assert!(marked.contains("<<<<<<<"), "{marked}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_without_base_conflict() {
        assert!(matches!(merge_three_way(None, BASE, "# Theirs\n"), MergeOutcome::Conflict(_)));
        assert!(matches!(merge_three_way(None, BASE, ""), MergeOutcome::Conflict(_)));
    }
}
