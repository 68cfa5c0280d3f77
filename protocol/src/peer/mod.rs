//! What brokers say to one another: routes between the members of a cluster, and leaf nodes. Bytes and values, as for
//! clients.
//!
//! The framing is that of clients: a control line, and behind that of a message its body. A *route* joins two members
//! of a cluster, and its ops name the account. A *leaf* connection binds one account of a broker to one account of
//! another, and names none. This page is the whole of it.
//!
//! ```text
//! who accepts                                who dials
//!   INFO {"server_id":..., ...} \r\n     -->           what the broker is; comes first
//!                                        <--  CONNECT {"name":..., ...}\r\n
//!   INFO of a leaf's account             -->
//!                                        <--  INFO of a route
//!   RS+ $G greet.*\r\n                   -->           its clients want this
//!                                        <--  RMSG $G greet.joe 5\r\nhello\r\n
//! ```
//!
//! # Interest
//!
//! ```text
//! RS+ <account> <subject>                             a route: clients of this broker want it
//! RS+ <account> <subject> <queue> <weight>            so many members of a queue group do
//! RS- <account> <subject> [queue]
//! LS+ <origin> <account> <subject> [<queue> <weight>] a route: a cluster of leaf nodes, the origin, wants it
//! LS- <origin> <account> <subject> [queue]            where both sides have said `lnocu`
//! LS- <account> <subject> [queue]                     where they have not
//! LS+ <subject> [<queue> <weight>]                    a leaf
//! LS- <subject> [queue]
//! A+ <account>, A- <account>                          a route: means nothing there
//! ```
//!
//! # Messages
//!
//! ```text
//! RMSG <account> <subject> [to] <size>                          a route
//! HMSG <account> <subject> [to] <header size> <size>            a route, with a header
//! LMSG <origin> <account> <subject> [to] <header size> <size>   a route; the header size may be 0
//! LMSG <subject> [to] <size>                                    a leaf
//! HMSG <subject> [to] <header size> <size>                      a leaf, with a header
//!
//! to:  <reply>                          answers go there
//!      | <queue> [queue]...             a member of each of these groups gets it too
//!      + <reply> [queue]...             both
//! ```
//!
//! Behind the line come as many bytes as the size says, header and payload, and CR LF. What is there is told by the
//! number of arguments alone, so a reply subject may be `|` or `+`.
//!
//! `INFO`, `CONNECT`, `PING`, `PONG`, `+OK` and `-ERR '<text>'` are as between a client and a broker, with other
//! fields: [`PeerInfo`], [`PeerConnect`].
//!
//! Names in any letter case; arguments between runs of spaces and tabs; lines end in LF with or without CR, bodies in
//! CR LF. [`PeerParser`] reads this, [`PeerOp`] is what it reads, and [`encode`] writes it: names in capitals, single
//! blanks, CR LF.
//!
//! # One message, from one broker to the next
//!
//! ```
//! use midge_protocol::peer::{Head, Kind, PeerOp, PeerParser, PeerRules, PeerStep};
//!
//! let rules = PeerRules::new(Kind::Route);
//! let mut parser = PeerParser::default();
//! let input = b"RMSG $G work + inbox.9 billing audit 3\r\njob\r\n";
//! let step = parser.next(input, &rules);
//! let Ok(PeerStep::Op { op: PeerOp::Message(message), len: 45 }) = step else { panic!("{step:?}") };
//! assert_eq!(message.account(), Some(&b"$G"[..]));
//! assert!(message.queues().eq([b"billing".as_slice(), b"audit"]));
//!
//! // Local clients get it as if a client had published it; a leaf node, whose members of one group take part, by a
//! // head that is made once for a subject.
//! let publish = message.publish();
//! assert_eq!((publish.reply(), publish.payload()), (Some(&b"inbox.9"[..]), &b"job"[..]));
//! let head = Head::new(None, None, publish.subject());
//! let mut out = Vec::new();
//! head.put(&publish, &[b"audit"], &mut out);
//! assert_eq!(out, b"LMSG work + inbox.9 audit 3\r\njob\r\n");
//! ```
//!
//! # Invariants
//!
//! * Nothing is allocated to read an op; to write one, nothing but what the sink makes. `INFO` and `CONNECT` allocate.
//! * All that a peer sends has a bound: of a payload it is what nine digits can say, unless the rules have another.
//! * What comes out does not depend on how the input was cut.

pub mod encode;

mod connect;
mod forms;
mod info;
mod json;
mod op;
mod parser;
mod violation;

pub use connect::PeerConnect;
pub use encode::{Head, PeerMsg};
pub use info::{PeerInfo, PeerPermissions};
pub use json::LIST_LEN_MAX;
pub use op::{Interest, PeerMessage, PeerOp, Queues};
pub use parser::{Kind, PeerParser, PeerRules, PeerStep};
pub use violation::PeerViolation;
