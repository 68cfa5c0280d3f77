//! Those who have done nothing: they ask, publish and listen at a steady pace beside the hostile
//! ones, on a thread of their own, and write down what they wait for and what does not come.
//!
//! ```text
//! pinger       PING, every 5 ms if the last one was answered
//! publisher    5 numbered messages to shared.flow and a PING, likewise ─▶ 2 subscribers
//! requesters   a request to shared.ask, every 25 ms if the last was answered ─▶ 2 in a queue group
//! ```

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use midge_protocol::{ServerOp, ServerParser, ServerStep, encode};

use crate::broker::Broker;
use crate::swarm::{Id, Reading, Swarm};
use crate::wanting::{Wanted, Wanting};

const TICK: Duration = Duration::from_millis(5);
/// Ticks between two requests of one requester.
const REQUEST_TICKS: u64 = 5;
const MESSAGES_A_TICK: u64 = 5;
/// How long an answer may take before it is lost for good.
const LOST_AFTER: Duration = Duration::from_secs(30);

const HELLO: &str = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n";

/// What the honest clients have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What the pinger waited for each answer.
    pub(crate) pings: Waits,
    /// The longest that the publisher waited for an answer.
    pub(crate) publisher_max: Duration,
    /// The longest from a publish to its delivery.
    pub(crate) delivery_max: Duration,
    pub(crate) requests: u64,
    pub(crate) requests_lost: u64,
    /// What requesters waited for each answer.
    pub(crate) answers: Waits,
    /// Deliveries that were due.
    pub(crate) messages: u64,
    pub(crate) messages_lost: u64,
    /// What must never happen, in words: closed, told an error, out of order.
    pub(crate) wrongs: Vec<String>,
}

/// Waits of one kind.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    all: Vec<Duration>,
    /// The same, without the time in which the broker or the client wanted a processor and had none.
    served: Vec<Duration>,
}

impl Waits {
    fn add(&mut self, wait: Duration, wanted: Duration) {
        self.all.push(wait);
        self.served.push(wait.saturating_sub(wanted));
    }

    /// The longest of this percentage of them.
    pub(crate) fn most(&mut self, percent: usize) -> Duration {
        share(&mut self.all, percent)
    }

    /// The same of the waits while there was a processor.
    pub(crate) fn most_served(&mut self, percent: usize) -> Duration {
        share(&mut self.served, percent)
    }
}

fn share(waits: &mut [Duration], percent: usize) -> Duration {
    waits.sort_unstable();
    let last = waits.len().saturating_sub(1);
    let wait = waits.get(last * percent / 100);
    wait.copied().unwrap_or(LOST_AFTER)
}

/// The thread of the honest clients.
#[derive(Debug)]
pub(crate) struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Seen>>,
}

impl Honest {
    /// Connects them all to a broker; they are at work when this returns.
    pub(crate) fn start(broker: &Broker, requesters: usize) -> io::Result<Honest> {
        let (addr, pid) = (broker.addr, broker.pid);
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let over = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut party = Party::join(addr, pid, requesters)?;
            let _ = sender.send(());
            party.work(&over)?;
            Ok(party.seen())
        });
        // Without a word the thread has ended, and why is told by `finish`.
        let _ = receiver.recv();
        Ok(Honest { stop, thread })
    }

    /// Has them begin nothing new, waits for what they wait for, and answers what they have seen.
    pub(crate) fn finish(self) -> io::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let end = self.thread.join();
        end.unwrap_or_else(|_| {
            Err(io::Error::other(
                "the thread of the honest clients panicked",
            ))
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Pinger,
    Publisher,
    Subscriber,
    Requester,
    Responder,
}

struct Member {
    part: Part,
    parser: ServerParser,
    /// An answer is due.
    is_asking: bool,
    /// What was wanted in vain until it began to ask.
    wanted: Wanted,
    /// The number of the next message that must come, or of the next request.
    next: u64,
    rest: u64,
}

struct Party {
    swarm: Swarm,
    wanting: Wanting,
    /// What was wanted in vain until the last look.
    wanted: Wanted,
    members: HashMap<Id, Member>,
    /// When each message was published.
    published: Vec<Instant>,
    /// Requests that have come to the responders.
    asked: u64,
    seen: Seen,
}

impl Party {
    fn join(addr: SocketAddr, pid: Option<u32>, requesters: usize) -> io::Result<Party> {
        let mut party = Party {
            swarm: Swarm::new(addr)?,
            wanting: Wanting::of(pid),
            wanted: Wanted::default(),
            members: HashMap::new(),
            published: Vec::new(),
            asked: 0,
            seen: Seen::default(),
        };
        party.add(Part::Pinger, "")?;
        party.add(Part::Publisher, "")?;
        party.add(Part::Subscriber, "SUB shared.flow 1\r\n")?;
        party.add(Part::Subscriber, "SUB shared.> 1\r\n")?;
        party.add(Part::Responder, "SUB shared.ask workers 1\r\n")?;
        party.add(Part::Responder, "SUB shared.ask workers 1\r\n")?;
        for number in 0..requesters {
            party.add(Part::Requester, &format!("SUB _INBOX.{number}.* 1\r\n"))?;
        }
        // All have been heard when all are answered.
        let end = Instant::now() + LOST_AFTER;
        while party.members.values().any(|member| member.is_asking) {
            if Instant::now() > end || !party.seen.wrongs.is_empty() {
                let why = party.seen.wrongs.join("; ");
                return Err(io::Error::other(format!("not all could join: {why}")));
            }
            party.turn(TICK)?;
        }
        party.seen = Seen::default();
        Ok(party)
    }

    fn add(&mut self, part: Part, words: &str) -> io::Result<()> {
        let hello = format!("{HELLO}{words}PING\r\n");
        let id = self.swarm.dial(hello.as_bytes(), Reading::Keep)?;
        let member = Member {
            part,
            parser: ServerParser::default(),
            is_asking: true,
            wanted: Wanted::default(),
            next: 0,
            rest: id as u64 % REQUEST_TICKS,
        };
        self.members.insert(id, member);
        Ok(())
    }

    fn work(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= next {
                self.tick(now);
                // What was missed is not made up for.
                next = (next + TICK).max(now);
            }
            self.turn(next.saturating_duration_since(now))?;
        }
        let end = Instant::now() + LOST_AFTER;
        while !self.is_done() && Instant::now() < end {
            self.turn(TICK)?;
        }
        Ok(())
    }

    /// Each that waits for nothing begins something.
    fn tick(&mut self, now: Instant) {
        self.wanted = self.wanting.until_now();
        for (id, member) in &mut self.members {
            if member.is_asking {
                continue;
            }
            match member.part {
                Part::Pinger => self.swarm.say(*id, b"PING\r\n"),
                Part::Publisher => {
                    let mut words = Vec::new();
                    for _ in 0..MESSAGES_A_TICK {
                        let payload = format!("{:024}", self.published.len());
                        encode::publish(&mut words, b"shared.flow", None, payload.as_bytes());
                        self.published.push(now);
                    }
                    words.extend_from_slice(b"PING\r\n");
                    self.swarm.say(*id, &words);
                }
                Part::Requester if member.rest == 0 => {
                    member.rest = REQUEST_TICKS;
                    self.seen.requests += 1;
                    let inbox = format!("_INBOX.{}.{}", *id - FIRST_REQUESTER, member.next);
                    let payload = format!("{:032}", member.next);
                    let mut words = Vec::new();
                    let inbox = Some(inbox.as_bytes());
                    encode::publish(&mut words, b"shared.ask", inbox, payload.as_bytes());
                    self.swarm.say(*id, &words);
                }
                Part::Requester => {
                    member.rest -= 1;
                    continue;
                }
                Part::Subscriber | Part::Responder => continue,
            }
            (member.is_asking, member.wanted) = (true, self.wanted);
        }
    }

    fn turn(&mut self, patience: Duration) -> io::Result<()> {
        self.swarm.turn(patience)?;
        self.wanted = self.wanting.until_now();
        for id in self.swarm.take_ended() {
            if let Some(member) = self.members.remove(&id) {
                let part = member.part;
                self.seen.requests_lost += u64::from(part == Part::Requester && member.is_asking);
                self.seen.wrongs.push(format!("{part:?} {id} was closed"));
            }
        }
        let ids: Vec<Id> = self.members.keys().copied().collect();
        for id in ids {
            self.listen(id);
        }
        Ok(())
    }

    fn listen(&mut self, id: Id) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let Some((said, now)) = self.swarm.said_and_heard(id) else {
            return;
        };
        let Some(heard) = self.swarm.heard(id) else {
            return;
        };
        if heard.is_empty() {
            return;
        }
        let wanted = self.wanted.since(member.wanted);
        let mut words = Vec::new();
        let mut at = 0;
        loop {
            let (op, len) = match member.parser.next(&heard[at..]) {
                Ok(ServerStep::Op { op, len }) => (op, len),
                Ok(ServerStep::Partial { .. }) => break,
                Err(violation) => {
                    let text = format!("{:?} {id} was told nonsense: {violation}", member.part);
                    self.seen.wrongs.push(text);
                    break;
                }
            };
            at += len;
            match op {
                ServerOp::Ping => words.extend_from_slice(b"PONG\r\n"),
                ServerOp::Pong => {
                    if std::mem::take(&mut member.is_asking) {
                        let wait = now - said;
                        match member.part {
                            Part::Pinger => self.seen.pings.add(wait, wanted),
                            Part::Publisher => {
                                let max = &mut self.seen.publisher_max;
                                *max = wait.max(*max);
                            }
                            _ => {}
                        }
                    }
                }
                ServerOp::Msg(msg) => match member.part {
                    Part::Subscriber if msg.subject == b"shared.flow" => {
                        let number = str::from_utf8(msg.payload).ok();
                        let number: Option<u64> = number.and_then(|text| text.parse().ok());
                        if number.is_none_or(|number| number < member.next) {
                            let text =
                                format!("subscriber {id} got {number:?} after {}", member.next);
                            self.seen.wrongs.push(text);
                            continue;
                        }
                        let number = number.unwrap_or_default();
                        self.seen.messages_lost += number - member.next;
                        member.next = number + 1;
                        if let Some(published) = self.published.get(number as usize) {
                            let wait = now - *published;
                            self.seen.delivery_max = wait.max(self.seen.delivery_max);
                        }
                    }
                    Part::Responder => {
                        self.asked += 1;
                        if let Some(reply) = msg.reply {
                            encode::publish(&mut words, reply, None, msg.payload);
                        }
                    }
                    Part::Requester => {
                        let expected = format!("{:032}", member.next);
                        if msg.payload == expected.as_bytes() {
                            if std::mem::take(&mut member.is_asking) {
                                self.seen.answers.add(now - said, wanted);
                            }
                            member.next += 1;
                        } else if !msg.header.is_empty() {
                            // Nobody takes it, the broker says; the responders are there.
                            self.seen.requests_lost += 1;
                            member.is_asking = false;
                            member.next += 1;
                        } else {
                            let text = format!("requester {id} got another answer than {expected}");
                            self.seen.wrongs.push(text);
                        }
                    }
                    _ => {}
                },
                ServerOp::Err { text } => {
                    let text = String::from_utf8_lossy(text);
                    self.seen
                        .wrongs
                        .push(format!("{:?} {id} was told {text}", member.part));
                }
                ServerOp::Info { .. } | ServerOp::Ok => {}
            }
        }
        heard.drain(..at);
        self.swarm.say(id, &words);
    }

    fn is_done(&self) -> bool {
        let total = self.published.len() as u64;
        self.members.values().all(|member| {
            !member.is_asking && (member.part != Part::Subscriber || member.next == total)
        })
    }

    fn seen(mut self) -> Seen {
        let total = self.published.len() as u64;
        self.seen.messages = 2 * total;
        if self.asked < self.seen.requests {
            let (asked, requests) = (self.asked, self.seen.requests);
            let text = format!("{asked} of {requests} requests came to the responders");
            self.seen.wrongs.push(text);
        }
        for (id, member) in &self.members {
            match member.part {
                Part::Subscriber => self.seen.messages_lost += total - member.next,
                Part::Requester => self.seen.requests_lost += u64::from(member.is_asking),
                Part::Pinger | Part::Publisher if member.is_asking => {
                    let text = format!("{:?} {id} was not answered", member.part);
                    self.seen.wrongs.push(text);
                }
                _ => {}
            }
        }
        self.seen
    }
}

/// The first requester's number in the swarm, behind all the others.
pub(crate) const FIRST_REQUESTER: Id = 6;
