//! `State`: what all handlers share, lent to each by the reactor. No lock, no `RefCell`.

pub(crate) mod certificates;
pub(crate) mod ending;
pub(crate) mod handshakes;
pub(crate) mod open_files;
pub(crate) mod ports;

use crate::auth::failures::Failures;
use crate::auth::inquiry::Inquiries;
use crate::auth::verdicts::Verdicts;
use crate::config::{Config, ConnectionType};
use crate::core::Core;
use crate::core::delivery::Tally;
use crate::core::interest::Mirror;
use crate::core::receiver::Receiver;
use crate::records::{Records, Stats, TlsHandshakes};
use crate::state::certificates::CertificateNotes;
use crate::state::ending::Ending;
use crate::state::handshakes::Handshakes;
use crate::state::open_files::Room;
use crate::state::ports::Files;
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
    /// Where clients are accepted, until they no longer are.
    pub(crate) listener: Option<Key>,
    /// The port that it listens on.
    pub(crate) port: u16,
    /// Where clients come by WebSocket, if they may.
    pub(crate) websocket: Option<WebSocketDoor>,
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
    /// TLS handshakes that were begun lately.
    pub(crate) handshakes: Handshakes,
    /// What users may publish, as it was found out lately.
    pub(crate) verdicts: Verdicts,
    /// What is worked out on other threads about who clients are.
    pub(crate) inquiries: Inquiries,
    /// Logins that have failed.
    pub(crate) failures: Failures,
    /// Files that tell of this process; `None` if it is not the broker's.
    pub(crate) files: Option<Files>,
    /// What is kept for monitoring, while there is any.
    pub(crate) records: Option<Box<Records>>,
}

/// Where clients come by WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocketDoor {
    /// Where they are accepted, until they no longer are.
    pub(crate) listener: Option<Key>,
    /// The port that it listens on.
    pub(crate) port: u16,
    /// The terms for those that come.
    pub(crate) settings: Rc<Settings>,
    /// TLS handshakes that were begun there lately.
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
        State {
            core: Core::new(config.total_bytes_max()),
            has_key: config.auth.has_key(),
            config,
            info,
            ending: Ending::default(),
            room: Room::default(),
            counts: ConnectionCounts::default(),
            stop: Stop::Requested,
            listener: None,
            port: 0,
            websocket: None,
            lame_duck: false,
            info_version: 0,
            auth_version: 0,
            certificates: CertificateNotes::default(),
            handshakes: Handshakes::default(),
            verdicts: Verdicts::default(),
            inquiries: Inquiries::new(),
            failures: Failures::new(),
            files: None,
            records: None,
        }
    }

    /// `INFO` as clients get it that come by WebSocket: it tells of that listener.
    pub(crate) fn websocket_info(&self) -> Info {
        let mut info = self.info.clone();
        if let (Some(config), Some(door)) = (&self.config.websocket, &self.websocket) {
            let advertised = config.advertise.as_ref();
            info.host = advertised.map_or(&config.host, |to| &to.host).clone();
            // What is encrypted need not be once more.
            (info.tls_required, info.tls_available, info.tls_verify) = (false, false, false);
            info.auth_required = self.config.wants_credentials(ConnectionType::WebSocket);
            info.port = advertised.and_then(|to| to.port).unwrap_or(door.port);
        }
        info
    }

    /// The counters, with what there is now. Costs no more than reading them.
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
        self.records.as_ref().map(|records| records.port())
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
        self.core.retained()
    }

    /// Looks whether what the broker's parts promise holds, and keeps `mirror` beside the interest there is.
    ///
    /// # Panics
    /// If something does not hold.
    #[doc(hidden)]
    pub fn check(&mut self, mirror: &mut Mirror) {
        self.core.invariants();
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
