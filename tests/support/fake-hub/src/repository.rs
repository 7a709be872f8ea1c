//! One model repository: its commits, branches and pull requests. No HTTP, no clock, no storage.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::git;
use crate::lfs;
use crate::snapshot::{Change, File, Snapshot};

/// A repository, from its first commit on, which the hub itself makes.
#[derive(Debug)]
pub(crate) struct Repository {
    /// Whether only the hub's user sees it.
    pub(crate) private: bool,
    pub(crate) created: Timestamp,
    versions: HashMap<String, Version>,
    branches: BTreeMap<String, String>,
    /// The commit that each pull request stands at; the first one has the number 1.
    pull_requests: Vec<String>,
}

/// A commit, with everything that was in the repository then.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) commit: Commit,
    pub(crate) date: Timestamp,
    pub(crate) files: Snapshot,
}

/// One commit of a repository on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// Its id, 40 hexadecimal digits.
    pub id: String,
    /// The first line of its message.
    pub title: String,
    /// The rest of its message; empty when there was none.
    pub description: String,
    /// The commit before it; none for the first one of a repository.
    pub parent: Option<String>,
    /// The paths of the files that it added, changed or deleted, in order.
    pub changed: Vec<String>,
}

/// A commit that a client wants to make.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) title: String,
    pub(crate) description: String,
    /// The commit that the client believes to be the newest.
    pub(crate) parent: Option<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) date: Timestamp,
}

/// Why a repository did not do what it was asked. The texts are those of the Hub where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No branch, pull request or commit has this name.
    #[error("Invalid rev id: {0}")]
    NoRevision(String),
    /// No file or folder has this path.
    #[error("Entry not found: {0}")]
    NoFile(String),
    /// The commit was made for a parent that is no longer the newest.
    #[error("A commit has happened since. Please refresh and try again.")]
    Stale,
    /// A branch has this name already.
    #[error("Reference already exists: {0}")]
    BranchExists(String),
    /// Git takes no such path.
    #[error("Invalid path in repository: {0}")]
    BadPath(String),
}

impl Repository {
    /// A new repository, with one commit that holds `.gitattributes`, as the Hub makes it.
    pub(crate) fn new(private: bool, now: Timestamp) -> Self {
        let mut repository = Self {
            private,
            created: now,
            versions: HashMap::new(),
            branches: BTreeMap::new(),
            pull_requests: Vec::new(),
        };
        let mut files = Snapshot::default();
        let attributes = File::regular(lfs::gitattributes().into_bytes());
        // The path is valid, and a new repository has no other file: nothing can be refused here.
        let _ = files.apply(Change::Put { path: ".gitattributes".to_owned(), file: attributes });
        let first = repository.record(None, "initial commit".to_owned(), String::new(), files, now);
        repository.branches.insert("main".to_owned(), first);
        repository
    }

    /// What a revision names: a branch, `refs/heads/NAME`, `refs/pr/N` or the full id of a commit.
    pub(crate) fn at(&self, revision: &str) -> Result<&Version, Refusal> {
        let id = match self.reference(revision) {
            Some(Reference::Branch(name)) => self.branches.get(name),
            Some(Reference::PullRequest(index)) => self.pull_requests.get(index),
            None => None,
        };
        let id = id.map_or(revision, String::as_str);
        self.versions.get(id).ok_or_else(|| Refusal::NoRevision(revision.to_owned()))
    }

    /// The commits up to a revision, the newest first.
    pub(crate) fn history(&self, revision: &str) -> Result<Vec<&Version>, Refusal> {
        let newest = self.at(revision)?;
        let before = |version: &&Version| self.versions.get(version.commit.parent.as_ref()?);
        Ok(std::iter::successors(Some(newest), before).collect())
    }

    /// The branches with the commits that they stand at.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (&str, &str)> {
        self.branches.iter().map(|(name, id)| (name.as_str(), id.as_str()))
    }

    /// The pull requests' numbers with the commits that they stand at.
    pub(crate) fn pull_requests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.pull_requests.iter().enumerate().map(|(index, id)| (index + 1, id.as_str()))
    }

    /// Adds a branch that starts at a revision.
    pub(crate) fn create_branch(&mut self, name: &str, start: &str) -> Result<(), Refusal> {
        let id = self.at(start)?.commit.id.clone();
        if self.branches.contains_key(name) {
            return Err(Refusal::BranchExists(name.to_owned()));
        }
        self.branches.insert(name.to_owned(), id);
        Ok(())
    }

    /// Makes a commit on a branch or on an open pull request and returns its id.
    ///
    /// It is refused when the proposal names a parent that is no longer the newest commit.
    pub(crate) fn commit(&mut self, revision: &str, proposal: Proposal) -> Result<String, Refusal> {
        let no_revision = || Refusal::NoRevision(revision.to_owned());
        let head = self.at(revision)?.commit.id.clone();
        if proposal.parent.as_ref().is_some_and(|parent| *parent != head) {
            return Err(Refusal::Stale);
        }
        let id = match self.reference(revision).ok_or_else(no_revision)? {
            Reference::Branch(name) => {
                let name = name.to_owned();
                let id = self.extend(&head, proposal)?;
                self.branches.insert(name, id.clone());
                id
            }
            Reference::PullRequest(index) => {
                let id = self.extend(&head, proposal)?;
                *self.pull_requests.get_mut(index).ok_or_else(no_revision)? = id.clone();
                id
            }
        };
        Ok(id)
    }

    /// Makes a commit in a new pull request and returns its number and the commit's id. The branch stays where it is.
    ///
    /// The pull request starts at the parent that the proposal names, else at the revision.
    pub(crate) fn open_pull_request(
        &mut self,
        revision: &str,
        proposal: Proposal,
    ) -> Result<(usize, String), Refusal> {
        let start = proposal.parent.clone().unwrap_or_else(|| revision.to_owned());
        let start = self.at(&start)?.commit.id.clone();
        let id = self.extend(&start, proposal)?;
        self.pull_requests.push(id.clone());
        Ok((self.pull_requests.len(), id))
    }

    /// Applies all changes of a proposal to a commit, or none.
    fn extend(&mut self, parent: &str, proposal: Proposal) -> Result<String, Refusal> {
        let mut files = self.at(parent)?.files.clone();
        for change in proposal.changes {
            files.apply(change)?;
        }
        Ok(self.record(Some(parent), proposal.title, proposal.description, files, proposal.date))
    }

    fn record(
        &mut self,
        parent: Option<&str>,
        title: String,
        description: String,
        files: Snapshot,
        date: Timestamp,
    ) -> String {
        let message =
            if description.is_empty() { title.clone() } else { format!("{title}\n\n{description}") };
        let id = git::commit(files.tree_id(""), parent, date.as_second(), &message).to_string();
        let nothing = Snapshot::default();
        let older =
            parent.and_then(|parent| self.versions.get(parent)).map_or(&nothing, |older| &older.files);
        let changed = files.changed_since(older);
        let commit =
            Commit { id: id.clone(), title, description, parent: parent.map(str::to_owned), changed };
        self.versions.insert(id.clone(), Version { commit, date, files });
        id
    }

    /// The branch or pull request that a revision names, if it is one.
    fn reference<'a>(&self, revision: &'a str) -> Option<Reference<'a>> {
        if let Some(number) = revision.strip_prefix("refs/pr/") {
            let index = number.parse::<usize>().ok()?.checked_sub(1)?;
            return (index < self.pull_requests.len()).then_some(Reference::PullRequest(index));
        }
        let name = revision.strip_prefix("refs/heads/").unwrap_or(revision);
        self.branches.contains_key(name).then_some(Reference::Branch(name))
    }
}

enum Reference<'a> {
    Branch(&'a str),
    PullRequest(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository::new(false, Timestamp::UNIX_EPOCH)
    }

    fn proposal(parent: Option<&str>, path: &str, content: &str) -> Proposal {
        let file = File::regular(content.as_bytes());
        Proposal {
            title: format!("Write {path}"),
            description: String::new(),
            parent: parent.map(str::to_owned),
            changes: vec![Change::Put { path: path.to_owned(), file }],
            date: Timestamp::UNIX_EPOCH,
        }
    }

    fn head(repository: &Repository, revision: &str) -> String {
        repository.at(revision).unwrap().commit.id.clone()
    }

    #[test]
    fn a_new_repository_has_one_commit() {
        let repository = repository();
        let history = repository.history("main").unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].commit.title, "initial commit");
        assert_eq!(history[0].commit.parent, None);
        assert_eq!(history[0].commit.changed, [".gitattributes"]);
    }

    #[test]
    fn a_commit_moves_its_branch_and_keeps_the_past() {
        let mut repository = repository();
        let first = head(&repository, "main");
        let second = repository.commit("main", proposal(Some(&first), "README.md", "hello")).unwrap();
        assert_eq!(head(&repository, "main"), second);
        assert_eq!(head(&repository, "refs/heads/main"), second);
        let newest = &repository.at("main").unwrap().commit;
        assert_eq!(newest.parent.as_deref(), Some(first.as_str()));
        assert_eq!(newest.changed, ["README.md"]);
        assert_eq!(repository.at(&first).unwrap().files.get("README.md"), None);
        let ids: Vec<_> =
            repository.history("main").unwrap().iter().map(|version| version.commit.id.clone()).collect();
        assert_eq!(ids, [second, first]);
    }

    #[test]
    fn a_stale_parent_is_refused_and_nothing_changes() {
        let mut repository = repository();
        let first = head(&repository, "main");
        let second = repository.commit("main", proposal(None, "README.md", "theirs")).unwrap();
        let refusal = repository.commit("main", proposal(Some(&first), "README.md", "ours"));
        assert_eq!(refusal, Err(Refusal::Stale));
        assert_eq!(head(&repository, "main"), second);
    }

    #[test]
    fn a_refused_change_leaves_the_other_changes_undone() {
        let mut repository = repository();
        let first = head(&repository, "main");
        let mut proposal = proposal(None, "README.md", "hello");
        proposal.changes.push(Change::DeleteFile { path: "nothing".to_owned() });
        assert_eq!(repository.commit("main", proposal), Err(Refusal::NoFile("nothing".to_owned())));
        assert_eq!(head(&repository, "main"), first);
    }

    #[test]
    fn a_pull_request_starts_at_its_parent_and_leaves_main() {
        let mut repository = repository();
        let first = head(&repository, "main");
        let second = repository.commit("main", proposal(None, "README.md", "main")).unwrap();
        let (number, id) =
            repository.open_pull_request("main", proposal(Some(&first), "card.md", "request")).unwrap();
        assert_eq!(number, 1);
        assert_eq!(head(&repository, "main"), second);
        assert_eq!(head(&repository, "refs/pr/1"), id);
        assert_eq!(repository.at("refs/pr/1").unwrap().files.get("README.md"), None);

        let next = repository.commit("refs/pr/1", proposal(Some(&id), "card.md", "better")).unwrap();
        assert_eq!(repository.pull_requests().collect::<Vec<_>>(), [(1, next.as_str())]);
        assert_eq!(repository.open_pull_request("main", proposal(None, "x", "x")).unwrap().0, 2);
    }

    #[test]
    fn a_branch_starts_where_it_is_told_and_once() {
        let mut repository = repository();
        let first = head(&repository, "main");
        repository.commit("main", proposal(None, "README.md", "main")).unwrap();
        repository.create_branch("older", &first).unwrap();
        assert_eq!(head(&repository, "older"), first);
        let again = repository.create_branch("older", "main");
        assert_eq!(again, Err(Refusal::BranchExists("older".to_owned())));
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        let mut repository = repository();
        let first = head(&repository, "main");
        for revision in ["", "missing", "refs/pr/0", "refs/pr/1", "refs/pr/x", "refs/heads/missing"] {
            let refusal = repository.at(revision).map(|version| version.commit.id.clone());
            assert_eq!(refusal, Err(Refusal::NoRevision(revision.to_owned())));
        }
        // A commit is made on a branch, not on a commit.
        let refusal = repository.commit(&first, proposal(None, "README.md", "x"));
        assert_eq!(refusal, Err(Refusal::NoRevision(first)));
    }
}
