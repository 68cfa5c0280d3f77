//! One record of the log as bytes: text as nats-server writes it, JSON, or a packet for syslog.

use std::fmt::Write as _;
use std::io::Write;

use jiff::{Timestamp, tz::TimeZone};
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use midge::cli::LogFormat;

use super::FATAL;

/// How urgent a line is. As [`Level`], with the process's last word above.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Urgency {
    pub(super) fn of(record: &Record<'_>) -> Urgency {
        match record.level() {
            _ if record.target() == FATAL => Urgency::Fatal,
            Level::Error => Urgency::Error,
            Level::Warn => Urgency::Warn,
            Level::Info => Urgency::Info,
            Level::Debug => Urgency::Debug,
            Level::Trace => Urgency::Trace,
        }
    }

    /// The letters of a text line, and their colour on a terminal.
    fn letters(self) -> (&'static str, &'static str) {
        match self {
            Urgency::Fatal => ("FTL", "31"),
            Urgency::Error => ("ERR", "31"),
            Urgency::Warn => ("WRN", "0;93"),
            Urgency::Info => ("INF", "32"),
            Urgency::Debug => ("DBG", "36"),
            Urgency::Trace => ("TRC", "33"),
        }
    }

    /// The word of a JSON line.
    fn word(self) -> &'static str {
        match self {
            Urgency::Fatal => "fatal",
            Urgency::Error => "error",
            Urgency::Warn => "warn",
            Urgency::Info => "info",
            Urgency::Debug => "debug",
            Urgency::Trace => "trace",
        }
    }

    /// The severity of syslog. Traces are notices, as in nats-server: who asks for them wants them kept.
    fn severity(self) -> u8 {
        match self {
            Urgency::Fatal => 2,
            Urgency::Error => 3,
            Urgency::Warn => 4,
            Urgency::Info | Urgency::Trace => 5,
            Urgency::Debug => 7,
        }
    }
}

/// What all lines of a log have in common.
#[derive(Clone, Debug)]
pub(super) struct Style {
    pub(super) pid: u32,
    /// Of the times on lines; `None` for lines without a time.
    pub(super) zone: Option<TimeZone>,
    pub(super) format: LogFormat,
    pub(super) colour: bool,
}

impl Style {
    /// Appends a line with its line feed.
    pub(super) fn line(
        &self,
        out: &mut Vec<u8>,
        now: Timestamp,
        urgency: Urgency,
        record: &Record<'_>,
    ) {
        match self.format {
            LogFormat::Text => self.text(out, now, urgency, record),
            LogFormat::Json => self.json(out, now, urgency, record),
        }
        out.push(b'\n');
    }

    /// `[pid] 2026/11/23 22:46:32.968826 [INF] text`.
    fn text(&self, out: &mut Vec<u8>, now: Timestamp, urgency: Urgency, record: &Record<'_>) {
        put(out, format_args!("[{}] ", self.pid));
        if let Some(zone) = &self.zone {
            let time = zone.to_datetime(now);
            put(
                out,
                format_args!(
                    "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:06} ",
                    time.year(),
                    time.month(),
                    time.day(),
                    time.hour(),
                    time.minute(),
                    time.second(),
                    time.subsec_nanosecond() / 1000,
                ),
            );
        }
        let (letters, code) = urgency.letters();
        if self.colour {
            put(out, format_args!("[\x1b[{code}m{letters}\x1b[0m] "));
        } else {
            put(out, format_args!("[{letters}] "));
        }
        put(out, *record.args());
    }

    /// `{"time":"2026-11-23T22:46:32.968826+01:00","level":"info","pid":7,"msg":"text"}`, and behind
    /// that the record's own fields.
    fn json(&self, out: &mut Vec<u8>, now: Timestamp, urgency: Urgency, record: &Record<'_>) {
        out.push(b'{');
        if let Some(zone) = &self.zone {
            let offset = zone.to_offset(now);
            put(
                out,
                format_args!("\"time\":\"{:.6}\",", now.display_with_offset(offset)),
            );
        }
        let (word, pid) = (urgency.word(), self.pid);
        put(
            out,
            format_args!("\"level\":\"{word}\",\"pid\":{pid},\"msg\":"),
        );
        json_text(out, &record.args().to_string());
        // It cannot fail: `Fields` never does.
        let _ = record.key_values().visit(&mut Fields(out));
        out.push(b'}');
    }
}

/// A vector takes all.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn json_text(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

/// Appends a record's fields to a JSON object that has begun.
struct Fields<'a>(&'a mut Vec<u8>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push(b',');
        json_text(self.0, key.as_str());
        self.0.push(b':');
        if let Some(number) = value.to_u64() {
            put(self.0, format_args!("{number}"));
        } else if let Some(number) = value.to_f64() {
            put(self.0, format_args!("{number}"));
        } else {
            json_text(self.0, &value.to_string());
        }
        Ok(())
    }
}

/// How packets for syslog begin, as nats-server's do.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    /// The process, by the name it was called by.
    pub(super) name: String,
    /// This machine, for a daemon on another one; `None` for the local one, which knows.
    pub(super) host: Option<String>,
    pub(super) zone: TimeZone,
}

impl Tag {
    /// Appends what stands before the text.
    ///
    /// Shape: `<5>2026-11-26T02:04:23Z host midge[7]: ` for another machine, with the facility "kernel"
    /// that nats-server has there; `<29>Nov 26 02:04:23 midge[7]: `, with "daemon", for this one.
    pub(super) fn put(&self, out: &mut Vec<u8>, now: Timestamp, urgency: Urgency) {
        const DAEMON: u8 = 3 << 3;
        let (severity, pid) = (urgency.severity(), std::process::id());
        let mut head = String::new();
        let written = match &self.host {
            Some(host) => {
                let offset = self.zone.to_offset(now);
                let time = if offset.is_zero() {
                    format!("{now:.0}")
                } else {
                    format!("{:.0}", now.display_with_offset(offset))
                };
                write!(head, "<{severity}>{time} {host} {}[{pid}]: ", self.name)
            }
            None => {
                let time = self.zone.to_datetime(now).strftime("%b %e %H:%M:%S");
                write!(head, "<{}>{time} {}[{pid}]: ", DAEMON | severity, self.name)
            }
        };
        // A string takes all.
        let _ = written;
        out.extend_from_slice(head.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(format: LogFormat, zone: Option<TimeZone>, colour: bool) -> Style {
        Style {
            pid: 7,
            zone,
            format,
            colour,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn line(style: &Style, now: Timestamp, urgency: Urgency) -> String {
        let mut out = Vec::new();
        let fields = [("cid", Value::from(7)), ("peer", Value::from("a\"b"))];
        let mut record = Record::builder();
        let record = record.key_values(&fields);
        let record = record.args(format_args!("te\"xt")).build();
        style.line(&mut out, now, urgency, &record);
        String::from_utf8(out).expect("a line is text")
    }

    #[test]
    fn each_level_has_its_letters_and_on_a_terminal_its_colour() {
        for (urgency, plain, coloured) in [
            (Urgency::Error, "ERR", "\x1b[31mERR\x1b[0m"),
            (Urgency::Warn, "WRN", "\x1b[0;93mWRN\x1b[0m"),
            (Urgency::Info, "INF", "\x1b[32mINF\x1b[0m"),
            (Urgency::Debug, "DBG", "\x1b[36mDBG\x1b[0m"),
            (Urgency::Trace, "TRC", "\x1b[33mTRC\x1b[0m"),
            (Urgency::Fatal, "FTL", "\x1b[31mFTL\x1b[0m"),
        ] {
            for (colour, letters) in [(false, plain), (true, coloured)] {
                let style = style(LogFormat::Text, None, colour);
                let expected = format!("[7] [{letters}] te\"xt\n");
                assert_eq!(line(&style, Timestamp::UNIX_EPOCH, urgency), expected);
            }
        }
    }

    #[test]
    fn the_time_is_padded_and_ends_in_microseconds() {
        let style = style(LogFormat::Text, Some(TimeZone::UTC), false);
        for (given, fraction) in [
            ("2026-01-02T03:04:05Z", "000000"),
            ("2026-01-02T03:04:05.000001999Z", "000001"),
            ("2026-01-02T03:04:05.987654321Z", "987654"),
        ] {
            assert_eq!(
                line(&style, at(given), Urgency::Info),
                format!("[7] 2026/01/02 03:04:05.{fraction} [INF] te\"xt\n")
            );
        }
    }

    #[test]
    fn a_json_line_is_one_object_with_the_same_text_and_the_fields_of_the_record() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = at("2026-01-02T03:04:05.987654321Z");
        let rest =
            "\"level\":\"warn\",\"pid\":7,\"msg\":\"te\\\"xt\",\"cid\":7,\"peer\":\"a\\\"b\"}\n";
        let given = style(LogFormat::Json, Some(zone), true);
        let expected = format!("{{\"time\":\"2026-01-02T05:04:05.987654+02:00\",{rest}");
        assert_eq!(line(&given, now, Urgency::Warn), expected);
        let given = style(LogFormat::Json, None, true);
        assert_eq!(line(&given, now, Urgency::Warn), format!("{{{rest}"));
    }

    #[test]
    fn a_packet_for_syslog_begins_with_urgency_time_and_process() {
        let pid = std::process::id();
        let mut tag = Tag {
            name: "midge".to_owned(),
            host: Some("east".to_owned()),
            zone: TimeZone::UTC,
        };
        let head = |tag: &Tag, urgency| {
            let mut out = Vec::new();
            tag.put(&mut out, at("2026-01-02T03:04:05.9Z"), urgency);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(
            head(&tag, Urgency::Info),
            format!("<5>2026-01-02T03:04:05Z east midge[{pid}]: ")
        );
        tag.zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(
            head(&tag, Urgency::Fatal),
            format!("<2>2026-01-02T04:04:05+01:00 east midge[{pid}]: ")
        );
        tag.host = None;
        assert_eq!(
            head(&tag, Urgency::Debug),
            format!("<31>Jan  2 04:04:05 midge[{pid}]: ")
        );
    }
}
