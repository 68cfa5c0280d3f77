//! What a broker has told about itself, and how fast it changes.

use std::collections::HashMap;
use std::time::Instant;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::connection::Error;
use crate::monitor::Monitor;

/// By what connections are ordered, as `/connz` names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Sort {
    Cid,
    Subs,
    Pending,
    MsgsTo,
    MsgsFrom,
    BytesTo,
    BytesFrom,
    Idle,
    Last,
    Uptime,
}

impl Sort {
    /// The next one, round and round.
    pub(super) fn next(self) -> Sort {
        let all = Sort::value_variants();
        let at = all.iter().position(|one| *one == self).unwrap_or_default();
        all[(at + 1) % all.len()]
    }

    /// Its name.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Messages and bytes, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) msgs: f64,
    pub(super) bytes: f64,
}

impl Flow {
    fn of(object: &Value, way: &str) -> Flow {
        let number = |what| object[format!("{way}_{what}")].as_f64().unwrap_or_default();
        Flow {
            msgs: number("msgs"),
            bytes: number("bytes"),
        }
    }

    /// What has gone since, each second.
    fn rate(self, before: Flow, seconds: f64) -> Flow {
        // A broker that was started anew counts from the beginning.
        let rate = |now: f64, before: f64| ((now - before) / seconds).max(0.0);
        Flow {
            msgs: rate(self.msgs, before.msgs),
            bytes: rate(self.bytes, before.bytes),
        }
    }

    fn json(self) -> Value {
        json!({ "msgs": self.msgs, "bytes": self.bytes })
    }
}

/// Both ways, as the broker sees it: `from` clients and `to` them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Traffic {
    pub(super) from: Flow,
    pub(super) to: Flow,
}

impl Traffic {
    fn of(object: &Value) -> Traffic {
        Traffic {
            from: Flow::of(object, "in"),
            to: Flow::of(object, "out"),
        }
    }

    fn rate(self, before: Traffic, seconds: f64) -> Traffic {
        Traffic {
            from: self.from.rate(before.from, seconds),
            to: self.to.rate(before.to, seconds),
        }
    }
}

/// Most subjects that are told.
const SUBJECTS_MAX: usize = 5;

/// `/varz` and `/connz` at one time, and `/topz` where there is one.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) varz: Value,
    pub(super) connections: Vec<Value>,
    /// Connections there are, those that are not listed among them.
    pub(super) total: u64,
    /// The subjects that carry the most lately; `None` of a broker that cannot tell.
    pub(super) subjects: Option<Vec<Value>>,
    /// Where it was asked for.
    pub(super) asked: String,
    taken: Instant,
}

impl Sample {
    /// Asks the broker.
    pub(super) fn take(monitor: &Monitor, sort: Sort, limit: u32) -> Result<Sample, Error> {
        let varz = monitor.get("/varz")?;
        let mut connz = monitor.get(&format!("/connz?limit={limit}&sort={}", sort.name()))?;
        let connections = match connz["connections"].take() {
            Value::Array(connections) => connections,
            _ => Vec::new(),
        };
        // midge has this, nats-server has not.
        let topz = monitor.get(&format!("/topz?period=now&limit={SUBJECTS_MAX}"));
        let subjects = topz
            .ok()
            .and_then(|mut topz| match topz["subjects"].take() {
                Value::Array(subjects) => Some(subjects),
                _ => None,
            });
        Ok(Sample {
            varz,
            subjects,
            total: connz["total"].as_u64().unwrap_or_default(),
            connections,
            asked: monitor.address().to_owned(),
            taken: Instant::now(),
        })
    }

    /// One that no broker has told.
    #[cfg(test)]
    pub(super) fn fake(varz: Value, connections: Vec<Value>) -> Sample {
        Sample {
            varz,
            total: connections.len() as u64,
            connections,
            subjects: None,
            asked: "127.0.0.1:8222".to_owned(),
            taken: Instant::now(),
        }
    }

    /// All that has gone so far.
    pub(super) fn traffic(&self) -> Traffic {
        Traffic::of(&self.varz)
    }

    /// All that has gone each second since `before`.
    pub(super) fn rate(&self, before: &Sample) -> Traffic {
        self.traffic().rate(before.traffic(), self.since(before))
    }

    /// The same of each connection, by its number.
    pub(super) fn rates(&self, before: &Sample) -> HashMap<u64, Traffic> {
        let earlier: HashMap<u64, Traffic> = before.by_cid().collect();
        let seconds = self.since(before);
        let rate = |(cid, now): (u64, Traffic)| {
            let before = earlier.get(&cid).copied().unwrap_or_default();
            (cid, now.rate(before, seconds))
        };
        self.by_cid().map(rate).collect()
    }

    fn by_cid(&self) -> impl Iterator<Item = (u64, Traffic)> {
        let cid = |one: &Value| one["cid"].as_u64().unwrap_or_default();
        self.connections
            .iter()
            .map(move |one| (cid(one), Traffic::of(one)))
    }

    fn since(&self, before: &Sample) -> f64 {
        (self.taken - before.taken).as_secs_f64().max(1e-3)
    }

    /// The sample on one line: `varz` and `connections` as the broker tells them, and `rate`, each
    /// second, from the second sample on.
    pub(super) fn json(&self, before: Option<&Sample>) -> Value {
        let mut object = json!({ "varz": self.varz, "connections": self.connections });
        if let Some(subjects) = &self.subjects {
            object["subjects"] = json!(subjects);
        }
        if let Some(before) = before {
            let rate = self.rate(before);
            object["rate"] = json!({ "in": rate.from.json(), "out": rate.to.json() });
        }
        object
    }
}
