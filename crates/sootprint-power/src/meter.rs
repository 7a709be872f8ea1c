//! The one sampler thread that all runs of a process share.
//!
//! A hook posts a timestamp and goes on; the thread reads the boards and finds the energy at that timestamp on the
//! line between its readings. Nothing that trains ever waits for a board.

mod rig;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::source::Component;
use crate::tally::{Finding, Tally};

pub use rig::Instruments;
use rig::Rig;

/// A handle on the sampler thread. The thread ends when the last handle is gone.
#[derive(Debug)]
pub struct Meter {
    commands: mpsc::Sender<Command>,
}

/// The part of a run that the meter serves, from [`Meter::attach`] until it is dropped.
#[derive(Debug)]
pub struct Session {
    meter: Arc<Meter>,
    id: u64,
    clock: Clock,
    origin: Duration,
}

/// What the meter knows at one moment of a session; times count from the session's beginning.
pub struct Moment<'a> {
    /// The time since the session began.
    pub now: Duration,
    /// The energy of the session so far.
    pub tally: &'a Tally,
    /// The components that are sampled, in the order of the energies.
    pub components: &'a [Component],
}

/// Is called on the meter's thread after each reading, with what the reading showed besides energy.
pub type OnSample = Box<dyn FnMut(&Moment<'_>, &[Finding]) + Send>;

/// Is called on the meter's thread once, for a moment that a hook marked.
type OnMark = Box<dyn FnOnce(&Moment<'_>) + Send>;

/// How closely the energy at a moment is to be known where a counter ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// To a millisecond or two, after which nothing trains any more: the end of a run.
    Last,
    /// As closely, as far as that does not slow down what goes on: of an epoch.
    Sharp,
    /// To tens of milliseconds, or as it comes: of a phase, of which a training may have some in each step.
    Rough,
    /// No edge of anything: somebody asks, and all is read at once for him.
    Now,
}

enum Command {
    Attach { id: u64, with: With, on_sample: OnSample, reply: SyncSender<Opening> },
    Mark { id: u64, at: Duration, edge: Edge, act: OnMark },
    Detach { id: u64 },
}

/// What a session is measured with.
enum With {
    Instruments(Instruments),
    /// Those of the session with this id.
    Session(u64),
}

/// What a session learns when it begins.
pub struct Opening {
    clock: Clock,
    origin: Duration,
    /// The components that are read.
    pub components: Vec<Component>,
    /// What is there and cannot be read, and why.
    pub gaps: Vec<String>,
}

impl Meter {
    /// The process's meter, started when there is none.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub fn shared() -> io::Result<Arc<Self>> {
        // Beside it whose it is: a process that was forked has the meter and not its thread.
        static SHARED: Mutex<(u32, Weak<Meter>)> = Mutex::new((0, Weak::new()));

        let process = std::process::id();
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.0 == process
            && let Some(meter) = shared.1.upgrade()
        {
            return Ok(meter);
        }
        let (commands, received) = mpsc::channel();
        thread::Builder::new().name("sootprint-meter".to_owned()).spawn(move || work(&received))?;
        let meter = Arc::new(Self { commands });
        *shared = (process, Arc::downgrade(&meter));
        Ok(meter)
    }

    /// Begins a session: takes a first reading, from which its energy counts. Waits for that reading.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn attach(
        self: &Arc<Self>,
        instruments: Instruments,
        on_sample: OnSample,
    ) -> io::Result<(Session, Opening)> {
        self.begin(With::Instruments(instruments), on_sample)
    }

    fn begin(self: &Arc<Self>, with: With, on_sample: OnSample) -> io::Result<(Session, Opening)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let gone = |_| io::Error::other("the sampler thread has ended");
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (reply, opened) = mpsc::sync_channel(1);
        self.commands
            .send(Command::Attach { id, with, on_sample, reply })
            .map_err(|_| gone(mpsc::RecvError))?;
        let opening = opened.recv().map_err(gone)?;
        let session =
            Session { meter: Arc::clone(self), id, clock: opening.clock.clone(), origin: opening.origin };
        Ok((session, opening))
    }
}

impl Session {
    /// Begins another session on the same readings: what it sums up costs no reading more. In two steps, because the
    /// second waits for a reading, and who holds a lock on this session must not.
    ///
    /// # Errors
    /// When the thread is gone.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only where a process can attach to another"))]
    pub fn beside(&self) -> impl FnOnce(OnSample) -> io::Result<(Self, Opening)> + use<> {
        let (meter, id) = (Arc::clone(&self.meter), self.id);
        move |on_sample| meter.begin(With::Session(id), on_sample)
    }

    /// The time since the session began.
    pub fn now(&self) -> Duration {
        self.clock.now().saturating_sub(self.origin)
    }

    /// Asks the meter for the energy at `at`, a moment of this session. Returns at once.
    pub fn mark(&self, at: Duration, edge: Edge, act: impl FnOnce(&Moment<'_>) + Send + 'static) {
        // A thread that is gone has nothing to tell; the run's end notices that.
        let _ = self.meter.commands.send(Command::Mark { id: self.id, at, edge, act: Box::new(act) });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.meter.commands.send(Command::Detach { id: self.id });
    }
}

/// The thread: it sleeps until a command comes or a reading is due.
fn work(commands: &Receiver<Command>) {
    let mut rigs: Vec<Rig> = Vec::new();
    loop {
        let command = match rigs.iter().filter_map(Rig::sleep).min() {
            Some(sleep) => commands.recv_timeout(sleep),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match command {
            Ok(Command::Attach { id, with, on_sample, reply }) => {
                let rig = match with {
                    With::Instruments(instruments) => Some(open(&mut rigs, instruments)),
                    With::Session(other) => rigs.iter_mut().find(|rig| rig.serves(other)),
                };
                if let Some(rig) = rig {
                    // Who asked and did not wait is detached by the drop of its session.
                    let _ = reply.send(rig.attach(id, on_sample));
                }
            }
            Ok(Command::Mark { id, at, edge, act }) => {
                if let Some(rig) = rigs.iter_mut().find(|rig| rig.serves(id)) {
                    rig.mark(id, at, edge, act);
                }
            }
            Ok(Command::Detach { id }) => {
                rigs.iter_mut().for_each(|rig| rig.detach(id));
                rigs.retain(Rig::is_used);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        rigs.iter_mut().for_each(Rig::work);
    }
}

/// The rig of these instruments: runs on the same hardware share one, so that each board is read once.
fn open(rigs: &mut Vec<Rig>, instruments: Instruments) -> &mut Rig {
    let position = match rigs.iter().position(|rig| rig.is_made_of(&instruments)) {
        Some(position) => position,
        None => {
            rigs.push(Rig::open(instruments));
            rigs.len() - 1
        }
    };
    &mut rigs[position]
}

#[cfg(test)]
mod tests {
    use sootprint_core::{Kind, Power};

    use super::*;
    use crate::clock::VirtualClock;
    use crate::source::Replay;

    fn scripted(clock: &VirtualClock) -> Instruments {
        let script = [(1.0, 100.0), (1.0, 300.0)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
        Instruments::Replay(Replay::new().component(Kind::Gpu, "board", script).on_clock(clock.clone()))
    }

    /// The energy of a session's only component at a moment, in joules.
    fn energy_at(session: &Session, at: Duration) -> f64 {
        let (tell, told) = mpsc::channel();
        session.mark(at, Edge::Sharp, move |moment| {
            let _ = tell.send(moment.tally.energy_at(moment.now)[0]);
        });
        told.recv().unwrap().joules()
    }

    #[test]
    fn a_mark_finds_the_energy_of_its_own_moment_however_late_it_is_served() {
        let clock = VirtualClock::default();
        let meter = Meter::shared().unwrap();
        let (session, opening) = meter.attach(scripted(&clock), Box::new(|_, _| ())).unwrap();
        assert_eq!(opening.components.len(), 1);
        clock.advance(Duration::from_millis(1_500));
        let at = session.now();
        clock.advance(Duration::from_secs(20));
        // 1 s at 100 W and 0.5 s at 300 W.
        assert!((energy_at(&session, at) - 250.0).abs() < 1e-6);
    }

    #[test]
    fn two_sessions_count_from_their_own_beginnings() {
        let meter = Meter::shared().unwrap();
        let clock = VirtualClock::default();
        let (first, _) = meter.attach(scripted(&clock), Box::new(|_, _| ())).unwrap();
        clock.advance(Duration::from_secs(1));
        let (second, _) = meter.attach(scripted(&clock), Box::new(|_, _| ())).unwrap();
        let (beside, _) = first.beside()(Box::new(|_, _| ())).unwrap();
        clock.advance(Duration::from_secs(1));
        assert!((energy_at(&first, first.now()) - 400.0).abs() < 1e-6);
        // Of a script of its own, and of the first one's, which is in its second second.
        assert!((energy_at(&second, second.now()) - 300.0).abs() < 1e-6);
        assert!((energy_at(&beside, beside.now()) - 300.0).abs() < 1e-6);
    }

    #[test]
    fn runs_on_the_system_s_hardware_share_its_readings() {
        let meter = Meter::shared().unwrap();
        let system = || Instruments::System { nvml: Some("/nowhere/libnvidia-ml.so.1".into()), clock: None };
        let (first, opening) = meter.attach(system(), Box::new(|_, _| ())).unwrap();
        let (second, again) = meter.attach(system(), Box::new(|_, _| ())).unwrap();
        assert_eq!(opening.components, again.components);
        assert!(second.origin >= first.origin, "one clock serves both");
    }
}
