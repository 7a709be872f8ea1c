//! Runs a source on a thread of its own, so that a driver that hangs delays nothing else.
//!
//! A call that is stuck in the kernel cannot be cancelled. Its thread stays until the call returns, and may
//! keep the process from exiting.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::Power;

use super::source_probe::SourceProbe;
use super::{ComponentInfo, EnergySource, ReadCadence, ReadError, SensorReading, TimedReading};
use crate::clock::SamplerClock;

/// How long the sampler waits for the answer to a request. A slow counter takes 5 ms.
const REPLY_TIMEOUT: Duration = Duration::from_millis(100);

/// After this time without an answer, the components of the driver count as unavailable.
const UNAVAILABLE_AFTER: Duration = Duration::from_secs(2);

/// A driver that is being opened.
pub(crate) struct OpeningDriver {
    name: &'static str,
    /// Why the driver is deliberately not opened yet, if that is the case.
    reason: Option<&'static str>,
    started: Instant,
    opened_rx: Receiver<OpenedDriver>,
}

/// A driver that has been opened. Its source stays on the driver's thread; `thread` exchanges messages with
/// it.
struct OpenedDriver {
    probe: SourceProbe,
    /// `None` if there is no source.
    thread: Option<DriverThread>,
}

impl OpeningDriver {
    /// Starts a thread that opens a driver.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(
        name: &'static str,
        clock: SamplerClock,
        open: impl FnOnce() -> SourceProbe + Send + 'static,
    ) -> io::Result<Self> {
        let (opened_tx, opened_rx) = mpsc::channel();
        thread::Builder::new().name(format!("sootprint-{}", name.to_lowercase())).spawn(move || {
            let mut probe = open();
            let Some(source) = probe.source.take() else {
                // The receiver may be gone.
                let _ = opened_tx.send(OpenedDriver { probe, thread: None });
                return;
            };
            let (request_tx, request_rx) = mpsc::channel();
            let (reply_tx, reply_rx) = mpsc::channel();
            let thread = DriverThread::new(source.as_ref(), request_tx, reply_rx);
            if opened_tx.send(OpenedDriver { probe, thread: Some(thread) }).is_ok() {
                answer_requests(source, &clock, &request_rx, &reply_tx);
            }
        })?;
        Ok(Self { name, reason: None, started: Instant::now(), opened_rx })
    }

    /// Sets the reason why the driver is deliberately not opened yet. If there is one, nothing waits for the
    /// driver.
    pub(crate) fn with_reason(self, reason: Option<&'static str>) -> Self {
        Self { reason, ..self }
    }

    /// Returns the reason why the components of the driver are missing so far.
    pub(crate) fn pending_reason(&self) -> String {
        match self.reason {
            Some(reason) => format!("{}: {reason}", self.name),
            None => format!(
                "{}: no answer from the driver at the start; its GPUs are measured once it answers",
                self.name
            ),
        }
    }

    /// Waits until the driver has been opened, and returns its source or the reason why there is none.
    /// Returns the driver itself as the error if opening takes longer than `timeout`.
    pub(crate) fn finish(self, timeout: Duration) -> Result<SourceProbe, Self> {
        let timeout = if self.reason.is_some() { Duration::ZERO } else { timeout };
        match self.opened_rx.recv_timeout(timeout) {
            Ok(OpenedDriver { probe, thread }) => {
                Ok(SourceProbe { source: thread.map(|thread| Box::new(thread) as Box<_>), ..probe })
            }
            Err(RecvTimeoutError::Timeout) => Err(self),
            Err(RecvTimeoutError::Disconnected) => {
                Ok(SourceProbe::unavailable(self.name, format!("{}: the driver crashed", self.name)))
            }
        }
    }

    /// Whether it waits for a suspended GPU, and not for an answer.
    pub(crate) fn waits_for_gpu(&self) -> bool {
        self.reason.is_some()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The time since the thread that opens the driver was started.
    pub(crate) fn waited(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A source that another thread reads.
struct DriverThread {
    request_tx: Sender<DriverRequest>,
    reply_rx: Receiver<DriverReply>,
    components: Vec<DriverComponent>,
    gaps: Vec<String>,
    /// When the unanswered request was sent. `None` if all requests have been answered.
    busy_since: Option<Instant>,
    /// Whether the thread has ended because its driver crashed.
    has_ended: bool,
}

struct DriverComponent {
    info: ComponentInfo,
    cadence: ReadCadence,
    is_ticking_counter: bool,
    /// A reading that arrived after the sampler had stopped waiting for it.
    late_reading: Option<TimedReading>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DriverRequest {
    Reading(usize),
    Power(usize),
    Processes(usize),
}

enum DriverReply {
    Reading(usize, TimedReading),
    Power(Option<Power>),
    Processes(Option<Vec<u32>>),
}

/// Answers requests until the channel is closed.
fn answer_requests(
    mut source: Box<dyn EnergySource>,
    clock: &SamplerClock,
    request_rx: &Receiver<DriverRequest>,
    reply_tx: &Sender<DriverReply>,
) {
    for request in request_rx {
        let reply = match request {
            DriverRequest::Reading(index) => {
                DriverReply::Reading(index, source.read_timed(index, &|| clock.now()))
            }
            DriverRequest::Power(index) => DriverReply::Power(source.read_power(index)),
            DriverRequest::Processes(index) => DriverReply::Processes(source.compute_processes(index)),
        };
        if reply_tx.send(reply).is_err() {
            return;
        }
    }
}

impl DriverThread {
    fn new(
        source: &dyn EnergySource,
        request_tx: Sender<DriverRequest>,
        reply_rx: Receiver<DriverReply>,
    ) -> Self {
        let component = |(index, info)| DriverComponent {
            info,
            cadence: source.cadence(index),
            is_ticking_counter: source.is_ticking_counter(index),
            late_reading: None,
        };
        let components = source.components().into_iter().enumerate().map(component).collect();
        Self { request_tx, reply_rx, components, gaps: source.gaps(), busy_since: None, has_ended: false }
    }

    /// Sends a request and waits for its answer. `None` if the driver is still busy with an earlier request,
    /// or does not answer in time.
    fn request(&mut self, request: DriverRequest) -> Option<DriverReply> {
        self.collect_late();
        if self.busy_since.is_some() {
            return None;
        }
        if self.request_tx.send(request).is_err() {
            self.has_ended = true;
            return None;
        }
        self.busy_since = Some(Instant::now());
        match self.reply_rx.recv_timeout(REPLY_TIMEOUT) {
            Ok(reply) => {
                self.busy_since = None;
                Some(reply)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.has_ended = true;
                None
            }
        }
    }

    /// Takes the answer that has arrived since, if there is one. A late reading is kept for the next time that the
    /// sampler asks for it. A late power or list of processes is out of date.
    fn collect_late(&mut self) {
        if self.busy_since.is_none() {
            return;
        }
        let Ok(reply) = self.reply_rx.try_recv() else { return };
        self.busy_since = None;
        if let DriverReply::Reading(index, reading) = reply
            && let Some(component) = self.components.get_mut(index)
        {
            component.late_reading = Some(reading);
        }
    }
}

impl EnergySource for DriverThread {
    fn components(&self) -> Vec<ComponentInfo> {
        self.components.iter().map(|component| component.info.clone()).collect()
    }

    fn cadence(&self, index: usize) -> ReadCadence {
        self.components.get(index).map_or_else(ReadCadence::default, |component| component.cadence)
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
        self.read_timed(index, &|| now).reading.unwrap_or_else(|| Err(no_answer(REPLY_TIMEOUT)))
    }

    fn read_timed(&mut self, index: usize, clock: &dyn Fn() -> Duration) -> TimedReading {
        let started = clock();
        self.collect_late();
        // A later reading must not overtake it.
        if let Some(late) = self.components.get_mut(index).and_then(|it| it.late_reading.take()) {
            return late;
        }
        let reply =
            if self.busy_since.is_some() { None } else { self.request(DriverRequest::Reading(index)) };
        let reading = match reply {
            Some(DriverReply::Reading(_, reply)) => reply.reading,
            _ if self.has_ended => Some(Err(ReadError::Lost("the driver crashed".to_owned()))),
            _ => {
                let waited = self.busy_since.map_or(Duration::ZERO, |since| since.elapsed());
                (waited >= UNAVAILABLE_AFTER).then(|| Err(no_answer(UNAVAILABLE_AFTER)))
            }
        };
        TimedReading { started, ended: clock(), reading }
    }

    fn is_ticking_counter(&self, index: usize) -> bool {
        self.components.get(index).is_some_and(|component| component.is_ticking_counter)
    }

    fn read_power(&mut self, index: usize) -> Option<Power> {
        match self.request(DriverRequest::Power(index))? {
            DriverReply::Power(power) => power,
            _ => None,
        }
    }

    fn compute_processes(&mut self, index: usize) -> Option<Vec<u32>> {
        match self.request(DriverRequest::Processes(index))? {
            DriverReply::Processes(processes) => processes,
            _ => None,
        }
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

fn no_answer(waited: Duration) -> ReadError {
    ReadError::Failed(format!("the driver has not answered for {} s", waited.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use sootprint_core::{ComponentKind, Energy};

    use super::*;
    use crate::source::Replay;

    /// A driver whose reads wait for a lock that the test holds.
    struct BlockingDriver {
        replay: Replay,
        gate: Arc<Mutex<()>>,
        reads: Arc<AtomicU64>,
    }

    impl EnergySource for BlockingDriver {
        fn components(&self) -> Vec<ComponentInfo> {
            self.replay.components()
        }
        fn cadence(&self, index: usize) -> ReadCadence {
            self.replay.cadence(index)
        }
        fn read(&mut self, _: usize, _: Duration) -> Result<SensorReading, ReadError> {
            let _open = self.gate.lock();
            let reads = self.reads.fetch_add(1, Ordering::Relaxed);
            Ok(SensorReading::Counter(Energy::from_joules(reads as f64)))
        }
    }

    fn blocking_driver() -> (BlockingDriver, Arc<Mutex<()>>, Arc<AtomicU64>) {
        let (gate, reads) = (Arc::new(Mutex::new(())), Arc::new(AtomicU64::new(0)));
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        let replay = Replay::new().with_component(ComponentKind::Gpu, "GPU", steady);
        (BlockingDriver { replay, gate: Arc::clone(&gate), reads: Arc::clone(&reads) }, gate, reads)
    }

    fn system_clock() -> SamplerClock {
        SamplerClock::System(Instant::now())
    }

    fn is_pending(source: &mut dyn EnergySource) -> bool {
        source.read_timed(0, &|| Duration::ZERO).reading.is_none()
    }

    #[test]
    fn blocked_read_is_pending_then_late() {
        let (driver, gate, reads) = blocking_driver();
        let opening =
            OpeningDriver::start("GPU", system_clock(), || SourceProbe::available("GPU", driver)).unwrap();
        let probe = opening.finish(Duration::from_secs(10)).ok().unwrap();
        let mut source = probe.source.unwrap();
        assert_eq!(source.components().len(), 1);
        let closed = gate.lock().unwrap();
        assert!(is_pending(source.as_mut()));
        let asked = Instant::now();
        assert!(is_pending(source.as_mut()), "the first request is still open");
        assert!(asked.elapsed() < REPLY_TIMEOUT, "nothing waits for a driver that is busy");
        drop(closed);
        // The late reading comes first, then new ones.
        let mut readings = Vec::new();
        while readings.len() < 2 {
            readings.extend(source.read_timed(0, &|| Duration::ZERO).reading);
        }
        let counters = [0.0, 1.0].map(|joules| Ok(SensorReading::Counter(Energy::from_joules(joules))));
        assert_eq!(readings, counters);
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn driver_that_opens_late_is_returned() {
        let (driver, gate, _) = blocking_driver();
        let closed = gate.lock().unwrap();
        let open_gate = Arc::clone(&gate);
        let opening = OpeningDriver::start("GPU", system_clock(), move || {
            drop(open_gate.lock());
            SourceProbe::available("GPU", driver)
        });
        let Err(opening) = opening.unwrap().finish(Duration::from_millis(1)) else {
            panic!("it cannot open")
        };
        assert_eq!(opening.name(), "GPU");
        drop(closed);
        assert!(opening.finish(Duration::from_secs(10)).is_ok_and(|probe| probe.source.is_some()));
    }

    #[test]
    fn crash_while_opening_is_reported() {
        let opening = OpeningDriver::start("GPU", system_clock(), || panic!("as a faulty library would"));
        let probe = opening.unwrap().finish(Duration::from_secs(10)).ok().unwrap();
        assert!(probe.source.is_none() && probe.warning().is_some_and(|warning| warning.contains("crashed")));
    }
}
