//! From numbers to places on a logarithmic axis.

/// A logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From one whole power of `base` to another, with all `numbers` between.
    pub(super) fn around(numbers: impl IntoIterator<Item = f64>, base: f64) -> Scale {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for number in numbers {
            if number > 0.0 && number.is_finite() {
                (low, high) = (low.min(number), high.max(number));
            }
        }
        if low > high {
            (low, high) = (1.0, base);
        }
        // A hair of room, so that a number on a power of the base is not at the edge.
        let low = base.powf((low.ln() / base.ln() + 1e-9).floor());
        let high = base.powf((high.ln() / base.ln() - 1e-9).ceil());
        Scale {
            low,
            high: high.max(low * base),
        }
    }

    /// Where a number stands: 0 at the low end, 1 at the high one.
    pub(super) fn place(&self, number: f64) -> f64 {
        let place = (number / self.low).ln() / (self.high / self.low).ln();
        place.clamp(0.0, 1.0)
    }

    /// The same in percent.
    pub(super) fn percent(&self, number: f64) -> f64 {
        100.0 * self.place(number)
    }

    /// The powers of `base` on the axis.
    pub(super) fn ticks(&self, base: f64) -> Vec<f64> {
        let first = (self.low.ln() / base.ln()).round() as i32;
        let last = (self.high.ln() / base.ln()).round() as i32;
        (first..=last).map(|power| base.powi(power)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_begins_and_ends_at_whole_powers() {
        let scale = Scale::around([0.7, 5.0], 2.0);
        assert_eq!(scale.ticks(2.0), [0.5, 1.0, 2.0, 4.0, 8.0]);
        assert!((scale.place(2.0) - 0.5).abs() < 1e-9);
        assert_eq!(scale.place(0.0001), 0.0);
    }

    #[test]
    fn an_axis_without_numbers_is_still_one() {
        assert_eq!(Scale::around([], 10.0).ticks(10.0), [1.0, 10.0]);
    }
}
