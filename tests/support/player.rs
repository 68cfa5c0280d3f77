//! Plays one dialogue against a broker and compares, line by line.
//!
//! A thread per client reads all the time, so that a broker never waits for the player. It cuts
//! what it reads at CR LF, payloads included, and hands the lines over one channel: that lets the
//! player wait for whichever client is first, without sleeping and without asking in turns.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::keys;
use super::script::{Action, Dialogue, Name, Pattern, Step};
use super::secure::{Papers, Secured};

/// How long the player waits for what must come. Reaching it always fails the dialogue.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of one send that travel one by one when packets are to be cut; the rest follows whole.
const SINGLE_BYTES_MAX: usize = 512;

/// How the bytes of the clients are cut into packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Packets {
    AsWritten,
    OneByteEach,
}

/// Why a dialogue failed, with everything said until then.
#[derive(Debug)]
pub(crate) struct Failure {
    place: String,
    heading: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    transcript: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.heading)?;
        writeln!(f, "  expected: {}", self.expected)?;
        writeln!(f, "       got: {}", self.got)?;
        for line in &self.transcript {
            writeln!(f, "    | {line}")?;
        }
        Ok(())
    }
}

/// Plays `dialogue` to its end, where every client that is still there must have heard all and is
/// let go when it half-closes.
///
/// Those who make a handshake of TLS make it by these papers.
pub(crate) fn play(
    dialogue: &Dialogue,
    addr: SocketAddr,
    papers: Option<&Papers>,
    packets: Packets,
) -> Result<(), Box<Failure>> {
    let (sender, events) = mpsc::channel();
    let mut player = Player {
        dialogue,
        addr,
        papers,
        packets,
        clients: BTreeMap::new(),
        client_ids: HashSet::new(),
        chosen: None,
        metronome: None,
        sender,
        events,
        transcript: Vec::new(),
    };
    let mut line = dialogue.line;
    let mut played = Ok(());
    for step in &dialogue.steps {
        line = step.line;
        played = player.step(step);
        if played.is_err() {
            break;
        }
    }
    played.and_then(|()| player.leave()).map_err(|mismatch| {
        Box::new(Failure {
            place: format!("{}:{line}", dialogue.file),
            heading: dialogue.heading.clone(),
            expected: mismatch.expected,
            got: mismatch.got,
            transcript: std::mem::take(&mut player.transcript),
        })
    })
}

struct Mismatch {
    expected: String,
    got: String,
}

type Outcome = Result<(), Mismatch>;

/// What a client hears.
#[derive(Debug)]
enum Event {
    /// One line, without its CR LF.
    Line(Vec<u8>),
    /// The connection ended; before that came these bytes without a line end.
    End(Vec<u8>),
}

struct Client {
    socket: TcpStream,
    /// TLS over it.
    secured: Option<Secured>,
    heard: VecDeque<Event>,
    info: Value,
    /// Of the last message that had one.
    reply: String,
    /// Neither closed by the broker nor by the client's own wish to leave.
    open: bool,
}

struct Player<'a> {
    dialogue: &'a Dialogue,
    addr: SocketAddr,
    papers: Option<&'a Papers>,
    packets: Packets,
    clients: BTreeMap<Name, Client>,
    client_ids: HashSet<u64>,
    /// Who fitted the last step for several clients.
    chosen: Option<Name>,
    metronome: Option<BufReader<TcpStream>>,
    sender: Sender<(Name, Event)>,
    events: Receiver<(Name, Event)>,
    transcript: Vec<String>,
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Outcome {
        match &step.action {
            Action::Send { client, pieces } => self.send(*client, pieces),
            Action::Expect { client, line } => {
                let event = self.next(*client, line)?;
                self.compare(line, &event)
            }
            Action::ExpectOneOf {
                clients,
                line,
                continues,
            } => {
                let clients = match self.chosen {
                    Some(chosen) if *continues => vec![chosen],
                    _ => clients.clone(),
                };
                for client in &clients {
                    self.meet(*client)?;
                }
                let (client, event) = self.next_of(&clients, line)?;
                self.chosen = Some(client);
                self.compare(line, &event)
            }
            Action::ExpectAnyOrder { client, units } => self.any_order(*client, units.clone()),
            Action::ExpectInfo { client, fields } => {
                self.meet(*client)?;
                let info = &self.clients[client].info;
                contains(info, fields).map_err(|(expected, got)| Mismatch { expected, got })
            }
            Action::ExpectEnd { client } => self.end(*client),
            Action::Quiet {
                client: Some(client),
            } => self.quiet(*client),
            Action::Quiet { client: None } => self.quiet_everywhere(),
            Action::HalfClose { client } => {
                self.meet(*client)?;
                self.transcript.push(format!("{client} half-close"));
                self.half_close(*client)
            }
            Action::Close { client } => {
                self.meet(*client)?;
                self.transcript.push(format!("{client} close"));
                self.open_client(*client)?.open = false;
                let _ = self.clients[client].socket.shutdown(Shutdown::Both);
                Ok(())
            }
        }
    }

    /// Connects `client` unless it is there already, takes the greeting, and introduces it in the
    /// way the dialogue wants.
    fn meet(&mut self, client: Name) -> Outcome {
        if self.clients.contains_key(&client) {
            return Ok(());
        }
        let socket = TcpStream::connect(self.addr)
            .and_then(|socket| socket.set_nodelay(true).and(Ok(socket)))
            .map_err(|e| mismatch("a connection", &e.to_string()))?;
        let reader = socket
            .try_clone()
            .map_err(|e| mismatch("a second handle", &e.to_string()))?;
        let sender = self.sender.clone();
        let secured = match self.dialogue.handshake(client) {
            None => {
                thread::spawn(move || listen(client, reader, &sender));
                None
            }
            Some(handshake) => {
                let greeting = (!handshake.is_first).then(|| clear_line(&socket));
                for event in greeting.into_iter().flatten() {
                    let _ = sender.send((client, event));
                }
                let papers = self
                    .papers
                    .expect("they are made for each dialogue with TLS");
                let made = papers.secure(&socket, handshake.paper.as_deref());
                match &made {
                    Ok(secured) => {
                        let reader = secured.clone();
                        thread::spawn(move || listen(client, reader, &sender));
                    }
                    Err(error) => {
                        self.transcript
                            .push(format!("{client}  no handshake: {error}"));
                        let _ = sender.send((client, Event::End(Vec::new())));
                    }
                }
                made.ok()
            }
        };
        let heard = VecDeque::new();
        self.clients.insert(
            client,
            Client {
                socket,
                secured,
                heard,
                info: Value::Null,
                reply: String::new(),
                open: true,
            },
        );

        let event = self.next_of(&[client], &"INFO {..} and one blank")?.1;
        let info = greeting(&event).ok_or_else(|| mismatch("INFO {..} and one blank", &event))?;
        let id = info["client_id"].as_u64();
        if !id.is_some_and(|id| id > 0 && self.client_ids.insert(id)) {
            return Err(mismatch("a client_id of its own in INFO", &event));
        }
        self.open_client(client)?.info = info;

        let Some(connect) = self.dialogue.connect(client) else {
            return Ok(());
        };
        self.send(
            client,
            &[format!("CONNECT {connect}\r\nPING\r\n").into_bytes()],
        )?;
        let options = serde_json::from_str(connect).unwrap_or(Value::Null);
        if options["verbose"] != false {
            self.expect_text(client, b"+OK")?;
        }
        self.expect_text(client, b"PONG")
    }

    fn send(&mut self, client: Name, pieces: &[Vec<u8>]) -> Outcome {
        self.meet(client)?;
        self.open_client(client)?;
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                self.let_the_broker_read()?;
            }
            let piece = &self.filled_in(client, piece);
            self.transcript.push(format!("{client}> {}", shown(piece)));
            let (single, whole) = match self.packets {
                Packets::AsWritten => piece.split_at(0),
                Packets::OneByteEach => piece.split_at(piece.len().min(SINGLE_BYTES_MAX)),
            };
            let Client {
                socket, secured, ..
            } = &self.clients[&client];
            let sent = single
                .chunks(1)
                .chain([whole])
                .try_for_each(|bytes| match secured {
                    Some(secured) => secured.send(bytes),
                    None => (&*socket).write_all(bytes),
                });
            if let Err(e) = sent {
                // The broker may close in the middle; what it said before is still to be compared.
                self.transcript.push(format!("{client}  not taken: {e}"));
            }
        }
        Ok(())
    }

    /// What a client sends, with its signatures in it.
    fn filled_in(&self, client: Name, piece: &[u8]) -> Vec<u8> {
        let nonce = self.clients[&client].info["nonce"].as_str();
        let Ok(text) = std::str::from_utf8(piece) else {
            return piece.to_vec();
        };
        let mut text = keys::filled_in(text, nonce.unwrap_or_default());
        for (name, client) in &self.clients {
            text = text.replace(&format!("{{reply {name}}}"), &client.reply);
        }
        text.into_bytes()
    }

    /// A round trip on a connection of the player's own. A broker of one thread answers it only
    /// after it has looked at all that was there before, so what follows is a packet of its own.
    fn let_the_broker_read(&mut self) -> Outcome {
        let addr = self.addr;
        let beat = |metronome: &mut Option<BufReader<TcpStream>>| -> io::Result<String> {
            if metronome.is_none() {
                let socket = TcpStream::connect(addr)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                let mut reader = BufReader::new(socket);
                reader.read_line(&mut String::new())?;
                *metronome = Some(reader);
            }
            let reader = metronome.as_mut().expect("made above when it was missing");
            reader.get_mut().write_all(b"PING\r\n")?;
            let mut line = String::new();
            reader.read_line(&mut line)?;
            Ok(line)
        };
        match beat(&mut self.metronome) {
            Ok(line) if line == "PONG\r\n" => Ok(()),
            other => Err(mismatch(
                "PONG for the player itself",
                &format!("{other:?}"),
            )),
        }
    }

    fn any_order(&mut self, client: Name, mut units: Vec<Vec<Pattern>>) -> Outcome {
        while !units.is_empty() {
            let first: Vec<&Pattern> = units.iter().map(|unit| &unit[0]).collect();
            let event = self.next(client, &first.as_slice())?;
            let Event::Line(line) = &event else {
                return Err(mismatch(&first.as_slice(), &event));
            };
            let Some(index) = units.iter().position(|unit| unit[0].fits(line)) else {
                return Err(mismatch(&first.as_slice(), &event));
            };
            for line in &units.remove(index)[1..] {
                let event = self.next(client, line)?;
                self.compare(line, &event)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, client: Name) -> Outcome {
        self.meet(client)?;
        let event = self.next_of(&[client], &"EOF")?.1;
        match &event {
            Event::End(rest) if rest.is_empty() => {
                self.open_client(client)?.open = false;
                Ok(())
            }
            _ => Err(mismatch(&"EOF", &event)),
        }
    }

    /// `client` has heard everything: the answer to its `PING` is the next line.
    fn quiet(&mut self, client: Name) -> Outcome {
        self.send(client, &[b"PING\r\n".to_vec()])?;
        self.expect_text(client, b"PONG")
            .map_err(|mismatch| Mismatch {
                expected: format!("nothing more for client {client} before PONG"),
                got: mismatch.got,
            })
    }

    /// Nobody hears anything more. The first round makes sure that the broker has handled what
    /// everyone sent; so whatever that caused is in front of the `PONG` of the second.
    fn quiet_everywhere(&mut self) -> Outcome {
        let open = self.there();
        let rounds = if open.len() > 1 { 2 } else { 1 };
        for _ in 0..rounds {
            open.iter().try_for_each(|client| self.quiet(*client))?;
        }
        Ok(())
    }

    /// The end of every dialogue: nobody heard anything more, and whoever leaves hears only the
    /// end. A `PONG` too many, which the last `PING` would take for its own, is found here.
    fn leave(&mut self) -> Outcome {
        self.quiet_everywhere()?;
        for client in self.there() {
            self.half_close(client)?;
            self.end(client)?;
        }
        Ok(())
    }

    fn expect_text(&mut self, client: Name, text: &[u8]) -> Outcome {
        let line = Pattern::Exactly(text.to_vec());
        let event = self.next(client, &line)?;
        self.compare(&line, &event)
    }

    fn compare(&self, line: &Pattern, event: &Event) -> Outcome {
        match event {
            Event::Line(bytes) if line.fits(bytes) => Ok(()),
            _ => Err(mismatch(line, event)),
        }
    }

    fn next(&mut self, client: Name, expected: &dyn Shown) -> Result<Event, Mismatch> {
        self.meet(client)?;
        Ok(self.next_of(&[client], expected)?.1)
    }

    /// What the first of `clients` hears. A `PING` of the broker may come two seconds after
    /// `CONNECT`, which a busy machine reaches: it is passed over unless the dialogue is about it.
    fn next_of(
        &mut self,
        clients: &[Name],
        expected: &dyn Shown,
    ) -> Result<(Name, Event), Mismatch> {
        let pings = self
            .dialogue
            .config
            .iter()
            .any(|(key, _)| key == "ping_interval");
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Ok((name, event)) = self.events.try_recv() {
                self.heard(name, event);
            }
            for name in clients {
                while let Some(event) = self.open_client(*name)?.heard.pop_front() {
                    match event {
                        Event::Line(line) if line == b"PING" && !pings => {}
                        event => return Ok((*name, event)),
                    }
                }
            }
            match self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok((name, event)) => self.heard(name, event),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(mismatch(expected, "nothing in 10 s"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("the player keeps a sender itself")
                }
            }
        }
    }

    fn heard(&mut self, name: Name, event: Event) {
        self.transcript.push(format!("{name}< {}", event.shown()));
        if let Some(client) = self.clients.get_mut(&name) {
            if let Event::Line(line) = &event
                && let Some(reply) = reply(line)
            {
                client.reply = reply;
            }
            client.heard.push_back(event);
        }
    }

    fn there(&self) -> Vec<Name> {
        let open = self.clients.iter().filter(|(_, client)| client.open);
        open.map(|(name, _)| *name).collect()
    }

    fn open_client(&mut self, name: Name) -> Result<&mut Client, Mismatch> {
        match self.clients.get_mut(&name) {
            Some(client) if client.open => Ok(client),
            _ => Err(mismatch(
                "a step for a connected client",
                &format!("{name} is gone"),
            )),
        }
    }

    /// A connection that the broker closed and reset meanwhile has nothing left to shut.
    fn half_close(&mut self, name: Name) -> Outcome {
        self.open_client(name)?.half_close();
        Ok(())
    }
}

impl Client {
    fn half_close(&self) {
        match &self.secured {
            Some(secured) => secured.half_close(),
            None => _ = self.socket.shutdown(Shutdown::Write),
        }
    }
}

/// Every client leaves, and the player waits until the broker has noticed: the next dialogue may
/// be played against the same broker.
impl Drop for Player<'_> {
    fn drop(&mut self) {
        for client in self.clients.values() {
            client.half_close();
        }
        if let Some(mut metronome) = self.metronome.take() {
            let _ = metronome.get_ref().shutdown(Shutdown::Write);
            let _ = metronome.read_to_end(&mut Vec::new());
        }
        // Each listening thread ends with its connection and drops its sender.
        let (sender, _) = mpsc::channel();
        self.sender = sender;
        let deadline = Instant::now() + PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        while self.events.recv_timeout(left()).is_ok() {}
    }
}

/// The first line of a connection, byte by byte: what follows belongs to a handshake. Nothing if it does not come.
fn clear_line(mut socket: &TcpStream) -> Option<Event> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\r\n") {
        if socket.read(&mut byte).ok()? == 0 {
            return None;
        }
        line.extend(byte);
    }
    line.truncate(line.len() - 2);
    Some(Event::Line(line))
}

fn listen(client: Name, socket: impl Read, sender: &Sender<(Name, Event)>) {
    let mut reader = BufReader::with_capacity(64 * 1024, socket);
    let mut line = Vec::new();
    // A reset counts as an end: the broker may close with bytes unread, and what it said before
    // is still delivered here.
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        if line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            if sender
                .send((client, Event::Line(std::mem::take(&mut line))))
                .is_err()
            {
                return;
            }
        }
    }
    // The player may have left already.
    let _ = sender.send((client, Event::End(line)));
}

/// The object of `INFO {..} `, if the line has that shape.
fn greeting(event: &Event) -> Option<Value> {
    let Event::Line(line) = event else {
        return None;
    };
    let json = line.strip_prefix(b"INFO ")?.strip_suffix(b" ")?;
    let shaped = json.starts_with(b"{") && json.ends_with(b"}");
    serde_json::from_slice(json).ok().filter(|_| shaped)
}

/// Whether `info` has every one of `fields`: `"*"` is any value, `"=other"` the value of another
/// field, `null` stands for absence. Otherwise: what was expected, and what was there.
pub(crate) fn contains(info: &Value, fields: &Value) -> Result<(), (String, String)> {
    for (key, value) in fields.as_object().into_iter().flatten() {
        let given = info.get(key);
        let fits = match value {
            Value::Null => given.is_none(),
            Value::String(any) if any == "*" => given.is_some(),
            Value::String(same) if same.starts_with('=') => {
                given.is_some() && given == info.get(&same[1..])
            }
            value => given == Some(value),
        };
        if !fits {
            return Err((format!("INFO with \"{key}\": {value}"), info.to_string()));
        }
    }
    Ok(())
}

fn mismatch(expected: &(impl Shown + ?Sized), got: &(impl Shown + ?Sized)) -> Mismatch {
    Mismatch {
        expected: expected.shown(),
        got: got.shown(),
    }
}

/// For people to read.
trait Shown {
    fn shown(&self) -> String;
}

impl Shown for str {
    fn shown(&self) -> String {
        self.to_owned()
    }
}

impl<T: Shown + ?Sized> Shown for &T {
    fn shown(&self) -> String {
        (**self).shown()
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

impl Shown for Event {
    fn shown(&self) -> String {
        match self {
            Event::Line(line) => shown(line),
            Event::End(rest) if rest.is_empty() => "EOF".to_owned(),
            Event::End(rest) => format!("{} and EOF without a line end", shown(rest)),
        }
    }
}

impl Shown for Pattern {
    fn shown(&self) -> String {
        match self {
            Pattern::Exactly(line) => shown(line),
            Pattern::Tokens(tokens) => {
                let token = |token: &Option<Vec<u8>>| token.as_deref().map_or("*".into(), shown);
                tokens.iter().map(token).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl Shown for [&Pattern] {
    fn shown(&self) -> String {
        self.iter()
            .map(Shown::shown)
            .collect::<Vec<_>>()
            .join(", or ")
    }
}

/// The reply subject in the control line of a message, if there is one.
fn reply(line: &[u8]) -> Option<String> {
    let line = str::from_utf8(line).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["MSG", _, _, reply, _] | ["HMSG", _, _, reply, _, _] => Some(reply.to_owned()),
        _ => None,
    }
}

/// Bytes as a dialogue would write them, cut short when they are many.
fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 160;
    let head = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let text = head
        .escape_ascii()
        .to_string()
        .replace("\\\"", "\"")
        .replace("\\'", "'");
    match bytes.len() - head.len() {
        0 => text,
        more => format!("{text}... and {more} bytes more"),
    }
}
