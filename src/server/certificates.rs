//! Certificates of a broker that runs, of each listener with TLS: what is said of them, and that a file which changes is
//! taken up by itself.
//!
//! Every few seconds another thread looks at the files' dates. Those that have changed are read there, and what they hold
//! takes the place of what there was: handshakes that begin from then on show it, connections that are there live on. A file
//! that cannot be used is complained of, once, and the former certificates stay.

use crate::config::Config;
use crate::door::Door;
use crate::link::upkeep::tell_later;
use crate::state::State;
use crate::state::events::Paper;
use crate::tls::{Certificates, Shown, Tls};
use jiff::Timestamp;
use midge_reactor::Context;
use std::time::Duration;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(5);

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How many days before its end a certificate is warned of.
const WARNED_DAYS: [i64; 3] = [30, 7, 0];

/// The broker begins to listen: tells what certificates it shows, and looks after them from now on.
pub(super) fn begin(cx: &mut Context<'_, State>) {
    for (door, shown) in shown(cx.state) {
        let (name, not_after) = (
            shown.called(&cx.state.config.certificate_place(door)),
            shown.not_after,
        );
        log::info!(target: "midge", "{name} is valid until {not_after}");
    }
    warn(cx.state, Timestamp::now());
    follow(cx);
}

/// The settings are new, and were `former`. What the files hold stays as it was if it is the same, and with it the sessions
/// that clients may take up again.
pub(super) fn reloaded(cx: &mut Context<'_, State>, former: &Config) {
    let config = &mut cx.state.config;
    for (door, former) in former.each_tls() {
        let place = config.certificate_place(door);
        let Some(tls) = config.tls_mut(door) else {
            continue;
        };
        if let (Some(new), Some(old)) = (tls.certificates(), former.certificates()) {
            match tls == former && new.is_same(old) {
                true => tls.loaded = former.loaded.clone(),
                false => tell_of_change(&place, old, new),
            }
        }
    }
    follow(cx);
}

/// Looks at the files now and then, while there are any.
fn follow(cx: &mut Context<'_, State>) {
    let timer = cx.state.certificates.timer;
    let has_any = cx.state.config.each_tls().next().is_some();
    cx.state.certificates.timer = match (has_any, timer) {
        (true, None) => Some(cx.every(EVERY, look)),
        (false, Some(timer)) => {
            cx.io.cancel(timer);
            None
        }
        _ => timer,
    };
}

fn look(cx: &mut Context<'_, State>) {
    let blocks = cx.state.config.each_tls();
    let blocks: Vec<(Door, Tls)> = blocks.map(|(door, tls)| (door, tls.clone())).collect();
    if blocks.is_empty() || std::mem::replace(&mut cx.state.certificates.is_looking, true) {
        return;
    }
    let asked = blocks.clone();
    let begun = cx.offload(
        move || {
            let read = blocks.iter().map(|(_, tls)| tls.read_again());
            (read.collect::<Vec<_>>(), Timestamp::now())
        },
        move |cx, seen| {
            cx.state.certificates.is_looking = false;
            let Ok((read, now)) = seen else { return };
            for ((door, asked), read) in asked.into_iter().zip(read) {
                // Settings that came meanwhile have been read since.
                if cx.state.config.terms(door).tls == Some(&asked) {
                    take_up(cx.state, door, read);
                }
            }
            warn(cx.state, now);
            tell_later(cx);
        },
    );
    // Where no thread is free, the next time.
    cx.state.certificates.is_looking = begun.is_ok();
}

/// Takes up what files of a listener that have changed hold, if they have.
fn take_up(state: &mut State, door: Door, read: Option<Result<Tls, String>>) {
    let faults = &mut state.certificates.faults;
    let Some(read) = read else {
        faults.remove(&door);
        return;
    };
    match read {
        Ok(new) => {
            faults.remove(&door);
            let place = state.config.certificate_place(door);
            let Some(tls) = state.config.tls_mut(door) else {
                return;
            };
            if let (Some(old), Some(new)) = (tls.certificates(), new.certificates()) {
                tell_of_change(&place, old, new);
            }
            *tls = new;
        }
        // They may be in the middle of being written.
        Err(fault) => {
            if faults.get(&door) != Some(&fault) {
                log::error!(
                    target: "midge",
                    "Changed files for TLS cannot be used: {fault}; the former ones stay in use"
                );
                faults.insert(door, fault);
            }
        }
    }
}

fn tell_of_change(place: &str, old: &Certificates, new: &Certificates) {
    if new.is_same(old) {
        return;
    }
    for (number, shown) in new.shown().iter().enumerate() {
        let name = shown.called(place);
        let now = format!("is valid until {}", shown.not_after);
        match old.shown().get(number) {
            Some(former) => log::info!(
                target: "midge",
                "{name} was read again: {now} (was {})", former.not_after
            ),
            None => log::info!(target: "midge", "{name} {now}"),
        }
    }
}

/// Warns of certificates that end soon, have ended or are not valid yet: once in each of the times for that.
fn warn(state: &mut State, now: Timestamp) {
    let warned = std::mem::take(&mut state.certificates.warned);
    for (door, shown) in shown(state) {
        let left = shown.not_after.as_second() - now.as_second();
        let is_due = |days: &&i64| left <= **days * DAY_SECONDS;
        let due = match now < shown.not_before {
            true => WARNED_DAYS.len() + 1,
            false => WARNED_DAYS.iter().filter(is_due).count(),
        };
        let name = shown.called(&state.config.certificate_place(door));
        let untimely = shown.untimely(now);
        let key = (door, shown.cert_file, shown.not_after);
        if due > warned.get(&key).copied().unwrap_or(0) {
            let (not_after, days) = (shown.not_after, left / DAY_SECONDS);
            let text = match untimely {
                Some(fault) => {
                    log::error!(target: "midge", "{name} {fault}");
                    fault
                }
                None => {
                    let text = format!("ends in {days} days, at {not_after}; renew it");
                    log::warn!(target: "midge", "{name} {text}");
                    text
                }
            };
            state.note_certificate(|| Paper {
                name,
                not_after,
                text,
            });
        }
        state.certificates.warned.insert(key, due);
    }
}

/// The certificates that are shown, with who is shown them.
fn shown(state: &State) -> Vec<(Door, Shown)> {
    let blocks = state.config.each_tls();
    let each = blocks.filter_map(|(door, tls)| Some((door, tls.certificates()?)));
    each.flat_map(|(door, held)| held.shown().iter().map(move |one| (door, one.clone())))
        .collect()
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;
    use crate::config::WebSocket;
    use crate::tls::CertFiles;
    use midge_protocol::Info;
    use std::fs;

    #[test]
    fn a_certificate_of_either_listener_is_warned_of_once_in_each_of_the_times_for_it() {
        let name = format!("midge-certificates-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory of this test");
        let (cert_file, key_file) = (directory.join("cert.pem"), directory.join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["midge.test".to_owned()]);
        let paper = made.expect("ring makes keys");
        fs::write(&cert_file, paper.cert.pem()).expect("a file of this test");
        fs::write(&key_file, paper.signing_key.serialize_pem()).expect("a file of this test");
        let files = CertFiles {
            cert_file,
            key_file,
        };
        let mut tls = Tls {
            certs: vec![files],
            ..Tls::default()
        };
        tls.load().expect("they were made a moment ago");
        let end = tls.certificates().expect("they are loaded").shown()[0].not_after;
        let websocket = WebSocket {
            tls: Some(tls.clone()),
            ..WebSocket::default()
        };
        let config = Config {
            tls: Some(tls),
            websocket: Some(websocket),
            ..Config::default()
        };
        let mut state = State::announcing(config, Info::default());
        for (days, over) in [(31, 0), (30, 1), (8, 1), (7, 2), (1, 2), (0, 3), (-1, 3)] {
            let seconds = end.as_second() - days * DAY_SECONDS;
            warn(&mut state, Timestamp::from_second(seconds).expect("a date"));
            let warned: Vec<usize> = state.certificates.warned.values().copied().collect();
            assert_eq!(warned, [over; 2], "{days} days before the end");
        }
        let begin = state.config.tls.as_ref().and_then(Tls::certificates);
        let begin = begin.expect("they are loaded").shown()[0].not_before;
        for (seconds, over) in [(-1, 4), (0, 0)] {
            let now = Timestamp::from_second(begin.as_second() + seconds).expect("a date");
            warn(&mut state, now);
            let warned: Vec<usize> = state.certificates.warned.values().copied().collect();
            assert_eq!(warned, [over; 2], "{seconds} seconds after the beginning");
        }
        let _ = fs::remove_dir_all(directory);
    }
}
