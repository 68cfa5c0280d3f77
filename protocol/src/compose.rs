//! Published messages that no parser has read: one that a program has made, and one made of another.

use crate::encode::{Decimal, LINE_END};
use crate::line::Span;
use crate::op::Publish;
use crate::publish::Layout;

impl<'a> Publish<'a> {
    /// A message made here. It is written into `buffer` as a client would send it, in place of what is there,
    /// so that it is handed on to receivers as any other.
    ///
    /// `subject` and `reply` are to be without blanks and control bytes, `header` is empty or a whole header
    /// block, and the payload is shorter than 4 GiB: none of it is checked.
    ///
    /// ```
    /// use midge_protocol::Publish;
    ///
    /// let mut buffer = Vec::new();
    /// let message = Publish::compose(&mut buffer, b"greet", Some(b"inbox.1"), b"", b"hello");
    /// assert_eq!((message.subject(), message.payload()), (&b"greet"[..], &b"hello"[..]));
    /// assert_eq!(message.tail().unwrap().as_slice(), b"inbox.1 5\r\nhello\r\n");
    /// ```
    pub fn compose(
        buffer: &'a mut Vec<u8>,
        subject: &[u8],
        reply: Option<&[u8]>,
        header: &[u8],
        payload: &[u8],
    ) -> Publish<'a> {
        let layout = put_sized(buffer, subject, reply, header, payload);
        Publish {
            input: buffer,
            layout,
            repeats: false,
        }
    }
}

/// A message made of another one: the same, to another subject. Keeps its buffer for the next.
///
/// ```
/// use midge_protocol::{Publish, Redirected};
///
/// let mut buffer = Vec::new();
/// let message = Publish::compose(&mut buffer, b"greet", Some(b"inbox.1"), b"", b"hello");
/// let mut redirected = Redirected::default();
/// redirected.set(&message, b"meet");
/// let other = redirected.message();
/// assert_eq!((other.subject(), other.tail()), (&b"meet"[..], message.tail()));
/// ```
#[derive(Debug, Default)]
pub struct Redirected {
    buffer: Vec<u8>,
    layout: Layout,
}

impl Redirected {
    /// Makes it of `message`, in place of what it was. Copies all of it, and its sizes digit by digit.
    ///
    /// `subject` is to be without blanks and control bytes, which is not checked.
    pub fn set(&mut self, message: &Publish<'_>, subject: &[u8]) {
        self.set_reply(message, subject, message.reply());
    }

    /// As [`set`](Redirected::set), with another reply subject, which is not checked either.
    pub fn set_reply(&mut self, message: &Publish<'_>, subject: &[u8], reply: Option<&[u8]>) {
        let parts = Parts {
            subject,
            reply,
            header_size: message.header_size(),
            size: message.size(),
            header: message.header(),
            payload: message.payload(),
        };
        self.layout = parts.put(&mut self.buffer);
    }

    /// As [`set`](Redirected::set), with another reply subject and another header block, which is empty or whole.
    /// Neither is checked. Header and payload together are shorter than 4 GiB.
    pub fn set_with(
        &mut self,
        message: &Publish<'_>,
        subject: &[u8],
        reply: Option<&[u8]>,
        header: &[u8],
    ) {
        let payload = message.payload();
        self.layout = put_sized(&mut self.buffer, subject, reply, header, payload);
    }

    /// The message; an empty one to an empty subject, before the first is set.
    #[inline]
    pub fn message(&self) -> Publish<'_> {
        Publish {
            input: &self.buffer,
            layout: self.layout,
            repeats: false,
        }
    }

    /// Bytes that it keeps for the next.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// Bytes of the name of an op, and of all blanks and line ends.
const AROUND: usize = "HPUB".len() + 4 + 2 * LINE_END.len();

/// What a publish is put together from.
struct Parts<'a> {
    subject: &'a [u8],
    reply: Option<&'a [u8]>,
    /// Empty without a header.
    header_size: &'a [u8],
    size: &'a [u8],
    header: &'a [u8],
    payload: &'a [u8],
}

impl Parts<'_> {
    /// Writes it into `buffer` as a client would send it, in place of what is there.
    fn put(&self, buffer: &mut Vec<u8>) -> Layout {
        buffer.clear();
        let words = self.subject.len() + self.reply.map_or(0, <[u8]>::len);
        let body_bytes = self.header.len() + self.payload.len();
        buffer.reserve(words + self.header_size.len() + self.size.len() + body_bytes + AROUND);
        let mut put = |bytes: &[u8], behind: &[u8]| {
            let start = buffer.len();
            buffer.extend_from_slice(bytes);
            let end = buffer.len();
            buffer.extend_from_slice(behind);
            Span { start, end }
        };
        let name = if self.header.is_empty() {
            "PUB"
        } else {
            "HPUB"
        };
        put(name.as_bytes(), b" ");
        let subject = put(self.subject, b" ");
        let reply = self.reply.map(|reply| put(reply, b" ")).unwrap_or_default();
        let header_size = match self.header.is_empty() {
            true => Span::default(),
            false => put(self.header_size, b" "),
        };
        let size = put(self.size, LINE_END);
        put(self.header, self.payload);
        put(LINE_END, b"");
        Layout::composed(
            subject,
            reply,
            header_size,
            size,
            [self.header.len(), body_bytes],
        )
    }
}

/// Writes what such a message is made of, with its sizes, into `buffer`, in place of what is there.
fn put_sized(
    buffer: &mut Vec<u8>,
    subject: &[u8],
    reply: Option<&[u8]>,
    header: &[u8],
    payload: &[u8],
) -> Layout {
    let size = Decimal::new((header.len() + payload.len()) as u64);
    let header_size = Decimal::new(header.len() as u64);
    let parts = Parts {
        subject,
        reply,
        header_size: header_size.as_bytes(),
        size: size.as_bytes(),
        header,
        payload,
    };
    parts.put(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientOp, Parser, Rules, Step};

    #[test]
    fn what_is_composed_is_what_a_client_would_have_sent() {
        let rules = Rules {
            headers: true,
            ..Rules::default()
        };
        for reply in [None, Some(&b"inbox.1"[..])] {
            for header in [&b""[..], b"NATS/1.0\r\n\r\n"] {
                for payload in [&b""[..], b"hello", &[b'x'; 1000]] {
                    let mut buffer = vec![b'?'; 10];
                    let composed = Publish::compose(&mut buffer, b"a.b", reply, header, payload);
                    assert_eq!(composed.reply(), reply);
                    assert_eq!((composed.header(), composed.payload()), (header, payload));
                    let (input, repeats) = (composed.input, composed.repeats());
                    let step = Parser::default().next(input, &rules);
                    let Ok(Step::Op { op, len }) = step else {
                        panic!("{composed:?} gave {step:?}");
                    };
                    assert_eq!((op, len), (ClientOp::Publish(composed), input.len()));
                    assert!(!repeats && composed.hand_on().is_some());
                }
            }
        }
    }
    #[test]
    fn what_is_redirected_is_what_it_was_but_for_its_subject() {
        let rules = Rules {
            headers: true,
            ..Rules::default()
        };
        let mut redirected = Redirected::default();
        for (sent, expected) in [
            ("PUB a 2\r\nhi\r\n", "PUB b.c 2\r\nhi\r\n"),
            ("PUB a r 002\r\nhi\r\n", "PUB b.c r 002\r\nhi\r\n"),
            ("pub\ta  r\t2\nhi\r\n", "PUB b.c r 2\r\nhi\r\n"),
            ("PUB a 0\r\n\r\n", "PUB b.c 0\r\n\r\n"),
            ("HPUB a r 02 4\r\nhihi\r\n", "HPUB b.c r 02 4\r\nhihi\r\n"),
            ("HPUB a 0 2\r\nhi\r\n", "PUB b.c 2\r\nhi\r\n"),
        ] {
            let mut parser = Parser::default();
            let step = parser.next(sent.as_bytes(), &rules);
            let Ok(Step::Op {
                op: ClientOp::Publish(message),
                ..
            }) = step
            else {
                panic!("{sent:?} gave {step:?}");
            };
            redirected.set(&message, b"b.c");
            let made = redirected.message();
            assert_eq!(made.input, expected.as_bytes());
            assert_eq!(made.reply(), message.reply());
            assert_eq!(made.body_bytes(), message.body_bytes());
            assert_eq!(made.layout.len(), made.input.len());
            assert!(!made.repeats() && made.hand_on().is_some());
            redirected.set_reply(&message, b"b.c", Some(b"other"));
            let made = redirected.message();
            assert_eq!(
                (made.subject(), made.reply()),
                (&b"b.c"[..], Some(&b"other"[..]))
            );
            assert_eq!(
                (made.header_size(), made.size()),
                (message.header_size(), message.size())
            );
            assert_eq!(
                (made.header(), made.payload()),
                (message.header(), message.payload())
            );
            assert_eq!(made.layout.len(), made.input.len());
            let header = &b"NATS/1.0\r\nA: b\r\n\r\n"[..];
            for (reply, header) in [(None, &b""[..]), (Some(&b"r.2"[..]), header)] {
                redirected.set_with(&message, b"c", reply, header);
                let made = redirected.message();
                assert_eq!((made.subject(), made.reply()), (&b"c"[..], reply));
                assert_eq!((made.header(), made.payload()), (header, message.payload()));
                assert_eq!(made.layout.len(), made.input.len());
                assert!(made.hand_on().is_some());
            }
        }
    }
}
