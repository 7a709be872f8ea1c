//! The run that attaches: what its hooks say goes to the one that measures.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use sootprint_core::{Footprint, Outcome};

use super::devices::Devices;
use super::message::{Answer, FromChild, FromParent, Hello, PROTOCOL, line, now};
use super::parent::{locked, spawn, with_short_path};
use crate::launch::Launch;
use crate::ledger::Name;
use crate::run::Live;
use crate::run::book::{Ended, Inside};
use crate::run::said::Said;

/// So long the start waits for an answer, before which the boards are read; a process that is stopped does not give one.
const LONGEST_WELCOME: Duration = Duration::from_secs(10);

/// The connection to the process that measures.
#[derive(Debug)]
pub(in crate::run) struct Attached {
    /// To the thread that writes.
    out: Sender<FromChild>,
    heard: Arc<Heard>,
    /// Where the other process records its run.
    dir: PathBuf,
    welcome: Welcome,
}

#[derive(Debug)]
struct Welcome {
    /// The name under which the training is measured.
    run: String,
    /// When it came; none where time is a script's.
    at: Option<Instant>,
}

/// What the other process says.
#[derive(Default)]
struct Heard {
    live: Mutex<Live>,
    /// Who waits for which answer; nobody is left to answer when it is none.
    waiting: Mutex<Option<HashMap<u64, OnAnswer>>>,
    number: AtomicU64,
    is_over: AtomicBool,
}

type OnAnswer = Box<dyn FnOnce(Answer) + Send>;

impl Attached {
    /// Attaches to the run that is being recorded in `dir`; none when nobody listens there.
    pub(in crate::run) fn to(dir: &Path, launch: &Launch, inside: Inside) -> Option<Self> {
        let Launch { rank, ranks, .. } = *launch;
        let devices = Devices::of_this_process();
        let hello = FromChild::Hello(Box::new(Hello { protocol: PROTOCOL, rank, ranks, devices, inside }));
        // Of the ranks that share a folder each has its own command, if each was measured by one.
        let names = Name::with_sockets(dir);
        let (own, others): (Vec<Name>, Vec<Name>) = names.into_iter().partition(|name| name.rank == rank);
        let (stream, reader, welcome) = own.into_iter().chain(others).find_map(|name| {
            let stream = with_short_path(&name.socket(dir), |path| UnixStream::connect(path)).ok()?;
            let greeted = greet(stream, &hello);
            if let Err(error) = &greeted {
                tracing::warn!(
                    "the `sootprint run` around this training does not answer, so that both measure it: {error}"
                );
            }
            greeted.ok()
        })?;
        let (out, to_write) = mpsc::channel();
        let heard = Arc::new(Heard { waiting: Mutex::new(Some(HashMap::new())), ..Heard::default() });
        let hears = Arc::clone(&heard);
        spawn("sootprint-says", move || write(stream, &to_write)).ok()?;
        spawn("sootprint-hears", move || hears.listen(reader)).ok()?;
        Some(Self { out, heard, dir: dir.to_owned(), welcome })
    }

    /// The name of the training's part of the other's run.
    pub(in crate::run) fn run(&self) -> &str {
        &self.welcome.run
    }

    /// Hands over what a hook says, with the time. Returns at once.
    pub(in crate::run) fn say(&self, said: Said, then: impl FnOnce(Option<Ended>) + Send + 'static) {
        let at = now();
        if !said.ends_an_epoch() {
            return self.send(FromChild::Said { at, said, answer: None });
        }
        self.ask(
            |answer| FromChild::Said { at, said, answer: Some(answer) },
            |answer| match answer {
                Answer::Ended(ended) => then(ended),
                _ => then(None),
            },
        );
    }

    /// Asks for what was used up to now.
    pub(in crate::run) fn read(&self, tell: impl FnOnce(Live) + Send + 'static) {
        let told = |answer| {
            if let Answer::Read(figures) = answer {
                tell(figures.into());
            }
        };
        self.ask(|answer| FromChild::Read { answer }, told);
    }

    /// Asks to hear when the other process's record has all that was said before.
    pub(in crate::run) fn settle(&self, tell: Sender<()>) {
        let told = move |_| {
            // Who waits may have lost patience.
            let _ = tell.send(());
        };
        self.ask(|answer| FromChild::Settle { answer }, told);
    }

    /// What the training has used so far.
    pub(in crate::run) fn live(&self) -> Live {
        let live = *locked(&self.heard.live);
        self.welcome.at.map_or(live, |at| live.at(at.elapsed()))
    }

    /// Ends the training's part, and gives its footprint if the other process does.
    pub(in crate::run) fn finish(&self, outcome: Option<Outcome>, patience: Duration) -> Option<Footprint> {
        self.heard.is_over.store(true, Ordering::Release);
        let (tell, told) = mpsc::channel();
        let hear = move |answer| {
            if let Answer::Footprint(footprint) = answer {
                // Who waits may have lost patience.
                let _ = tell.send(*footprint);
            }
        };
        self.ask(|answer| FromChild::Finish { outcome, answer }, hear);
        // The other process waits for its record, its boards and its provider.
        told.recv_timeout(patience * 3).ok()
    }

    /// Whether the other process's folder is this one.
    pub(in crate::run) fn is_of(&self, dir: &Path) -> bool {
        match (fs::canonicalize(&self.dir), fs::canonicalize(dir)) {
            (Ok(its), Ok(ours)) => its == ours,
            _ => false,
        }
    }

    fn ask(&self, message: impl FnOnce(u64) -> FromChild, hear: impl FnOnce(Answer) + Send + 'static) {
        let number = self.heard.number.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(waiting) = locked(&self.heard.waiting).as_mut() {
            waiting.insert(number, Box::new(hear));
            self.send(message(number));
        }
    }

    fn send(&self, message: FromChild) {
        // The thread that hears says it when the other process is gone.
        let _ = self.out.send(message);
    }
}

/// Says hello, and waits for the answer.
fn greet(stream: UnixStream, hello: &FromChild) -> io::Result<(UnixStream, BufReader<UnixStream>, Welcome)> {
    stream.set_read_timeout(Some(LONGEST_WELCOME))?;
    stream.set_write_timeout(Some(LONGEST_WELCOME))?;
    (&stream).write_all(line(hello)?.as_bytes())?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut answer = String::new();
    reader.read_line(&mut answer)?;
    let FromParent::Welcome { run, is_virtual } = serde_json::from_str(&answer)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok((stream, reader, Welcome { run, at: (!is_virtual).then(Instant::now) }))
}

/// Ends with the last sender; then the other process reads to its end and knows that this training is over.
fn write(mut stream: UnixStream, messages: &Receiver<FromChild>) {
    while let Ok(message) = messages.recv() {
        let written = line(&message).and_then(|text| stream.write_all(text.as_bytes()));
        if written.is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

impl Heard {
    fn listen(&self, mut reader: BufReader<UnixStream>) {
        let mut text = String::new();
        while reader.read_line(&mut text).is_ok_and(|length| length > 0) {
            match serde_json::from_str(&text) {
                Ok(FromParent::Figures(figures)) => *locked(&self.live) = figures.into(),
                Ok(FromParent::Answer(number, answer)) => {
                    let waits = locked(&self.waiting).as_mut().and_then(|waiting| waiting.remove(&number));
                    if let Some(hear) = waits {
                        hear(answer);
                    }
                }
                // A later version may say more.
                Ok(FromParent::Welcome { .. }) | Err(_) => {}
            }
            text.clear();
        }
        if !self.is_over.load(Ordering::Acquire) {
            tracing::warn!(
                "the `sootprint run` that measures this training has ended: nothing is measured any more, and no \
                 budget is held"
            );
        }
        // Who still waits hears by this that there is no answer; without the lock, since it may be somebody's code.
        let waiting = locked(&self.waiting).take();
        drop(waiting);
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heard").field("live", &self.live).finish_non_exhaustive()
    }
}
