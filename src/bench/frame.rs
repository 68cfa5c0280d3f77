//! What is written to the broker and what must come back: the bytes of a message that can be
//! checked.
//!
//! ```text
//! payload   [ stamp 8 | check 8 | pattern ... | check 8 ]      little endian
//! stamp     publisher << 40 | sequence
//! check     a hash of stamp and the number of this run
//! pattern   a slice of one block of noise; where it begins depends on publisher and sequence
//! ```
//!
//! A payload is this cut to its size: below 24 bytes there is no second check, below 16 the first
//! is cut, below 8 the stamp too, and a payload of 0 bytes can only be counted.
//!
//! Publishers write many frames at once out of a *ring* in which everything but stamp and checks
//! stands already; the pattern repeats with the ring, so that a frame of 64 KiB costs three words.

use std::sync::Arc;

/// Where the sequence ends and the publisher's number begins.
const PUBLISHER_SHIFT: u32 = 40;

/// Bytes in a ring, unless two frames are longer.
const RING_BYTES: usize = 128 * 1024;

/// Most frames in a ring; a power of two, and few enough for the second level cache.
const RING_FRAMES_MAX: usize = 2048;

/// Places at which a pattern may begin, in steps of eight bytes.
const PATTERN_STARTS: usize = 256;

/// The header block of messages that have one.
const HEADER: &[u8] = b"NATS/1.0\r\nTrace-Id: 4bf92f3577b34da6\r\n\r\n";

/// Publisher and sequence number of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    pub(crate) fn new(publisher: usize, sequence: u64) -> Stamp {
        Stamp(((publisher as u64) << PUBLISHER_SHIFT) | sequence)
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Stamp {
        Stamp(u64::from_le_bytes(bytes))
    }

    pub(crate) fn bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    pub(crate) fn publisher(self) -> usize {
        (self.0 >> PUBLISHER_SHIFT) as usize
    }

    pub(crate) fn sequence(self) -> u64 {
        self.0 & ((1 << PUBLISHER_SHIFT) - 1)
    }

    /// A hash that also depends on the run, so that another run's messages are foreign.
    #[inline]
    pub(crate) fn check(self, nonce: u64) -> u64 {
        let mixed = (self.0 ^ nonce).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

/// What all messages of one run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Bytes of payload.
    pub(crate) size: usize,
    /// The subject.
    pub(crate) subject: Vec<u8>,
    /// The header block; empty for none.
    pub(crate) header: &'static [u8],
    /// The number of this run.
    pub(crate) nonce: u64,
    pattern: Arc<[u8]>,
}

impl Shape {
    /// Messages of `size` bytes to `subject`.
    pub(crate) fn new(subject: &str, size: usize, headers: bool, nonce: u64) -> Shape {
        let mut noise = nonce | 1;
        let mut pattern = Vec::with_capacity(size + PATTERN_STARTS * 8 + 8);
        while pattern.len() < size + PATTERN_STARTS * 8 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            pattern.extend_from_slice(&noise.to_le_bytes());
        }
        Shape {
            size,
            subject: subject.into(),
            header: if headers { HEADER } else { b"" },
            nonce,
            pattern: pattern.into(),
        }
    }

    /// Frames in a ring: a power of two, at least two.
    pub(crate) fn ring_frames(&self) -> usize {
        let fit = (RING_BYTES / self.published_bytes()).clamp(2, RING_FRAMES_MAX);
        1 << fit.ilog2()
    }

    /// Everything of a published frame in front of the payload: control line and header.
    pub(crate) fn published_head(&self) -> Vec<u8> {
        let subject = String::from_utf8_lossy(&self.subject);
        self.head("PUB", &subject)
    }

    /// Everything of a delivered frame in front of the payload.
    pub(crate) fn delivered_head(&self, sid: &str) -> Vec<u8> {
        let subject = String::from_utf8_lossy(&self.subject);
        self.head("MSG", &format!("{subject} {sid}"))
    }

    fn head(&self, name: &str, words: &str) -> Vec<u8> {
        let (header, size) = (self.header.len(), self.size);
        let line = if header == 0 {
            format!("{name} {words} {size}\r\n")
        } else {
            format!("H{name} {words} {header} {}\r\n", header + size)
        };
        [line.as_bytes(), self.header].concat()
    }

    /// Bytes of a published frame.
    pub(crate) fn published_bytes(&self) -> usize {
        self.published_head().len() + self.size + 2
    }

    /// The bytes between the checks in the payload of `stamp`; what is beyond `size` is cut.
    pub(crate) fn pattern(&self, stamp: Stamp, ring_frames: usize) -> &[u8] {
        let place = stamp.sequence() as usize & (ring_frames - 1);
        let start = (place * 7 + stamp.publisher() * 31) % PATTERN_STARTS * 8;
        &self.pattern[start..][..self.pattern_bytes()]
    }

    fn pattern_bytes(&self) -> usize {
        if self.size >= 24 { self.size - 24 } else { 0 }
    }
}

/// The frames of one publisher.
#[derive(Debug)]
pub(crate) struct Stamper {
    publisher: usize,
    nonce: u64,
    /// Bytes in front of the payload.
    head: usize,
    size: usize,
    frame: usize,
    frames: usize,
}

impl Stamper {
    /// For the publisher of this number; and its ring, in which the stamps are still to be set.
    pub(crate) fn new(shape: &Shape, publisher: usize) -> (Stamper, Vec<u8>) {
        let head = shape.published_head();
        let frames = shape.ring_frames();
        let mut ring = Vec::with_capacity(frames * shape.published_bytes());
        for place in 0..frames {
            ring.extend_from_slice(&head);
            let payload = ring.len();
            ring.resize(payload + shape.size, 0);
            if shape.size >= 24 {
                let pattern = shape.pattern(Stamp::new(publisher, place as u64), frames);
                ring[payload + 16..][..pattern.len()].copy_from_slice(pattern);
            }
            ring.extend_from_slice(b"\r\n");
        }
        let stamper = Stamper {
            publisher,
            nonce: shape.nonce,
            head: head.len(),
            size: shape.size,
            frame: shape.published_bytes(),
            frames,
        };
        (stamper, ring)
    }

    /// Frames in the ring.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Stamps up to `count` frames of `ring`, beginning with the one of `sequence` and ending at the
    /// ring's end at the latest; answers how many, and where they stand.
    pub(crate) fn stamp(
        &self,
        ring: &mut [u8],
        sequence: u64,
        count: usize,
    ) -> (usize, std::ops::Range<usize>) {
        let first = sequence as usize & (self.frames - 1);
        let count = count.min(self.frames - first);
        let range = first * self.frame..(first + count) * self.frame;
        let mut next = sequence;
        for frame in ring[range.clone()].chunks_exact_mut(self.frame) {
            let stamp = Stamp::new(self.publisher, next);
            self.set(&mut frame[self.head..][..self.size], stamp);
            next += 1;
        }
        (count, range)
    }

    #[inline]
    fn set(&self, payload: &mut [u8], stamp: Stamp) {
        let check = stamp.check(self.nonce).to_le_bytes();
        let stamp = stamp.bytes();
        if let Some((place, rest)) = payload.split_first_chunk_mut::<8>() {
            *place = stamp;
            if let Some((place, rest)) = rest.split_first_chunk_mut::<8>() {
                *place = check;
                if let Some((_, place)) = rest.split_last_chunk_mut::<8>() {
                    *place = check;
                }
            } else {
                rest.copy_from_slice(&check[..rest.len()]);
            }
        } else {
            payload.copy_from_slice(&stamp[..payload.len()]);
        }
    }
}
