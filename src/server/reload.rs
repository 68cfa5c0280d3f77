//! New settings for a broker that serves: what changes at once, and who hears of it.
//!
//! Most limits are looked up in `State` when they are needed, so to put the new settings there is
//! enough. What was copied elsewhere is brought up to date here: `INFO`, files, what is kept for
//! monitoring, and the clients, each through a call of its own.

use crate::client::opening;
use crate::client::{Changes, Client};
use crate::config::{Config, Listener, Monitor, UnixSocket, WebSocket};
use crate::core::backpressure::crowd;
use crate::door::Door;
use crate::monitor::messages;
use crate::server::broker::{announce_settings, framing};
use crate::server::certificates;
use crate::server::preflight::{self, PidFile};
use crate::server::sharing;
use crate::state::State;
use midge_protocol::Info;
use midge_reactor::{Context, Key};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

/// Takes over settings, which must be [possible](preflight::check); answers the former ones.
pub(crate) fn take_over(cx: &mut Context<'_, State>, config: Config) -> Config {
    let before = infos(cx.state);
    let config = settle(cx.state, config);
    preflight::warn(&config, Some(&cx.state.config));
    cx.state.has_key = config.auth.has_key();
    let former = std::mem::replace(&mut cx.state.config, config);
    cx.state.known.reloaded(&former, &cx.state.config);
    write_files(cx.state, &former);
    certificates::reloaded(cx, &former);
    let config = &cx.state.config;
    cx.state.limiter.configure(config);
    for open in &mut cx.state.doors {
        open.framing = framing(config, open.door);
    }
    bound_queues(cx);
    if let Some(records) = &mut cx.state.records {
        records.reloaded(cx.io.now(), cx.state.config.closed_clients_max);
    }
    tell(cx, &before);
    messages::update(cx);
    messages::read_accounts_again(cx);
    let changes = Changes::of(&former, &cx.state.config);
    if changes.credentials {
        cx.state.auth_version += 1;
        cx.state.callouts.forget_deciders();
    }
    furnish_accounts(cx, 0);
    let keys = match changes.is_any() {
        true => cx.state.core.clients().map(|one| one.key).collect(),
        false => VecDeque::new(),
    };
    bring_to_clients(cx, &Rc::new(changes), keys, close_all_surplus);
    former
}

/// What is done in one turn of furnishing, in places looked at: a fraction of a millisecond.
pub(super) const FURNISHING_MAX: usize = 2_000;

/// Gives each account that is open what the settings have for it, from a place on, a bounded number a turn. Then those
/// are retired that the settings have no longer: messages come to them from no other one any more.
fn furnish_accounts(cx: &mut Context<'_, State>, mut from: usize) {
    let mut work = 0;
    while let Some((account, next)) = cx.state.core.accounts.open_from(from) {
        if work >= FURNISHING_MAX {
            return cx.defer(move |cx| furnish_accounts(cx, from));
        }
        work += cx.state.furnish_account(account);
        from = next;
    }
    // What an import waited for may have been furnished behind it.
    cx.state.sharing.touch_round();
    sharing::attend(cx);
    retire_accounts(cx, 0);
}

/// Accounts that are looked at in one turn: a fraction of a millisecond.
const ACCOUNTS_MAX: usize = 512;

/// Retires those that the settings have no longer, from a place on, a bounded number a turn.
pub(super) fn retire_accounts(cx: &mut Context<'_, State>, from: usize) {
    let State {
        config,
        core,
        known,
        ..
    } = &mut *cx.state;
    let is_there = |name: &str| known.has_account(config, name);
    if let Some(next) = core.accounts.retain(from, ACCOUNTS_MAX, is_there) {
        cx.defer(move |cx| retire_accounts(cx, next));
    }
}

/// Clients that are looked at in one turn: about a millisecond.
pub(super) const CLIENTS_MAX: usize = 256;

/// Brings what has changed to clients, [`CLIENTS_MAX`] a turn, and does something `then`; the others have their turns
/// meanwhile.
fn bring_to_clients(
    cx: &mut Context<'_, State>,
    changes: &Rc<Changes>,
    mut keys: VecDeque<Key>,
    then: fn(&mut Context<'_, State>),
) {
    for key in keys.drain(..keys.len().min(CLIENTS_MAX)) {
        let changes = Rc::clone(changes);
        // One that has gone meanwhile is called no more.
        cx.call(key, move |client: &mut Client, cx| {
            client.reloaded(cx, &changes);
        });
    }
    if !keys.is_empty() {
        let changes = Rc::clone(changes);
        return cx.defer(move |cx| bring_to_clients(cx, &changes, keys, then));
    }
    then(cx);
}

/// Closes those that are too many, later: when those whose credentials are no good have gone.
fn close_all_surplus(cx: &mut Context<'_, State>) {
    cx.defer(close_surplus);
    cx.defer(close_surplus_of_limits);
}

/// Bounds what all queues may hold together.
pub(crate) fn bound_queues(cx: &mut Context<'_, State>) {
    cx.state.core.total_bytes_max = cx.state.config.total_bytes_max();
    let (low, high) = crowd::marks(cx.state.core.total_bytes_max);
    cx.io.total_watermarks(low, high);
}

/// The settings with those of a broker that runs in place of what cannot change any more.
fn settle(state: &State, config: Config) -> Config {
    let running = &state.config;
    let monitor = running.monitor.as_ref().map(|running| {
        let wanted = config.monitor.clone().unwrap_or_default();
        Monitor {
            host: running.host.clone(),
            port: running.port,
            tls: running.tls,
            ..wanted
        }
    });
    let websocket = running.websocket.as_ref().map(|running| {
        // Who may come in by it stays as it is where nothing is said of it: the door stays open.
        let wanted = config.websocket.clone().unwrap_or_else(|| running.clone());
        WebSocket {
            host: running.host.clone(),
            port: running.port,
            no_tls: running.no_tls,
            // Another certificate, but neither TLS nor none where it was otherwise.
            tls: running
                .tls
                .clone()
                .map(|running| wanted.tls.unwrap_or(running)),
            ..wanted
        }
    });
    let listeners = running.listeners.iter().map(|running| {
        let wanted = config.listeners.iter().find(|one| one.name == running.name);
        // As with WebSocket: the door stays open.
        let wanted = wanted.unwrap_or(running).clone();
        Listener {
            host: running.host.clone(),
            port: running.port,
            unix: unix_as_it_listens(running.unix.as_ref(), wanted.unix),
            tls: (running.tls.clone()).map(|running| wanted.tls.unwrap_or(running)),
            ..wanted
        }
    });
    let listeners = listeners.collect();
    let wanted = config.connections_max;
    let connections_max = match &state.files {
        // A broker that runs has files for some clients, or it would not.
        Some(_) => preflight::affordable_connections(&config, Some(running.connections_max))
            .unwrap_or(wanted),
        None => wanted,
    };
    Config {
        host: running.host.clone(),
        port: running.port,
        unix: unix_as_it_listens(running.unix.as_ref(), config.unix),
        listeners,
        server_name: running.server_name.clone(),
        headers: running.headers,
        busy_poll: running.busy_poll,
        turn_time: running.turn_time,
        connections_max,
        monitor,
        websocket,
        ..config
    }
}

/// A Unix socket where it is, for those who are to use it from now on.
fn unix_as_it_listens(
    running: Option<&UnixSocket>,
    wanted: Option<UnixSocket>,
) -> Option<UnixSocket> {
    running.map(|running| UnixSocket {
        path: running.path.clone(),
        mode: running.mode,
        ..wanted.unwrap_or_else(|| running.clone())
    })
}

/// Writes files that are to be elsewhere. An old pid file stays, as in nats-server.
fn write_files(state: &mut State, former: &Config) {
    let (config, Some(files)) = (&state.config, &mut state.files) else {
        return;
    };
    if let Some(path) = &config.pid_file
        && config.pid_file != former.pid_file
        && let Err(error) = PidFile::open(path).and_then(PidFile::write)
    {
        log::error!(target: "midge", "{error}");
    }
    if config.ports_file_dir != former.ports_file_dir {
        files.write_ports(config.ports_file_dir.as_deref());
    }
}

/// `INFO` as it is at each door.
fn infos(state: &State) -> Vec<Info> {
    let doors = state.doors.iter();
    doors.map(|open| state.info_for(open.door.into())).collect()
}

/// Tells clients what is new in `INFO`, which was so `before`.
fn tell(cx: &mut Context<'_, State>, before: &[Info]) {
    let port = cx.state.door(Door::Main).map_or(0, |open| open.port);
    let State { config, info, .. } = &mut *cx.state;
    announce_settings(info, config, port);
    if infos(cx.state) != before {
        cx.state.info_version += 1;
        opening::broadcast_info(cx);
    }
}

/// Closes the clients of an address, a user or an account that are too many now: those that came last.
pub(super) fn close_surplus_of_limits(cx: &mut Context<'_, State>) {
    let surplus = cx.state.limiter.surplus();
    for (key, scope) in surplus.iter().copied() {
        cx.call(key, move |client: &mut Client, cx| {
            client.close_as_surplus_of_limit(cx, scope);
        });
    }
    if !surplus.is_empty() {
        let surplus = surplus.len();
        log::info!(target: "midge", "Closed {surplus} connections to fall within the limits of addresses, users and accounts");
    }
}

/// Closes the clients that are too many now, at one door or all together: those that came last.
fn close_surplus(cx: &mut Context<'_, State>) {
    let config = &cx.state.config;
    let mut clients: Vec<(u64, Key, Door)> = (cx.state.core.clients())
        .map(|one| (one.label.cid, one.key, one.label.door))
        .collect();
    clients.sort_unstable_by_key(|(cid, ..)| *cid);
    let mut surplus = Vec::new();
    for open in &cx.state.doors {
        let Some(max) = config.terms(open.door).connections_max else {
            continue;
        };
        let here = clients.iter().filter(|(.., door)| *door == open.door);
        surplus.extend(here.skip(max).map(|(_, key, _)| *key));
    }
    let gone: HashSet<Key> = surplus.iter().copied().collect();
    clients.retain(|(_, key, _)| !gone.contains(key));
    let all = clients.iter().skip(config.connections_max);
    surplus.extend(all.map(|(_, key, _)| *key));
    let count = surplus.len();
    for key in surplus {
        cx.call(key, Client::close_as_surplus);
    }
    if count > 0 {
        log::info!(target: "midge", "Closed {count} connections to fall within max_connections");
    }
}
