//! Rules of an organisation for new repositories.

/// What an organisation decides about the visibility of its new repositories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrganizationPolicy {
    /// Whether a repository is private if the client does not say.
    pub private_by_default: bool,
    /// Whether public repositories are refused.
    pub forbids_public: bool,
}

impl OrganizationPolicy {
    /// Whether a new repository is private; `None` if it is refused.
    pub(crate) fn visibility(self, asked: Option<bool>) -> Option<bool> {
        let is_private = asked.unwrap_or(self.private_by_default);
        (is_private || !self.forbids_public).then_some(is_private)
    }
}
