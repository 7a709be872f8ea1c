//! The Hub, as far as a publication needs it, with errors in our words.

use std::time::Duration;

use hf_hub::repository::{CommitOperation, RepoTreeEntry};
use hf_hub::{HFClientBuilder, HFClientSync, HFError, HFRepositorySync, RepoTypeModel};

use crate::cause::{Cause, Doing, Failure};
use crate::error::PublishError;
use crate::files::CARD;
use crate::name::RepositoryName;
use crate::settings::Settings;
use crate::token::Token;
use crate::verify::{Discrepancy, Sent};

/// The branch that a repository shows first.
pub(crate) const MAIN: &str = "main";

/// How we call ourselves to the Hub.
const USER_AGENT: &str = concat!("sootprint-hub/", env!("CARGO_PKG_VERSION"));

/// How long the Hub may be silent. hf-hub itself would wait for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    /// From the last byte sent or received. It also runs while a commit's small files, up to 10 MiB each, are sent.
    pub(crate) read: Duration,
}

impl Default for Timeouts {
    /// The second is that of hf-xet, which carries the weights.
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), read: Duration::from_secs(300) }
    }
}

/// A branch of a repository on the Hub.
pub(crate) struct Hub {
    client: HFClientSync,
    repository: HFRepositorySync<RepoTypeModel>,
    name: RepositoryName,
    branch: String,
    endpoint: String,
    token: Token,
}

impl Hub {
    /// A connection that is not opened yet. What hf-hub would look up by its own rules it is told here.
    pub(crate) fn connect(
        settings: &Settings,
        name: RepositoryName,
        branch: &str,
        timeouts: Timeouts,
    ) -> Result<Self, PublishError> {
        let Settings { endpoint, token, cache } = settings;
        let setup = |error: &dyn std::error::Error| PublishError::Setup {
            endpoint: endpoint.clone(),
            cause: Cause::new(error, token),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| setup(&error))?;
        let client = HFClientBuilder::new()
            .client(http)
            .user_agent(USER_AGENT)
            .endpoint(endpoint)
            .token(token.expose())
            .cache_dir(cache)
            .cache_enabled(false)
            // A commit that was made and whose answer was lost would be tried again, and fail as a conflict.
            .retry_max_attempts(0)
            .build_sync()
            .map_err(|error| setup(&error))?;
        let repository = client.model(&*name.owner, &*name.name);
        Ok(Self {
            client,
            repository,
            name,
            branch: branch.to_owned(),
            endpoint: endpoint.clone(),
            token: token.clone(),
        })
    }

    pub(crate) fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// The model's page.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.endpoint, self.name)
    }

    /// The branch's newest commit. The repository is created when it is missing.
    ///
    /// It is looked for first: who may write to one repository alone may not create it, not even when it exists.
    pub(crate) fn head_or_create(&self, private: bool) -> Result<String, PublishError> {
        let head = match self.repository.info().send() {
            Err(HFError::RepoNotFound { .. }) => {
                self.create(private)?;
                self.repository.info().send()
            }
            found => found,
        };
        // A branch of a repository that is there: now a 404 means the branch.
        let head = head.and_then(|main| match &*self.branch {
            MAIN => Ok(main),
            branch => self.repository.info().revision(branch).send(),
        });
        match head {
            Ok(info) => info.sha.ok_or_else(|| {
                self.failure(Doing::LookingFor, &HFError::malformed_response("the newest commit"))
            }),
            Err(HFError::RevisionNotFound { .. }) => {
                Err(PublishError::NoBranch { repo: self.name.to_string(), branch: self.branch.clone() })
            }
            Err(error) => Err(self.failure(Doing::LookingFor, &error)),
        }
    }

    /// The card at a commit; none when there is none.
    pub(crate) fn card(&self, commit: &str) -> Result<Option<Vec<u8>>, PublishError> {
        match self.repository.download_file_to_bytes().filename(CARD).revision(commit).send() {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(HFError::EntryNotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure(Doing::Reading, &error)),
        }
    }

    /// Uploads and commits on top of `parent`, and returns the commit's id.
    pub(crate) fn commit(
        &self,
        operations: Vec<CommitOperation>,
        title: &str,
        description: &str,
        parent: &str,
    ) -> Result<String, PublishError> {
        let commit = self.repository.create_commit().operations(operations).parent_commit(parent);
        let made =
            commit.commit_message(title).commit_description(description).revision(&*self.branch).send();
        made.and_then(|made| made.commit_oid.ok_or_else(|| HFError::malformed_response("the commit's id")))
            .map_err(|error| self.failure(Doing::CommittingTo, &error))
    }

    /// What the Hub says of these files at a commit.
    pub(crate) fn entries(
        &self,
        paths: Vec<String>,
        commit: &str,
    ) -> Result<Vec<RepoTreeEntry>, PublishError> {
        let entries = self.repository.get_paths_info().paths(paths).revision(commit).send();
        entries.map_err(|error| self.failure(Doing::Checking, &error))
    }

    pub(crate) fn not_stored(&self, commit: &str, sent: &Sent, problem: Discrepancy) -> PublishError {
        PublishError::NotStored {
            repo: self.name.to_string(),
            commit: commit.to_owned(),
            path: sent.path.clone(),
            problem,
        }
    }

    fn create(&self, private: bool) -> Result<(), PublishError> {
        let name = self.name.to_string();
        let create = self.client.create_repository().repo_id(&name).repo_type(RepoTypeModel);
        // Somebody may have been faster.
        let created = create.private(private).exist_ok(true).send();
        created.map(drop).map_err(|error| self.failure(Doing::Creating, &error))
    }

    fn failure(&self, doing: Doing, error: &HFError) -> PublishError {
        let endpoint = self.endpoint.clone();
        let repo = self.name.to_string();
        let cause = Cause::new(error, &self.token);
        match Failure::of(error) {
            Failure::Unauthorized => PublishError::Unauthorized { endpoint, repo, doing, cause },
            Failure::Forbidden => PublishError::Forbidden { endpoint, repo, doing, cause },
            Failure::Conflict => PublishError::Conflict { repo, branch: self.branch.clone() },
            Failure::RateLimited(retry_after) => PublishError::RateLimited { retry_after, cause },
            Failure::Unreachable => PublishError::Unreachable { endpoint, repo, doing, cause },
            Failure::Unavailable => PublishError::Unavailable { endpoint, repo, doing, cause },
            Failure::Upload => PublishError::Upload { repo, cause },
            Failure::NoHub => PublishError::NoHub { endpoint, repo, doing, cause },
            Failure::Refused => PublishError::Refused { repo, doing, cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use loopback_hub::LoopbackHub;

    use super::*;
    use crate::settings::Given;

    const SHORT: Timeouts =
        Timeouts { connect: Duration::from_millis(300), read: Duration::from_millis(300) };

    fn connect(endpoint: &str, token: &str, branch: &str, timeouts: Timeouts) -> Hub {
        let given = Given { endpoint: Some(endpoint.to_owned()), token: Some(Token::new(token).unwrap()) };
        let cache = tempfile::tempdir().unwrap();
        let home = |name: &str| (name == "HF_HOME").then(|| cache.path().display().to_string());
        let settings = Settings::resolve(given, &home, &|_| Ok(String::new())).unwrap();
        Hub::connect(&settings, RepositoryName::parse("me/digits").unwrap(), branch, timeouts).unwrap()
    }

    fn commit(hub: &Hub, parent: &str) -> Result<String, PublishError> {
        hub.commit(vec![CommitOperation::add_bytes(CARD, "# Digits\n")], "Title", "Description", parent)
    }

    /// A server that gives one answer to its first request.
    fn answering(status: &str, body: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        endpoint
    }

    fn look(endpoint: &str) -> PublishError {
        connect(endpoint, "hf_secret", MAIN, SHORT).head_or_create(false).unwrap_err()
    }

    #[test]
    fn a_repository_is_created_once_and_kept() {
        let server = LoopbackHub::start().unwrap();
        let hub = connect(server.endpoint(), server.token(), MAIN, Timeouts::default());
        let head = hub.head_or_create(false).unwrap();
        assert_eq!(head, server.head("me/digits").unwrap());
        assert_eq!(hub.card(&head).unwrap(), None);
        let made = commit(&hub, &head).unwrap();
        assert_eq!(hub.head_or_create(false).unwrap(), made);
        assert_eq!(hub.card(&made).unwrap().unwrap(), b"# Digits\n");
        assert_eq!(hub.card(&head).unwrap(), None);
    }

    #[test]
    fn a_commit_on_a_head_that_has_moved_is_a_conflict() {
        let server = LoopbackHub::start().unwrap();
        let hub = connect(server.endpoint(), server.token(), MAIN, Timeouts::default());
        let seen = hub.head_or_create(false).unwrap();
        let theirs = server.write("me/digits", CARD, b"theirs").unwrap();
        let error = commit(&hub, &seen).unwrap_err();
        assert!(matches!(error, PublishError::Conflict { .. }), "{error}");
        assert_eq!(server.head("me/digits").unwrap(), theirs);
    }

    #[test]
    fn a_branch_that_is_missing_is_named() {
        let server = LoopbackHub::start().unwrap();
        let hub = connect(server.endpoint(), server.token(), "v9", Timeouts::default());
        let error = hub.head_or_create(false).unwrap_err();
        assert!(matches!(&error, PublishError::NoBranch { branch, .. } if branch == "v9"), "{error}");
    }

    #[test]
    fn a_hub_that_is_not_there_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = look(&endpoint);
        assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&endpoint), "{error}");
    }

    #[test]
    fn a_hub_that_does_not_answer_is_not_waited_for_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = look(&format!("http://{}", listener.local_addr().unwrap()));
        assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn each_refusal_has_its_own_error_and_says_what_the_hub_says() {
        let error = look(&answering("403 Forbidden", r#"{"error":"hf_secret may only read"}"#));
        assert!(matches!(error, PublishError::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains("… may only read"), "{error}");
        assert!(error.to_string().contains("hf auth login"), "{error}");

        let error = look(&answering("429 Too Many Requests\r\nRetry-After: 30", ""));
        assert!(error.to_string().contains("asks to wait 30 s"), "{error}");
        let error = look(&answering("503 Service Unavailable", ""));
        assert!(matches!(error, PublishError::Unavailable { .. }), "{error}");
        let error = look(&answering("400 Bad Request", r#"{"error":"no such thing"}"#));
        assert!(matches!(error, PublishError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("no such thing"), "{error}");
        for body in ["<html>", r#"{"id":"me/digits"}"#] {
            let error = look(&answering("200 OK", body));
            assert!(matches!(error, PublishError::NoHub { .. }), "{error}");
        }
    }
}
