//! What a processor draws: by the TDP of its model, or by the number of its logical processors.

use std::time::Duration;

use sootprint_core::{Energy, Power};

use super::EnergyBounds;
use super::coefficient::{CoefficientRange, format_coefficient};
use super::cpu_info::CpuInfo;
use crate::data_quality::DataQuality;

/// Full load of a server's processor, as a part of its TDP.
///
/// TDP is neither a maximum nor a mean; it is what the cooler is built for. Best: 1, for servers hold it as the limit
/// of sustained load, and Teads measured 1.02 on Xeons. Low: 0.6, an assumption, for work that waits for memory and
/// uses no wide vectors. High: 1.25, for `PL2`, Intel's limit of a turbo, is 1.2 × TDP on Xeons, and AMD lets an
/// operator configure up to 1.25 × TDP (an EPYC 7272 of 120 W up to 150 W).
const SERVER_FULL_LOAD: CoefficientRange = [0.6, 1.0, 1.25];

/// Full load of a desktop's or laptop's processor. High: a Core i9-13900K, 253 W at a TDP of 125 W, which boards
/// hold without end.
const CLIENT_FULL_LOAD: CoefficientRange = [0.6, 1.0, 253.0 / 125.0];

/// Watts of one logical processor of an x86 at full load, when its model is unknown.
///
/// Best: 4 W, the figure of CodeCarbon for unknown models. Low: an EPYC 9965 (500 W, 384 threads) at 0.6 of its TDP.
/// High: a Core i9-13900K at 253 W without its second threads (24 cores).
const X86_LOGICAL_CPU_WATTS: CoefficientRange = [0.6 * 500.0 / 384.0, 4.0, 253.0 / 24.0];

/// The same of an Arm, which has no second threads. Best: an Ampere Altra Max (250 W, 128 cores). Low: a board
/// computer of four cores at 4 W. High: 6 W, about the fastest core of a laptop.
const ARM_LOGICAL_CPU_WATTS: CoefficientRange = [1.0, 250.0 / 128.0, 6.0];

/// The part of the full power that a processor draws at rest, on a straight line between rest and full load.
///
/// Teads measured Xeons with `turbostress` at 0.12 of TDP at rest, 0.32 at a tenth of the load, 0.75 at half and 1.02
/// at all of it (Davy, "Building an AWS EC2 carbon emissions dataset", 2021,
/// <https://medium.com/teads-engineering/building-an-aws-ec2-carbon-emissions-dataset-3f0fd76c98ac>). Best: the line from 0.3 stays within
/// 0.1 of the measured curve wherever there is work. Low and high: lines that keep the whole curve between them.
const IDLE_FRACTION: CoefficientRange = [0.1, 0.3, 0.4];

/// What a figure of the table may be wrong by. An estimate takes the nearest public model's TDP, and the models of
/// one series lie about that far apart; an unpublished one is what people say.
const fn tdp_uncertainty(confidence: DataQuality) -> CoefficientRange {
    match confidence {
        DataQuality::VendorSpec | DataQuality::Paper => [1.0, 1.0, 1.0],
        DataQuality::Medium | DataQuality::Estimate => [0.75, 1.0, 1.35],
        DataQuality::Unpublished => [0.5, 1.0, 2.0],
    }
}

/// The model of one machine's processors.
pub(super) struct CpuPowerModel {
    /// For people.
    pub(super) name: String,
    /// One logical processor's part of the full power.
    watts_per_cpu: CoefficientRange,
    basis: CpuPowerBasis,
}

/// Where the watts come from.
enum CpuPowerBasis {
    Tdp { package_count: usize, watts: CoefficientRange, confidence: DataQuality },
    Guest,
    UnknownModel,
}

impl CpuPowerModel {
    /// `online` is the number of logical processors of the machine, all packages together.
    pub(super) fn new(cpu_info: CpuInfo, online_cpus: usize) -> Self {
        let CpuInfo { name, package_count, is_guest, is_arm, tdp } = cpu_info;
        let logical = if is_arm { ARM_LOGICAL_CPU_WATTS } else { X86_LOGICAL_CPU_WATTS };
        let (watts, basis) = match tdp {
            // A guest's processors may be a part of a package, and it does not see which.
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

    /// The energy of `given` logical processors that together worked for `worked` seconds.
    pub(super) fn energy(&self, cpus: f64, time: Duration, busy_seconds: f64) -> EnergyBounds {
        let energy = |bound: usize| {
            let (watts, idle) = (self.watts_per_cpu[bound], IDLE_FRACTION[bound]);
            Power::from_watts(watts * idle * cpus) * time
                + Energy::from_joules(watts * (1.0 - idle) * busy_seconds)
        };
        EnergyBounds { low: energy(0), best: energy(1), high: energy(2) }
    }

    /// The figures that it takes, for people.
    pub(super) fn assumptions(&self) -> String {
        let idle = IDLE_FRACTION.map(|part| format_coefficient(part * 100.0));
        let at_rest = format!("{} % ({} to {} %) of that at rest", idle[1], idle[0], idle[2]);
        let range = |watts: &CoefficientRange| watts.map(format_coefficient);
        match &self.basis {
            CpuPowerBasis::Tdp { package_count, watts, confidence } => {
                let [low, best, high] = range(watts);
                let tdp = match confidence {
                    DataQuality::VendorSpec | DataQuality::Paper => "TDP",
                    DataQuality::Medium | DataQuality::Estimate => "TDP, estimated",
                    DataQuality::Unpublished => "TDP, unpublished",
                };
                format!("{tdp}: {package_count} x {best} W ({low} to {high} W) at full load, {at_rest}")
            }
            CpuPowerBasis::Guest | CpuPowerBasis::UnknownModel => {
                let [low, best, high] = range(&self.watts_per_cpu);
                let reason = if matches!(self.basis, CpuPowerBasis::Guest) {
                    "guest of a hypervisor"
                } else {
                    "model without a known TDP"
                };
                format!(
                    "{reason}: {best} W ({low} to {high} W) for each logical processor at full load, {at_rest}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tdp_table;
    use super::*;

    /// A machine of one package of 100 W and ten logical processors.
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

    /// The curve that Teads measured: load, and power as a part of TDP.
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
