//! A model repository: its commits, branches and pull requests. No HTTP, clock or storage.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::error::RepositoryError;
use crate::file_tree::{FileChange, FileTree, RepositoryFile};
use crate::git;
use crate::lfs;

/// A repository, starting with the initial commit made by the hub.
#[derive(Debug)]
pub(crate) struct ModelRepository {
    /// Whether only the hub's user can see it.
    pub(crate) private: bool,
    pub(crate) created_at: Timestamp,
    snapshots: HashMap<String, CommitSnapshot>,
    branches: BTreeMap<String, String>,
    /// The head commit of each pull request; the first one has number 1.
    pull_requests: Vec<String>,
}

/// A commit with all files of the repository at that point.
#[derive(Clone, Debug)]
pub(crate) struct CommitSnapshot {
    pub(crate) commit: HubCommit,
    pub(crate) date: Timestamp,
    pub(crate) files: FileTree,
}

/// One commit of a repository on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubCommit {
    /// Its id, 40 hexadecimal digits.
    pub id: String,
    /// The first line of the commit message.
    pub title: String,
    /// The rest of the message; may be empty.
    pub description: String,
    /// The parent commit; `None` for the first commit of a repository.
    pub parent: Option<String>,
    /// The paths of the added, changed and deleted files, in order.
    pub changed_paths: Vec<String>,
}

/// A commit requested by a client.
#[derive(Clone, Debug)]
pub(crate) struct NewCommit {
    pub(crate) title: String,
    pub(crate) description: String,
    /// The commit that the client expects at the head.
    pub(crate) parent: Option<String>,
    pub(crate) changes: Vec<FileChange>,
    pub(crate) date: Timestamp,
}

impl ModelRepository {
    /// A new repository with one commit that contains `.gitattributes`, as on the Hub.
    pub(crate) fn new(private: bool, now: Timestamp) -> Self {
        let mut repository = Self {
            private,
            created_at: now,
            snapshots: HashMap::new(),
            branches: BTreeMap::new(),
            pull_requests: Vec::new(),
        };
        let mut files = FileTree::default();
        let attributes = RepositoryFile::regular(lfs::gitattributes().into_bytes());
        // The path is valid and a new repository has no other file, so this cannot fail.
        let _ = files.apply(FileChange::Put { path: ".gitattributes".to_owned(), file: attributes });
        let first = repository.store_commit(None, "initial commit".to_owned(), String::new(), files, now);
        repository.branches.insert("main".to_owned(), first);
        repository
    }

    /// Resolves a revision: a branch, `refs/heads/NAME`, `refs/pr/N` or the full id of a commit.
    pub(crate) fn resolve(&self, revision: &str) -> Result<&CommitSnapshot, RepositoryError> {
        let id = match self.parse_reference(revision) {
            Some(GitReference::Branch(name)) => self.branches.get(name),
            Some(GitReference::PullRequest(index)) => self.pull_requests.get(index),
            None => None,
        };
        let id = id.map_or(revision, String::as_str);
        self.snapshots.get(id).ok_or_else(|| RepositoryError::RevisionNotFound(revision.to_owned()))
    }

    /// The commits up to a revision, newest first.
    pub(crate) fn history(&self, revision: &str) -> Result<Vec<&CommitSnapshot>, RepositoryError> {
        let newest = self.resolve(revision)?;
        let before = |version: &&CommitSnapshot| self.snapshots.get(version.commit.parent.as_ref()?);
        Ok(std::iter::successors(Some(newest), before).collect())
    }

    /// The branches with their head commits.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (&str, &str)> {
        self.branches.iter().map(|(name, id)| (name.as_str(), id.as_str()))
    }

    /// The pull request numbers with their head commits.
    pub(crate) fn pull_requests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.pull_requests.iter().enumerate().map(|(index, id)| (index + 1, id.as_str()))
    }

    /// Adds a branch at a revision.
    pub(crate) fn create_branch(&mut self, name: &str, start: &str) -> Result<(), RepositoryError> {
        let id = self.resolve(start)?.commit.id.clone();
        if self.branches.contains_key(name) {
            return Err(RepositoryError::BranchExists(name.to_owned()));
        }
        self.branches.insert(name.to_owned(), id);
        Ok(())
    }

    /// Commits to a branch or an open pull request and returns the id.
    ///
    /// It is refused if the proposal has a parent that is no longer the head.
    pub(crate) fn commit(&mut self, revision: &str, proposal: NewCommit) -> Result<String, RepositoryError> {
        let no_revision = || RepositoryError::RevisionNotFound(revision.to_owned());
        let head = self.resolve(revision)?.commit.id.clone();
        if proposal.parent.as_ref().is_some_and(|parent| *parent != head) {
            return Err(RepositoryError::StaleParent);
        }
        let id = match self.parse_reference(revision).ok_or_else(no_revision)? {
            GitReference::Branch(name) => {
                let name = name.to_owned();
                let id = self.apply_commit(&head, proposal)?;
                self.branches.insert(name, id.clone());
                id
            }
            GitReference::PullRequest(index) => {
                let id = self.apply_commit(&head, proposal)?;
                *self.pull_requests.get_mut(index).ok_or_else(no_revision)? = id.clone();
                id
            }
        };
        Ok(id)
    }

    /// Commits to a new pull request and returns its number and the commit's id. The branch does not move.
    ///
    /// The pull request starts at the proposal's parent if there is one, otherwise at the revision.
    pub(crate) fn open_pull_request(
        &mut self,
        revision: &str,
        proposal: NewCommit,
    ) -> Result<(usize, String), RepositoryError> {
        let start = proposal.parent.clone().unwrap_or_else(|| revision.to_owned());
        let start = self.resolve(&start)?.commit.id.clone();
        let id = self.apply_commit(&start, proposal)?;
        self.pull_requests.push(id.clone());
        Ok((self.pull_requests.len(), id))
    }

    /// Applies all changes of a proposal to a commit, or none of them.
    fn apply_commit(&mut self, parent: &str, proposal: NewCommit) -> Result<String, RepositoryError> {
        let mut files = self.resolve(parent)?.files.clone();
        for change in proposal.changes {
            files.apply(change)?;
        }
        Ok(self.store_commit(Some(parent), proposal.title, proposal.description, files, proposal.date))
    }

    fn store_commit(
        &mut self,
        parent: Option<&str>,
        title: String,
        description: String,
        files: FileTree,
        date: Timestamp,
    ) -> String {
        let message =
            if description.is_empty() { title.clone() } else { format!("{title}\n\n{description}") };
        let id = git::commit_id(files.tree_id(""), parent, date.as_second(), &message).to_string();
        let nothing = FileTree::default();
        let parent_files =
            parent.and_then(|parent| self.snapshots.get(parent)).map_or(&nothing, |older| &older.files);
        let changed = files.changed_since(parent_files);
        let commit = HubCommit {
            id: id.clone(),
            title,
            description,
            parent: parent.map(str::to_owned),
            changed_paths: changed,
        };
        self.snapshots.insert(id.clone(), CommitSnapshot { commit, date, files });
        id
    }

    /// The branch or pull request that a revision refers to, if it exists.
    fn parse_reference<'a>(&self, revision: &'a str) -> Option<GitReference<'a>> {
        if let Some(number) = revision.strip_prefix("refs/pr/") {
            let index = number.parse::<usize>().ok()?.checked_sub(1)?;
            return (index < self.pull_requests.len()).then_some(GitReference::PullRequest(index));
        }
        let name = revision.strip_prefix("refs/heads/").unwrap_or(revision);
        self.branches.contains_key(name).then_some(GitReference::Branch(name))
    }
}

enum GitReference<'a> {
    Branch(&'a str),
    PullRequest(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_repository() -> ModelRepository {
        ModelRepository::new(false, Timestamp::UNIX_EPOCH)
    }

    fn new_commit(parent: Option<&str>, path: &str, content: &str) -> NewCommit {
        let file = RepositoryFile::regular(content.as_bytes());
        NewCommit {
            title: format!("Write {path}"),
            description: String::new(),
            parent: parent.map(str::to_owned),
            changes: vec![FileChange::Put { path: path.to_owned(), file }],
            date: Timestamp::UNIX_EPOCH,
        }
    }

    fn head_commit(repository: &ModelRepository, revision: &str) -> String {
        repository.resolve(revision).unwrap().commit.id.clone()
    }

    #[test]
    fn new_repository_has_one_commit() {
        let repository = new_repository();
        let history = repository.history("main").unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].commit.title, "initial commit");
        assert_eq!(history[0].commit.parent, None);
        assert_eq!(history[0].commit.changed_paths, [".gitattributes"]);
    }

    #[test]
    fn commit_moves_branch_and_keeps_history() {
        let mut repository = new_repository();
        let first = head_commit(&repository, "main");
        let second = repository.commit("main", new_commit(Some(&first), "README.md", "hello")).unwrap();
        assert_eq!(head_commit(&repository, "main"), second);
        assert_eq!(head_commit(&repository, "refs/heads/main"), second);
        let newest = &repository.resolve("main").unwrap().commit;
        assert_eq!(newest.parent.as_deref(), Some(first.as_str()));
        assert_eq!(newest.changed_paths, ["README.md"]);
        assert_eq!(repository.resolve(&first).unwrap().files.get("README.md"), None);
        let ids: Vec<_> =
            repository.history("main").unwrap().iter().map(|version| version.commit.id.clone()).collect();
        assert_eq!(ids, [second, first]);
    }

    #[test]
    fn stale_parent_is_rejected() {
        let mut repository = new_repository();
        let first = head_commit(&repository, "main");
        let second = repository.commit("main", new_commit(None, "README.md", "theirs")).unwrap();
        let refusal = repository.commit("main", new_commit(Some(&first), "README.md", "ours"));
        assert_eq!(refusal, Err(RepositoryError::StaleParent));
        assert_eq!(head_commit(&repository, "main"), second);
    }

    #[test]
    fn rejected_change_aborts_whole_commit() {
        let mut repository = new_repository();
        let first = head_commit(&repository, "main");
        let mut proposal = new_commit(None, "README.md", "hello");
        proposal.changes.push(FileChange::DeleteFile { path: "nothing".to_owned() });
        assert_eq!(
            repository.commit("main", proposal),
            Err(RepositoryError::FileNotFound("nothing".to_owned()))
        );
        assert_eq!(head_commit(&repository, "main"), first);
    }

    #[test]
    fn pull_request_starts_at_its_parent() {
        let mut repository = new_repository();
        let first = head_commit(&repository, "main");
        let second = repository.commit("main", new_commit(None, "README.md", "main")).unwrap();
        let (number, id) =
            repository.open_pull_request("main", new_commit(Some(&first), "card.md", "request")).unwrap();
        assert_eq!(number, 1);
        assert_eq!(head_commit(&repository, "main"), second);
        assert_eq!(head_commit(&repository, "refs/pr/1"), id);
        assert_eq!(repository.resolve("refs/pr/1").unwrap().files.get("README.md"), None);

        let next = repository.commit("refs/pr/1", new_commit(Some(&id), "card.md", "better")).unwrap();
        assert_eq!(repository.pull_requests().collect::<Vec<_>>(), [(1, next.as_str())]);
        assert_eq!(repository.open_pull_request("main", new_commit(None, "x", "x")).unwrap().0, 2);
    }

    #[test]
    fn branch_starts_at_given_commit() {
        let mut repository = new_repository();
        let first = head_commit(&repository, "main");
        repository.commit("main", new_commit(None, "README.md", "main")).unwrap();
        repository.create_branch("older", &first).unwrap();
        assert_eq!(head_commit(&repository, "older"), first);
        let again = repository.create_branch("older", "main");
        assert_eq!(again, Err(RepositoryError::BranchExists("older".to_owned())));
    }

    #[test]
    fn unknown_revision_is_rejected() {
        let mut repository = new_repository();
        let first = head_commit(&repository, "main");
        for revision in ["", "missing", "refs/pr/0", "refs/pr/1", "refs/pr/x", "refs/heads/missing"] {
            let refusal = repository.resolve(revision).map(|version| version.commit.id.clone());
            assert_eq!(refusal, Err(RepositoryError::RevisionNotFound(revision.to_owned())));
        }
        // A commit needs a branch, not a commit id.
        let refusal = repository.commit(&first, new_commit(None, "README.md", "x"));
        assert_eq!(refusal, Err(RepositoryError::RevisionNotFound(first)));
    }
}
