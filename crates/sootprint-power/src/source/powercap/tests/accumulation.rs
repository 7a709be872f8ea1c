//! Tests of the accumulator with counters that wrap, restart, fail and disappear.

use super::*;
use crate::accumulator::{ComponentTotal, EnergyAccumulator, SensorEvent};

/// The accumulated energy of the CPU.
struct RaplAccumulation {
    accumulator: EnergyAccumulator,
    events: Vec<SensorEvent>,
}

impl RaplAccumulation {
    fn new(source: &Powercap) -> Self {
        let components = source.components();
        let accumulator = EnergyAccumulator::new(
            components[..1].iter().map(|component| (component, source.is_ticking_counter(0))),
        );
        Self { accumulator, events: Vec::new() }
    }

    fn read(&mut self, source: &mut Powercap, second: u64) -> ComponentTotal {
        let now = Duration::from_secs(second);
        self.events.extend(self.accumulator.record_reading(now, 0, source.read(0, now)));
        self.accumulator.totals(now)[0]
    }
}

fn assert_total(total: ComponentTotal, joules: f64, measured: f64, unmeasured: f64) {
    let close = |one: f64, other: f64| (one - other).abs() < 1e-6;
    assert!(
        close(total.energy.joules(), joules)
            && close(total.measured, measured)
            && close(total.unmeasured, unmeasured),
        "{total:?}, not {joules} J in {measured} s and {unmeasured} s unmeasured"
    );
}

#[test]
fn package_wrap_is_not_a_reset() {
    let tree = dual_socket_server();
    set_energy(&tree, "intel-rapl:0", 262_143);
    let mut source = open_powercap(&tree, XEON, 1.0);
    let mut accumulation = RaplAccumulation::new(&source);
    accumulation.read(&mut source, 0);
    // 0.32885 J to the end of the range, 1,000 J after it; the other package 2,000 J.
    set_energy(&tree, "intel-rapl:0", 1_000);
    set_energy(&tree, "intel-rapl:1", 7_000);
    let total = accumulation.read(&mut source, 10);
    assert_total(total, 3_000.328_85, 10.0, 0.0);
    assert_eq!((accumulation.events, total.resets), (vec![], 0));
}

#[test]
fn decrease_without_range_is_reset() {
    let tree = dual_socket_server();
    tree.remove_dir("intel-rapl:0");
    tree.write_files("intel-rapl:0", &[("name", "package-0"), ("energy_uj", "262143000000")]);
    let mut source = open_powercap(&tree, XEON, 1.0);
    let mut accumulation = RaplAccumulation::new(&source);
    accumulation.read(&mut source, 0);
    set_energy(&tree, "intel-rapl:0", 1_000);
    let total = accumulation.read(&mut source, 10);
    // The value shown was used since the restart.
    assert_total(total, 1_000.0, 0.0, 10.0);
    assert_eq!(accumulation.events, [SensorEvent::CounterReset { component: 0 }]);
}

#[test]
fn package_reset_keeps_other_package() {
    let tree = dual_socket_server();
    let mut source = open_powercap(&tree, XEON, 0.5);
    let mut accumulation = RaplAccumulation::new(&source);
    accumulation.read(&mut source, 0);
    set_energy(&tree, "intel-rapl:0", 2_000);
    set_energy(&tree, "intel-rapl:1", 6_000);
    assert_total(accumulation.read(&mut source, 10), 1_000.0, 10.0, 0.0);
    // No wrap explains a change from 2,000 J to 40 J: it would be 260 kJ in a second. The other package continues.
    set_energy(&tree, "intel-rapl:0", 40);
    set_energy(&tree, "intel-rapl:1", 6_100);
    let total = accumulation.read(&mut source, 11);
    assert_total(total, 1_070.0, 10.0, 1.0);
    assert_eq!(
        (&accumulation.events[..], total.resets),
        (&[SensorEvent::CounterReset { component: 0 }][..], 1)
    );
    set_energy(&tree, "intel-rapl:0", 140);
    set_energy(&tree, "intel-rapl:1", 6_200);
    assert_total(accumulation.read(&mut source, 12), 1_170.0, 11.0, 1.0);
}

#[test]
fn short_outage_loses_no_energy() {
    let tree = dual_socket_server();
    let mut source = open_powercap(&tree, XEON, 1.0);
    let mut accumulation = RaplAccumulation::new(&source);
    accumulation.read(&mut source, 0);
    tree.remove_dir("intel-rapl:1");
    set_energy(&tree, "intel-rapl:0", 2_000);
    assert_total(accumulation.read(&mut source, 10), 0.0, 0.0, 10.0);
    let Some(SensorEvent::Unavailable { reason, .. }) = accumulation.events.first() else {
        panic!("no event")
    };
    assert!(
        reason.to_string().contains("package-1") && reason.to_string().contains("intel-rapl:1/energy_uj")
    );
    add_zone(&tree, "intel-rapl:1", "package-1", 7_000);
    set_energy(&tree, "intel-rapl:0", 3_000);
    // 2,000 J each.
    assert_total(accumulation.read(&mut source, 20), 4_000.0, 20.0, 0.0);
    assert_eq!(accumulation.events.last(), Some(&SensorEvent::Recovered { component: 0 }));
}

#[test]
fn vanished_package_stops_contributing() {
    let tree = dual_socket_server();
    let mut source = open_powercap(&tree, XEON, 1.0);
    let mut accumulation = RaplAccumulation::new(&source);
    let mut at = |second, first: u64, second_package: Option<u64>| {
        set_energy(&tree, "intel-rapl:0", first);
        match second_package {
            Some(joules) => add_zone(&tree, "intel-rapl:1", "package-1", joules),
            None => {
                let _ = std::fs::remove_dir_all(tree.path("intel-rapl:1"));
            }
        }
        accumulation.read(&mut source, second)
    };
    at(0, 1_000, Some(5_000));
    assert_total(at(10, 2_000, Some(6_000)), 2_000.0, 10.0, 0.0);
    at(20, 3_000, None);
    assert_total(at(40, 5_000, None), 2_000.0, 10.0, 30.0);
    // After the timeout, the 4,000 J of the first package are kept, and the time counts as unmeasured.
    assert_total(at(50, 6_000, None), 6_000.0, 10.0, 40.0);
    assert_total(at(60, 7_000, None), 7_000.0, 20.0, 40.0);
    // The second package returns with a much higher value and counts from there.
    assert_total(at(70, 8_000, Some(200_000)), 8_000.0, 30.0, 40.0);
    assert_total(at(80, 9_000, Some(201_000)), 10_000.0, 40.0, 40.0);
}

#[test]
fn no_counters_left_gives_error() {
    let tree = dual_socket_server();
    tree.remove_dir("intel-rapl:1");
    tree.remove_dir("intel-rapl:1:0");
    let mut source = open_powercap(&tree, XEON, 1.0);
    tree.remove_dir("intel-rapl:0");
    for second in [0, 10, 40, 100, 1_000] {
        assert!(matches!(source.read(0, Duration::from_secs(second)), Err(ReadError::Failed(_))));
    }
    assert!(matches!(source.read(9, Duration::ZERO), Err(ReadError::Failed(_))));
}
