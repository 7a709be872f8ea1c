//! What memory draws: watts per GiB, by the size of module that such a host has.
//!
//! A module draws nearly the same whatever its size, so that a GiB of a large host draws a fraction of a laptop's. With
//! one figure for all, 1 TiB would draw 384 W, more than the processors beside it.

use std::time::Duration;

use sootprint_core::Power;

use super::EnergyBounds;
use super::coefficient::{CoefficientRange, format_coefficient};

const GIBIBYTE: f64 = 1_073_741_824.0;

/// Hosts of one size and the modules that they are built of.
struct MemoryModules {
    /// Up to how much memory a host has such modules, in GiB.
    max_host_gib: f64,
    /// GiB of one module.
    module_gib: f64,
    /// Watts of one module.
    module_watts: CoefficientRange,
}

/// Of what size the modules are is an assumption; where it is wrong, the neighbouring row's figure lies between the
/// bounds. Low is a module that mostly waits, high one that is never idle. The sources of the watts:
/// - 3 W for 8 GiB: Crucial and Micron. 5 W for any module of a desktop: Crucial's advice for choosing a power supply,
///   which it calls high (<https://www.crucial.in/support/articles-faq-memory/how-much-power-does-memory-use>).
/// - 5 W for any module of a server: CodeCarbon. 1.5 W for any low-power module: CodeCarbon's figure on Arm; half of it
///   for memory that is soldered in, an assumption.
/// - 7 to 10 W for 64 GiB of busy DDR5 RDIMM: its makers' data sheets. The low 3 W is twice the low-power figure.
/// - 4 W for 16 GiB: between its neighbours; high as two of 8 GiB.
const MODULES_BY_HOST_SIZE: [MemoryModules; 4] = [
    MemoryModules { max_host_gib: 16.0, module_gib: 8.0, module_watts: [0.75, 3.0, 5.0] },
    MemoryModules { max_host_gib: 128.0, module_gib: 16.0, module_watts: [1.5, 4.0, 6.0] },
    MemoryModules { max_host_gib: 512.0, module_gib: 32.0, module_watts: [1.5, 5.0, 10.0] },
    MemoryModules { max_host_gib: f64::INFINITY, module_gib: 64.0, module_watts: [3.0, 7.0, 10.0] },
];

/// Watts per GiB in a guest, whose host's modules are hidden: from the quietest of the largest modules to Crucial's
/// 3 W for 8 GiB, with CodeCarbon's 5 W and modules of 32 GiB as best.
const UNKNOWN_MODULE_WATTS_PER_GIB: CoefficientRange = [3.0 / 64.0, 5.0 / 32.0, 3.0 / 8.0];

/// The memory that a job was given.
pub(super) struct MemoryPowerModel {
    job_gib: f64,
    host_gib: f64,
    watts_per_gib: CoefficientRange,
    /// GiB of one module; none in a guest.
    module_gib: Option<f64>,
}

impl MemoryPowerModel {
    /// Of `given` bytes on a host that has `host` bytes.
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

    /// For people: the memory that was given, never the host's.
    pub(super) fn name(&self) -> String {
        // Half a GiB is not none.
        if self.job_gib < 1.0 {
            format!("{:.0} MiB", self.job_gib * 1024.0)
        } else {
            format!("{:.0} GiB", self.job_gib)
        }
    }

    /// The figures that it takes, for people.
    pub(super) fn assumptions(&self) -> String {
        let [low, best, high] = self.watts_per_gib.map(format_coefficient);
        let modules = match self.module_gib {
            Some(size) => format!("as in modules of {size:.0} GiB"),
            None => "the modules are hidden from a guest".to_owned(),
        };
        let per_gib = format!("{best} W ({low} to {high} W) for each GiB that the job was given, {modules}");
        if self.job_gib < self.host_gib {
            format!("{per_gib}; the host has {:.0} GiB", self.host_gib)
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

    /// CodeCarbon said 378 W for such a host, and the same for a job with a thirtieth of it (its issue 629).
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
