//! One publication, on a thread of its own.

use std::time::SystemTime;
use std::{io, thread};

use sha2::{Digest as _, Sha256};
use sootprint::Footprint;
use sootprint_card::{CardOptions, ModelCard, PICTURE_FILE};

use crate::card::LocalCard;
use crate::error::PublishError;
use crate::events::Listener;
use crate::files::{self, Selection, Wanted};
use crate::hub::{Hub, MAIN};
use crate::name::RepositoryName;
use crate::patience::Waiting;
use crate::patterns::Patterns;
use crate::publication::Publication;
use crate::published::Published;
use crate::redacted;
use crate::settings::Settings;
use crate::staging::{Staging, Target};
use crate::verify::Sent;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Publishes and waits for it. The thread has a runtime of its own, so the caller may be inside of another one.
pub(crate) fn blocking(publication: Publication) -> Result<Published, PublishError> {
    let thread = spawn(move || run(&publication, std::future::pending()))?;
    thread.join().unwrap_or_else(|_| Err(died()))
}

/// Publishes; whoever drops the future stops it.
pub(crate) async fn asynchronous(publication: Publication) -> Result<Published, PublishError> {
    let (mut answer, answered) = oneshot::channel();
    spawn(move || {
        let result = run(&publication, answer.closed());
        // Nobody waits for it when it was stopped.
        let _ = answer.send(result);
    })?;
    answered.await.unwrap_or_else(|_| Err(died()))
}

fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, PublishError> {
    let builder = thread::Builder::new().name("sootprint-publish".to_owned());
    builder.spawn(body).map_err(|source| PublishError::Thread { source })
}

fn died() -> PublishError {
    PublishError::Thread { source: io::Error::other("it died, which is a mistake in sootprint") }
}

/// Publishes within the time, and stages what fails.
fn run(job: &Publication, stopped: impl Future<Output = ()>) -> Result<Published, PublishError> {
    let listener = Listener::new(job.events.0.clone());
    let waiting = Waiting::new(job.patience, listener.clone());
    // Two threads: hf-xet, which carries the weights, works on this runtime, too.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| PublishError::Thread { source })?;
    let result = runtime.block_on(async {
        let work = async { Session::prepare(job, &listener, &waiting).await?.publish().await };
        tokio::select! {
            done = tokio::time::timeout_at(waiting.until().into(), work) => {
                done.unwrap_or(Err(PublishError::Deadline { deadline: job.patience.deadline }))
            }
            () = stopped => Err(PublishError::Stopped),
        }
    });
    listener.end();
    // A request that hangs is not waited for.
    runtime.shutdown_background();
    if let Err(error) = &result
        && error.is_staged()
    {
        Staging::of(&job.dir).stage(&job.repo, &job.branch, &error.to_string());
    }
    result
}

/// A publication that may begin: the run is one, the files are there, the environment allows it.
pub(crate) struct Session<'a> {
    pub(crate) job: &'a Publication,
    pub(crate) hub: Hub,
    pub(crate) footprint: Footprint,
    pub(crate) options: CardOptions,
    pub(crate) staging: Staging,
    pub(crate) target: Target,
    pub(crate) local: LocalCard,
    /// Everything but the card.
    pub(crate) others: Vec<Sent>,
    pub(crate) left_out: Vec<String>,
    pub(crate) id: String,
    pub(crate) listener: &'a Listener,
    pub(crate) waiting: &'a Waiting,
}

impl<'a> Session<'a> {
    async fn prepare(
        job: &'a Publication,
        listener: &'a Listener,
        waiting: &'a Waiting,
    ) -> Result<Self, PublishError> {
        let rank = sootprint::rank();
        if rank > 0 {
            return Err(PublishError::OtherRank { rank });
        }
        let name = RepositoryName::parse(&job.repo)?;
        let Selected { footprint, selection } = select(job)?;
        let settings = Settings::resolve(job.given.clone(), &|name| std::env::var(name).ok(), &|path| {
            std::fs::read_to_string(path)
        })?;
        let Selection { files, card, mut left_out } = selection;
        let is_drawn = job.picture && !job.card_alone;
        let picture = if is_drawn { drawn(&footprint)? } else { None };
        // It is drawn anew, whatever lies in the folder.
        left_out.retain(|name| picture.is_none() || name != PICTURE_FILE);
        let mut options = CardOptions::default().picture(picture.is_some());
        if job.base_card
            && let Some(card) = card_of_base(job, &footprint, &settings).await
        {
            options = options.base_card(card);
        }
        if let Some(relation) = job.relation {
            options = options.relation(relation);
        }
        let local = LocalCard::read(&job.dir, card.as_deref(), &footprint, &options)?;
        let mut others = Vec::new();
        if !job.card_alone {
            let json = footprint.to_json().map_err(PublishError::Footprint)?;
            others.push(Sent::bytes(sootprint::FILE_NAME, json));
        }
        others.extend(picture.map(|png| Sent::bytes(PICTURE_FILE, png)));
        for file in files {
            others.push(Sent::file(file, listener, &settings.token)?);
        }
        let target = Target {
            endpoint: settings.endpoint.clone(),
            repo: job.repo.clone(),
            branch: job.branch.clone(),
        };
        Ok(Self {
            hub: Hub::connect(&settings, name, &job.branch, &job.patience)?,
            staging: Staging::of(&job.dir),
            id: fresh_id(),
            job,
            footprint,
            options,
            target,
            local,
            others,
            left_out,
            listener,
            waiting,
        })
    }
}

/// What a publication is made of, before anybody is asked.
pub(crate) struct Selected {
    pub(crate) footprint: Footprint,
    pub(crate) selection: Selection,
}

/// Checks the run and sorts out the folder.
pub(crate) fn select(job: &Publication) -> Result<Selected, PublishError> {
    let patterns = Patterns::read(&job.asked)?;
    let footprint = redacted::publishable(&job.footprint)?;
    let wanted = Wanted { patterns: &patterns, card_alone: job.card_alone };
    let selection = files::select(&job.dir, &wanted)?;
    let started = footprint.run.started.parse::<jiff::Timestamp>().ok();
    files::check_age(&selection.files, started.map(SystemTime::from))?;
    Ok(Selected { footprint, selection })
}

/// The base model's card, when there is one and it can be read.
async fn card_of_base(job: &Publication, footprint: &Footprint, settings: &Settings) -> Option<ModelCard> {
    let base = footprint.run.base_model.as_deref()?;
    let read = async {
        let hub = Hub::connect(settings, RepositoryName::parse(base)?, MAIN, &job.patience)?;
        let bytes = hub.card(MAIN).await?;
        bytes
            .map(ModelCard::from_bytes)
            .transpose()
            .map_err(|source| PublishError::Card { card: format!("{} of {base}", files::CARD), source })
    };
    read.await.unwrap_or_else(|error| {
        tracing::warn!("the base model's card is not read, and its emissions are not named: {error}");
        None
    })
}

/// The picture that the card shows, beside it; none without the feature that draws it.
#[cfg(feature = "plot")]
fn drawn(footprint: &Footprint) -> Result<Option<Vec<u8>>, PublishError> {
    sootprint_report::render_plot(footprint)
        .map_err(|source| sootprint_card::CardError::Picture { source: source.into() })
        .map_err(|source| PublishError::Card { card: PICTURE_FILE.to_owned(), source })
}

#[cfg(not(feature = "plot"))]
#[expect(clippy::unnecessary_wraps, reason = "drawing can fail where it is built in")]
fn drawn(_: &Footprint) -> Result<Option<Vec<u8>>, PublishError> {
    Ok(None)
}

/// An id that no other publication has: of this moment, this process and this thread.
fn fresh_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let random = std::collections::hash_map::RandomState::new();
    let seed =
        format!("{now:?} {} {:?} {random:?} {:p}", std::process::id(), thread::current().id(), &random);
    let keyed = std::hash::BuildHasher::hash_one(&random, &seed);
    short(&Sha256::digest(format!("{seed} {keyed}")))
}

pub(crate) fn short(hash: &[u8]) -> String {
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
