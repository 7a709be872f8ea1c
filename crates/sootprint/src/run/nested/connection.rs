//! The server side of one nested run: its events go into the enclosing run's record, and into a separate sum.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use sootprint_core::{Footprint, RunStatus};

use super::config::NestedRunConfig;
use super::device_visibility::DeviceVisibilityEnv;
use super::protocol::{
    ClientHello, NestedClientMessage, NestedReply, NestedServerMessage, PROTOCOL_VERSION, encode_line,
    message_age,
};
use super::server_context::ServerContext;
use crate::ledger::WorkCounts;
use crate::run::event::{EpochTotals, HookEvent, PhaseId, RunFact};
use crate::run::handle::RunHandle;
use crate::run::threads::spawn_thread;
use crate::run::timeouts::{FINISH_TIMEOUT, HANDSHAKE_TIMEOUT};

/// The longest message, in bytes.
const MAX_MESSAGE_LEN: u64 = 1 << 20;

/// How often a nested run receives its usage.
const USAGE_INTERVAL: Duration = Duration::from_secs(1);

const NOTE_NESTED: &str =
    "measured by the enclosing `sootprint run`, whose footprint counts this energy as well";
const NOTE_THIS_ATTEMPT: &str = "resumed from a checkpoint: only the footprint of the enclosing `sootprint run` includes earlier attempts";
const NOTE_FIRST_RANK: &str =
    "several ranks inside the command: the epochs and their phases are those of the first one";
const NOTE_SHARED: &str =
    "one of several ranks inside `sootprint run`: the figures are those of the whole command so far";

/// The measuring side of one nested run.
struct NestedConnection<'a> {
    server: &'a ServerContext,
    id: u64,
    /// The separate sum of this training. `None` for one of several ranks, which are measured as one, the command.
    nested_run: Option<RunHandle>,
    config: NestedRunConfig,
    /// Whether its epochs may be recorded: of several ranks inside one command, those of the first one are.
    records_epochs: bool,
    visibility: DeviceVisibilityEnv,
    /// The open epoch of a rank whose epochs are not recorded.
    unrecorded_epoch: Option<u32>,
    /// The open phases: ids in the training, and in the enclosing run.
    phase_ids: BTreeMap<PhaseId, PhaseId>,
    message_tx: Sender<NestedServerMessage>,
}

/// Serves one connection from the hello message to its end.
pub(crate) fn serve_connection(server: &ServerContext, id: u64, stream: UnixStream) {
    let Ok(write_stream) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    // A connection that stays silent must not take the place of others.
    let _ = reader.get_ref().set_read_timeout(Some(HANDSHAKE_TIMEOUT));
    let Some(ClientHello { rank, ranks, visibility, config, .. }) = read_hello(&mut reader) else { return };
    let _ = reader.get_ref().set_read_timeout(None);
    let run_id =
        if ranks > 1 { server.ledger_id.run.clone() } else { format!("{}-t{id}", server.ledger_id.run) };
    let nested_run = if ranks > 1 { None } else { server.run.nested_handle(run_id.clone(), &config) };
    if nested_run.is_none() && ranks <= 1 {
        return;
    }
    let (message_tx, message_rx) = mpsc::channel();
    // The client may be gone.
    let _ = message_tx
        .send(NestedServerMessage::Welcome { run_id, uses_virtual_time: server.run.uses_virtual_time() });
    let usage_source = nested_run.as_ref().unwrap_or(&server.run).clone();
    if spawn_thread("sootprint-nested-writer", move || {
        write_messages(write_stream, &message_rx, &usage_source)
    })
    .is_err()
    {
        return;
    }
    let records_epochs = rank == 0 || rank == server.ledger_id.rank;
    let mut connection = NestedConnection {
        server,
        id,
        nested_run,
        config,
        records_epochs,
        visibility,
        unrecorded_epoch: None,
        phase_ids: BTreeMap::new(),
        message_tx,
    };
    connection.start();
    while let Some(text) = read_message(&mut reader) {
        // Unknown messages of later versions are ignored.
        if let Ok(message) = serde_json::from_str(&text) {
            connection.handle_message(message);
        }
    }
    connection.on_disconnect();
}

impl NestedConnection<'_> {
    fn start(&self) {
        let label = self.config.label.clone();
        if label.training_type.is_some() {
            let (training_type, base_model) = (label.training_type, label.base_model);
            self.server.run.handle_event(
                Duration::ZERO,
                HookEvent::Fact(RunFact::TrainingType { training_type, base_model }),
                |_| (),
            );
        }
        if !self.records_epochs {
            self.server.run.add_note(NOTE_FIRST_RANK);
        }
        // The client may be gone.
        let _ = self.message_tx.send(NestedServerMessage::Usage(self.measuring_run().usage().into()));
    }

    /// The handle that measures the training: its separate sum, or the enclosing run.
    fn measuring_run(&self) -> &RunHandle {
        self.nested_run.as_ref().unwrap_or(&self.server.run)
    }

    fn handle_message(&mut self, message: NestedClientMessage) {
        match message {
            NestedClientMessage::Event { at, event, request_id } => {
                self.handle_event(message_age(at), event, request_id)
            }
            NestedClientMessage::Sample { request_id } => {
                let message_tx = self.message_tx.clone();
                self.measuring_run().sample(move |usage| {
                    // The client may be gone.
                    let _ = message_tx.send(NestedServerMessage::Usage(usage.into()));
                    let _ = message_tx
                        .send(NestedServerMessage::Reply(request_id, NestedReply::Sampled(usage.into())));
                });
            }
            NestedClientMessage::Flush { request_id } => {
                let is_flushed =
                    self.measuring_run().flush(FINISH_TIMEOUT) && self.server.run.flush(FINISH_TIMEOUT);
                if is_flushed {
                    self.send_reply(request_id, NestedReply::Flushed);
                }
            }
            NestedClientMessage::Finish { status, request_id } => {
                let footprint = self.finish(status);
                self.send_reply(request_id, NestedReply::Footprint(Box::new(footprint)));
            }
            NestedClientMessage::Hello(_) => {}
        }
    }

    /// Records an event in the training's sum, and in the enclosing run if this training's events are recorded there.
    fn handle_event(&mut self, age: Duration, event: HookEvent, request_id: Option<u64>) {
        let event = self.translate_devices(event);
        let reply = self.epoch_reply(request_id);
        match (self.nested_run.clone(), self.event_for_parent(event.clone())) {
            (Some(nested_run), parent_event) => {
                if event == HookEvent::Fact(RunFact::Resumed) {
                    nested_run.add_note(NOTE_THIS_ATTEMPT);
                }
                nested_run.handle_event(age, event, reply);
                if let Some(parent_event) = parent_event {
                    self.server.run.handle_event(age, parent_event, |_| ());
                }
            }
            (None, Some(parent_event)) => self.server.run.handle_event(age, parent_event, reply),
            (None, None) => reply(None),
        }
    }

    fn epoch_reply(&self, request_id: Option<u64>) -> impl FnOnce(Option<EpochTotals>) + Send + 'static {
        let (message_tx, run) = (self.message_tx.clone(), self.measuring_run().clone());
        move |totals| {
            if let Some(request_id) = request_id {
                // The client may be gone.
                let _ = message_tx.send(NestedServerMessage::Usage(run.usage().into()));
                let _ =
                    message_tx.send(NestedServerMessage::Reply(request_id, NestedReply::EpochEnded(totals)));
            }
        }
    }

    /// The event to record in the enclosing run. `None` if this training's epochs are not recorded there.
    fn event_for_parent(&mut self, event: HookEvent) -> Option<HookEvent> {
        if !self.records_epochs
            && let Some(work) = self.unrecorded_work(&event)
        {
            return Some(work);
        }
        if let HookEvent::TrainingLeft(counts) = event {
            // A training that only counted work has not claimed the epochs yet.
            let _ = counts != WorkCounts::default() && self.server.acquire_epochs(self.id);
            self.end_phases();
            return self.server.release_epochs(self.id).then_some(event);
        }
        let is_always_recorded = matches!(
            event,
            HookEvent::Fact(
                RunFact::Devices(_) | RunFact::Status(_) | RunFact::Note(_) | RunFact::TrainingType { .. }
            )
        );
        let is_recorded = is_always_recorded || self.records_epochs && self.server.acquire_epochs(self.id);
        if !is_recorded {
            return None;
        }
        // Two trainings may use the same phase ids.
        match event {
            HookEvent::PhaseStarted { id, name } => {
                let parent_id = self.server.run.next_phase_id();
                self.phase_ids.insert(id, parent_id);
                Some(HookEvent::PhaseStarted { id: parent_id, name })
            }
            HookEvent::PhaseEnded(id) => self.phase_ids.remove(&id).map(HookEvent::PhaseEnded),
            event => Some(event),
        }
    }

    /// The work counted by a rank whose epochs are not recorded.
    fn unrecorded_work(&mut self, event: &HookEvent) -> Option<HookEvent> {
        let (epoch, counts) = match event {
            HookEvent::EpochStarted { number, counts } => (self.unrecorded_epoch.replace(*number), *counts),
            HookEvent::EpochEnded { counts, .. } | HookEvent::TrainingLeft(counts) => {
                (self.unrecorded_epoch.take(), *counts)
            }
            _ => return None,
        };
        (counts != WorkCounts::default()).then_some(HookEvent::Fact(RunFact::Work { epoch, counts }))
    }

    /// Translates device ids into those of this process.
    fn translate_devices(&self, event: HookEvent) -> HookEvent {
        let HookEvent::Fact(RunFact::Devices(devices)) = event else { return event };
        let (own_visibility, components) =
            (DeviceVisibilityEnv::of_current_process(), self.server.run.components());
        let gpus: Vec<_> = components.iter().filter_map(|component| component.gpu.as_ref()).collect();
        let translate = |device| self.visibility.translate_device(device, &own_visibility, &gpus);
        HookEvent::Fact(RunFact::Devices(devices.into_iter().map(translate).collect()))
    }

    /// Finishes the training and returns its footprint, once the enclosing run has recorded all its events.
    fn finish(&self, status: Option<RunStatus>) -> Footprint {
        let is_flushed = self.server.run.flush(FINISH_TIMEOUT);
        let (mut footprint, note) = match &self.nested_run {
            Some(nested_run) => {
                nested_run.inherit_location(&self.server.run, &self.config);
                // A dropped run does not wait for the intensity provider.
                let provider = self.server.intensity_provider.clone().filter(|_| status.is_none());
                (nested_run.close(status, FINISH_TIMEOUT, None, provider).0, NOTE_NESTED)
            }
            None => (self.server.run.footprint_now(status), NOTE_SHARED),
        };
        footprint.notes.push(note.to_owned());
        if !is_flushed {
            footprint
                .notes
                .push("the record of the enclosing run may lack the end of this training".to_owned());
        }
        footprint
    }

    fn send_reply(&self, request_id: u64, reply: NestedReply) {
        // The client may be gone.
        let _ = self.message_tx.send(NestedServerMessage::Usage(self.measuring_run().usage().into()));
        let _ = self.message_tx.send(NestedServerMessage::Reply(request_id, reply));
    }

    /// The connection has ended; an epoch that is still open is incomplete.
    fn on_disconnect(mut self) {
        if let Some(event) = self.event_for_parent(HookEvent::TrainingLeft(WorkCounts::default())) {
            self.server.run.handle_event(Duration::ZERO, event, |_| ());
        }
    }

    fn end_phases(&mut self) {
        for phase in std::mem::take(&mut self.phase_ids).into_values() {
            self.server.run.handle_event(Duration::ZERO, HookEvent::PhaseEnded(phase), |_| ());
        }
    }
}

/// Reads one line. `None` at the end of the connection, or if the line is longer than a message can be.
fn read_message(reader: &mut BufReader<UnixStream>) -> Option<String> {
    let mut text = String::new();
    let length = reader.take(MAX_MESSAGE_LEN).read_line(&mut text).ok()?;
    (length > 0 && text.ends_with('\n')).then_some(text)
}

fn read_hello(reader: &mut BufReader<UnixStream>) -> Option<ClientHello> {
    match serde_json::from_str(&read_message(reader)?).ok()? {
        NestedClientMessage::Hello(hello) if hello.protocol == PROTOCOL_VERSION => Some(*hello),
        _ => None,
    }
}

/// Writes messages, and the training's usage every second.
fn write_messages(
    mut stream: UnixStream,
    messages: &Receiver<NestedServerMessage>,
    usage_source: &RunHandle,
) {
    let mut send = |message: &NestedServerMessage| -> io::Result<()> {
        stream.write_all(encode_line(message)?.as_bytes())
    };
    loop {
        let message = match messages.recv_timeout(USAGE_INTERVAL) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => NestedServerMessage::Usage(usage_source.usage().into()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if send(&message).is_err() {
            return;
        }
    }
}
