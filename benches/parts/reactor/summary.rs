//! Some numbers of one kind: the one in the middle, and the two ends.

use std::fmt::{self, Display};

/// A median with the lowest and the highest.
pub(crate) struct Summary {
    lowest: f64,
    pub(crate) median: f64,
    highest: f64,
}

impl Summary {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Summary {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Summary {
            lowest: at(0),
            median: (at(last / 2) + at(last.div_ceil(2))) / 2.0,
            highest: at(last),
        }
    }
}

impl Display for Summary {
    /// With the formatter's precision: `{:.2}` for a ratio, `{:.0}` for nanoseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Summary {
            lowest,
            median,
            highest,
        } = self;
        write!(
            f,
            "{median:.digits$} ({lowest:.digits$} - {highest:.digits$})"
        )
    }
}
