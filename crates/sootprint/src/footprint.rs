//! From a ledger's entries to a footprint: the same sum for a run that goes on and for one that is read again.

mod components;
mod epochs;
mod merge;
mod notes;
mod trace;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sootprint_core::{Answer, Co2e, Energy, Kind, Outcome, Power, Series, weighted};
use sootprint_power::{Component, Total, Users};

use super::{ComponentSummary, EmissionsSummary, EnergySummary, Footprint, RunSummary, SCHEMA};
use crate::ledger::{Counts, Entry, OpenEpoch, Opened};
use components::{hardware, summary, unmapped};
use epochs::{Between, Epoch};
use trace::{Trace, lowest_seen};

pub(crate) use merge::merged;

/// What the entries so far add up to.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    opened: Box<Opened>,
    /// Positions of the boards that the framework trains on; none until it said so.
    claimed: Option<Vec<usize>>,
    unresolved: Vec<String>,
    /// Who was seen on each component, over the whole run.
    users: BTreeMap<usize, Users>,
    /// The power of each component at rest, if it was measured.
    rest: Option<Vec<Power>>,
    planned: Option<u32>,
    at: f64,
    /// The last totals, and the moment that they are of.
    totals: Vec<Total>,
    totalled: f64,
    epochs: Vec<Epoch>,
    /// What other ranks counted in epochs that have not ended here.
    ahead: BTreeMap<u32, Counts>,
    /// What was counted outside of epochs, and the phases there.
    between: Between,
    slices: Option<String>,
    notes: Vec<String>,
    outcome: Option<Outcome>,
    live: Option<Series>,
    trace: Trace,
}

/// An idle energy and the word for how it was found.
type Idle = (Energy, &'static str);

impl Fold {
    pub(crate) fn new(opened: Box<Opened>) -> Self {
        Self {
            opened,
            claimed: None,
            unresolved: Vec::new(),
            users: BTreeMap::new(),
            rest: None,
            planned: None,
            at: 0.0,
            totals: Vec::new(),
            totalled: 0.0,
            epochs: Vec::new(),
            ahead: BTreeMap::new(),
            between: Between::default(),
            slices: None,
            notes: Vec::new(),
            outcome: None,
            live: None,
            trace: Trace::default(),
        }
    }

    pub(crate) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Opened(opened) => self.opened = opened,
            Entry::Claimed { components, unresolved, .. } => self.claim(components, unresolved),
            Entry::Used { component, users, .. } => {
                let seen = self.users.entry(component).or_default();
                *seen = Users { ours: seen.ours || users.ours, others: seen.others || users.others };
            }
            Entry::Rested { power } => self.rest = Some(power),
            Entry::Labelled { training_type, base_model } => {
                (self.opened.training_type, self.opened.base_model) = (training_type, base_model);
            }
            Entry::Planned { epochs } => self.planned = Some(epochs),
            Entry::Totals { at, totals } => self.totals(at, totals),
            Entry::Energy { at, energy } => self.totals(at, self.reached(at, &energy)),
            Entry::Beat { at, totals, epoch } => self.beat(at, totals, epoch),
            Entry::Resumed { run, attempt } => {
                self.opened.run = run;
                self.opened.task.attempt = attempt;
            }
            Entry::Counted { epoch, counts } => self.count(epoch, counts),
            Entry::Epoch { epoch, start, end, energy, completed, mut counts, phases } => {
                self.at = self.at.max(end);
                let duration = end - start;
                counts.add(self.ahead.remove(&epoch).unwrap_or_default());
                self.epochs.push(Epoch { epoch, start, duration, energy, completed, counts, phases });
            }
            Entry::Between { at, counts, phases } => {
                self.at = self.at.max(at);
                self.between.add(counts, phases);
            }
            Entry::Sliced { every } => self.slices = Some(every),
            Entry::Note { text, .. } => self.note(text),
            Entry::Located { grid, pue } => {
                self.opened.grid = *grid;
                self.opened.pue = pue;
            }
            Entry::Live(series) => {
                self.live = Some(match self.live.take() {
                    Some(earlier) => earlier.updated(series),
                    None => series,
                });
            }
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

    /// Whether a component is part of the footprint. A board is when the framework trains on it; where no framework
    /// says so, when a process of ours was seen on it; where none was seen on any, all are.
    pub(crate) fn counts(&self, position: usize, component: &Component) -> bool {
        if component.kind != Kind::Gpu {
            return true;
        }
        match &self.claimed {
            Some(claimed) => claimed.contains(&position),
            None => !self.knows_ours() || self.users.get(&position).is_some_and(|users| users.ours),
        }
    }

    /// Whether a process of ours was seen on any board.
    fn knows_ours(&self) -> bool {
        self.users.values().any(|users| users.ours)
    }

    /// The grams for an amount of the components' energy, at the facility's meter; as far as they are known before
    /// a live provider is asked.
    pub(crate) fn emissions(&self, energy: Energy) -> Co2e {
        energy * self.opened.pue.factor() * self.opened.grid.intensity
    }

    /// The periods of an answer that are not known as they are.
    pub(crate) fn news(&self, series: Series) -> Series {
        match &self.live {
            Some(known) => series.beyond(known),
            None => series,
        }
    }

    /// The part of the time for which no hour's figure was found yet; none when all were.
    pub(crate) fn missing(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.live {
            Some(known) => known.missing(from, to),
            None => Some((from, to)),
        }
    }

    /// Whether there are any figures for the hours.
    pub(crate) const fn has_hours(&self) -> bool {
        self.live.is_some()
    }

    /// The power of each component at rest, where it was measured.
    #[cfg(unix)]
    pub(crate) fn rest(&self) -> Option<&[Power]> {
        self.rest.as_deref()
    }

    pub(crate) fn opened(&self) -> &Opened {
        &self.opened
    }

    pub(crate) fn opened_mut(&mut self) -> &mut Opened {
        &mut self.opened
    }

    /// The footprint so far. `unclosed` is the outcome of a run that has no last entry.
    pub(crate) fn footprint(&self, unclosed: Outcome) -> Footprint {
        let opened = &*self.opened;
        let mut components = self.components(&opened.components);
        let hardware = hardware(&components);
        let power = trace::power(self.summed());
        let energy = self.energy(opened, &components, self.idle(&power));
        let (grid, uncovered) = self.grid(opened);
        let emissions = EmissionsSummary {
            best: energy.facility * grid.intensity,
            low: energy.low * opened.pue.bounds().0 * grid.low,
            high: energy.high * opened.pue.bounds().1 * grid.high,
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
                ranks_expected: opened.task.ranks,
                missing_ranks: Vec::new(),
                partial: opened.task.ranks > 1
                    || components.iter().any(|component| component.method.is_none()),
                outcome: self.outcome.unwrap_or(unclosed),
                samples: self.counted().samples,
                tokens: self.counted().tokens,
                slices: self.slices.clone(),
            },
            energy,
            emissions,
            epochs: self.epochs.iter().map(|epoch| self.epoch(opened, &grid, epoch)).collect(),
            phases: self.phases(opened, &grid),
            notes: self.all_notes(opened, &grid, uncovered),
            grid,
            hardware,
            components,
            power,
        }
    }

    /// The last moment that an entry spoke of, and the totals of the last entry that had any.
    pub(crate) fn last(&self) -> (f64, Vec<Total>) {
        (self.at, self.totals.clone())
    }

    fn claim(&mut self, components: Vec<usize>, unresolved: Vec<String>) {
        let claimed = self.claimed.get_or_insert_default();
        claimed.extend(components);
        self.unresolved.extend(unresolved);
    }

    /// The totals at a moment of which the energies alone are known: the bounds keep their distance.
    fn reached(&self, at: f64, energy: &[Option<Energy>]) -> Vec<Total> {
        let time = (at - self.totalled).max(0.0);
        let reach = |(total, energy): (&Total, &Option<Energy>)| match energy {
            Some(energy) => {
                let times =
                    if total.energy > Energy::ZERO { energy.joules() / total.energy.joules() } else { 1.0 };
                let grown = if total.energy > Energy::ZERO { Energy::ZERO } else { *energy };
                Total {
                    energy: *energy,
                    low: total.low * times,
                    high: total.high * times + grown,
                    measured: total.measured + time,
                    ..*total
                }
            }
            None => Total { unmeasured: total.unmeasured + time, ..*total },
        };
        self.totals.iter().zip(energy).map(reach).collect()
    }

    /// The heartbeat of a process that left no last line. An older one says nothing.
    fn beat(&mut self, at: f64, totals: Vec<Total>, epoch: Option<OpenEpoch>) {
        if at < self.at {
            return;
        }
        // It is written before a reading tells the end of an epoch that it still has as open.
        let is_known =
            |open: &OpenEpoch| self.epochs.iter().any(|it| (it.epoch, it.start) == (open.epoch, open.start));
        let epoch = epoch.filter(|open| !is_known(open));
        self.epochs.extend(epoch.map(|open| Epoch::cut(open, at)));
        if at > self.totalled {
            self.totals(at, totals);
        }
    }

    fn totals(&mut self, at: f64, totals: Vec<Total>) {
        self.totalled = at;
        self.at = self.at.max(at);
        self.trace.push(at, totals.iter().map(|total| total.energy).collect());
        self.totals = totals;
    }

    fn components(&self, components: &[Component]) -> Vec<ComponentSummary> {
        let counted = components.iter().enumerate().filter(|(position, it)| self.counts(*position, it));
        counted
            .map(|(position, component)| {
                let shared = self.users.get(&position).is_some_and(|users| users.others);
                let total = self.totals.get(position).copied().unwrap_or_default();
                ComponentSummary { shared, ..summary(component, total) }
            })
            .collect()
    }

    fn energy(&self, opened: &Opened, components: &[ComponentSummary], idle: Option<Idle>) -> EnergySummary {
        let of = |kind| components.iter().filter(|it| it.kind == kind).map(|it| it.energy).sum::<Energy>();
        let total: Energy = components.iter().map(|component| component.energy).sum();
        EnergySummary {
            total,
            low: components.iter().map(|component| component.low).sum(),
            high: components.iter().map(|component| component.high).sum(),
            gpu: of(Kind::Gpu),
            cpu: of(Kind::Cpu),
            memory: of(Kind::Memory),
            idle: idle.map(|(energy, _)| energy),
            idle_method: idle.map(|(_, method)| method.to_owned()),
            pue: opened.pue.factor(),
            pue_origin: opened.pue.origin().as_str().to_owned(),
            pue_year: opened.pue.year(),
            facility: total * opened.pue.factor(),
        }
    }

    /// What the run's hardware would have used at rest: as it was measured before the run, else as it was seen.
    fn idle(&self, power: &[(f64, f64)]) -> Option<Idle> {
        let Some(rest) = &self.rest else {
            return lowest_seen(power, self.at).map(|energy| (energy, "lowest_seen"));
        };
        let each: Vec<Energy> =
            rest.iter().map(|power| Energy::from_joules(power.watts() * self.at)).collect();
        Some((self.sum(&self.opened.components, &each), "baseline"))
    }

    /// The intensity of the run's electricity, and the energy that a live series does not cover.
    fn grid(&self, opened: &Opened) -> (Answer, Energy) {
        match (&self.live, opened.started.parse()) {
            (Some(series), Ok(started)) => weighted(&opened.grid, series, started, &self.summed()),
            _ => (opened.grid.clone(), Energy::ZERO),
        }
    }

    /// The energy of all that counts, at some moments.
    fn summed(&self) -> Vec<(f64, Energy)> {
        self.trace.summed(|each| self.sum(&self.opened.components, each))
    }

    /// The sum of what counts.
    pub(crate) fn sum(&self, components: &[Component], energy: &[Energy]) -> Energy {
        let each = components.iter().zip(energy).enumerate();
        each.filter(|(position, (component, _))| self.counts(*position, component))
            .map(|(_, (_, energy))| *energy)
            .sum()
    }
}

#[cfg(test)]
mod tests;
