//! The power of a CPU, from the TDP of its model or from the number of its logical CPUs.

use std::time::Duration;

use sootprint_core::{Energy, Power};

use super::EnergyBounds;
use super::coefficient::{CoefficientRange, format_coefficient};
use super::cpu_info::CpuInfo;
use crate::data_quality::DataQuality;

/// Full load of a server CPU, as a fraction of its TDP.
///
/// TDP is neither a maximum nor a mean; it is what the cooler is designed for. Best: 1, because servers enforce it
/// as the limit of sustained load, and Teads measured 1.02 on Xeons. Low: 0.6, an assumption for work that waits
/// for memory and uses no wide vectors. High: 1.25, because `PL2`, Intel's turbo limit, is 1.2 × TDP on Xeons, and
/// AMD allows operators to configure up to 1.25 × TDP (an EPYC 7272 of 120 W up to 150 W).
const SERVER_FULL_LOAD: CoefficientRange = [0.6, 1.0, 1.25];

/// Full load of a desktop or laptop CPU. High: a Core i9-13900K, 253 W at a TDP of 125 W, which mainboards sustain
/// without a time limit.
const CLIENT_FULL_LOAD: CoefficientRange = [0.6, 1.0, 253.0 / 125.0];

/// Watts of one logical x86 CPU at full load, if its model is unknown.
///
/// Best: 4 W, CodeCarbon's figure for unknown models. Low: an EPYC 9965 (500 W, 384 threads) at 0.6 of its TDP.
/// High: a Core i9-13900K at 253 W without its second threads (24 cores).
const X86_LOGICAL_CPU_WATTS: CoefficientRange = [0.6 * 500.0 / 384.0, 4.0, 253.0 / 24.0];

/// Watts of one logical Arm CPU, which has no second thread. Best: an Ampere Altra Max (250 W, 128 cores). Low: a
/// single-board computer of four cores at 4 W. High: 6 W, approximately the fastest core of a laptop.
const ARM_LOGICAL_CPU_WATTS: CoefficientRange = [1.0, 250.0 / 128.0, 6.0];

/// The fraction of full power that a CPU draws at idle, on a straight line between idle and full load.
///
/// Teads measured Xeons with `turbostress` at 0.12 of TDP at idle, 0.32 at 10 % load, 0.75 at 50 % and 1.02 at 100
/// % (Davy, "Building an AWS EC2 carbon emissions dataset", 2021,
/// <https://medium.com/teads-engineering/building-an-aws-ec2-carbon-emissions-dataset-3f0fd76c98ac>). Best: the
/// line from 0.3 stays within 0.1 of the measured curve at every load except idle. Low and high: lines that enclose
/// the whole curve.
const IDLE_FRACTION: CoefficientRange = [0.1, 0.3, 0.4];

/// The uncertainty of a figure in the table. An estimate takes the TDP of the nearest public model, and the models
/// of a series differ by about this much; an unpublished figure comes from unofficial sources.
const fn tdp_uncertainty(confidence: DataQuality) -> CoefficientRange {
    match confidence {
        DataQuality::VendorSpec | DataQuality::Paper => [1.0, 1.0, 1.0],
        DataQuality::Medium | DataQuality::Estimate => [0.75, 1.0, 1.35],
        DataQuality::Unpublished => [0.5, 1.0, 2.0],
    }
}

/// The model of a machine's CPUs.
pub(super) struct CpuPowerModel {
    /// For display.
    pub(super) name: String,
    /// The full power of one logical CPU.
    watts_per_cpu: CoefficientRange,
    basis: CpuPowerBasis,
}

/// The origin of the watts.
enum CpuPowerBasis {
    Tdp { package_count: usize, watts: CoefficientRange, confidence: DataQuality },
    Guest,
    UnknownModel,
}

impl CpuPowerModel {
    /// `online_cpus` is the number of logical CPUs of the machine, all packages together.
    pub(super) fn new(cpu_info: CpuInfo, online_cpus: usize) -> Self {
        let CpuInfo { name, package_count, is_guest, is_arm, tdp } = cpu_info;
        let logical = if is_arm { ARM_LOGICAL_CPU_WATTS } else { X86_LOGICAL_CPU_WATTS };
        let (watts, basis) = match tdp {
            // A guest's CPUs may be a part of a package, and the guest cannot determine which part.
            _ if is_guest => (logical, CpuPowerBasis::Guest),
            None => (logical, CpuPowerBasis::UnknownModel),
            Some(rating) => {
                let full = if rating.is_server_cpu() { SERVER_FULL_LOAD } else { CLIENT_FULL_LOAD };
                let uncertainty = tdp_uncertainty(rating.confidence);
                let package = [0, 1, 2].map(|bound| rating.watts * full[bound] * uncertainty[bound]);
                let watts = package.map(|watts| watts * package_count as f64 / online_cpus as f64);
                (watts, CpuPowerBasis::Tdp { package_count, watts: package, confidence: rating.confidence })
            }
        };
        Self { name, watts_per_cpu: watts, basis }
    }

    /// The energy of `cpus` logical CPUs that together were busy for `busy_seconds`.
    pub(super) fn energy(&self, cpus: f64, time: Duration, busy_seconds: f64) -> EnergyBounds {
        let energy = |bound: usize| {
            let (watts, idle) = (self.watts_per_cpu[bound], IDLE_FRACTION[bound]);
            Power::from_watts(watts * idle * cpus) * time
                + Energy::from_joules(watts * (1.0 - idle) * busy_seconds)
        };
        EnergyBounds { low: energy(0), best: energy(1), high: energy(2) }
    }

    /// The assumptions of the model, for display.
    pub(super) fn assumptions(&self) -> String {
        let idle = IDLE_FRACTION.map(|part| format_coefficient(part * 100.0));
        let at_idle = format!("{} % ({} to {} %) of that at idle", idle[1], idle[0], idle[2]);
        let range = |watts: &CoefficientRange| watts.map(format_coefficient);
        match &self.basis {
            CpuPowerBasis::Tdp { package_count, watts, confidence } => {
                let [low, best, high] = range(watts);
                let tdp = match confidence {
                    DataQuality::VendorSpec | DataQuality::Paper => "TDP",
                    DataQuality::Medium | DataQuality::Estimate => "TDP, estimated",
                    DataQuality::Unpublished => "TDP, unpublished",
                };
                format!("{tdp}: {package_count} x {best} W ({low} to {high} W) at full load, {at_idle}")
            }
            CpuPowerBasis::Guest | CpuPowerBasis::UnknownModel => {
                let [low, best, high] = range(&self.watts_per_cpu);
                let reason = if matches!(self.basis, CpuPowerBasis::Guest) {
                    "guest of a hypervisor"
                } else {
                    "model without known TDP"
                };
                format!("{reason}: {best} W ({low} to {high} W) per logical CPU at full load, {at_idle}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tdp_table;
    use super::*;

    /// A machine with one package of 100 W and ten logical CPUs.
    fn test_server() -> CpuPowerModel {
        let rating = tdp_table::TdpRating {
            key: "intel xeon test".into(),
            watts: 100.0,
            confidence: DataQuality::VendorSpec,
        };
        let identity = CpuInfo {
            name: "test".into(),
            package_count: 1,
            is_guest: false,
            is_arm: false,
            tdp: Some(rating),
        };
        CpuPowerModel::new(identity, 10)
    }

    /// The curve measured by Teads: load, and power as a fraction of TDP.
    #[test]
    fn bounds_enclose_measured_load_curve() {
        for (load, measured) in [(0.0, 12.0), (0.1, 32.0), (0.5, 75.0), (1.0, 102.0)] {
            let energy = test_server().energy(10.0, Duration::from_secs(1), 10.0 * load);
            let [low, best, high] = [energy.low, energy.best, energy.high].map(Energy::joules);
            assert!(low < measured && measured < high, "{low} {measured} {high} at {load}");
            assert!(load < 0.1 || (best - measured).abs() <= 10.0, "{best} for {measured} at {load}");
        }
    }

    #[test]
    fn bounds_are_ordered_at_any_load() {
        let full = [SERVER_FULL_LOAD, CLIENT_FULL_LOAD, X86_LOGICAL_CPU_WATTS, ARM_LOGICAL_CPU_WATTS];
        let spreads =
            [DataQuality::VendorSpec, DataQuality::Estimate, DataQuality::Unpublished].map(tdp_uncertainty);
        for (full, spread) in full.iter().flat_map(|full| spreads.map(|spread| (full, spread))) {
            for part in [IDLE_FRACTION, IDLE_FRACTION.map(|idle| 1.0 - idle)] {
                let watts = [0, 1, 2].map(|bound| full[bound] * spread[bound] * part[bound]);
                assert!(watts[0] < watts[1] && watts[1] < watts[2], "{watts:?}");
            }
        }
    }
}
