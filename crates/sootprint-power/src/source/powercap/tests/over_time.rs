//! What a tally makes of counters that wrap, restart, fall silent and vanish.

use super::*;
use crate::tally::{Finding, Tally, Total};

/// The processor's account.
struct Account {
    tally: Tally,
    findings: Vec<Finding>,
}

impl Account {
    fn new(source: &Powercap) -> Self {
        let components = source.components();
        let tally = Tally::new(components[..1].iter().map(|component| (component, source.ticks(0))));
        Self { tally, findings: Vec::new() }
    }

    fn read(&mut self, source: &mut Powercap, second: u64) -> Total {
        let now = Duration::from_secs(second);
        self.findings.extend(self.tally.observe(now, 0, source.read(0, now)));
        self.tally.totals(now)[0]
    }
}

fn assert_total(total: Total, joules: f64, measured: f64, unmeasured: f64) {
    let close = |one: f64, other: f64| (one - other).abs() < 1e-6;
    assert!(
        close(total.energy.joules(), joules)
            && close(total.measured, measured)
            && close(total.unmeasured, unmeasured),
        "{total:?}, not {joules} J in {measured} s and {unmeasured} s without"
    );
}

#[test]
fn a_wrap_of_one_package_is_unrolled_and_no_reset() {
    let tree = server();
    shows(&tree, "intel-rapl:0", 262_143);
    let mut source = open(&tree, XEON, 1.0);
    let mut account = Account::new(&source);
    account.read(&mut source, 0);
    // 0.32885 J to the end, 1,000 J from it; the other package 2,000 J.
    shows(&tree, "intel-rapl:0", 1_000);
    shows(&tree, "intel-rapl:1", 7_000);
    let total = account.read(&mut source, 10);
    assert_total(total, 3_000.328_85, 10.0, 0.0);
    assert_eq!((account.findings, total.resets), (vec![], 0));
}

#[test]
fn a_step_back_without_a_known_range_is_a_reset_and_never_negative() {
    let tree = server();
    tree.remove("intel-rapl:0");
    tree.folder("intel-rapl:0", &[("name", "package-0"), ("energy_uj", "262143000000")]);
    let mut source = open(&tree, XEON, 1.0);
    let mut account = Account::new(&source);
    account.read(&mut source, 0);
    shows(&tree, "intel-rapl:0", 1_000);
    let total = account.read(&mut source, 10);
    // What it shows was used since.
    assert_total(total, 1_000.0, 0.0, 10.0);
    assert_eq!(account.findings, [Finding::Reset { component: 0 }]);
}

#[test]
fn a_reset_of_one_package_is_one_of_the_sum_and_costs_the_other_nothing() {
    let tree = server();
    let mut source = open(&tree, XEON, 0.5);
    let mut account = Account::new(&source);
    account.read(&mut source, 0);
    shows(&tree, "intel-rapl:0", 2_000);
    shows(&tree, "intel-rapl:1", 6_000);
    assert_total(account.read(&mut source, 10), 1_000.0, 10.0, 0.0);
    // No wrap explains 2,000 J to 40 J: it would be 260 kJ in a second. The other goes on.
    shows(&tree, "intel-rapl:0", 40);
    shows(&tree, "intel-rapl:1", 6_100);
    let total = account.read(&mut source, 11);
    assert_total(total, 1_070.0, 10.0, 1.0);
    assert_eq!((&account.findings[..], total.resets), (&[Finding::Reset { component: 0 }][..], 1));
    shows(&tree, "intel-rapl:0", 140);
    shows(&tree, "intel-rapl:1", 6_200);
    assert_total(account.read(&mut source, 12), 1_170.0, 11.0, 1.0);
}

#[test]
fn a_package_that_is_silent_for_a_while_costs_nothing() {
    let tree = server();
    let mut source = open(&tree, XEON, 1.0);
    let mut account = Account::new(&source);
    account.read(&mut source, 0);
    tree.remove("intel-rapl:1");
    shows(&tree, "intel-rapl:0", 2_000);
    assert_total(account.read(&mut source, 10), 0.0, 0.0, 10.0);
    let Some(Finding::Silent { reason, .. }) = account.findings.first() else { panic!("it is told") };
    assert!(
        reason.to_string().contains("package-1") && reason.to_string().contains("intel-rapl:1/energy_uj")
    );
    zone(&tree, "intel-rapl:1", "package-1", 7_000);
    shows(&tree, "intel-rapl:0", 3_000);
    // 2,000 J of each.
    assert_total(account.read(&mut source, 20), 4_000.0, 20.0, 0.0);
    assert_eq!(account.findings.last(), Some(&Finding::Back { component: 0 }));
}

#[test]
fn a_package_that_vanishes_leaves_the_other_s_energy_and_brings_none_when_it_comes_back() {
    let tree = server();
    let mut source = open(&tree, XEON, 1.0);
    let mut account = Account::new(&source);
    let mut at = |second, first: u64, second_package: Option<u64>| {
        shows(&tree, "intel-rapl:0", first);
        match second_package {
            Some(joules) => zone(&tree, "intel-rapl:1", "package-1", joules),
            None => {
                let _ = std::fs::remove_dir_all(tree.path("intel-rapl:1"));
            }
        }
        account.read(&mut source, second)
    };
    at(0, 1_000, Some(5_000));
    assert_total(at(10, 2_000, Some(6_000)), 2_000.0, 10.0, 0.0);
    at(20, 3_000, None);
    assert_total(at(40, 5_000, None), 2_000.0, 10.0, 30.0);
    // Patience ends: the 4,000 J of the first since are kept, and the time is known in part only.
    assert_total(at(50, 6_000, None), 6_000.0, 10.0, 40.0);
    assert_total(at(60, 7_000, None), 7_000.0, 20.0, 40.0);
    // It comes back far ahead, and counts from there.
    assert_total(at(70, 8_000, Some(200_000)), 8_000.0, 30.0, 40.0);
    assert_total(at(80, 9_000, Some(201_000)), 10_000.0, 40.0, 40.0);
}

#[test]
fn without_any_counter_left_there_is_no_reading() {
    let tree = server();
    tree.remove("intel-rapl:1");
    tree.remove("intel-rapl:1:0");
    let mut source = open(&tree, XEON, 1.0);
    tree.remove("intel-rapl:0");
    for second in [0, 10, 40, 100, 1_000] {
        assert!(matches!(source.read(0, Duration::from_secs(second)), Err(Unreadable::Failed(_))));
    }
    assert!(matches!(source.read(9, Duration::ZERO), Err(Unreadable::Failed(_))));
}
