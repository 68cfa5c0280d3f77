//! No bytes make the reader of configuration files and of their options panic or run for ever, and it
//! tells no error without a place.
//!
//! The data is a file, and what it includes: parts between NUL bytes are the files `0`, `1` and so on.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::config::language::{Kind, Map, Value, World, parse};
use midge::config::options;
use midge::config::settings::SETTINGS;
use std::io;
use std::path::{Path, PathBuf};

struct Parts<'a>(Vec<&'a [u8]>);

impl World for Parts<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let number = path.to_str().and_then(|name| name.parse::<usize>().ok());
        let part = number.and_then(|number| self.0.get(number));
        part.map(|part| part.to_vec())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.read(path).is_ok()
    }

    fn matching(&self, pattern: &Path) -> Option<Vec<PathBuf>> {
        let all = (0..self.0.len()).map(|number| number.to_string().into());
        (pattern == Path::new("*")).then(|| all.collect())
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn variable(&self, name: &str) -> Option<String> {
        let part = self.read(Path::new(name)).ok()?;
        String::from_utf8(part).ok()
    }
}

fuzz_target!(|data: &[u8]| {
    let world = Parts(data.split(|&byte| byte == 0).take(8).collect());
    match parse(Path::new("0"), world.0[0], &world) {
        Ok(document) => {
            map(&document.root);
            let settings = options::settings(&document);
            for setting in SETTINGS {
                assert!(setting.is_same(&settings.options, &settings.options));
                setting.show(&settings.options);
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let at = error.at.as_ref().expect("it stands somewhere");
                assert!(at.line > 0 && at.column > 0);
                assert!(!error.to_string().is_empty());
            }
        }
    }
});

fn map(map: &Map) {
    for pair in map.iter() {
        assert!(map.get(&pair.key).is_some());
        value(&pair.value);
    }
}

fn value(it: &Value) {
    match &it.kind {
        Kind::List(list) => list.iter().for_each(value),
        Kind::Map(pairs) => map(pairs),
        _ => assert!(it.as_text().is_some()),
    }
}
