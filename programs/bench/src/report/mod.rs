//! The results as one HTML file that needs no other, and as a small plot.
//!
//! Written by hand: rows of bars and dots are plain HTML, so that they fit a phone, and curves are
//! SVG; both take their colours from the page's style, which knows light and dark. No script, no
//! font, nothing is fetched.
//!
//! * `page.rs`: the page from top to bottom.
//! * `rows.rs`: bars and dots, a row for each workload.
//! * `curves.rs`: percentiles, and what grows.
//! * `headline.rs`: the small plot.
//! * `scale.rs`: from numbers to places.

mod curves;
mod headline;
mod page;
mod rows;
mod scale;

pub(crate) use headline::headline;
pub(crate) use page::page;

/// `text` as HTML and SVG want it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

/// How many times, with as many digits as mean something.
fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 9.95 => format!("{ratio:.2}×"),
        ratio if ratio < 99.5 => format!("{ratio:.1}×"),
        _ => format!("{ratio:.0}×"),
    }
}

/// The colour of a broker.
fn colour(broker: usize) -> String {
    format!("var(--c{})", broker % 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(escaped("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }
}
