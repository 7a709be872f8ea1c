//! The commit: made once, on top of whatever the Hub has, and looked at afterwards.

use sha2::{Digest as _, Sha256};

use crate::card::{Apart, Card, Sides};
use crate::error::PublishError;
use crate::hub::Proposal;
use crate::publication::OnConflict;
use crate::published::Published;
use crate::session::{Session, short};
use crate::staging::{Attempt, Base};
use crate::verify::Sent;
use crate::{files, message, verify};

/// How often a commit is made anew on a branch that has moved, the first time included.
const COMMITS: u32 = 5;

/// What the Hub has.
struct Made {
    commit: String,
    /// None when everything was there.
    is_new: bool,
    is_pull_request: bool,
    card: Card,
    sent: Vec<Sent>,
}

impl Session<'_> {
    pub(crate) async fn publish(&self) -> Result<Published, PublishError> {
        self.resume().await?;
        let made = self.commit().await?;
        self.conclude(made).await
    }

    /// Looks whether the last attempt, whose answer was lost with its process perhaps, was a commit after all.
    async fn resume(&self) -> Result<(), PublishError> {
        let Some(attempt) = self.staging.attempt(&self.target) else { return Ok(()) };
        // Looked for again when it is known what is sent now.
        if attempt.pull_request {
            return Ok(());
        }
        self.head().await?;
        let mark = message::mark(&attempt.id);
        if let Some(commit) = self.waiting.persist(async || self.hub.find(&mark).await).await? {
            // What was merged from the Hub did not get into the folder: the older base stays true then.
            if attempt.is_local {
                self.staging.keep(&Base { target: self.target.clone(), commit, card: attempt.card });
            }
            self.staging.forget_attempt();
        }
        Ok(())
    }

    /// Makes the commit, once, on top of whatever the Hub has.
    ///
    /// Each try names its parent, so that of several requests that are under way the Hub takes one at most. Whether it
    /// took one is seen in its list of commits, by the publication's id.
    async fn commit(&self) -> Result<Made, PublishError> {
        let (mut tried, mut commits) = (1, 1);
        loop {
            let head = self.head().await?;
            let remote = self.waiting.persist(async || self.hub.card(&head).await).await?;
            let (card, is_pull_request) = self.card(remote)?;
            let mut sent = vec![Sent::bytes(files::CARD, card.text.clone())];
            sent.extend(self.others.iter().cloned());
            let made = |commit, is_new, card, sent| Made { commit, is_new, is_pull_request, card, sent };

            let missing = self.missing(&sent, &head).await?;
            if missing.is_empty() {
                return Ok(Made { is_pull_request: false, ..made(head, false, card, sent) });
            }
            let content = content(&sent);
            if is_pull_request && let Some(commit) = self.opened_before(&content).await? {
                return Ok(made(commit, false, card, sent));
            }
            let checked = self.waiting.persist(async || self.hub.check_storage(&missing).await).await;
            checked.map_err(|error| self.in_a_pull_request(error, is_pull_request))?;

            self.staging.begin(&Attempt {
                target: self.target.clone(),
                id: self.id.clone(),
                pull_request: is_pull_request,
                content,
                card: card.text.clone(),
                is_local: card.is_the_folders(),
            });
            let error = match self.send(&missing, &card, &head, is_pull_request).await {
                Ok(commit) => return Ok(made(commit, true, card, sent)),
                Err(error)
                    if !may_have_arrived(&error) && !matches!(error, PublishError::RateLimited { .. }) =>
                {
                    self.staging.forget_attempt();
                    return Err(self.in_a_pull_request(error, is_pull_request));
                }
                Err(error) => error,
            };
            if may_have_arrived(&error)
                && let Some(commit) = self.found(is_pull_request).await?
            {
                return Ok(made(commit, true, card, sent));
            }
            match error {
                // The Hub does not compare parents here: a second request could open a second one.
                error if is_pull_request && may_have_arrived(&error) => return Err(error),
                PublishError::Conflict { .. } if commits < COMMITS => commits += 1,
                error => self.waiting.before_next(&mut tried, error).await?,
            }
        }
    }

    /// Looks at what the Hub has, and makes the folder agree with it.
    async fn conclude(&self, made: Made) -> Result<Published, PublishError> {
        let Made { commit, is_new, is_pull_request, card, sent } = made;
        let paths: Vec<String> = sent.iter().map(|sent| sent.path.clone()).collect();
        let entries = self.waiting.persist(async || self.hub.entries(paths.clone(), &commit).await).await?;
        let stored = sent.iter().map(|sent| {
            verify::stored(sent, &entries).map_err(|problem| self.hub.not_stored(&commit, sent, problem))
        });
        let files = stored.collect::<Result<_, _>>()?;
        let pull_request = if is_pull_request {
            self.waiting.persist(async || self.hub.pull_request_of(&commit).await).await?
        } else {
            None
        };

        let url = self.hub.url();
        let failed = |source| PublishError::LocalCard { url: url.clone(), source };
        let is_written = card.write(&self.footprint, &self.options).map_err(failed)?;
        if !is_written {
            tracing::warn!("{} was written meanwhile and is left as it is", files::CARD);
        } else if !is_pull_request {
            // Only now: the folder's card must have everything that its base has.
            let base = Base { target: self.target.clone(), commit: commit.clone(), card: card.text.clone() };
            self.staging.keep(&base);
        }
        self.staging.clear();
        tracing::info!("{} is published at {commit}", self.hub.name());
        Ok(Published {
            repo: self.hub.name().to_string(),
            url,
            commit,
            is_new,
            pull_request,
            files,
            left_out: self.left_out.clone(),
            card_created: card.is_created(),
        })
    }

    async fn head(&self) -> Result<String, PublishError> {
        self.waiting.persist(async || self.hub.head_or_create(self.job.private).await).await
    }

    /// The one card, and whether it goes into a pull request.
    fn card(&self, remote: Option<Vec<u8>>) -> Result<(Card, bool), PublishError> {
        let settled = self.staging.settled(&self.target);
        let settled = settled.filter(|theirs| remote.as_deref() == Some(theirs.as_bytes()));
        let base = settled.or_else(|| self.staging.base(&self.target).map(|base| base.card));
        let (local, new_card) = (self.local.clone(), self.job.new_card.clone());
        let sides = Sides { local, remote, base, new_card };
        match Card::merge(sides, self.hub.name(), &self.footprint, &self.options) {
            Ok(card) => Ok((card, self.job.pull_request)),
            Err(Apart::Unreadable(error)) => Err(error),
            Err(Apart::Conflict { ours, .. })
                if self.job.pull_request || self.job.on_conflict == OnConflict::PullRequest =>
            {
                Ok((*ours, true))
            }
            Err(Apart::Conflict { ours, theirs, marked }) => Err(PublishError::CardConflict {
                local: ours.path().to_owned(),
                repo: self.hub.name().to_string(),
                both: self.staging.conflict(&self.target, &theirs, &marked),
            }),
        }
    }

    /// What the Hub does not have at this commit.
    async fn missing<'s>(&self, sent: &'s [Sent], head: &str) -> Result<Vec<&'s Sent>, PublishError> {
        let paths: Vec<String> = sent.iter().map(|sent| sent.path.clone()).collect();
        let entries = self.waiting.persist(async || self.hub.entries(paths.clone(), head).await).await?;
        Ok(sent.iter().filter(|sent| verify::stored(sent, &entries).is_err()).collect())
    }

    async fn send(
        &self,
        missing: &[&Sent],
        card: &Card,
        parent: &str,
        pull_request: bool,
    ) -> Result<String, PublishError> {
        for (key, replaced) in [("co2_eq_emissions", &card.replaced), ("dia_report", &card.replaced_report)] {
            if let Some(old) = replaced {
                tracing::warn!("{} had a {key} of another origin, which is replaced: {old}", self.hub.name());
            }
        }
        let title = self.job.message.clone().unwrap_or_else(|| message::title(&self.footprint));
        let description = message::description(
            self.job.description.as_deref(),
            &self.footprint,
            card.replaced.as_deref(),
            card.replaced_report.as_deref(),
            &message::mark(&self.id),
        );
        let operations = missing.iter().map(|sent| sent.operation()).collect();
        let proposal =
            Proposal { operations, title: &title, description: &description, parent, pull_request };
        self.hub.commit(proposal, self.listener).await
    }

    /// Our own commit, when the Hub took it after all.
    async fn found(&self, is_pull_request: bool) -> Result<Option<String>, PublishError> {
        let mark = message::mark(&self.id);
        self.waiting
            .persist(async || match is_pull_request {
                true => self.hub.find_pull_request(&mark).await,
                false => self.hub.find(&mark).await,
            })
            .await
    }

    /// The commit of a pull request that an earlier publication opened with the same bytes.
    async fn opened_before(&self, content: &str) -> Result<Option<String>, PublishError> {
        let attempt = self.staging.attempt(&self.target);
        let Some(attempt) = attempt.filter(|attempt| attempt.pull_request && attempt.content == content)
        else {
            return Ok(None);
        };
        let mark = message::mark(&attempt.id);
        self.waiting.persist(async || self.hub.find_pull_request(&mark).await).await
    }

    fn in_a_pull_request(&self, error: PublishError, is_pull_request: bool) -> PublishError {
        match error {
            PublishError::Forbidden { repo, cause, .. } if is_pull_request && !self.job.card_alone => {
                PublishError::PullRequestForbidden { repo, cause }
            }
            error => error,
        }
    }
}

/// Whether the Hub may have made the commit although it did not say so.
fn may_have_arrived(error: &PublishError) -> bool {
    matches!(
        error,
        PublishError::Conflict { .. }
            | PublishError::Unreachable { .. }
            | PublishError::Unavailable { .. }
            | PublishError::NoHub { .. }
    )
}

/// A hash over all paths and bytes.
fn content(sent: &[Sent]) -> String {
    let mut hash = Sha256::new();
    for sent in sent {
        hash.update(format!("{} {}\n", sent.digest.sha256, sent.path));
    }
    short(&hash.finalize())
}
