//! Lame duck mode: the broker takes no new clients, tells those it has to go elsewhere, and sends the
//! rest away a few at a time, so that they do not all arrive elsewhere at once.
//!
//! ```text
//! SIGUSR2        grace period                          duration
//!    |----------------|------------------------------------|
//!    listener closed  clients are sent away, one by one    the end
//!    INFO, ldm: true
//! ```
//!
//! A client that is sent away gets what was queued for it, and then the end of the stream. What it
//! had sent before it saw that is still carried out: nothing that was accepted is lost. When the last
//! client has gone, be it early, the broker ends.

use crate::client::Client;
use crate::client::opening;
use crate::link::shutdown::end_if_alone;
use crate::monitor::messages;
use crate::state::State;
use midge_reactor::{Context, Key};
use std::time::Duration;

/// Longest time between two clients: ten of them need not wait for two minutes.
const INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Shortest time; where clients are too many for it several go at once.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// How many clients go at a time, and how long it is to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Pace {
    batch: usize,
    interval: Duration,
}

impl Pace {
    /// For this number of clients in this time.
    fn of(clients: usize, window: Duration) -> Pace {
        let clients = u32::try_from(clients.max(1)).unwrap_or(u32::MAX);
        let even = window / clients;
        let interval = even.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let turns = (window.as_nanos() / INTERVAL_MIN.as_nanos()).max(1);
        let batch = if even < INTERVAL_MIN {
            u128::from(clients).div_ceil(turns) as usize
        } else {
            1
        };
        Pace { batch, interval }
    }
}

/// Begins it; does nothing if it has begun, or if the broker is ending.
pub(crate) fn enter(cx: &mut Context<'_, State>) {
    if cx.io.is_shutting_down() || std::mem::replace(&mut cx.state.lame_duck, true) {
        return;
    }
    log::info!(target: "midge", "Entering lame duck mode, stop accepting new clients");
    for open in &mut cx.state.doors {
        if let Some(listener) = open.listener.take() {
            cx.io.close(listener);
        }
        open.file = None;
    }
    cx.state.info.ldm = true;
    cx.state.info_version += 1;
    messages::tell_lame_duck(cx);
    if end_if_alone(cx) {
        return;
    }
    opening::broadcast_info(cx);
    let grace = cx.state.config.lame_duck_grace_period;
    cx.after(grace, send_away);
}

fn send_away(cx: &mut Context<'_, State>) {
    log::info!(target: "midge", "Closing existing clients");
    let keys: Vec<Key> = cx.state.core.clients().map(|one| one.key).collect();
    let config = &cx.state.config;
    let window = config.lame_duck_duration;
    let pace = Pace::of(
        keys.len(),
        window.saturating_sub(config.lame_duck_grace_period),
    );
    send_next(cx, keys, pace);
}

fn send_next(cx: &mut Context<'_, State>, mut keys: Vec<Key>, pace: Pace) {
    for key in keys.split_off(keys.len().saturating_sub(pace.batch)) {
        // Some have left by themselves.
        cx.call::<Client>(key, Client::drain);
    }
    if !keys.is_empty() && !cx.io.is_shutting_down() {
        // Not in step with other servers that do the same.
        let part = 0.5 + 0.5 * (cx.io.random() % 1000) as f64 / 1000.0;
        let interval = pace.interval.mul_f64(part);
        cx.after(interval, move |cx| send_next(cx, keys, pace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_go_one_by_one_within_the_time_and_in_batches_when_there_are_many() {
        let ms = Duration::from_millis;
        for (clients, window, batch, interval) in [
            (0, ms(110_000), 1, ms(1000)),
            (10, ms(110_000), 1, ms(1000)),
            (1100, ms(110_000), 1, ms(100)),
            (110_000, ms(110_000), 1, ms(1)),
            (110_001, ms(110_000), 2, ms(1)),
            (1_000_000, ms(110_000), 10, ms(1)),
            (5, ms(0), 5, ms(1)),
        ] {
            let pace = Pace::of(clients, window);
            assert_eq!(pace, Pace { batch, interval }, "{clients} in {window:?}");
        }
    }
}
