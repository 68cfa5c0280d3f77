//! Reading the JSON of a peer: what it does not know how to say is at its default, and what nobody knows is ignored,
//! since each release of the reference adds fields.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde_json::{Map, Value};

use super::violation::PeerViolation;
use crate::connect::lossy;
use crate::secret::Secret;

/// Most entries that a list in `INFO` or `CONNECT` may have. More than brokers have, and less than a line of 64 KiB can
/// hold.
pub const LIST_LEN_MAX: usize = 4096;

/// The object `json`, with blanks around it. `null` is as if the field were not there; letter case of keys does not
/// matter, and of two that differ in it alone the one in small letters counts; of duplicates the last does. Bytes that
/// are not UTF-8 are replaced by U+FFFD.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, PeerViolation<'static>> {
    let fields: Map<String, Value> =
        serde_json::from_str(&lossy(json)).map_err(|_| PeerViolation::Parse)?;
    // Capitals sort before small letters: what comes later replaces what came before.
    serde_json::from_value(Value::Object(plain(fields))).map_err(|_| PeerViolation::Parse)
}

/// The fields that are not null, by keys in small letters. As deep as the parser has let them be.
fn plain(fields: Map<String, Value>) -> Map<String, Value> {
    let there = fields.into_iter().filter(|(_, value)| !value.is_null());
    let plain = there.map(|(key, value)| {
        let value = match value {
            Value::Object(fields) => Value::Object(plain(fields)),
            value => value,
        };
        (key.to_ascii_lowercase(), value)
    });
    plain.collect()
}

/// A list of texts of a bounded length.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Vec::deserialize(deserializer)?;
    if list.len() > LIST_LEN_MAX {
        return Err(Error::custom("a list of too many entries"));
    }
    Ok(list)
}

/// As [`list`], of what may not be there.
pub(super) fn some_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    list(deserializer).map(Some)
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}
