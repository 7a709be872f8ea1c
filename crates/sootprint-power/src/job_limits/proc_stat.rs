//! The busy time of each CPU in `/proc/stat`. <https://docs.kernel.org/filesystems/proc.html>

use std::collections::BTreeSet;

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, part of its interface on all Linux ports that
/// Rust supports).
const USER_HZ: f64 = 100.0;

/// Busy seconds of all CPUs since boot. `None` if the text has no such line.
pub(crate) fn total_busy_seconds(stat: &str) -> Option<f64> {
    busy_seconds(stat.lines().find_map(|line| line.strip_prefix("cpu "))?)
}

/// Busy seconds of some CPUs since boot, or the number of one that is offline.
pub(crate) fn busy_seconds_of(cpus: &BTreeSet<usize>, stat: &str) -> Result<f64, usize> {
    let mut missing = cpus.clone();
    let mut sum = 0.0;
    for (number, times) in per_cpu_times(stat) {
        if missing.contains(&number)
            && let Some(seconds) = busy_seconds(times)
        {
            missing.remove(&number);
            sum += seconds;
        }
    }
    missing.first().map_or(Ok(sum), |&missing| Err(missing))
}

/// The numbers of the online CPUs.
pub(super) fn online_cpus(stat: &str) -> BTreeSet<usize> {
    per_cpu_times(stat).map(|(number, _)| number).collect()
}

/// Parses a CPU list of the kernel, such as `0-3,8`. `None` if the list is empty or malformed.
pub(super) fn parse_cpu_list(text: &str) -> Option<BTreeSet<usize>> {
    let mut numbers = BTreeSet::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        // The kernel supports at most 8192 CPUs, so a longer range is malformed.
        if last.checked_sub(first)? > 0xFFFF {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

fn per_cpu_times(stat: &str) -> impl Iterator<Item = (usize, &str)> {
    stat.lines().filter_map(|line| {
        let (number, times) = line.strip_prefix("cpu")?.split_once(' ')?;
        Some((number.parse().ok()?, times))
    })
}

/// Sums user, nice, system, irq and softirq. Idle and iowait are not busy, steal is work for another guest, and
/// guest is already included in user.
fn busy_seconds(times: &str) -> Option<f64> {
    let ticks: Vec<f64> = times.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { return None };
    Some((user + nice + system + irq + softirq) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  400 100 200 9000 100 50 50 700 300 0
cpu0 300 100 100 4500 100 50 50 700 300 0
cpu2 100 0 100 4500 0 0 0 0 0 0
intr 1 2 3
";

    #[test]
    fn busy_time_excludes_idle_and_steal() {
        // (400 + 100 + 200 + 50 + 50) hundredths.
        assert_eq!(total_busy_seconds(STAT), Some(8.0));
        assert_eq!(busy_seconds_of(&[0].into(), STAT), Ok(6.0));
        assert_eq!(busy_seconds_of(&[0, 2].into(), STAT), Ok(8.0));
    }

    #[test]
    fn offline_cpu_is_reported() {
        assert_eq!(online_cpus(STAT), [0, 2].into());
        assert_eq!(busy_seconds_of(&[0, 1].into(), STAT), Err(1));
    }

    #[test]
    fn invalid_text_has_no_busy_time() {
        for text in ["", "cpu\n", "cpu  1 2 3\n", "cpu  a b c d e f g\n", "cpux 1 2 3 4 5 6 7\n"] {
            assert_eq!(total_busy_seconds(text), None, "{text:?}");
            assert!(online_cpus(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn kernel_cpu_lists_parse() {
        assert_eq!(parse_cpu_list("0-2,8\n"), Some([0, 1, 2, 8].into()));
        assert_eq!(parse_cpu_list(" 5 "), Some([5].into()));
        for text in ["", "\n", "3-1", "a", "1,,2", "0-99999999999", "-1"] {
            assert_eq!(parse_cpu_list(text), None, "{text:?}");
        }
    }
}
