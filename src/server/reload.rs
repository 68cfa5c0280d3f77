//! New settings for a broker that serves: what changes at once, and who hears of it.
//!
//! Most limits are looked up in `State` when they are needed, so to put the new settings there is
//! enough. What was copied elsewhere is brought up to date here: `INFO`, files, what is kept for
//! monitoring, and the clients, each through a call of its own.

use crate::client::opening;
use crate::client::{Changes, Client};
use crate::config::{Config, Monitor, WebSocket};
use crate::core::backpressure::crowd;
use crate::server::broker::announce_settings;
use crate::server::certificates;
use crate::server::preflight::{self, PidFile};
use crate::state::State;
use crate::websocket::Settings;
use midge_reactor::{Context, Key};
use std::rc::Rc;

/// Takes over settings, which must be [possible](preflight::check).
pub(crate) fn take_over(cx: &mut Context<'_, State>, config: Config) {
    let config = settle(cx.state, config);
    preflight::warn(&config, Some(&cx.state.config));
    cx.state.has_key = config.auth.has_key();
    let former = std::mem::replace(&mut cx.state.config, config);
    write_files(cx.state, &former);
    certificates::reloaded(cx, &former);
    let config = &cx.state.config;
    if let Some(door) = &mut cx.state.websocket {
        door.settings = Rc::new(Settings::of(config));
    }
    bound_queues(cx);
    if let Some(records) = &mut cx.state.records {
        records.reloaded(cx.io.now(), cx.state.config.closed_clients_max);
    }
    let advertise = |config: &Config| config.websocket.as_ref().map(|one| one.advertise.clone());
    let is_elsewhere = advertise(&former) != advertise(&cx.state.config);
    tell(cx, is_elsewhere);
    let changes = Changes::of(former, &cx.state.config);
    if changes.is_any() {
        cx.state.auth_version += u32::from(changes.credentials);
        let changes = Rc::new(changes);
        let keys: Vec<Key> = cx.state.core.clients().map(|one| one.key).collect();
        for key in keys {
            let changes = Rc::clone(&changes);
            cx.call(key, move |client: &mut Client, cx| {
                client.reloaded(cx, &changes);
            });
        }
    }
    // Later, when those whose credentials are no good have gone.
    cx.defer(close_surplus);
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
    let wanted = config.connections_max;
    let connections_max = match &state.files {
        // A broker that runs has files for some clients, or it would not.
        Some(_) => preflight::affordable_connections(wanted, Some(running.connections_max))
            .unwrap_or(wanted),
        None => wanted,
    };
    Config {
        host: running.host.clone(),
        port: running.port,
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

/// Tells clients what is new in `INFO`, which is something for those that come by WebSocket if `is_elsewhere`.
fn tell(cx: &mut Context<'_, State>, is_elsewhere: bool) {
    let State {
        config, info, port, ..
    } = &mut *cx.state;
    let before = info.clone();
    announce_settings(info, config, *port);
    if *info != before || is_elsewhere {
        cx.state.info_version += 1;
        opening::broadcast_info(cx);
    }
}

/// Closes the clients that are too many now: those that came last.
fn close_surplus(cx: &mut Context<'_, State>) {
    let surplus = cx.state.core.client_count();
    let surplus = surplus.saturating_sub(cx.state.config.connections_max);
    if surplus == 0 {
        return;
    }
    let clients = cx.state.core.clients();
    let mut clients: Vec<(u64, Key)> = clients.map(|one| (one.label.cid, one.key)).collect();
    clients.sort_unstable();
    for (_, key) in clients.split_off(clients.len() - surplus) {
        cx.call(key, Client::close_as_surplus);
    }
    log::info!(target: "midge", "Closed {surplus} connections to fall within max_connections");
}
