//! The carbon intensity of all ledgers, which may differ in place and time.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{CarbonIntensity, EmissionScope, Energy, GridIntensity, GridPlace, Pue};

use super::ledger_merge::LedgerMerge;

/// The energy that is taken from one ledger, with its PUE and intensity.
pub(super) struct LedgerEnergy {
    pub(super) energy: Energy,
    pub(super) low: Energy,
    pub(super) high: Energy,
    pub(super) pue: Pue,
    pub(super) grid: GridIntensity,
    /// The energy that a series does not cover.
    pub(super) uncovered: Energy,
}

impl LedgerEnergy {
    pub(super) fn facility_energy(&self) -> Energy {
        self.energy * self.pue.factor()
    }
}

impl LedgerMerge<'_> {
    pub(super) fn ledger_energy(&self, index: usize) -> LedgerEnergy {
        let builder = self.ledgers[index].builder;
        let (grid, uncovered) = builder.grid_intensity();
        let (mut energy, mut low, mut high) = (Energy::ZERO, Energy::ZERO, Energy::ZERO);
        let first = self.contributions.partition_point(|contribution| contribution.ledger < index);
        let of_ledger = self.contributions[first..].iter().take_while(|it| it.ledger == index);
        for contribution in of_ledger {
            let summary = builder.component_summary(contribution.component, contribution.total);
            energy += summary.energy;
            low += summary.low;
            high += summary.high;
        }
        LedgerEnergy { energy, low, high, pue: builder.header.pue, grid, uncovered }
    }

    /// The common intensity of all ledgers, or the mean weighted by energy if they differ.
    pub(super) fn merged_intensity(&self, ledger_energies: &[LedgerEnergy]) -> GridIntensity {
        let largest = |of: &[usize]| {
            let by_energy = |one: &&usize, other: &&usize| {
                ledger_energies[**one].energy.joules().total_cmp(&ledger_energies[**other].energy.joules())
            };
            of.iter().rev().max_by(by_energy).map(|index| &ledger_energies[*index])
        };
        let all: Vec<usize> = (0..ledger_energies.len()).collect();
        let Some(main) = largest(&all) else { return GridIntensity::world_average(0) };
        if ledger_energies.iter().all(|it| it.grid == main.grid) {
            return main.grid.clone();
        }
        let energy: Energy = ledger_energies.iter().map(LedgerEnergy::facility_energy).sum();
        if energy <= Energy::ZERO {
            return main.grid.clone();
        }
        let mean = |figure: fn(&GridIntensity) -> CarbonIntensity| {
            let weighted =
                |it: &LedgerEnergy| figure(&it.grid) * (it.facility_energy().joules() / energy.joules());
            ledger_energies.iter().map(weighted).sum::<CarbonIntensity>()
        };
        // The ranks of an attempt had the same hours, so one of them is used.
        let mut attempts: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, ledger) in self.ledgers.iter().enumerate() {
            attempts.entry(ledger.attempt).or_default().push(index);
        }
        let hours = attempts.values().filter_map(|of| largest(of)).flat_map(|it| it.grid.hours.clone());
        let places = place_shares(ledger_energies, energy);
        let sources: BTreeSet<&str> = ledger_energies.iter().map(|it| it.grid.source.as_str()).collect();
        let is_same_scope = ledger_energies.iter().all(|it| it.grid.basis == main.grid.basis);
        GridIntensity {
            intensity: mean(|grid| grid.intensity),
            low: mean(|grid| grid.low),
            high: mean(|grid| grid.high),
            basis: if is_same_scope { main.grid.basis } else { EmissionScope::Unknown },
            hours: hours.collect(),
            source: sources.into_iter().filter(|source| !source.is_empty()).collect::<Vec<_>>().join("; "),
            ..match places.len() {
                0 | 1 => main.grid.clone(),
                _ => {
                    let names = places.iter().map(|it| it.place.as_deref().unwrap_or("unknown place"));
                    let place = Some(names.collect::<Vec<_>>().join(", "));
                    let (zone, provider, region) = (None, None, None);
                    GridIntensity { place, zone, provider, region, places, ..main.grid.clone() }
                }
            }
        }
    }
}

/// The places of the ledgers, each with its share of the energy, largest first.
fn place_shares(ledger_energies: &[LedgerEnergy], total: Energy) -> Vec<GridPlace> {
    let mut places: Vec<(GridPlace, Energy)> = Vec::new();
    for it in ledger_energies {
        let is_same = |(place, _): &&mut (GridPlace, Energy)| {
            (&place.place, &place.zone) == (&it.grid.place, &it.grid.zone)
        };
        let energy = it.facility_energy();
        match places.iter_mut().find(is_same) {
            Some((known, sum)) => {
                let both = *sum + energy;
                if both > Energy::ZERO {
                    let part = energy.joules() / both.joules();
                    known.intensity = known.intensity * (1.0 - part) + it.grid.intensity * part;
                }
                *sum = both;
            }
            None => {
                let (place, zone) = (it.grid.place.clone(), it.grid.zone.clone());
                places.push((GridPlace { place, zone, share: 0.0, intensity: it.grid.intensity }, energy));
            }
        }
    }
    places.sort_by(|one, other| other.1.joules().total_cmp(&one.1.joules()));
    let share =
        |(place, energy): (GridPlace, Energy)| GridPlace { share: energy.joules() / total.joules(), ..place };
    places.into_iter().map(share).collect()
}
