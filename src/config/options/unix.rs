//! The block `unix`: who may use a Unix socket, and as whom. midge's own.
//!
//! Users and groups of the machine are looked up when the settings are read. Where the system cannot tell who they are,
//! for want of its name service, that is an error: a reload is refused then, and no peer loses a place that the former
//! settings have given.

use super::reader::Reader;
use crate::config::language::Pair;
use crate::config::{UnixGroup, UnixSocket};
use midge_text::system_words;
use nix::errno::Errno;
use nix::unistd::{Gid, Group, User};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

const KEYS: [&str; 5] = [
    "path",
    "mode",
    "users_by_uid",
    "users_by_gid",
    "other_peers",
];

/// Users and groups of the machine: those of the system, or some that a test has made up. `None` is one that is not
/// there.
pub(super) trait People {
    /// The number of a user.
    ///
    /// # Errors
    /// The system cannot tell.
    fn user(&self, name: &str) -> io::Result<Option<u32>>;

    /// A group, by its name or its number.
    ///
    /// # Errors
    /// As [`user`](People::user).
    fn group(&self, name: &str) -> io::Result<Option<Known>>;
}

/// A group of the machine.
pub(super) struct Known {
    pub(super) gid: u32,
    /// The names of the users who are in it besides their own group.
    pub(super) members: Vec<String>,
}

/// Those of the system.
pub(super) struct System;

impl People for System {
    fn user(&self, name: &str) -> io::Result<Option<u32>> {
        let user = known(User::from_name(name))?;
        Ok(user.map(|user| user.uid.as_raw()))
    }

    fn group(&self, name: &str) -> io::Result<Option<Known>> {
        let group = match name.parse() {
            Ok(gid) => Group::from_gid(Gid::from_raw(gid)),
            Err(_) => Group::from_name(name),
        };
        Ok(known(group)?.map(|group| Known {
            gid: group.gid.as_raw(),
            members: group.mem,
        }))
    }
}

/// Who is not there is an error to some name services, and none to others.
fn known<T>(answer: nix::Result<Option<T>>) -> io::Result<Option<T>> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        answer => Ok(answer?),
    }
}

impl Reader<'_> {
    /// Reads the block `unix`: who may use a Unix socket, and as whom.
    pub(super) fn unix_block(&mut self, pair: &Pair, unix: &mut Option<UnixSocket>) {
        let Some(map) = self.map(pair) else { return };
        let own = unix.get_or_insert_with(|| UnixSocket::at(""));
        own.users_by_uid = BTreeMap::new();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "path" => own.path = self.text(pair).unwrap_or_default().into(),
                "mode" => own.mode = self.mode(pair).unwrap_or(own.mode),
                "users_by_uid" => own.users_by_uid = self.users_by_uid(pair),
                "users_by_gid" => own.users_by_gid = self.users_by_gid(pair),
                "other_peers" => match self.text(pair).unwrap_or_default().as_str() {
                    "refuse" => own.refuse_others = true,
                    "login" => own.refuse_others = false,
                    _ => {
                        let text = "other_peers takes login, so that others present what all must, or refuse";
                        self.report.error(&pair.at, text);
                    }
                },
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS.iter().copied()),
            }
        }
    }

    /// Permissions as `ls` and `chmod` have them: octal digits, with a 0 in front or none.
    fn mode(&mut self, pair: &Pair) -> Option<u32> {
        let text = self.text(pair)?;
        let digits = text.strip_prefix("0o").unwrap_or(&text);
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o777 => Some(mode),
            _ => self.wrong(
                pair,
                format!(
                    "mode {text:?} is no permissions of a file; write three octal digits, as 0660"
                ),
            ),
        }
    }

    fn users_by_uid(&mut self, pair: &Pair) -> BTreeMap<u32, String> {
        let mut found = BTreeMap::new();
        let Some(map) = self.map(pair) else {
            return found;
        };
        for pair in map.iter() {
            let uid = match pair.key.parse() {
                Ok(uid) => Some(uid),
                Err(_) => self.found(pair, "user", self.people.user(&pair.key)),
            };
            if let (Some(uid), Some(user)) = (uid, self.text(pair)) {
                found.insert(uid, user);
            }
        }
        found
    }

    /// In the order in which they are written, each with the users who are in it.
    fn users_by_gid(&mut self, pair: &Pair) -> Vec<UnixGroup> {
        let mut found = Vec::new();
        let Some(map) = self.map(pair) else {
            return found;
        };
        for pair in map.iter() {
            let known = match (pair.key.parse(), self.people.group(&pair.key)) {
                // A number that the system has no name for is a group without members.
                (Ok(gid), Ok(None)) => Some(Known {
                    gid,
                    members: Vec::new(),
                }),
                (_, known) => self.found(pair, "group", known),
            };
            let (Some(known), Some(user)) = (known, self.text(pair)) else {
                continue;
            };
            let mut members = BTreeSet::new();
            for name in known.members {
                match self.people.user(&name) {
                    Ok(uid) => members.extend(uid),
                    Err(error) => self.unknowable(pair, "user", &name, &error),
                }
            }
            let gid = known.gid;
            found.push(UnixGroup { gid, members, user });
        }
        found
    }

    /// One that must be there.
    fn found<T>(&mut self, pair: &Pair, what: &str, known: io::Result<Option<T>>) -> Option<T> {
        let name = &pair.key;
        match known {
            Ok(Some(known)) => return Some(known),
            Ok(None) => {
                let text = format!(
                    "there is no {what} {name:?} on this machine; write its name or its number"
                );
                self.report.error(&pair.at, text);
            }
            Err(error) => self.unknowable(pair, what, name, &error),
        }
        None
    }

    fn unknowable(&mut self, pair: &Pair, what: &str, name: &str, error: &io::Error) {
        let text = format!(
            "the system cannot tell who {what} {name:?} is: {}; try again when its name service answers",
            system_words(error)
        );
        self.report.error(&pair.at, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::language::{self, parse};
    use crate::config::options::settings_among;
    use midge_reactor::Credentials;

    /// Some who are known, if anybody is.
    struct Few {
        is_down: bool,
    }

    impl Few {
        fn told<T>(&self, known: Option<T>) -> io::Result<Option<T>> {
            match self.is_down {
                true => Err(io::ErrorKind::TimedOut.into()),
                false => Ok(known),
            }
        }
    }

    impl People for Few {
        fn user(&self, name: &str) -> io::Result<Option<u32>> {
            let known = [("ann", 1001), ("bob", 1002)].into_iter();
            let mut known = known.filter(|(known, _)| *known == name);
            self.told(known.next().map(|(_, uid)| uid))
        }

        fn group(&self, name: &str) -> io::Result<Option<Known>> {
            let known = |gid, members: &[&str]| Known {
                gid,
                members: members.iter().map(|name| (*name).to_owned()).collect(),
            };
            self.told(match name {
                "ops" | "50" => Some(known(50, &["ann", "gone"])),
                "dev" => Some(known(60, &["ann", "bob"])),
                _ => None,
            })
        }
    }

    /// The socket of this block, or what is wrong with it.
    fn read(text: &str, is_down: bool) -> Result<UnixSocket, Vec<String>> {
        let text = format!("unix {{path: /run/m, {text}}}");
        let document =
            parse("f".as_ref(), text.as_bytes(), &language::System).expect("it is right");
        let found = settings_among(&document, &Few { is_down });
        let errors = found.report.errors.iter().map(ToString::to_string);
        let errors: Vec<String> = errors.collect();
        match errors.is_empty() {
            true => Ok(found.options.config.unix.expect("it is set")),
            false => Err(errors),
        }
    }

    #[test]
    fn of_several_groups_that_a_process_is_in_the_first_that_is_written_counts() {
        let user = |text: &str, uid, gid| {
            let socket = read(text, false).expect("it is right");
            let pid = None;
            let user = socket.user_of(Credentials { pid, uid, gid });
            user.unwrap_or("nobody").to_owned()
        };
        for (text, expected) in [
            ("users_by_gid {ops: o, dev: d}", "o"),
            ("users_by_gid {dev: d, ops: o}", "d"),
            ("users_by_gid {dev: d, 50: o}", "d"),
            ("users_by_gid {7: n, dev: d}", "d"),
            ("users_by_gid {dev: d, 7: n}", "d"),
            ("users_by_gid {ops: o}, users_by_uid {ann: a}", "a"),
        ] {
            // Ann is in both, and her process runs as neither.
            assert_eq!(user(text, 1001, 100), expected, "{text}");
        }
        // The group that a process runs as counts like one that its user is in.
        let text = "users_by_gid {ops: o, dev: d}";
        assert_eq!(user(text, 1002, 50), "o");
        assert_eq!(user(text, 1002, 100), "d");
        assert_eq!(user(text, 1003, 100), "nobody");
    }

    #[test]
    fn a_name_service_that_does_not_answer_is_an_error_and_empties_no_group() {
        let text = "users_by_uid {ann: a, 7: b}, users_by_gid {ops: o, 50: p}";
        assert!(read(text, false).is_ok());
        let told = |what: &str, column| {
            format!(
                "f:1:{column}: the system cannot tell who {what} is: timed out; try again when its name \
                 service answers"
            )
        };
        assert_eq!(
            read(text, true).expect_err("nobody answers"),
            [
                told("user \"ann\"", 35),
                told("group \"ops\"", 64),
                told("group \"50\"", 72),
            ]
        );
        // Numbers of users need no name service.
        assert!(read("users_by_uid {7: b}", true).is_ok());
    }
}
