//! `State`: what all handlers share, lent to each by the reactor. No lock, no `RefCell`.

pub(crate) mod accounts;
pub(crate) mod asking;
pub(crate) mod cache;
pub(crate) mod callouts;
pub(crate) mod certificates;
pub(crate) mod directory;
pub(crate) mod dropped;
pub(crate) mod ending;
pub(crate) mod events;
pub(crate) mod fetching;
pub(crate) mod handshakes;
pub(crate) mod lookups;
pub(crate) mod open_files;
pub(crate) mod ports;
pub(crate) mod pushes;
pub(crate) mod revising;
pub(crate) mod serving;
pub(crate) mod sharing;
pub(crate) mod socket_file;
pub(crate) mod told;
mod ways;

use crate::auth::callout::keys::Keys;
use crate::auth::failures::Failures;
use crate::auth::inquiry::Inquiries;
use crate::auth::tokens::Known;
use crate::auth::verdicts::Verdicts;
use crate::config::{AccountLimits, Config};
use crate::core::Core;
use crate::core::delivery::Tally;
use crate::core::interest::Mirror;
use crate::core::receiver::Receiver;
use crate::core::requests::Service;
use crate::door::{Door, Entrance};
use crate::limits::Limiter;
use crate::mapping::Way;
use crate::records::{Records, Stats, TlsHandshakes};
use crate::state::asking::Asking;
use crate::state::cache::Cache;
use crate::state::callouts::Callouts;
use crate::state::certificates::CertificateNotes;
use crate::state::ending::Ending;
use crate::state::events::Events;
use crate::state::handshakes::Handshakes;
use crate::state::lookups::Lookups;
use crate::state::open_files::Room;
use crate::state::ports::Files;
use crate::state::pushes::Pushes;
use crate::state::revising::Revising;
use crate::state::serving::Serving;
use crate::state::sharing::Sharing;
use crate::state::socket_file::SocketFile;
use crate::websocket::Settings;
use midge_protocol::Info;
use midge_reactor::{Io, Key};
use std::rc::Rc;

/// What ended a broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// A [`Handle`](crate::Handle) asked for it.
    Requested,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// Lame duck mode has come to its end.
    LameDuck,
}

/// What all handlers of a broker share: the state of the reactor that it lives in. Opaque, but for
/// what it tells about itself.
///
/// [`Broker::bind`](crate::Broker::bind) makes one by itself; make one of your own for
/// [`Broker::listen`](crate::Broker::listen).
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub(crate) config: Config,
    /// `INFO` as every client gets it, but for its own id and address.
    pub(crate) info: Info,
    /// What a message meets.
    pub(crate) core: Core,
    /// Connections that are about to end.
    pub(crate) ending: Ending,
    /// How many files may be open for what.
    pub(crate) room: Room,
    /// What has become of connections.
    pub(crate) counts: ConnectionCounts,
    /// What ended the broker, once something has.
    pub(crate) stop: Stop,
    /// Where clients come in, the server's own door first.
    pub(crate) doors: Vec<OpenDoor>,
    /// Whether the broker is in lame duck mode.
    pub(crate) lame_duck: bool,
    /// Whether any user has a key, so that each client is given something to sign.
    pub(crate) has_key: bool,
    /// How often `info` has changed.
    pub(crate) info_version: u32,
    /// How often what clients must present has changed.
    pub(crate) auth_version: u32,
    /// What was said of certificates.
    pub(crate) certificates: CertificateNotes,
    /// What users may publish, as it was found out lately.
    pub(crate) verdicts: Verdicts,
    /// A message on its way to another subject than it was published to.
    pub(crate) way: Way,
    /// What is worked out on other threads about who clients are.
    pub(crate) inquiries: Inquiries,
    /// The keys of this server, once it listens.
    pub(crate) keys: Option<Keys>,
    /// Clients about whom others decide.
    pub(crate) callouts: Callouts,
    /// Tokens of accounts.
    pub(crate) known: Known,
    /// Which of them goes next, where only some are kept.
    pub(crate) cache: Cache,
    /// What is to be remembered of their imports.
    pub(crate) sharing: Sharing,
    /// Accounts that are asked for elsewhere.
    pub(crate) lookups: Lookups,
    /// Tokens of accounts on their way here.
    pub(crate) pushes: Pushes,
    /// Logins that have failed.
    pub(crate) failures: Failures,
    /// Clients whose subscriptions are held against other permissions.
    pub(crate) revising: Revising,
    /// What clients of one address, and of one user, have together.
    pub(crate) limiter: Limiter,
    /// Files that tell of this process; `None` if it is not the broker's.
    pub(crate) files: Option<Files>,
    /// The part of the broker that is asked by messages, while there is a system account.
    pub(crate) service: Option<Service>,
    /// What clients of any account ask about themselves and their own account.
    pub(crate) asking: Asking,
    /// What it is to tell.
    pub(crate) events: Events,
    /// What answers and tells.
    pub(crate) serving: Serving,
    /// What is kept for monitoring, while there is any.
    pub(crate) records: Option<Box<Records>>,
}

/// A door that is listened at.
#[derive(Debug)]
pub(crate) struct OpenDoor {
    pub(crate) door: Door,
    /// Where clients are accepted, until they no longer are.
    pub(crate) listener: Option<Key>,
    /// The port that it listens on; 0 for a Unix socket.
    pub(crate) port: u16,
    /// Clients that have come in here and not left.
    pub(crate) clients: usize,
    /// The file of its Unix socket, which goes with it.
    pub(crate) file: Option<SocketFile>,
    /// What WebSockets are told here, if it is a door for them.
    pub(crate) framing: Option<Rc<Settings>>,
    /// TLS handshakes that were begun here lately.
    pub(crate) handshakes: Handshakes,
}

/// What has become of connections, over all accounts. [`Stats`] adds what is counted elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectionCounts {
    /// Accepted so far, those that were turned away included.
    pub(crate) connections: u64,
    /// Closed for being slow consumers.
    pub(crate) slow_consumers: u64,
    /// Closed for not answering `PING`s.
    pub(crate) stale: u64,
    /// Closed for wrong credentials, or for none in time.
    pub(crate) auth_failures: u64,
    pub(crate) tls_handshakes: TlsHandshakes,
}

impl State {
    /// The state of a broker with no clients, with `INFO` made and the settings checked already.
    pub(crate) fn announcing(config: Config, info: Info) -> State {
        let core = Core::new(config.total_bytes_max());
        let mut state = State {
            core,
            has_key: config.auth.has_key(),
            limiter: Limiter::new(&config),
            config,
            info,
            ending: Ending::default(),
            room: Room::default(),
            counts: ConnectionCounts::default(),
            stop: Stop::Requested,
            doors: Vec::new(),
            lame_duck: false,
            info_version: 0,
            auth_version: 0,
            certificates: CertificateNotes::default(),
            verdicts: Verdicts::default(),
            way: Way::default(),
            inquiries: Inquiries::new(),
            keys: None,
            callouts: Callouts::default(),
            known: Known::default(),
            cache: Cache::default(),
            sharing: Sharing::default(),
            lookups: Lookups::default(),
            pushes: Pushes::default(),
            failures: Failures::new(),
            revising: Revising::default(),
            files: None,
            service: None,
            asking: Asking::default(),
            events: Events::default(),
            serving: Serving::default(),
            records: None,
        };
        let global = state.core.accounts.global();
        state.furnish_account(global);
        state
    }

    /// What the clients of an account may have.
    pub(crate) fn account_limits(&self, name: &str) -> AccountLimits {
        self.known.account_limits(&self.config, name)
    }

    /// What is open at a door, if anything is.
    pub(crate) fn door(&self, door: Door) -> Option<&OpenDoor> {
        self.doors.iter().find(|open| open.door == door)
    }

    /// As [`door`](State::door), to count there.
    pub(crate) fn door_mut(&mut self, door: Door) -> Option<&mut OpenDoor> {
        self.doors.iter_mut().find(|open| open.door == door)
    }

    /// `INFO` as a client gets it that has come in so: it tells of that listener, and of what is asked of that client.
    pub(crate) fn info_for(&self, entrance: Entrance) -> Info {
        let (mut info, terms) = (self.info.clone(), self.config.terms_for(entrance));
        info.auth_required = terms.want_credentials();
        let Some(open) = self
            .door(entrance.door)
            .filter(|open| open.door != Door::Main)
        else {
            return info;
        };
        let advertised = terms.advertise;
        info.host = advertised.map_or(terms.host, |to| &to.host).to_owned();
        info.port = advertised.and_then(|to| to.port).unwrap_or(open.port);
        // By WebSocket, what is encrypted need not be once more.
        let tls = terms.tls.filter(|_| open.framing.is_none());
        info.tls_required = tls.is_some() && !terms.allow_non_tls;
        info.tls_available = tls.is_some() && terms.allow_non_tls;
        info.tls_verify = info.tls_required && tls.is_some_and(|tls| tls.verify);
        info
    }

    /// The counters, with what there is now. Costs no more than reading them, however many accounts there are.
    pub fn stats(&self) -> Stats {
        let counters = self.core.counters();
        let ConnectionCounts {
            connections,
            slow_consumers,
            stale,
            auth_failures,
            tls_handshakes,
        } = self.counts;
        Stats {
            clients: self.core.client_count(),
            subscriptions: self.core.subscription_count(),
            received: counters.received,
            sent: counters.sent,
            connections,
            slow_consumers,
            stale,
            auth_failures,
            tls_handshakes,
        }
    }

    /// Whether the broker is in lame duck mode: see [`Broker::lame_duck`](crate::Broker::lame_duck).
    pub fn is_lame_duck(&self) -> bool {
        self.lame_duck
    }

    /// The port on which monitoring is served, if it is.
    pub fn monitor_port(&self) -> Option<u16> {
        let port = self.records.as_ref().map(|records| records.port());
        // Without a listener records may be kept as well, for the system account.
        port.filter(|port| *port > 0)
    }

    /// Bytes in the longest queue of a client. Looks at each client.
    pub fn longest_queue_bytes(&self, io: &Io<'_>) -> usize {
        let queued = |(_, receiver): (usize, &Receiver)| io.queued(receiver.key);
        self.core.receivers.iter().map(queued).max().unwrap_or(0)
    }

    /// How many things are kept for the clients there are and their subscriptions, apart from those
    /// themselves: subjects, places in the trie, names of queue groups, who waits for whom. Zero
    /// when all clients have left and what they left behind is removed, or something leaks.
    pub fn retained(&self) -> usize {
        self.core.retained() + self.limiter.retained()
    }

    /// Looks whether what the broker's parts promise holds, and keeps `mirror` beside the interest there is.
    ///
    /// # Panics
    /// If something does not hold.
    #[doc(hidden)]
    pub fn check(&mut self, mirror: &mut Mirror) {
        self.core.invariants();
        self.limiter.invariants();
        mirror.follow(&mut self.core);
    }

    /// A number for a new connection, from 1 on: it is the `client_id` of `INFO`, where client libraries expect
    /// a positive number, and a leaf node that is told none takes this for the wrong port.
    pub(crate) fn next_cid(&mut self) -> u64 {
        self.counts.connections += 1;
        self.counts.connections
    }

    /// Measures what has been published since the last time in a turn, all to `subject`, if that is to be
    /// told.
    #[inline(always)]
    pub(crate) fn measure(&mut self, subject: &[u8], tally: &mut Tally) {
        if let Some(records) = &mut self.records {
            records.meter.count(subject, tally);
        }
    }
}
