//! What memory draws: watts per GiB, by the size of module that such a host has.
//!
//! A module draws nearly the same whatever its size, so that a GiB of a large host draws a fraction of a laptop's. With
//! one figure for all, 1 TiB would draw 384 W, more than the processors beside it.

use std::time::Duration;

use sootprint_core::Power;

use super::{Bounded, Range, figure};

const GIBIBYTE: f64 = 1_073_741_824.0;

/// Hosts of one size and the modules that they are built of.
struct Modules {
    /// Up to how much memory a host has such modules, in GiB.
    up_to: f64,
    /// GiB of one module.
    size: f64,
    /// Watts of one module.
    watts: Range,
}

/// Of what size the modules are is an assumption; where it is wrong, the neighbouring row's figure lies between the
/// bounds. Low is a module that mostly waits, high one that is never idle. The sources of the watts:
/// - 3 W for 8 GiB: Crucial and Micron. 5 W for any module of a desktop: Crucial's advice for choosing a power supply,
///   which it calls high (<https://www.crucial.in/support/articles-faq-memory/how-much-power-does-memory-use>).
/// - 5 W for any module of a server: CodeCarbon. 1.5 W for any low-power module: CodeCarbon's figure on Arm; half of it
///   for memory that is soldered in, an assumption.
/// - 7 to 10 W for 64 GiB of busy DDR5 RDIMM: its makers' data sheets. The low 3 W is twice the low-power figure.
/// - 4 W for 16 GiB: between its neighbours; high as two of 8 GiB.
const MODULES: [Modules; 4] = [
    Modules { up_to: 16.0, size: 8.0, watts: [0.75, 3.0, 5.0] },
    Modules { up_to: 128.0, size: 16.0, watts: [1.5, 4.0, 6.0] },
    Modules { up_to: 512.0, size: 32.0, watts: [1.5, 5.0, 10.0] },
    Modules { up_to: f64::INFINITY, size: 64.0, watts: [3.0, 7.0, 10.0] },
];

/// Watts per GiB in a guest, whose host's modules are hidden: from the quietest of the largest modules to Crucial's
/// 3 W for 8 GiB, with CodeCarbon's 5 W and modules of 32 GiB as best.
const UNKNOWN_MODULES: Range = [3.0 / 64.0, 5.0 / 32.0, 3.0 / 8.0];

/// The memory that a job was given.
pub(super) struct Memory {
    gib: f64,
    host_gib: f64,
    watts_per_gib: Range,
    /// GiB of one module; none in a guest.
    module: Option<f64>,
}

impl Memory {
    /// Of `given` bytes on a host that has `host` bytes.
    pub(super) fn new(given: u64, host: u64, is_guest: bool) -> Self {
        let (gib, host_gib) = (given as f64 / GIBIBYTE, host as f64 / GIBIBYTE);
        let modules = MODULES.iter().find(|modules| host_gib <= modules.up_to).filter(|_| !is_guest);
        let watts_per_gib =
            modules.map_or(UNKNOWN_MODULES, |modules| modules.watts.map(|watts| watts / modules.size));
        Self { gib, host_gib, watts_per_gib, module: modules.map(|modules| modules.size) }
    }

    pub(super) fn energy(&self, time: Duration) -> Bounded {
        let energy = |bound: usize| Power::from_watts(self.watts_per_gib[bound] * self.gib) * time;
        Bounded { low: energy(0), best: energy(1), high: energy(2) }
    }

    /// For people: the memory that was given, never the host's.
    pub(super) fn name(&self) -> String {
        // Half a GiB is not none.
        if self.gib < 1.0 { format!("{:.0} MiB", self.gib * 1024.0) } else { format!("{:.0} GiB", self.gib) }
    }

    /// The figures that it takes, for people.
    pub(super) fn assumption(&self) -> String {
        let [low, best, high] = self.watts_per_gib.map(figure);
        let modules = match self.module {
            Some(size) => format!("as in modules of {size:.0} GiB"),
            None => "the modules are hidden from a guest".to_owned(),
        };
        let per_gib = format!("{best} W ({low} to {high} W) for each GiB that the job was given, {modules}");
        if self.gib < self.host_gib {
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

    fn watts(given: u64, host: u64, is_guest: bool) -> Range {
        let energy = Memory::new(given, host, is_guest).energy(Duration::from_secs(1));
        [energy.low, energy.best, energy.high].map(sootprint_core::Energy::joules)
    }

    /// CodeCarbon said 378 W for such a host, and the same for a job with a thirtieth of it (its issue 629).
    #[test]
    fn a_host_of_a_tebibyte_draws_sixteen_large_modules_and_a_job_its_part_of_them() {
        assert_eq!(watts(TEBIBYTE, TEBIBYTE, false), [16.0 * 3.0, 16.0 * 7.0, 16.0 * 10.0]);
        assert_eq!(watts(32 << 30, TEBIBYTE, false), [1.5, 3.5, 5.0]);
    }

    #[test]
    fn hosts_of_every_size_draw_what_their_modules_draw() {
        let host = |gib: u64| watts(gib << 30, gib << 30, false);
        assert_eq!(host(8), [0.75, 3.0, 5.0]);
        assert_eq!(host(64), [6.0, 16.0, 24.0]);
        assert_eq!(host(512), [24.0, 80.0, 160.0]);
        assert_eq!(host(2048), [96.0, 224.0, 320.0]);
    }

    #[test]
    fn where_the_guess_of_the_modules_is_wrong_the_next_one_s_best_is_within_the_bounds() {
        for pair in MODULES.windows(2) {
            let per_gib = |modules: &Modules| modules.watts.map(|watts| watts / modules.size);
            let (small, large) = (per_gib(&pair[0]), per_gib(&pair[1]));
            assert!(small[0] <= large[1] && large[1] <= small[2], "{small:?} {large:?}");
            assert!(large[0] <= small[1] && small[1] <= large[2], "{small:?} {large:?}");
        }
    }

    #[test]
    fn a_guest_knows_nothing_of_its_host_s_modules() {
        assert_eq!(watts(64 << 30, 64 << 30, true), [3.0, 10.0, 24.0]);
    }

    #[test]
    fn a_small_limit_has_a_name_too() {
        assert_eq!(Memory::new(512 << 20, 1 << 34, false).name(), "512 MiB");
        assert_eq!(Memory::new(1 << 34, 1 << 34, false).name(), "16 GiB");
    }
}
