//! `Broker`: binds the port, runs the reactor, stops in good order.

use crate::ANNOUNCED_VERSION;
use crate::auth::callout::keys::Keys;
use crate::client::Client;
use crate::client::listener::Clients;
use crate::client::lookup;
use crate::config::{Config, Terms};
use crate::door::{Door, Transport};
use crate::link::upkeep::tell_later;
use crate::monitor::{HttpListener, messages};
use crate::records::{ACCEPTS_MAX, EVERY, Records};
use crate::server::certificates;
use crate::server::claims;
use crate::server::handle::Handle;
use crate::server::lame_duck;
use crate::server::operators;
use crate::server::preflight::{self, Checked, PidFile, StartError};
use crate::server::reload;
use crate::server::sharing;
use crate::state::handshakes::Handshakes;
use crate::state::ports::{Files, Ports};
use crate::state::socket_file::SocketFile;
use crate::state::{OpenDoor, State, Stop};
use crate::websocket::Settings;
use midge_protocol::Info;
use midge_reactor::{Context, Key, ListenOptions, Reactor};
use midge_text::host_port;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// A broker, listening and not yet running.
///
/// ```
/// use midge::{Broker, Config, Stop};
///
/// let config = Config { host: "127.0.0.1".into(), port: 0, ..Config::default() };
/// let mut broker = Broker::bind(config)?;
/// println!("clients may connect to {}", broker.addr());
/// broker.handle().shutdown();
/// assert_eq!(broker.run()?, Stop::Requested);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Broker {
    reactor: Reactor<State>,
    pub(super) addrs: Addrs,
    pid_file: Option<PidFile>,
}

impl Broker {
    /// Listens, opens the pid file, and is ready to [`run`](Broker::run). Clients that connect
    /// meanwhile wait.
    ///
    /// Raises the process's limit on open files as far as it goes, and warns if that is too low
    /// for `connections_max`.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left behind.
    pub fn bind(config: Config) -> Result<Broker, StartError> {
        let config = preflight::check(config)?;
        let keys = Keys::new().map_err(StartError::System)?;
        let server_id = keys.server_id();
        log::info!(target: "midge", "Starting midge");
        log::info!(target: "midge", "  Version:  {} (as nats-server {ANNOUNCED_VERSION})", env!("CARGO_PKG_VERSION"));
        if let Some(name) = &config.cluster_name {
            log::info!(target: "midge", "  Cluster:  {name}");
        }
        let name = config.server_name.as_deref().unwrap_or(server_id);
        log::info!(target: "midge", "  Name:     {name}");
        log::info!(target: "midge", "  ID:       {server_id}");
        operators::tell(&config);
        preflight::warn(&config, None);
        let connections_max = preflight::affordable_connections(&config, None)?;
        let info = announce(&config, server_id, keys.xkey());
        let config = Config {
            connections_max,
            ..config
        };
        let mut state = State::announcing(config, info);
        state.keys = Some(keys);
        state.room = preflight::room(&state.config)?;
        let busy_poll = busy_poll(state.config.busy_poll);
        let reactor = Reactor::builder()
            .spin_while_it_pays(busy_poll)
            .turn_time(state.config.turn_time)
            .build(state);
        let mut reactor = reactor.map_err(StartError::System)?;
        let addrs = reactor.with(|cx| {
            let monitor = listen_for_monitoring(cx)?;
            listen_for_clients(cx)?;
            let monitor = monitor.map(|monitor| cx.listening_on_all(monitor).to_vec());
            Ok::<_, StartError>(Addrs {
                clients: addrs_of(cx, Door::Main),
                monitor: monitor.unwrap_or_default(),
                websocket: addrs_of(cx, Door::WebSocket),
                further: further_addrs(cx),
            })
        })?;
        let pid_file = reactor.state.config.pid_file.as_deref();
        let pid_file = pid_file.map(PidFile::open).transpose()?;
        Ok(Broker {
            reactor,
            addrs,
            pid_file,
        })
    }

    /// Listens for clients in a reactor of your own, whose state is a [`State`]; answers the listener's
    /// key. From then on the broker is a matter of that reactor's turns, over whatever driver it has:
    /// real sockets beside those of other handlers, or a simulated network.
    ///
    /// The pid file is not written and no signal is watched, since the process is not the broker's,
    /// nor is the limit on open files raised. [`Io::close`](midge_reactor::Io::close) of the listener refuses new clients;
    /// [`Io::shutdown`](midge_reactor::Io::shutdown) ends the whole reactor in good order.
    ///
    /// ```
    /// use midge::{Broker, Config, State};
    /// use midge_reactor::Reactor;
    /// use std::time::Duration;
    ///
    /// let config = Config { host: "127.0.0.1".into(), port: 0, ..Config::default() };
    /// let mut reactor = Reactor::new(State::new(config)?)?;
    /// let addr = reactor.with(|cx| Broker::listen(cx).map(|listener| cx.listening_on(listener)))?;
    /// println!("clients may connect to {addr:?}");
    /// reactor.turn(Some(Duration::ZERO))?;
    /// assert_eq!(reactor.state.stats().clients, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// If the settings ask for monitoring, its listener is opened too, and stays open when that of
    /// the clients is closed; [`State::monitor_port`] tells where.
    ///
    /// # Errors
    /// [`StartError::Listen`], [`StartError::WebSocket`], [`StartError::Listener`], [`StartError::UnixSocket`] and
    /// [`StartError::Monitor`]. Nothing is left behind.
    pub fn listen(cx: &mut Context<'_, State>) -> Result<Key, StartError> {
        let monitor = listen_for_monitoring(cx)?;
        let listeners = listen_for_clients(cx);
        if let (Err(_), Some(monitor)) = (&listeners, monitor) {
            cx.io.close(monitor);
            cx.state.records = None;
        }
        listeners.map(|listeners| listeners[0])
    }

    /// The address it listens on, with the port the system has picked; the first, if there are
    /// [several](Broker::addrs).
    ///
    /// # Panics
    /// If it listens on a Unix socket (`unix`), which has none.
    pub fn addr(&self) -> SocketAddr {
        self.addrs.clients[0]
    }

    /// All addresses it listens on, with one port: those of a name, or `0.0.0.0` and `[::]`. None for a Unix socket.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs.clients
    }

    /// The address on which monitoring is served, if it is; the first, if there are several.
    pub fn monitor_addr(&self) -> Option<SocketAddr> {
        self.addrs.monitor.first().copied()
    }

    /// The address on which clients are accepted by WebSocket, if they are; the first, if there are several.
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.addrs.websocket.first().copied()
    }

    /// The address of one of `listeners`, by its name; the first, if there are several. `None` for a Unix socket.
    pub fn listener_addr(&self, name: &str) -> Option<SocketAddr> {
        self.addrs.listener(name)
    }

    /// A handle that stops it, from any thread.
    pub fn handle(&self) -> Handle {
        Handle(self.reactor.remote())
    }

    /// Begins lame duck mode: the listener is closed, clients are told (`INFO` with `ldm`) that they
    /// should go elsewhere, and after `lame_duck_grace_period` those that are left are sent away, spread
    /// over the rest of `lame_duck_duration`. When the last one has gone the reactor ends, as after
    /// [`Io::shutdown`](midge_reactor::Io::shutdown). Does nothing when it has begun already.
    pub fn lame_duck(cx: &mut Context<'_, State>) {
        lame_duck::enter(cx);
    }

    /// Takes over new settings, without disturbing whom they do not concern. They hold for clients
    /// that are connected as well: those whose credentials are good no longer are told so and closed,
    /// as are the newest where there are more than `connections_max`; those that take an `INFO` at any
    /// time get one if it is not as it was.
    ///
    /// `host`, `port`, `unix`, where `listeners` listen, `server_name`, `headers`, `busy_poll`, `turn_time`, and where monitoring listens, stay as they
    /// are: they are settled when a broker starts.
    ///
    /// # Errors
    /// As [`State::new`]; then nothing changes.
    pub fn reload(cx: &mut Context<'_, State>, config: Config) -> Result<(), StartError> {
        Broker::take_over(cx, Checked::new(config)?);
        Ok(())
    }

    /// The part of [`reload`](Broker::reload) that cannot fail. Answers the settings that were in force: to drop very
    /// many users takes milliseconds, and may be done on another thread as well.
    pub fn take_over(cx: &mut Context<'_, State>, config: Checked) -> Config {
        reload::take_over(cx, config.into_config())
    }

    /// What the ports file is to say.
    fn ports(&self) -> Ports {
        let config = &self.reactor.state.config;
        let scheme_of = |door, plain, tls| match config.terms(door).tls {
            Some(_) => tls,
            None => plain,
        };
        let mut ports = Ports::default();
        match &config.unix {
            Some(unix) => ports.add_unix("nats", &unix.path),
            None => {
                let scheme = scheme_of(Door::Main, "nats", "tls");
                ports.add("nats", scheme, &self.addrs.clients);
            }
        }
        if !self.addrs.monitor.is_empty() {
            let is_https = config.monitor.as_ref().is_some_and(|monitor| monitor.tls);
            let scheme = if is_https { "https" } else { "http" };
            ports.add("monitoring", scheme, &self.addrs.monitor);
        }
        if !self.addrs.websocket.is_empty() {
            let scheme = scheme_of(Door::WebSocket, "ws", "wss");
            ports.add("websocket", scheme, &self.addrs.websocket);
        }
        for (number, (name, addrs)) in self.addrs.further.iter().enumerate() {
            let terms = config.terms(Door::Further(number as u8));
            match (terms.unix, terms.tls) {
                (Some(unix), _) => ports.add_unix(name, &unix.path),
                (None, Some(_)) => ports.add(name, "tls", addrs),
                (None, None) => ports.add(name, "nats", addrs),
            }
        }
        ports
    }

    /// Does something with the reactor, before it runs.
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut Context<'_, State>) -> T) -> T {
        self.reactor.with(work)
    }

    /// Serves until it is stopped; answers by what.
    ///
    /// # Errors
    /// Those of waiting for sockets, which no client can cause, and of writing the pid file.
    pub fn run(mut self) -> io::Result<Stop> {
        // Here and not in `bind`: a program that waits for the file or for these lines may send a signal
        // next, and by now they are being listened for.
        if let Some(pid_file) = self.pid_file.take() {
            // As an error of the system, which names the file.
            pid_file.write().map_err(io::Error::other)?;
        }
        let config = &self.reactor.state.config;
        let ports = self.ports();
        let is_https = config.monitor.as_ref().is_some_and(|monitor| monitor.tls);
        let scheme = if is_https { "https" } else { "http" };
        let mut files = Files::new(ports);
        files.write_ports(config.ports_file_dir.as_deref());
        if let (Some((host, _)), Some(addr)) = (monitor_address(config), self.monitor_addr()) {
            let address = host_port::join(&host, addr.port());
            log::info!(target: "midge", "Starting {scheme} monitor on {address}");
        }
        if let (Some(websocket), Some(addr)) = (&config.websocket, self.websocket_addr()) {
            let address = host_port::join(&websocket.host, addr.port());
            let scheme = if websocket.tls.is_some() { "wss" } else { "ws" };
            log::info!(target: "midge", "Listening for websocket clients on {scheme}://{address}");
            if websocket.tls.is_none() {
                log::warn!(target: "midge", "Websocket not configured with TLS. DO NOT USE IN PRODUCTION!");
            }
        }
        for door in config.doors().filter(|door| *door != Door::WebSocket) {
            let port = self.reactor.state.door(door).map_or(0, |open| open.port);
            tell_door(&config.terms(door), port);
        }
        log::info!(target: "midge", "Server is ready");
        self.reactor.state.files = Some(files);
        self.reactor.run()?;
        self.reactor.state.files = None;
        log::info!(target: "midge", "Server Exiting..");
        Ok(self.reactor.state.stop)
    }
}

/// Tells where clients come in by a door, and how.
fn tell_door(terms: &Terms<'_>, port: u16) {
    let address = match terms.unix {
        Some(unix) => format!("unix:{}", unix.path.display()),
        None => host_port::join(terms.host, port),
    };
    let by = match terms.name {
        "" => String::new(),
        name => format!(" by listener {name}"),
    };
    log::info!(target: "midge", "Listening for client connections on {address}{by}");
    if terms.tls.is_some() {
        let how = if terms.allow_non_tls {
            "available"
        } else {
            "required"
        };
        log::info!(target: "midge", "TLS {how} for client connections{by}");
    }
}

/// Where a broker listens.
#[derive(Clone, Debug)]
pub(super) struct Addrs {
    /// One at least.
    pub(super) clients: Vec<SocketAddr>,
    /// None without monitoring.
    pub(super) monitor: Vec<SocketAddr>,
    /// None if no client comes by WebSocket.
    pub(super) websocket: Vec<SocketAddr>,
    /// Those of `listeners`, in their order, by name.
    pub(super) further: Vec<(String, Vec<SocketAddr>)>,
}

impl Addrs {
    /// The address of one of `listeners`, if it has one.
    pub(super) fn listener(&self, name: &str) -> Option<SocketAddr> {
        let mut further = self.further.iter();
        let (_, addrs) = further.find(|(own, _)| own == name)?;
        addrs.first().copied()
    }
}

/// The addresses that are listened on at a door.
fn addrs_of(cx: &mut Context<'_, State>, door: Door) -> Vec<SocketAddr> {
    let listener = cx.state.door(door).and_then(|open| open.listener);
    listener.map_or_else(Vec::new, |listener| cx.listening_on_all(listener).to_vec())
}

/// Those of `listeners`.
fn further_addrs(cx: &mut Context<'_, State>) -> Vec<(String, Vec<SocketAddr>)> {
    let doors: Vec<Door> = cx.state.config.doors().collect();
    let further = doors
        .into_iter()
        .filter(|door| matches!(door, Door::Further(_)));
    let named = further.map(|door| {
        let name = cx.state.config.terms(door).name.to_owned();
        (name, addrs_of(cx, door))
    });
    named.collect()
}

/// Opens the listeners for clients, in a state that has an `INFO` from then on; answers their keys, the server's own
/// first. If one cannot be opened, none is left open.
fn listen_for_clients(cx: &mut Context<'_, State>) -> Result<Vec<Key>, StartError> {
    let random = cx.io.random();
    cx.state.core.seed(random);
    reload::bound_queues(cx);
    if cx.state.info.server_id.is_empty() {
        let keys = Keys::in_world_of(&mut cx.io).map_err(StartError::System)?;
        cx.state.info = announce(&cx.state.config, keys.server_id(), keys.xkey());
        cx.state.keys = Some(keys);
    }
    operators::open(cx)?;
    cx.state.pushes.bring = claims::account_changed;
    cx.state.pushes.tell = lookup::tell;
    cx.state.pushes.attend = sharing::attend;
    let doors: Vec<Door> = cx.state.config.doors().collect();
    let mut listeners = Vec::new();
    for door in doors {
        match listen_at(cx, door) {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                for open in cx.state.doors.drain(..) {
                    open.listener.map(|listener| cx.io.close(listener));
                }
                return Err(error);
            }
        }
    }
    let port = cx.state.doors[0].port;
    let State { config, info, .. } = &mut *cx.state;
    announce_settings(info, config, port);
    certificates::begin(cx);
    if cx.state.config.system_account_name().is_some() && cx.state.records.is_none() {
        keep_records(cx, 0);
    }
    messages::update(cx);
    sharing::attend(cx);
    cx.state.serving.kick = |cx, key| {
        cx.call::<Client>(key, Client::kick_in_silence);
    };
    cx.state.serving.send_away = |cx, key| {
        cx.call::<Client>(key, Client::tell_lame_duck);
    };
    Ok(listeners)
}

/// Opens the listener of a door.
fn listen_at(cx: &mut Context<'_, State>, door: Door) -> Result<Key, StartError> {
    let terms = cx.state.config.terms(door);
    let (host, port, name) = (terms.host.to_owned(), terms.port, terms.name.to_owned());
    let unix = terms.unix.map(|unix| (unix.path.clone(), unix.mode));
    let (options, clients) = Clients::of(&host, cx.state.room.accepts, door);
    let (listener, file) = match unix {
        Some((path, mode)) => {
            let options = options.unlink_stale(true).unix_mode(mode);
            let opened = cx.listen_unix_with(&path, &options, clients);
            // Not before it listens: what stands there otherwise is another's.
            let place = path.clone();
            let listener = opened.map_err(|cause| StartError::UnixSocket { path, cause })?;
            (listener, SocketFile::at(&place))
        }
        None => {
            let opened = cx.listen_with((host.as_str(), port), &options, clients);
            let opened = opened.map_err(|cause| {
                let address = host_port::join(&host, port);
                match door {
                    Door::Main => StartError::Listen { address, cause },
                    Door::WebSocket => StartError::WebSocket { address, cause },
                    Door::Further(_) => StartError::Listener {
                        name,
                        address,
                        cause,
                    },
                }
            });
            (opened?, None)
        }
    };
    let port = cx.listening_on(listener).map_or(0, |addr| addr.port());
    let framing = framing(&cx.state.config, door);
    cx.state.doors.push(OpenDoor {
        door,
        listener: Some(listener),
        port,
        clients: 0,
        file,
        framing,
        handshakes: Handshakes::default(),
    });
    Ok(listener)
}

/// What WebSockets are told at a door, if it is one for them.
pub(super) fn framing(config: &Config, door: Door) -> Option<Rc<Settings>> {
    let is_websocket = door.transport() == Transport::WebSocket;
    is_websocket.then(|| Rc::new(Settings::of(config)))
}

/// Closes a client for an operator.
fn kick(cx: &mut Context<'_, State>, key: Key, reason: Rc<str>) {
    cx.call::<Client>(key, move |client, cx| client.kick(cx, &reason));
}

/// Opens the listener for monitoring, if there is to be one, and begins to keep records.
fn listen_for_monitoring(cx: &mut Context<'_, State>) -> Result<Option<Key>, StartError> {
    let Some(address) = monitor_address(&cx.state.config) else {
        return Ok(None);
    };
    // Where files are few, half of what a listener for clients may: there are fewer places as well.
    let accepts = ACCEPTS_MAX.min(cx.state.room.accepts / 2).max(1);
    let options = ListenOptions::default()
        .accepts_max(accepts)
        .both_families(true);
    let listener = cx
        .listen_with(&address, &options, HttpListener { kick })
        .map_err(|cause| StartError::Monitor {
            address: host_port::join(&address.0, address.1),
            cause,
        })?;
    let port = cx
        .listening_on(listener)
        .map_or(address.1, |addr| addr.port());
    keep_records(cx, port);
    Ok(Some(listener))
}

/// Begins to keep what is only told, to those who ask on `port`, or by messages.
fn keep_records(cx: &mut Context<'_, State>, port: u16) {
    let closed_max = cx.state.config.closed_clients_max;
    let random = cx.io.random();
    let records = Records::new(cx.now(), port, closed_max, random);
    cx.state.records = Some(Box::new(records));
    cx.every(EVERY, |cx| {
        let (now, stats) = (cx.now(), cx.state.stats());
        if let Some(records) = &mut cx.state.records {
            records.history.note(now, stats);
        }
        cx.state.note_late(cx.io.resumed());
        tell_later(cx);
    });
}

/// Host and port for monitoring, if there is to be any.
fn monitor_address(config: &Config) -> Option<(String, u16)> {
    let monitor = config.monitor.as_ref()?;
    let own = monitor.host.as_deref().filter(|host| !host.is_empty());
    let host = own.unwrap_or(config.terms(Door::Main).host);
    Some((host.to_owned(), monitor.port))
}

fn announce(config: &Config, server_id: &str, xkey: Option<&str>) -> Info {
    Info {
        server_name: config
            .server_name
            .clone()
            .unwrap_or_else(|| server_id.to_owned()),
        server_id: server_id.to_owned(),
        xkey: xkey.map(str::to_owned),
        version: ANNOUNCED_VERSION.to_owned(),
        proto: 1,
        // Some clients' data types have this field; the text is free.
        go: "none".to_owned(),
        headers: config.headers,
        midge: env!("CARGO_PKG_VERSION").to_owned(),
        ..Info::default()
    }
}

/// Puts into `INFO` those settings that may change while the broker listens, on `port`.
pub(crate) fn announce_settings(info: &mut Info, config: &Config, port: u16) {
    let (terms, advertised) = (config.terms(Door::Main), config.advertise.as_ref());
    info.host = advertised.map_or(terms.host, |to| &to.host).to_owned();
    info.port = advertised.and_then(|to| to.port).unwrap_or(port);
    info.auth_required = terms.want_credentials();
    let has_tls = config.tls.is_some();
    info.tls_required = has_tls && !config.allow_non_tls;
    info.tls_available = has_tls && config.allow_non_tls;
    info.tls_verify = config.tls.as_ref().is_some_and(|tls| tls.verify);
    info.max_payload = config.payload_bytes_max as u64;
    info.cluster.clone_from(&config.cluster_name);
}

/// None with a single processor: the awaited peer needs it.
fn busy_poll(wanted: Duration) -> Duration {
    match thread::available_parallelism() {
        Ok(processors) if processors.get() > 1 => wanted,
        _ => Duration::ZERO,
    }
}
