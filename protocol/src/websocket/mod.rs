//! The frames of WebSocket (RFC 6455): the other way in which this protocol travels. Bytes in, bytes and events out.
//!
//! ```text
//!  0               1
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - +- - - - - - -+----------------+
//! |F|R|R|R| opcode|M| length      | 2 bytes if it is  | mask        | payload ...    |
//! |I|S|S|S|       |A| 0..=125,    | 126, 8 if it is   | 4 bytes, if |                |
//! |N|V|V|V|       |S| 126, 127    | 127               | MASK is set |                |
//! | |1|2|3|       |K|             |                   |             |                |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - +- - - - - - -+----------------+
//! ```
//!
//! Messages of WebSocket have no meaning of their own here: an op may span several, and one may hold many ops.
//! So a [`Decoder`] keeps none of a message, and the length that a frame announces reserves nothing. Of a control
//! frame it keeps the payload, of 125 bytes at most.
//!
//! What comes before the frames, the request of HTTP, is not read here, nor is what a compressed message holds.

mod close;
mod decoder;
mod header;
mod mask;

pub use close::{CLOSE_TEXT_BYTES_MAX, Status};
pub use decoder::{Control, Decoder, Event, Masking};
pub use header::{CONTROL_BYTES_MAX, Fault, Head, Header, Opcode};
pub use mask::mask;
