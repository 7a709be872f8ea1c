//! Statistics of repeated measurements.

/// An estimate of the median difference, with bounds that contain the true value with at least 95 %
/// probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceInterval {
    /// The lower bound.
    pub low: f64,
    /// The estimate.
    pub estimate: f64,
    /// The upper bound.
    pub high: f64,
}

impl ConfidenceInterval {
    /// From paired differences, measured in turns, with symmetric noise: the Hodges–Lehmann estimate and the
    /// exact bounds of the Wilcoxon signed-rank test. The means of all pairs of differences, including each
    /// with itself, are sorted; the estimate is their median, and the distance of the bounds from the ends
    /// follows from the test. `None` for fewer than six values, which have no such bounds.
    #[must_use]
    pub fn from_differences(values: &[f64]) -> Option<Self> {
        let mut means: Vec<f64> = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
        for (place, value) in values.iter().enumerate() {
            means.extend(values[place..].iter().map(|other| f64::midpoint(*value, *other)));
        }
        let means = sorted(means);
        let outside = signed_rank_bound(values.len())?;
        Some(Self {
            low: means[outside],
            estimate: median_of_sorted(&means)?,
            high: means[means.len() - 1 - outside],
        })
    }

    /// Converts to another unit.
    #[must_use]
    pub fn map(self, unit: impl Fn(f64) -> f64) -> Self {
        Self { low: unit(self.low), estimate: unit(self.estimate), high: unit(self.high) }
    }
}

/// The middle value, or the mean of the two middle values; `None` without values.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted(values.to_vec()))
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(f64::midpoint(sorted[last / 2], sorted[sorted.len() / 2]))
}

/// The value at a percentile, counted from the lowest; `None` without values.
#[must_use]
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let values = sorted(values.to_vec());
    values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The number of means outside the bounds on each side. For n differences around zero, each rank is positive
/// with probability 1/2, which gives the distribution of the positive rank sum; 2.5 % of it is cut off.
fn signed_rank_bound(values: usize) -> Option<usize> {
    let mut probability = vec![1.0_f64];
    for rank in 1..=values {
        probability.resize(probability.len() + rank, 0.0);
        for sum in (0..probability.len()).rev() {
            let with = sum.checked_sub(rank).map_or(0.0, |rest| probability[rest]);
            probability[sum] = f64::midpoint(probability[sum], with);
        }
    }
    let mut below = 0.0;
    let enough = probability.iter().position(|share| {
        below += share;
        below > 0.025
    });
    enough?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From published tables: the highest rank sums within 2.5 % for 5, 6, 9, 10, 20 and 25 pairs.
    #[test]
    fn signed_ranks_match_published_tables() {
        let pairs = [5, 6, 9, 10, 20, 25];
        assert_eq!(pairs.map(signed_rank_bound), [None, Some(0), Some(5), Some(8), Some(52), Some(89)]);
    }

    /// Hollander and Wolfe, Nonparametric Statistical Methods, depression of nine patients before and after a
    /// treatment: the estimate is -0.46, the bounds are -0.786 and -0.010.
    #[test]
    #[expect(clippy::approx_constant, reason = "a patient's 3.14 is no pi")]
    fn bounds_match_textbook_example() {
        let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let interval = ConfidenceInterval::from_differences(&differences);
        let interval = interval.map(|interval| interval.map(|bound| (bound * 1e3).round() / 1e3));
        assert_eq!(interval, Some(ConfidenceInterval { low: -0.786, estimate: -0.46, high: -0.01 }));
        assert_eq!(ConfidenceInterval::from_differences(&differences[..5]), None);
    }

    #[test]
    fn even_median_is_mean_of_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[3.0, 1.0, 2.0, 6.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn hundredth_percentile_is_maximum() {
        let values = [3.0, 1.0, 2.0, 4.0];
        assert_eq!(
            [50, 99, 100].map(|percent| percentile(&values, percent)),
            [Some(2.0), Some(4.0), Some(4.0)]
        );
        assert_eq!(percentile(&[], 50), None);
    }
}
