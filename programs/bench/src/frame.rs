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
//! A payload is this cut to its size: below 24 bytes there is no second check but zeros, below 16
//! the first is cut, below 8 the stamp too, and a payload of 0 bytes can only be counted.
//!
//! Publishers write many frames at once out of a *ring* in which everything but stamp and checks
//! stands already; the pattern repeats with the ring, so that a frame of 64 KiB costs three words.
//!
//! With many subjects, six digits of the subject are set too: `bench.3f9a.000123.a`. Which, is told
//! by the check, so that a receiver knows it from the payload.

use std::ops::Range;
use std::sync::Arc;

/// Where the sequence ends and the publisher's number begins.
const PUBLISHER_SHIFT: u32 = 40;

/// Bytes in a ring, unless two frames are longer.
const RING_BYTES: usize = 128 * 1024;

/// Most frames in a ring; a power of two, and few enough for the second level cache.
const RING_FRAMES_MAX: usize = 2048;

/// Places at which a pattern may begin, in steps of eight bytes.
const PATTERN_STARTS: usize = 256;

/// Digits in the number of a subject.
const DIGITS: usize = 6;

/// The header block of messages that have one.
pub(crate) const HEADER: &[u8] = b"NATS/1.0\r\nTrace-Id: 4bf92f3577b34da6\r\n\r\n";

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
    /// The subject, or where there are several what stands before the number.
    subject: String,
    /// How many subjects there are; 0 if the subject has no number.
    subjects: usize,
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
            subjects: 0,
            header: if headers { HEADER } else { b"" },
            nonce,
            pattern: pattern.into(),
        }
    }

    /// The same over this number of subjects.
    pub(crate) fn subjects(mut self, count: usize) -> Shape {
        self.subjects = count;
        self
    }

    /// The same with this subject alone.
    pub(crate) fn with_subject(&self, subject: &str) -> Shape {
        Shape {
            subject: subject.into(),
            subjects: 0,
            ..self.clone()
        }
    }

    /// Whether the subjects are numbered.
    pub(crate) fn is_numbered(&self) -> bool {
        self.subjects > 0
    }

    /// The subject; of several, the one of this number.
    pub(crate) fn subject(&self, number: usize) -> String {
        match self.subjects {
            0 => self.subject.clone(),
            _ => format!("{}.{number:0DIGITS$}.a", self.subject),
        }
    }

    /// The sid of a subscription; of several, of the one of this number.
    pub(crate) fn sid(&self, number: usize) -> String {
        match self.subjects {
            0 => "1".to_owned(),
            _ => format!("{number:0DIGITS$}"),
        }
    }

    /// `SUB` CR LF for the subject of this number, with a wildcard if asked for.
    pub(crate) fn sub_line(&self, number: usize, queue: &str, wildcard: bool) -> String {
        let mut subject = self.subject(number);
        if wildcard && self.subjects > 0 {
            match number % 4 {
                1 => subject.replace_range(subject.len() - 1.., "*"),
                3 => subject.replace_range(subject.len() - 1.., ">"),
                _ => {}
            }
        }
        format!("SUB {subject}{queue} {}\r\n", self.sid(number))
    }

    /// The number of the subject of a message with this check.
    #[inline]
    pub(crate) fn number(&self, check: u64) -> usize {
        (((check >> 32) * self.subjects as u64) >> 32) as usize
    }

    /// Frames in a ring: a power of two, at least two.
    pub(crate) fn ring_frames(&self) -> usize {
        let fit = (RING_BYTES / self.published_bytes()).clamp(2, RING_FRAMES_MAX);
        1 << fit.ilog2()
    }

    /// Everything of a published frame in front of the payload: control line and header.
    pub(crate) fn published_head(&self) -> Vec<u8> {
        self.head("PUB", &self.subject(0))
    }

    /// Everything of a delivered frame in front of the payload.
    pub(crate) fn delivered_head(&self) -> Vec<u8> {
        let words = format!("{} {}", self.subject(0), self.sid(0));
        self.head("MSG", &words)
    }

    /// Where the subject's digits stand in a published head, if there are any.
    pub(crate) fn published_digits(&self) -> Option<usize> {
        let header = usize::from(!self.header.is_empty());
        self.is_numbered()
            .then_some(header + "PUB ".len() + self.subject.len() + ".".len())
    }

    /// Where the digits of subject and sid stand in a delivered head, if there are any.
    pub(crate) fn delivered_digits(&self) -> Option<[usize; 2]> {
        let subject = self.published_digits()?;
        Some([subject, subject + DIGITS + ".a ".len()])
    }

    pub(crate) fn head(&self, name: &str, words: &str) -> Vec<u8> {
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

    /// Whose payload this is, if every byte of it is right. Of one below 8 bytes nothing is known.
    #[inline]
    pub(crate) fn read(&self, payload: &[u8], ring_frames: usize) -> Option<Stamp> {
        let (stamp, rest) = payload.split_first_chunk::<8>()?;
        let stamp = Stamp::from_bytes(*stamp);
        let check = stamp.check(self.nonce).to_le_bytes();
        let good = payload.len() == self.size
            && match rest.split_first_chunk::<8>() {
                Some((first, [])) => *first == check,
                Some((first, rest)) => {
                    *first == check && self.rest_is_good(stamp, rest, check, ring_frames)
                }
                None => *rest == check[..rest.len()],
            };
        good.then_some(stamp)
    }

    fn rest_is_good(&self, stamp: Stamp, rest: &[u8], check: [u8; 8], ring_frames: usize) -> bool {
        match rest.split_last_chunk::<8>() {
            Some((pattern, last)) => *last == check && pattern == self.pattern(stamp, ring_frames),
            None => rest.iter().all(|byte| *byte == 0),
        }
    }

    /// The bytes between the checks in the payload of `stamp`.
    fn pattern(&self, stamp: Stamp, ring_frames: usize) -> &[u8] {
        let place = stamp.sequence() as usize & (ring_frames - 1);
        let start = (place * 7 + stamp.publisher() * 31) % PATTERN_STARTS * 8;
        &self.pattern[start..][..self.size.saturating_sub(24)]
    }

    /// Writes the payload of `stamp`.
    pub(crate) fn write(&self, payload: &mut [u8], stamp: Stamp, ring_frames: usize) {
        if payload.len() >= 24 {
            let pattern = self.pattern(stamp, ring_frames);
            payload[16..][..pattern.len()].copy_from_slice(pattern);
        }
        set_stamp(payload, stamp, stamp.check(self.nonce));
    }
}

/// Sets the stamp and the checks of a payload whose pattern stands already.
#[inline]
fn set_stamp(payload: &mut [u8], stamp: Stamp, check: u64) {
    let check = check.to_le_bytes();
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

/// The three digits of all numbers below a thousand.
static THREE_DIGITS: [[u8; 3]; 1000] = {
    let mut table = [[0; 3]; 1000];
    let mut number = 0;
    while number < 1000 {
        let digits = [number / 100, number / 10 % 10, number % 10];
        table[number] = [
            b'0' + digits[0] as u8,
            b'0' + digits[1] as u8,
            b'0' + digits[2] as u8,
        ];
        number += 1;
    }
    table
};

/// Writes the six digits of a number at a place of `bytes`.
#[inline]
pub(crate) fn set_digits(bytes: &mut [u8], at: usize, number: usize) {
    let digits = &mut bytes[at..at + DIGITS];
    digits[..3].copy_from_slice(&THREE_DIGITS[number / 1000 % 1000]);
    digits[3..].copy_from_slice(&THREE_DIGITS[number % 1000]);
}

/// The frames of one publisher.
#[derive(Debug)]
pub(crate) struct Stamper {
    publisher: usize,
    shape: Shape,
    /// Bytes in front of the payload.
    head: usize,
    digits: Option<usize>,
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
            let stamp = Stamp::new(publisher, place as u64);
            shape.write(&mut ring[payload..], stamp, frames);
            ring.extend_from_slice(b"\r\n");
        }
        let stamper = Stamper {
            publisher,
            head: head.len(),
            digits: shape.published_digits(),
            frame: shape.published_bytes(),
            frames,
            shape: shape.clone(),
        };
        (stamper, ring)
    }

    /// Stamps up to `count` frames of `ring`, beginning with the one of `sequence` and ending at the
    /// ring's end at the latest; answers how many, and where they stand.
    pub(crate) fn stamp(
        &self,
        ring: &mut [u8],
        sequence: u64,
        count: usize,
    ) -> (usize, Range<usize>) {
        let first = sequence as usize & (self.frames - 1);
        let count = count.min(self.frames - first);
        let range = first * self.frame..(first + count) * self.frame;
        let (size, nonce) = (self.shape.size, self.shape.nonce);
        let frames = ring[range.clone()].chunks_exact_mut(self.frame);
        for (frame, sequence) in frames.zip(sequence..) {
            let stamp = Stamp::new(self.publisher, sequence);
            let check = stamp.check(nonce);
            if let Some(at) = self.digits {
                set_digits(frame, at, self.shape.number(check));
            }
            set_stamp(&mut frame[self.head..][..size], stamp, check);
        }
        (count, range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stamped_can_be_read_again_at_every_size() {
        for size in 8..80 {
            let shape = Shape::new("a", size, false, 77);
            let (stamper, mut ring) = Stamper::new(&shape, 3);
            let last = stamper.frames as u64 + 5;
            let (_, range) = stamper.stamp(&mut ring, last, 1);
            let payload = &ring[range][shape.published_head().len()..][..size];
            let stamp = shape.read(payload, stamper.frames);
            assert_eq!(stamp, Some(Stamp::new(3, last)), "{size} bytes");
        }
    }

    #[test]
    fn each_byte_of_a_payload_counts() {
        let shape = Shape::new("a", 40, false, 77);
        let mut payload = vec![0; 40];
        shape.write(&mut payload, Stamp::new(1, 9), 1024);
        for at in 0..40 {
            let mut broken = payload.clone();
            broken[at] ^= 1;
            assert_eq!(shape.read(&broken, 1024), None, "byte {at}");
        }
    }

    #[test]
    fn a_payload_of_another_run_is_not_ours() {
        let mut payload = vec![0; 16];
        Shape::new("a", 16, false, 1).write(&mut payload, Stamp::new(0, 0), 2);
        assert_eq!(Shape::new("a", 16, false, 2).read(&payload, 2), None);
    }

    #[test]
    fn digits_stand_in_subject_and_sid() {
        let shape = Shape::new("bench.x", 16, true, 5).subjects(1000);
        let mut head = shape.delivered_head();
        for at in shape.delivered_digits().expect("it is numbered") {
            set_digits(&mut head, at, 123);
        }
        let line = String::from_utf8_lossy(&head);
        assert!(
            line.starts_with("HMSG bench.x.000123.a 000123 40 56\r\n"),
            "{line}"
        );
        assert_eq!(
            shape.sub_line(5, "", true),
            "SUB bench.x.000005.* 000005\r\n"
        );
        assert_eq!(
            shape.sub_line(7, "", true),
            "SUB bench.x.000007.> 000007\r\n"
        );
        assert_eq!(
            shape.sub_line(6, "", true),
            "SUB bench.x.000006.a 000006\r\n"
        );
    }

    #[test]
    fn every_subject_is_used_and_none_beyond() {
        let shape = Shape::new("a", 16, false, 5).subjects(10);
        let mut hits = [0; 10];
        for sequence in 0..1000 {
            hits[shape.number(Stamp::new(0, sequence).check(5))] += 1;
        }
        assert!(hits.iter().all(|count| *count > 50), "{hits:?}");
    }
}
