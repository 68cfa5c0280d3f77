//! What a resolver of accounts is given: requests of the system account that push tokens or delete accounts, answers to a
//! cache, and files in the directory. Nothing panics, who is not touched stays, and nothing is stored that the operator has not
//! signed.
//!
//! The first byte of the data chooses what is given, the second what becomes of the rest: it is given as it is, as claims that
//! the operator has signed, or as a change to a token that is good.

#![no_main]

#[path = "../../src/jwt/fixtures.rs"]
mod tokens;

use libfuzzer_sys::fuzz_target;
use midge::{
    AccountToken, Auth, Broker, Cache, Checked, Config, Deletes, Directory, OperatorToken, Operators, Resolver, State,
};
use midge_protocol::nkey::Kind;
use midge_reactor::sim::{Faults, HostId, Sim};
use midge_reactor::{Context, Handler, Input, Key};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokens::{Signer, account_body, user_body};

const PORT: u16 = 4222;

/// Longer than a cache waits for an answer.
const LONG: Duration = Duration::from_secs(3);

fuzz_target!(|data: &[u8]| {
    let [choice, form, rest @ ..] = data else {
        return;
    };
    let mut world = World::new(choice % 4 == 2);
    let token = world.text(*form, rest);
    match choice % 4 {
        0 => world.request("$SYS.REQ.CLAIMS.UPDATE", &token),
        1 => world.request("$SYS.REQ.CLAIMS.DELETE", &token),
        2 => world.answer(&token),
        _ => world.file(rest, &token),
    }
    world.look(choice % 4 == 3);
});

/// A broker with two accounts, and a client of each.
struct World {
    sim: Sim,
    broker: HostId<State>,
    clients: HostId<Vec<u8>>,
    system: Key,
    account: Key,
    config: Config,
    keys: Keys,
}

struct Keys {
    operator: Signer,
    system: Signer,
    account: Signer,
    other: Signer,
}

impl Keys {
    fn token(&self, account: &Signer) -> String {
        let claims = json!({"sub": account.public, "iat": 100, "nats": account_body()});
        self.operator.token(claims)
    }
}

/// Where files are, if the machine has it in memory: each token that is written is to reach the disk.
fn directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    place.join(format!("midge-fuzz-resolver-{}", std::process::id()))
}

impl World {
    fn new(is_cache: bool) -> World {
        let keys = Keys {
            operator: Signer::new(Kind::Operator, 1),
            system: Signer::new(Kind::Account, 2),
            account: Signer::new(Kind::Account, 3),
            other: Signer::new(Kind::Account, 4),
        };
        let path = directory();
        let _ = fs::remove_dir_all(&path);
        let resolver = if is_cache {
            Resolver::Cache(Cache { path, accounts_max: 2, ..Cache::default() })
        } else {
            Resolver::Directory(Directory { path, deletes: Deletes::Rename, accounts_max: Some(3) })
        };
        let nats = json!({"type": "operator", "version": 2, "system_account": keys.system.public});
        let operator = keys.operator.token(json!({"sub": keys.operator.public, "nats": nats}));
        let known = [&keys.system, &keys.account].map(|key| AccountToken::parse(&keys.token(key)).expect("it is good"));
        let operators = Operators {
            tokens: vec![OperatorToken::parse(&operator).expect("it is good")],
            preload: known.into_iter().collect(),
            resolver,
            ..Operators::default()
        };
        let config = Config {
            host: "0.0.0.0".to_owned(),
            port: PORT,
            auth: Auth::Operators(Arc::new(operators)),
            system_account: Some(keys.system.public.clone()),
            ..Config::default()
        };
        let mut sim = Sim::with_faults(1, Faults::none());
        let state = State::new(config.clone()).expect("the settings make sense");
        let broker = sim.host("broker", state, |cx| {
            Broker::listen(cx).map(drop).map_err(std::io::Error::other)
        });
        let clients = sim.host("clients", Vec::new(), |_| Ok(()));
        let [system, account] = [&keys.system, &keys.account].map(|key| come(&mut sim, broker, clients, key));
        World { sim, broker, clients, system, account, config, keys }
    }

    /// The text that comes of the data.
    fn text(&self, form: u8, rest: &[u8]) -> Vec<u8> {
        match form % 3 {
            0 => rest.to_vec(),
            1 => {
                let text = String::from_utf8_lossy(rest);
                let text = text.replace("ACCOUNT", &self.keys.account.public);
                let text = text.replace("OPERATOR", &self.keys.operator.public);
                match serde_json::from_str::<Value>(&text) {
                    Ok(claims) if claims.is_object() => self.keys.operator.token(claims).into_bytes(),
                    _ => self.keys.operator.signed(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#, &text).into_bytes(),
                }
            }
            _ => {
                let mut token = self.keys.token(&self.keys.other).into_bytes();
                for change in rest.chunks_exact(3) {
                    let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % token.len();
                    token[place] = change[2];
                }
                token
            }
        }
    }

    /// A client of the system account says this.
    fn say(&mut self, words: &[u8]) {
        let system = self.system;
        self.sim.with(self.clients, |cx| cx.io.send(system, words));
        self.sim.run_for(Duration::from_millis(100));
    }

    fn request(&mut self, subject: &str, payload: &[u8]) {
        let head = format!("PUB {subject} inbox {}\r\n", payload.len());
        self.say(&[head.as_bytes(), payload, b"\r\n"].concat());
    }

    /// A client of an account comes that the cache does not know, and this is what it is told of that.
    fn answer(&mut self, payload: &[u8]) {
        self.say(b"SUB $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP 2\r\n");
        come(&mut self.sim, self.broker, self.clients, &self.keys.other);
        let heard = self.sim.with(self.clients, |cx| String::from_utf8_lossy(cx.state).into_owned());
        let reply = heard.split(' ').find(|word| word.starts_with("$SYS._INBOX."));
        let reply = reply.expect("it is asked for").to_owned();
        self.request(&reply, payload);
    }

    /// Somebody puts a file into the directory, and has the broker read it.
    fn file(&mut self, rest: &[u8], text: &[u8]) {
        let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).replace("ACCOUNT", &self.keys.account.public).replace('/', "");
        if name.contains('\0') || name.len() > 200 || ["", ".", ".."].contains(&&*name) {
            return;
        }
        fs::write(directory().join(name), text).expect("there is room");
        let checked = Checked::new(self.config.clone()).expect("they were good before");
        self.sim.with(self.broker, |cx| Broker::take_over(cx, checked));
    }

    /// All that must be so, whatever was given. A file that somebody has put there is as it is.
    fn look(&mut self, is_by_hand: bool) {
        self.sim.run_for(LONG);
        self.sim.with(self.clients, |cx| cx.state.clear());
        self.say(b"PUB $SYS.REQ.CLAIMS.LIST inbox 0\r\n\r\nPING\r\n");
        let heard = self.sim.with(self.clients, |cx| String::from_utf8_lossy(cx.state).into_owned());
        assert!(heard.contains("PONG\r\n"), "{heard}");
        assert!(heard.contains("\"data\":["), "{heard}");
        let account = self.account;
        self.sim.with(self.clients, |cx| cx.io.send(account, b"PING\r\n"));
        self.sim.run_for(Duration::from_millis(100));
        if is_by_hand {
            return;
        }
        for entry in fs::read_dir(directory()).expect("it is there") {
            let path = entry.expect("it can be read").path();
            let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
            let key = name.strip_suffix(".deleted").unwrap_or(&name).strip_suffix(".jwt").expect("nothing else is left");
            let text = fs::read_to_string(&path).expect("it can be read");
            let token = AccountToken::parse(&text).expect("what is stored is a token");
            assert_eq!(token.key(), key);
            let claims = text.split('.').nth(1).expect("it has three parts");
            let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("it is base64");
            let claims: Value = serde_json::from_slice(&claims).expect("JSON");
            assert_eq!(claims["iss"], json!(self.keys.operator.public));
        }
    }
}

/// A client with the token of a bearer comes.
fn come(sim: &mut Sim, broker: HostId<State>, clients: HostId<Vec<u8>>, account: &Signer) -> Key {
    let addr = sim.addr(broker, PORT);
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 9).public;
    let token = account.token(json!({"sub": user, "iat": 50, "nats": nats}));
    let words = format!("CONNECT {}\r\nSUB inbox 1\r\n", json!({"verbose": false, "jwt": token}));
    let key = sim.with(clients, |cx| cx.connect(addr, Listener));
    sim.run_for(Duration::from_millis(100));
    sim.with(clients, |cx| cx.io.send(key, words.as_bytes()));
    sim.run_for(Duration::from_millis(100));
    key
}

/// Keeps what is heard.
struct Listener;

impl Handler<Vec<u8>> for Listener {
    fn on_input(&mut self, cx: &mut Context<'_, Vec<u8>>, input: &mut Input<'_>) {
        cx.state.extend(input.take());
    }
}
