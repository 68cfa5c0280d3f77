//! The broker at the other end of a dialogue: midge in this process, a nats-server started for the
//! occasion, or one that runs somewhere.

use super::keys;
use super::secure::Papers;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Settings by nats-server's option names. Those of its `authorization` block are called `user`,
/// `password`, `token`, `users` and `auth_timeout` (seconds).
pub(crate) type Settings = [(String, String)];

/// Against whom the dialogues are played.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// This crate, a fresh broker in this process for each dialogue.
    Midge,
    /// The executable of a nats-server, a fresh process for each dialogue (`NATS_SERVER`).
    Executable(PathBuf),
    /// A broker with default settings that is already running (`NATS_ADDR`).
    Address(SocketAddr),
}

impl Target {
    pub(crate) fn from_env() -> Target {
        if let Some(path) = std::env::var_os("NATS_SERVER") {
            return Target::Executable(path.into());
        }
        let Ok(addr) = std::env::var("NATS_ADDR") else {
            return Target::Midge;
        };
        let resolved = addr
            .to_socket_addrs()
            .ok()
            .and_then(|mut addrs| addrs.next());
        Target::Address(resolved.expect("NATS_ADDR is host:port"))
    }

    /// Whether the reference is of this version or a later one, as far as that can be asked.
    pub(crate) fn is_since(&self, version: (u32, u32)) -> bool {
        let Target::Executable(path) = self else {
            return *self == Target::Midge;
        };
        let said = Command::new(path).arg("--version").output();
        let said = said.expect("NATS_SERVER tells its version").stdout;
        let said = String::from_utf8_lossy(&said);
        let (_, told) = said.split_once(": v").expect("nats-server: v2.10.29");
        let mut numbers = told.trim().split('.').map(str::parse::<u32>);
        let mut number = || numbers.next().and_then(Result::ok);
        number().zip(number()).is_some_and(|own| own >= version)
    }

    /// A broker with `settings`, whose TLS is by these papers. It stops when the answer is dropped.
    pub(crate) fn start(&self, settings: &Settings, papers: Option<&Papers>) -> io::Result<Server> {
        match self {
            Target::Midge => start_midge(settings, papers),
            Target::Executable(path) => start_executable(path, settings, papers),
            Target::Address(addr) => Ok(Server {
                addr: *addr,
                run: Run::Elsewhere,
            }),
        }
    }
}

/// A broker that is up.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    run: Run,
}

enum Run {
    Midge(Option<midge::Running>),
    Process { child: Child, file: PathBuf },
    Elsewhere,
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.run {
            Run::Midge(running) => {
                let ended = running.take().map(midge::Running::shutdown);
                assert!(
                    !matches!(ended, Some(Err(_))),
                    "midge did not end well: {ended:?}"
                );
            }
            Run::Process { child, file } => {
                // Either may have ended on its own; then there is nothing left to do.
                let _ = child.kill();
                let _ = child.wait();
                let _ = std::fs::remove_file(file);
            }
            Run::Elsewhere => {}
        }
    }
}

fn start_midge(settings: &Settings, papers: Option<&Papers>) -> io::Result<Server> {
    let running = midge::Broker::spawn(midge_config(settings, papers)).map_err(io::Error::other)?;
    Ok(Server {
        addr: running.addr(),
        run: Run::Midge(Some(running)),
    })
}

fn midge_config(settings: &Settings, papers: Option<&Papers>) -> midge::Config {
    use midge::{Auth, Config};
    use std::time::Duration;

    let number = |text: &str| text.parse().expect("the setting is a number");
    let mut config = Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        ..Config::default()
    };
    let (mut user, mut blocks) = (None, String::new());
    for (key, value) in settings {
        match key.as_str() {
            "server_name" => config.server_name = Some(value.clone()),
            "max_payload" => config.payload_bytes_max = number(value),
            "max_control_line" => config.control_line_bytes_max = number(value),
            "max_connections" => config.connections_max = number(value),
            "max_subscriptions" => config.subscriptions_max = Some(number(value)),
            "max_sub_tokens" => config.subscription_tokens_max = Some(number(value)),
            "no_header_support" => config.headers = value != "true",
            "ping_interval" => {
                let millis = value
                    .strip_suffix("ms")
                    .expect("ping_interval is in ms here");
                config.ping_interval = Duration::from_millis(number(millis) as u64);
            }
            "ping_max" => config.pings_out_max = number(value) as u32,
            "token" => config.auth = Auth::Token(value.as_str().into()),
            "user" => user = Some(value.clone()),
            "password" => {
                let user = user.take().expect("the user stands before the password");
                config.auth = Auth::User {
                    user,
                    pass: value.as_str().into(),
                };
            }
            "users" => {
                let users = users(value).into_iter().map(OneUser::of_midge).collect();
                config.auth = Auth::Users { users, token: None };
            }
            "no_auth_user" => config.no_auth_user = Some(keys::filled_in(value, "")),
            "auth_timeout" => {
                let seconds = value.parse().expect("auth_timeout is in seconds");
                config.auth_timeout = Some(Duration::from_secs_f64(seconds));
            }
            "allow_non_tls" => config.allow_non_tls = value == "true",
            "tls" => config.tls = parsed(&block(papers, value)).tls,
            "authorization" | "accounts" => {
                let value = keys::filled_in(value, "");
                blocks = format!("{blocks}{key} {{ {value} }}\n");
                let parsed = parsed(&blocks);
                config.auth = parsed.auth;
                config.default_permissions = parsed.default_permissions;
                config.accounts = parsed.accounts;
            }
            "system_account" => config.system_account = Some(value.clone()),
            "mappings" => config.mappings = parsed(&format!("mappings {value}")).mappings,
            "limits" => {
                let parsed = parsed(&format!("limits {{ {value} }}"));
                config.address_limits = parsed.address_limits;
                config.user_limits = parsed.user_limits;
            }
            _ => panic!("no such setting: {key}"),
        }
    }
    config
}

/// One of several users.
struct OneUser {
    name: String,
    /// `None`: the name is a key.
    password: Option<String>,
    types: Vec<String>,
}

/// `ann:a|{key 1}|bob:b:WEBSOCKET+MQTT`.
fn users(text: &str) -> Vec<OneUser> {
    let text = keys::filled_in(text, "");
    let one = |text: &str| {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().to_owned();
        let is_key = name.len() == 56 && name.starts_with('U');
        let password = parts.next().unwrap_or_default().to_owned();
        let types = parts.next().unwrap_or_default().split('+');
        let types = types.filter(|one| !one.is_empty()).map(str::to_owned);
        OneUser {
            name,
            password: (!is_key).then_some(password),
            types: types.collect(),
        }
    };
    text.split('|').map(one).collect()
}

impl OneUser {
    fn of_midge(self) -> midge::User {
        use midge::{ConnectionType, Proof, User};

        let password = self.password.as_deref();
        let named = |name: &String| ConnectionType::named(name).expect("there is such a type");
        User {
            proof: password.map_or(Proof::Signature, Proof::from),
            connections: self.types.iter().map(named).collect(),
            name: self.name,
            ..User::default()
        }
    }

    fn text(&self) -> String {
        let OneUser {
            name,
            password,
            types,
        } = self;
        let who = match password.as_deref() {
            None => format!("nkey: {name}"),
            Some("") => format!("user: {name}"),
            Some(password) => format!("user: {name}, password: \"{password}\""),
        };
        let types = match types.is_empty() {
            true => String::new(),
            false => format!(", allowed_connection_types: [ {} ]", types.join(", ")),
        };
        format!("{{ {who}{types} }}")
    }
}

/// The block `tls` of a file.
fn block(papers: Option<&Papers>, settings: &str) -> String {
    papers
        .expect("they are made for each dialogue with TLS")
        .block(settings)
}

/// What midge reads in the text of a file.
fn parsed(text: &str) -> midge::Config {
    use midge::config::{language, options};

    let document = language::parse("dialogue".as_ref(), text.as_bytes(), &language::System);
    let document = document.unwrap_or_else(|errors| panic!("{errors:?}: {text}"));
    let settings = options::settings(&document);
    assert!(settings.report.errors.is_empty(), "{:?}", settings.report);
    settings.options.config
}

fn start_executable(
    path: &PathBuf,
    settings: &Settings,
    papers: Option<&Papers>,
) -> io::Result<Server> {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let file = format!("nats-server-{}-{number}.conf", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&file, config_text(settings, papers))?;

    let mut command = Command::new(path);
    command
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut log = BufReader::new(child.stderr.take().expect("it was asked for above"));
    // From here on dropping it ends the process, on every way out.
    let mut server = Server {
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        run: Run::Process { child, file },
    };
    let mut said = String::new();
    loop {
        let start = said.len();
        if log.read_line(&mut said)? == 0 {
            return Err(io::Error::other(format!(
                "nats-server did not start: {said}"
            )));
        }
        if let Some((_, addr)) = said[start..].split_once("client connections on ") {
            server.addr = addr.trim().parse().map_err(io::Error::other)?;
            break;
        }
    }
    // A full pipe would stop the server.
    thread::spawn(move || io::copy(&mut log, &mut io::sink()));
    Ok(server)
}

fn config_text(settings: &Settings, papers: Option<&Papers>) -> String {
    let mut lines = vec!["host: 127.0.0.1".to_owned(), "port: -1".to_owned()];
    let mut authorization = Vec::new();
    for (key, value) in settings {
        match key.as_str() {
            "user" | "password" | "token" => authorization.push(format!("{key}: \"{value}\"")),
            "users" => {
                let users: Vec<String> = users(value).iter().map(OneUser::text).collect();
                authorization.push(format!("users: [ {} ]", users.join(", ")));
            }
            "no_auth_user" => lines.push(format!("no_auth_user: {}", keys::filled_in(value, ""))),
            "authorization" => authorization.push(value.clone()),
            "tls" => lines.push(block(papers, value)),
            "accounts" => {
                lines.push(format!("accounts {{ {} }}", keys::filled_in(value, "")));
            }
            "auth_timeout" => authorization.push(format!("timeout: {value}")),
            "ping_interval" | "server_name" => lines.push(format!("{key}: \"{value}\"")),
            _ => lines.push(format!("{key}: {value}")),
        }
    }
    if !authorization.is_empty() {
        lines.push(format!("authorization {{ {} }}", authorization.join(", ")));
    }
    lines.join("\n") + "\n"
}
