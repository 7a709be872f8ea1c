//! What some measurements say of one figure.

/// The middle of some ratios, and bounds that enclose the true middle in at least 95 % of all cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper bound.
    pub high: f64,
}

impl Interval {
    /// Of the median, whatever the noise looks like: the sorted values from the k-th lowest to the k-th highest, for the
    /// largest k that the binomial distribution allows. None of fewer than six values, of which no two enclose enough.
    #[must_use]
    pub fn of_median(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = rank(sorted.len())?;
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { low: sorted[rank], median, high: sorted[sorted.len() - 1 - rank] })
    }
}

/// The value at a percentile, counted from the lowest; none of nothing.
#[must_use]
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied()
}

/// How many values lie outside on either side: the median lies below the k-th of n values with the probability that at
/// most k of n coins show heads, and 2.5 % are left for it.
fn rank(values: usize) -> Option<usize> {
    let mut probability = 0.5_f64.powi(i32::try_from(values).ok()?);
    let mut below = 0.0;
    for rank in 0..values {
        below += probability;
        if below > 0.025 {
            return rank.checked_sub(1);
        }
        probability *= (values - rank) as f64 / (rank + 1) as f64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a table of the sign test: of 20 values the 6th and the 15th enclose the median in 95.9 % of all cases, of 150
    /// the 63rd and the 88th.
    #[test]
    fn the_bounds_are_those_of_the_sign_test() {
        assert_eq!([5, 6, 20, 150].map(rank), [None, Some(0), Some(5), Some(62)]);
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(Interval::of_median(&values), Some(Interval { low: 6.0, median: 10.5, high: 15.0 }));
        assert_eq!(Interval::of_median(&values[..5]), None);
    }

    #[test]
    fn the_hundredth_percentile_is_the_highest() {
        let values = [3.0, 1.0, 2.0, 4.0];
        assert_eq!(
            [50, 99, 100].map(|percent| percentile(&values, percent)),
            [Some(2.0), Some(4.0), Some(4.0)]
        );
        assert_eq!(percentile(&[], 50), None);
    }
}
