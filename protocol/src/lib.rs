//! The NATS client protocol: bytes and values. No socket, no clock, no log.
//!
//! A broker and its clients talk in *ops*: a control line of a name and arguments, ended by CR LF,
//! and for messages a body behind it, ended by CR LF too. This page is the whole of it.
//!
//! ```text
//! broker                                     client
//!   INFO {"server_id":..., ...} \r\n     -->           what the server is; comes first
//!                                        <--  CONNECT {"verbose":false, ...}\r\n
//!                                        <--  PING\r\n
//!   PONG\r\n                             -->           nothing comes in between
//!                                        <--  SUB greet.* 1\r\n
//!                                        <--  PUB greet.joe 5\r\nhello\r\n
//!   MSG greet.joe 1 5\r\nhello\r\n       -->
//! ```
//!
//! # What a client says
//!
//! ```text
//! CONNECT {json}                                   options, decoded onto those it has
//! PUB  <subject> [reply] <size>                    then size bytes, CR LF
//! HPUB <subject> [reply] <header size> <size>      then header and payload, size bytes; CR LF
//! SUB  <subject> [queue] <sid>                     interest; a message per sid, or per queue
//! UNSUB <sid> [max]                                now, or after max messages
//! PING, PONG                                       what follows the name is ignored
//! ```
//!
//! Names in any letter case; arguments between runs of spaces and tabs; lines end in LF with or
//! without CR, bodies in CR LF. [`Parser`] reads this and [`ClientOp`] is what it reads.
//!
//! # What a server says
//!
//! ```text
//! INFO {json}                                           Info
//! MSG  <subject> <sid> [reply] <size>                   then size bytes, CR LF
//! HMSG <subject> <sid> [reply] <header size> <size>     then header and payload, CR LF
//! +OK                                                   accepted (verbose clients only)
//! -ERR '<text>'                                         a Violation; some close the connection
//! PING, PONG
//! ```
//!
//! Names in upper case, single spaces, CR LF. [`encode`] writes this; [`ServerParser`] reads it,
//! for tests and load generators.
//!
//! Either way these bytes travel over TCP as they are, or in the frames of [`websocket`].
//!
//! What brokers say to one another, by routes and leaf nodes, is another protocol in the same framing: [`peer`].
//!
//! # One message, in and out
//!
//! ```
//! use midge_protocol::{ClientOp, Msg, Parser, Rules, Step, subject};
//!
//! // Bytes come in whatever pieces the network makes of them.
//! let mut input = b"PUB greet.joe 5\r\nhel".to_vec();
//! let mut parser = Parser::default();
//! let rules = Rules::default();
//! assert_eq!(parser.next(&input, &rules), Ok(Step::Partial { need: 23 }));
//!
//! input.extend_from_slice(b"lo\r\n");
//! let Ok(Step::Op { op: ClientOp::Publish(publish), len }) = parser.next(&input, &rules) else {
//!     panic!("the frame is whole");
//! };
//! assert_eq!(len, input.len());
//!
//! // A subscription with sid 1 wants it.
//! assert!(subject::matches(b"greet.*", publish.subject()));
//! let mut output = Vec::new();
//! Msg {
//!     subject: publish.subject(),
//!     sid: b"1",
//!     reply: publish.reply(),
//!     header_size: publish.header_size(),
//!     size: publish.size(),
//!     header: publish.header(),
//!     payload: publish.payload(),
//! }
//! .put(&mut output);
//! assert_eq!(output, b"MSG greet.joe 1 5\r\nhello\r\n");
//! ```
//!
//! # Invariants
//!
//! * Nothing here reads a socket or a clock: bytes come in as slices and go out into a [`Sink`].
//! * No input makes it panic, and reading an op or writing one allocates nothing. `CONNECT` and
//!   `INFO`, being JSON, allocate.
//! * What comes out does not depend on how the input was cut.

pub mod encode;
pub mod nkey;
pub mod peer;
pub mod proxy;
pub mod subject;
pub mod websocket;

mod compose;
mod connect;
mod credentials;
mod fault;
mod info;
mod line;
mod op;
mod parser;
mod piece;
mod publish;
mod quote;
mod repeat;
mod run;
mod secret;
mod server_parser;
mod subjects;
mod tails;
mod violation;

pub use compose::Redirected;
pub use connect::{ConnectOptions, redacted};
pub use credentials::Credentials;
pub use encode::{Decimal, Msg, Sink};
pub use fault::Fault;
pub use info::Info;
pub use op::{ClientOp, Delivery, Publish, ServerOp};
pub use parser::{Parser, Rules, Step};
pub use piece::Piece;
pub use run::Run;
pub use secret::Secret;
pub use server_parser::{ServerParser, ServerStep};
pub use subjects::Subjects;
pub use tails::Tails;
pub use violation::Violation;
