//! Certificates of a broker that runs: what is said of them, and that a file which changes is taken up by itself.
//!
//! Every few seconds another thread looks at the files' dates. Those that have changed are read there, and what they hold
//! takes the place of what there was: handshakes that begin from then on show it, connections that are there live on. A file
//! that cannot be used is complained of, once, and the former certificates stay.

use crate::state::State;
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
    for shown in shown(cx.state) {
        let Shown {
            cert_file,
            not_after,
        } = shown;
        let file = cert_file.display();
        log::info!(target: "midge", "TLS certificate {file} is valid until {not_after}");
    }
    warn(cx.state, Timestamp::now());
    follow(cx);
}

/// The settings are new. What the files hold stays as it was if it is the same, and with it the sessions that clients may take
/// up again.
pub(super) fn reloaded(cx: &mut Context<'_, State>, former: Option<&Tls>) {
    let tls = &mut cx.state.config.tls;
    if let (Some(tls), Some(former)) = (tls.as_mut(), former)
        && let (Some(new), Some(old)) = (tls.certificates(), former.certificates())
    {
        match tls == former && new.is_same(old) {
            true => tls.loaded = former.loaded.clone(),
            false => tell_of_change(old, new),
        }
    }
    follow(cx);
}

/// Looks at the files now and then, while there are any.
fn follow(cx: &mut Context<'_, State>) {
    let timer = cx.state.certificates.timer;
    cx.state.certificates.timer = match (&cx.state.config.tls, timer) {
        (Some(_), None) => Some(cx.every(EVERY, look)),
        (None, Some(timer)) => {
            cx.io.cancel(timer);
            None
        }
        _ => timer,
    };
}

fn look(cx: &mut Context<'_, State>) {
    let Some(settings) = cx.state.config.tls.clone() else {
        return;
    };
    if std::mem::replace(&mut cx.state.certificates.is_looking, true) {
        return;
    }
    let asked = settings.clone();
    let begun = cx.offload(
        move || (settings.read_again(), Timestamp::now()),
        move |cx, seen| {
            cx.state.certificates.is_looking = false;
            let Ok((read, now)) = seen else { return };
            // Settings that came meanwhile have been read since.
            if cx.state.config.tls.as_ref() == Some(&asked) {
                take_up(cx.state, read);
            }
            warn(cx.state, now);
        },
    );
    // Where no thread is free, the next time.
    cx.state.certificates.is_looking = begun.is_ok();
}

/// Takes up what files that have changed hold, if they have.
fn take_up(state: &mut State, read: Option<Result<Tls, String>>) {
    let Some(read) = read else {
        state.certificates.fault.clear();
        return;
    };
    match read {
        Ok(new) => {
            if let (Some(old), Some(new)) = (certificates(state), new.certificates()) {
                tell_of_change(old, new);
            }
            state.certificates.fault.clear();
            state.config.tls = Some(new);
        }
        // They may be in the middle of being written.
        Err(fault) if state.certificates.fault != fault => {
            log::error!(
                target: "midge",
                "Changed files for TLS cannot be used: {fault}; the former ones stay in use"
            );
            state.certificates.fault = fault;
        }
        Err(_) => {}
    }
}

fn tell_of_change(old: &Certificates, new: &Certificates) {
    if new.is_same(old) {
        return;
    }
    for (place, shown) in new.shown().iter().enumerate() {
        let file = shown.cert_file.display();
        let now = format!("is valid until {}", shown.not_after);
        match old.shown().get(place) {
            Some(former) => log::info!(
                target: "midge",
                "TLS certificate {file} was read again: {now} (was {})", former.not_after
            ),
            None => log::info!(target: "midge", "TLS certificate {file} {now}"),
        }
    }
}

/// Warns of certificates that end soon, or have ended: once in each of the times for that.
fn warn(state: &mut State, now: Timestamp) {
    let warned = std::mem::take(&mut state.certificates.warned);
    for shown in shown(state) {
        let left = shown.not_after.as_second() - now.as_second();
        let is_due = |days: &&i64| left <= **days * DAY_SECONDS;
        let due = WARNED_DAYS.iter().filter(is_due).count();
        let (key, file) = (
            (shown.cert_file.clone(), shown.not_after),
            shown.cert_file.display(),
        );
        if due > warned.get(&key).copied().unwrap_or(0) {
            let (not_after, days) = (shown.not_after, left / DAY_SECONDS);
            if left <= 0 {
                log::error!(target: "midge", "TLS certificate {file} has ended at {not_after}; renew it, clients refuse it");
            } else {
                log::warn!(target: "midge", "TLS certificate {file} ends in {days} days, at {not_after}; renew it");
            }
        }
        state.certificates.warned.insert(key, due);
    }
}

fn certificates(state: &State) -> Option<&Certificates> {
    state.config.tls.as_ref()?.certificates()
}

/// The certificates that are shown.
fn shown(state: &State) -> Vec<Shown> {
    certificates(state).map_or_else(Vec::new, |certificates| certificates.shown().to_vec())
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::tls::CertFiles;
    use midge_protocol::Info;
    use std::fs;

    #[test]
    fn a_certificate_is_warned_of_once_in_each_of_the_times_for_it() {
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
        let config = Config {
            tls: Some(tls),
            ..Config::default()
        };
        let mut state = State::announcing(config, Info::default());
        for (days, over) in [(31, 0), (30, 1), (8, 1), (7, 2), (1, 2), (0, 3), (-1, 3)] {
            let seconds = end.as_second() - days * DAY_SECONDS;
            warn(&mut state, Timestamp::from_second(seconds).expect("a date"));
            let warned: Vec<usize> = state.certificates.warned.values().copied().collect();
            assert_eq!(warned, [over], "{days} days before the end");
        }
        let _ = fs::remove_dir_all(directory);
    }
}
