//! Several `CONNECT`s are worth what their fields are worth, one after the other.

use midge_protocol::ConnectOptions;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const FIELDS: [&str; 6] = ["verbose", "echo", "protocol", "name", "user", "unknown"];

/// A value for the field: of its type, `null`, or of another type.
fn value(field: &str) -> BoxedStrategy<Value> {
    let right = match field {
        "verbose" | "echo" => any::<bool>().prop_map(Value::from).boxed(),
        "protocol" => any::<i64>().prop_map(Value::from).boxed(),
        _ => "\\PC{0,6}".prop_map(Value::from).boxed(),
    };
    let wrong = Just(json!([1.5, {"name": "x"}]));
    prop_oneof![8 => right, 2 => Just(Value::Null), 1 => wrong].boxed()
}

fn field() -> impl Strategy<Value = (String, Value)> {
    (proptest::sample::select(&FIELDS[..]), any::<bool>()).prop_flat_map(|(field, upper)| {
        let key = if upper {
            field.to_uppercase()
        } else {
            field.to_string()
        };
        (Just(key), value(field))
    })
}

fn object(fields: &[(String, Value)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// The obvious twin: field by field, a wrong type spoils the object.
fn twin(options: &mut ConnectOptions, fields: &[(String, Value)]) -> bool {
    let before = options.clone();
    for (key, value) in fields {
        let taken = match (key.to_lowercase().as_str(), value) {
            ("unknown", _) | (_, Value::Null) => true,
            ("verbose", Value::Bool(flag)) => set(&mut options.verbose, *flag),
            ("echo", Value::Bool(flag)) => set(&mut options.echo, *flag),
            ("name", Value::String(text)) => set(&mut options.name, text.clone()),
            ("user", Value::String(text)) => set(&mut options.user, text.clone()),
            ("protocol", Value::Number(number)) => number
                .as_i64()
                .is_some_and(|number| set(&mut options.protocol, number)),
            _ => false,
        };
        if !taken {
            *options = before;
            return false;
        }
    }
    true
}

fn set<T>(field: &mut T, value: T) -> bool {
    *field = value;
    true
}

proptest! {
    #[test]
    fn merging_objects_is_setting_their_fields_in_order(
        objects in vec(vec(field(), 0..6), 0..4),
    ) {
        let (mut options, mut expected) = (ConnectOptions::default(), ConnectOptions::default());
        for fields in &objects {
            let accepted = options.merge(object(fields).as_bytes()).is_ok();
            prop_assert_eq!(accepted, twin(&mut expected, fields));
            prop_assert_eq!(&options, &expected);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(json in vec(any::<u8>(), 0..60)) {
        let mut options = ConnectOptions::default();
        let before = options.clone();
        if options.merge(&json).is_err() {
            prop_assert_eq!(options, before);
        }
        midge_protocol::redacted(&json);
    }
}
