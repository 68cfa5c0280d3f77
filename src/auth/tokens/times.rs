//! The parts of the day in which a user may be connected, in its time zone or in that of the machine.

use super::Refusal;
use crate::jwt::{TimeRange, User};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

/// The time zone of a user.
///
/// # Errors
/// The name of one that is not known.
pub(super) fn zone(user: &User) -> Result<TimeZone, Box<str>> {
    match user.times_location.as_str() {
        "" => Ok(TimeZone::system()),
        name => TimeZone::get(name).map_err(|_| name.into()),
    }
}

/// Until when a user may stay that comes at this time; `None` is always.
///
/// # Errors
/// [`Refusal::Times`]: it may not come.
pub(super) fn until(user: &User, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    if user.times.is_empty() {
        return Ok(None);
    }
    let zone = zone(user).map_err(Refusal::Zone)?;
    let now = now.to_zoned_datetime(zone);
    let ends = user.times.iter().filter_map(|range| end(range, &now));
    let last = ends.max().ok_or(Refusal::Times)?;
    Ok(Some(last))
}

/// When a part of the day is over that it is now, if it is.
fn end(range: &TimeRange, now: &ZonedDateTime) -> Option<Timestamp> {
    let (start, end) = (range.starts()?, range.ends()?);
    let time = now.time();
    let second = time.hour() as u32 * 3600 + time.minute() as u32 * 60 + time.second() as u32;
    let is_over_midnight = end < start;
    let is_in = match is_over_midnight {
        true => second >= start || second < end,
        false => second >= start && second < end,
    };
    let days = i64::from(is_over_midnight && second >= start);
    let midnight = now.date().checked_add(Span::new().days(days)).ok()?;
    let end = midnight
        .at(0, 0, 0, 0)
        .checked_add(Span::new().seconds(end))
        .ok()?;
    let end = end.to_zoned_datetime(now.time_zone().clone()).ok()?;
    is_in.then(|| end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(times: &[(&str, &str)], zone: &str) -> User {
        let range = |(start, end): &(&str, &str)| TimeRange {
            start: (*start).to_owned(),
            end: (*end).to_owned(),
        };
        User {
            times: times.iter().map(range).collect(),
            times_location: zone.to_owned(),
            ..User::default()
        }
    }

    #[track_caller]
    fn check(times: &[(&str, &str)], now: &str, expected: Option<&str>) {
        let date = |text: &str| format!("2026-03-10T{text}Z").parse::<Timestamp>();
        let now = date(now).expect("it is a date");
        let found = until(&user(times, "UTC"), now);
        match expected {
            None => assert_eq!(found, Err(Refusal::Times)),
            Some(end) => {
                let end = end.parse::<Timestamp>().expect("it is a date");
                assert_eq!(found, Ok(Some(end)));
            }
        }
    }

    #[test]
    fn a_part_of_the_day_begins_with_its_first_second_and_is_over_with_its_last() {
        let day = [("08:00:00", "17:00:00")];
        check(&day, "07:59:59", None);
        check(&day, "08:00:00", Some("2026-03-10T17:00:00Z"));
        check(&day, "16:59:59", Some("2026-03-10T17:00:00Z"));
        check(&day, "17:00:00", None);
    }

    #[test]
    fn one_that_ends_before_it_begins_goes_over_midnight_and_several_are_alternatives() {
        let night = [("22:00:00", "06:00:00")];
        check(&night, "23:00:00", Some("2026-03-11T06:00:00Z"));
        check(&night, "05:00:00", Some("2026-03-10T06:00:00Z"));
        check(&night, "12:00:00", None);
        let both = [("08:00:00", "12:00:00"), ("11:00:00", "13:00:00")];
        check(&both, "11:30:00", Some("2026-03-10T13:00:00Z"));
        check(&both, "12:30:00", Some("2026-03-10T13:00:00Z"));
        // One that ends when it begins has no second.
        check(&[("05:00:00", "05:00:00")], "05:00:00", None);
    }

    #[test]
    fn a_time_zone_counts_by_its_name_and_must_be_known() {
        let now = "2026-07-01T06:30:00Z".parse().expect("it is a date");
        let there = user(&[("08:00:00", "09:00:00")], "Europe/Berlin");
        let end = "2026-07-01T07:00:00Z".parse().expect("it is a date");
        assert_eq!(until(&there, now), Ok(Some(end)));
        assert_eq!(until(&User::default(), now), Ok(None));
        assert_eq!(zone(&user(&[], "X/Y")), Err("X/Y".into()));
    }
}
