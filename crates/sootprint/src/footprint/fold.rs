//! From a ledger's entries to a footprint: the same sum for a run that goes on and for one that is read again.

use super::{ComponentSummary, EmissionsSummary, EnergySummary, EpochSummary, Footprint, RunSummary, SCHEMA};
use crate::grid::Origin;
use crate::ledger::{Entry, Opened, Outcome};
use crate::source::{Component, Kind};
use crate::tally::Total;
use crate::units::{Co2e, Energy, Power};

/// The footprint keeps at most this many points of power; a longer run's are thinned out evenly.
const MOST_POINTS: usize = 500;

/// What the entries so far add up to.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    opened: Box<Opened>,
    /// Positions of the boards that the framework trains on; none until it said so.
    claimed: Option<Vec<usize>>,
    unresolved: Vec<String>,
    planned: Option<u32>,
    at: f64,
    totals: Vec<Total>,
    epochs: Vec<Epoch>,
    notes: Vec<String>,
    outcome: Option<Outcome>,
    /// The energy of each component at some moments.
    trace: Vec<(f64, Vec<Energy>)>,
}

#[derive(Debug, Clone)]
struct Epoch {
    epoch: u32,
    duration: f64,
    energy: Vec<Energy>,
    completed: bool,
}

impl Fold {
    pub(crate) fn new(opened: Box<Opened>) -> Self {
        Self {
            opened,
            claimed: None,
            unresolved: Vec::new(),
            planned: None,
            at: 0.0,
            totals: Vec::new(),
            epochs: Vec::new(),
            notes: Vec::new(),
            outcome: None,
            trace: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Opened(opened) => self.opened = opened,
            Entry::Claimed { components, unresolved, .. } => self.claim(components, unresolved),
            Entry::Planned { epochs } => self.planned = Some(epochs),
            Entry::Totals { at, totals } => self.totals(at, totals),
            Entry::Epoch { epoch, start, end, energy, completed } => {
                self.at = self.at.max(end);
                self.epochs.push(Epoch { epoch, duration: end - start, energy, completed });
            }
            Entry::Note { text, .. } => self.note(text),
            Entry::Closed { at, outcome, totals } => {
                self.totals(at, totals);
                self.outcome = Some(outcome);
            }
        }
    }

    /// Adds what a reader of the footprint should hear, once.
    pub(crate) fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// How a run ends that is finished now and of which nobody said anything worse.
    pub(crate) fn natural_outcome(&self) -> Outcome {
        let completed = self.epochs.iter().filter(|epoch| epoch.completed).count();
        match self.planned {
            Some(planned) if completed < planned as usize => Outcome::StoppedEarly,
            _ => Outcome::Completed,
        }
    }

    /// Whether a component is part of the footprint: a board only when the framework trains on it or says nothing.
    pub(crate) fn counts(&self, position: usize, component: &Component) -> bool {
        match &self.claimed {
            Some(claimed) if component.kind == Kind::Gpu => claimed.contains(&position),
            _ => true,
        }
    }

    /// The grams for an amount of the components' energy, at the facility's meter.
    pub(crate) fn emissions(&self, energy: Energy) -> Co2e {
        energy * self.opened.pue.factor() * self.opened.grid.intensity
    }

    pub(crate) fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The footprint so far. `unclosed` is the outcome of a run that has no last entry.
    pub(crate) fn footprint(&self, unclosed: Outcome) -> Footprint {
        let opened = &*self.opened;
        let mut components = self.components(&opened.components);
        let hardware = hardware(&components);
        let energy = self.energy(opened, &components);
        let emissions = EmissionsSummary {
            best: energy.facility * opened.grid.intensity,
            low: energy.low * opened.pue.low * opened.grid.low,
            high: energy.high * opened.pue.high * opened.grid.high,
        };
        components.extend(self.unresolved.iter().map(|device| unmapped(device)));
        Footprint {
            schema: SCHEMA.to_owned(),
            run: RunSummary {
                id: opened.run.clone(),
                training_type: opened.training_type,
                base_model: opened.base_model.clone(),
                started: opened.started.clone(),
                duration_s: self.at,
                attempts: 1,
                ranks: 1,
                ranks_expected: 1,
                missing_ranks: Vec::new(),
                partial: components.iter().any(|component| component.method.is_none()),
                outcome: self.outcome.unwrap_or(unclosed),
                samples: None,
            },
            energy,
            emissions,
            grid: opened.grid.clone(),
            hardware,
            components,
            epochs: self.epochs.iter().map(|epoch| self.epoch(opened, epoch)).collect(),
            power: self.power(&opened.components),
            notes: self.all_notes(opened),
        }
    }

    /// The totals of the last entry that had any.
    pub(crate) fn last_totals(&self) -> Vec<Total> {
        self.totals.clone()
    }

    fn claim(&mut self, components: Vec<usize>, unresolved: Vec<String>) {
        let claimed = self.claimed.get_or_insert_default();
        claimed.extend(components);
        self.unresolved.extend(unresolved);
    }

    fn totals(&mut self, at: f64, totals: Vec<Total>) {
        self.at = self.at.max(at);
        self.trace.push((at, totals.iter().map(|total| total.energy).collect()));
        if self.trace.len() > 2 * MOST_POINTS {
            thin_out(&mut self.trace);
        }
        self.totals = totals;
    }

    fn components(&self, components: &[Component]) -> Vec<ComponentSummary> {
        let counted = components.iter().enumerate().filter(|(position, it)| self.counts(*position, it));
        counted
            .map(|(position, component)| {
                summary(component, self.totals.get(position).copied().unwrap_or_default())
            })
            .collect()
    }

    fn energy(&self, opened: &Opened, components: &[ComponentSummary]) -> EnergySummary {
        let of = |kind| components.iter().filter(|it| it.kind == kind).map(|it| it.energy).sum::<Energy>();
        let total: Energy = components.iter().map(|component| component.energy).sum();
        EnergySummary {
            total,
            low: components.iter().map(|component| component.low).sum(),
            high: components.iter().map(|component| component.high).sum(),
            gpu: of(Kind::Gpu),
            cpu: of(Kind::Cpu),
            memory: of(Kind::Memory),
            idle: None,
            idle_method: None,
            pue: opened.pue.factor(),
            pue_origin: opened.pue.origin.as_str().to_owned(),
            facility: total * opened.pue.factor(),
        }
    }

    fn epoch(&self, opened: &Opened, epoch: &Epoch) -> EpochSummary {
        let energy = self.sum(&opened.components, &epoch.energy);
        EpochSummary {
            epoch: epoch.epoch,
            attempt: 1,
            duration_s: epoch.duration,
            energy,
            emissions: self.emissions(energy),
            completed: epoch.completed,
        }
    }

    /// The sum of what counts.
    fn sum(&self, components: &[Component], energy: &[Energy]) -> Energy {
        let each = components.iter().zip(energy).enumerate();
        each.filter(|(position, (component, _))| self.counts(*position, component))
            .map(|(_, (_, energy))| *energy)
            .sum()
    }

    /// The mean power up to each kept moment.
    fn power(&self, components: &[Component]) -> Vec<(f64, f64)> {
        let mut trace = self.trace.clone();
        while trace.len() > MOST_POINTS {
            thin_out(&mut trace);
        }
        let (mut then, mut before) = (0.0, Energy::ZERO);
        let mut power = Vec::with_capacity(trace.len());
        for (at, energy) in trace {
            let energy = self.sum(components, &energy);
            if at > then {
                power.push((at, (energy - before).joules() / (at - then)));
                (then, before) = (at, energy);
            }
        }
        power
    }

    fn all_notes(&self, opened: &Opened) -> Vec<String> {
        let mut notes = self.notes.clone();
        notes.extend(opened.gaps.iter().cloned());
        if opened.grid.origin == Origin::Unknown {
            notes.push(
                "nobody said where the run is: the world's mean intensity, 36 to 802 g/kWh, stands in; \
                 name the place with SOOTPRINT_PLACE"
                    .to_owned(),
            );
        }
        if self.claimed.is_none() && opened.components.iter().any(|component| component.kind == Kind::Gpu) {
            notes
                .push("no framework said which boards it trains on: all visible ones are counted".to_owned());
        }
        notes
    }
}

/// Takes out every second point and keeps the last.
fn thin_out(trace: &mut Vec<(f64, Vec<Energy>)>) {
    let odd = trace.len() % 2;
    let mut index = 0;
    trace.retain(|_| {
        index += 1;
        index % 2 == odd
    });
}

fn summary(component: &Component, total: Total) -> ComponentSummary {
    let was_read = total.measured > 0.0 || total.unmeasured <= 0.0;
    let unread = component.limit.unwrap_or_default().watts() * total.unmeasured;
    ComponentSummary {
        kind: component.kind,
        id: component.id.clone(),
        name: component.name.clone(),
        method: was_read.then_some(component.method),
        energy: total.energy,
        low: total.low,
        high: total.high + Energy::from_joules(unread),
        mean: (total.measured > 0.0).then(|| Power::from_watts(total.energy.joules() / total.measured)),
        limit: component.limit,
        share: component.share,
        shared: false,
        measured_s: total.measured,
        unmeasured_s: total.unmeasured,
        resets: total.resets,
        note: component.note.clone(),
    }
}

/// A device that the framework trained on and no source knows.
fn unmapped(device: &str) -> ComponentSummary {
    ComponentSummary {
        kind: Kind::Gpu,
        id: device.to_owned(),
        name: device.to_owned(),
        method: None,
        energy: Energy::ZERO,
        low: Energy::ZERO,
        high: Energy::ZERO,
        mean: None,
        limit: None,
        share: 1.0,
        shared: false,
        measured_s: 0.0,
        unmeasured_s: 0.0,
        resets: 0,
        note: Some(
            "it was trained on and no source of this machine measures it; see `sootprint doctor`".to_owned(),
        ),
    }
}

/// Boards of one name are counted; processors are named where there is no board.
fn hardware(components: &[ComponentSummary]) -> String {
    let kind = if components.iter().any(|it| it.kind == Kind::Gpu) { Kind::Gpu } else { Kind::Cpu };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for component in components.iter().filter(|component| component.kind == kind) {
        match counts.iter_mut().find(|(name, _)| *name == component.name) {
            Some((_, count)) => *count += 1,
            None => counts.push((&component.name, 1)),
        }
    }
    let lines: Vec<String> = counts.iter().map(|(name, count)| format!("{count} x {name}")).collect();
    lines.join(", ")
}

#[cfg(test)]
mod tests;
