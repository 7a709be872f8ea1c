//! The power of memory in watts per GiB, by the module size that is typical for the host.
//!
//! A module draws nearly the same power whatever its size, so a GiB of a large host draws a fraction of a laptop's.
//! With a single figure for all hosts, 1 TiB would draw 384 W, more than its CPUs.

use std::time::Duration;

use sootprint_core::Power;

use super::EnergyBounds;
use super::coefficient::{CoefficientRange, format_coefficient};

const GIBIBYTE: f64 = 1_073_741_824.0;

/// Hosts up to a size, and their memory modules.
struct MemoryModules {
    /// The largest memory of such a host, in GiB.
    max_host_gib: f64,
    /// The size of a module in GiB.
    module_gib: f64,
    /// The power of a module in watts.
    module_watts: CoefficientRange,
}

/// The module sizes are assumptions; where one is wrong, the neighbouring row's figure lies within the bounds. Low
/// is a module that is mostly idle, high one that is never idle. Sources of the power figures:
/// - 3 W for 8 GiB: Crucial and Micron. 5 W for any desktop module: Crucial's advice for choosing a power supply,
///   which it describes as high
///   (<https://www.crucial.in/support/articles-faq-memory/how-much-power-does-memory-use>).
/// - 5 W for any server module: CodeCarbon. 1.5 W for any low-power module: CodeCarbon's figure for Arm; half of it
///   for soldered memory, an assumption.
/// - 7 to 10 W for 64 GiB of busy DDR5 RDIMM: the manufacturers' data sheets. The low 3 W is twice the low-power
///   figure.
/// - 4 W for 16 GiB: between its neighbours; high as two modules of 8 GiB.
const MODULES_BY_HOST_SIZE: [MemoryModules; 4] = [
    MemoryModules { max_host_gib: 16.0, module_gib: 8.0, module_watts: [0.75, 3.0, 5.0] },
    MemoryModules { max_host_gib: 128.0, module_gib: 16.0, module_watts: [1.5, 4.0, 6.0] },
    MemoryModules { max_host_gib: 512.0, module_gib: 32.0, module_watts: [1.5, 5.0, 10.0] },
    MemoryModules { max_host_gib: f64::INFINITY, module_gib: 64.0, module_watts: [3.0, 7.0, 10.0] },
];

/// Watts per GiB in a guest, whose host modules are unknown: from the low figure of the largest modules to
/// Crucial's 3 W for 8 GiB, with CodeCarbon's 5 W and modules of 32 GiB as best.
const UNKNOWN_MODULE_WATTS_PER_GIB: CoefficientRange = [3.0 / 64.0, 5.0 / 32.0, 3.0 / 8.0];

/// The memory of a job.
pub(super) struct MemoryPowerModel {
    job_gib: f64,
    host_gib: f64,
    watts_per_gib: CoefficientRange,
    /// The size of a module in GiB. `None` in a guest.
    module_gib: Option<f64>,
}

impl MemoryPowerModel {
    /// The model for `job_bytes` of memory on a host that has `host_bytes`.
    pub(super) fn new(job_bytes: u64, host_bytes: u64, is_guest: bool) -> Self {
        let (gib, host_gib) = (job_bytes as f64 / GIBIBYTE, host_bytes as f64 / GIBIBYTE);
        let modules = MODULES_BY_HOST_SIZE
            .iter()
            .find(|modules| host_gib <= modules.max_host_gib)
            .filter(|_| !is_guest);
        let watts_per_gib = modules.map_or(UNKNOWN_MODULE_WATTS_PER_GIB, |modules| {
            modules.module_watts.map(|watts| watts / modules.module_gib)
        });
        Self { job_gib: gib, host_gib, watts_per_gib, module_gib: modules.map(|modules| modules.module_gib) }
    }

    pub(super) fn energy(&self, time: Duration) -> EnergyBounds {
        let energy = |bound: usize| Power::from_watts(self.watts_per_gib[bound] * self.job_gib) * time;
        EnergyBounds { low: energy(0), best: energy(1), high: energy(2) }
    }

    /// The amount of the job's memory, never the host's, for display.
    pub(super) fn name(&self) -> String {
        // Below 1 GiB the amount would round to zero.
        if self.job_gib < 1.0 {
            format!("{:.0} MiB", self.job_gib * 1024.0)
        } else {
            format!("{:.0} GiB", self.job_gib)
        }
    }

    /// The assumptions of the model, for display.
    pub(super) fn assumptions(&self) -> String {
        let [low, best, high] = self.watts_per_gib.map(format_coefficient);
        let modules = match self.module_gib {
            Some(size) => format!("assuming {size:.0} GiB modules"),
            None => "module size unknown in a guest".to_owned(),
        };
        let per_gib =
            format!("{best} W ({low} to {high} W) per GiB of memory allocated to the job, {modules}");
        if self.job_gib < self.host_gib {
            format!("{per_gib}; the machine has {:.0} GiB", self.host_gib)
        } else {
            per_gib
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures are exact in binary")]
mod tests {
    use super::*;

    const TEBIBYTE: u64 = 1 << 40;

    fn modelled_watts(given: u64, host: u64, is_guest: bool) -> CoefficientRange {
        let energy = MemoryPowerModel::new(given, host, is_guest).energy(Duration::from_secs(1));
        [energy.low, energy.best, energy.high].map(sootprint_core::Energy::joules)
    }

    /// CodeCarbon reported 378 W for such a host, and the same for a job with a thirtieth of it (its issue 629).
    #[test]
    fn tebibyte_host_draws_sixteen_modules() {
        assert_eq!(modelled_watts(TEBIBYTE, TEBIBYTE, false), [16.0 * 3.0, 16.0 * 7.0, 16.0 * 10.0]);
        assert_eq!(modelled_watts(32 << 30, TEBIBYTE, false), [1.5, 3.5, 5.0]);
    }

    #[test]
    fn host_power_follows_module_table() {
        let host = |gib: u64| modelled_watts(gib << 30, gib << 30, false);
        assert_eq!(host(8), [0.75, 3.0, 5.0]);
        assert_eq!(host(64), [6.0, 16.0, 24.0]);
        assert_eq!(host(512), [24.0, 80.0, 160.0]);
        assert_eq!(host(2048), [96.0, 224.0, 320.0]);
    }

    #[test]
    fn neighbouring_module_estimates_overlap() {
        for pair in MODULES_BY_HOST_SIZE.windows(2) {
            let per_gib =
                |modules: &MemoryModules| modules.module_watts.map(|watts| watts / modules.module_gib);
            let (small, large) = (per_gib(&pair[0]), per_gib(&pair[1]));
            assert!(small[0] <= large[1] && large[1] <= small[2], "{small:?} {large:?}");
            assert!(large[0] <= small[1] && small[1] <= large[2], "{small:?} {large:?}");
        }
    }

    #[test]
    fn guest_memory_range_is_wide() {
        assert_eq!(modelled_watts(64 << 30, 64 << 30, true), [3.0, 10.0, 24.0]);
    }

    #[test]
    fn small_memory_limit_is_named() {
        assert_eq!(MemoryPowerModel::new(512 << 20, 1 << 34, false).name(), "512 MiB");
        assert_eq!(MemoryPowerModel::new(1 << 34, 1 << 34, false).name(), "16 GiB");
    }
}
