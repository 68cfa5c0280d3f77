//! A published message that no parser has read, but a program has made.

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
        buffer.clear();
        let mut put = |bytes: &[u8], behind: &[u8]| {
            let start = buffer.len();
            buffer.extend_from_slice(bytes);
            let end = buffer.len();
            buffer.extend_from_slice(behind);
            Span { start, end }
        };
        let name = if header.is_empty() { "PUB" } else { "HPUB" };
        put(name.as_bytes(), b" ");
        let subject = put(subject, b" ");
        let reply = reply.map(|reply| put(reply, b" ")).unwrap_or_default();
        let header_size = match header.len() {
            0 => Span::default(),
            len => put(Decimal::new(len as u64).as_bytes(), b" "),
        };
        let body_bytes = header.len() + payload.len();
        let size = put(Decimal::new(body_bytes as u64).as_bytes(), LINE_END);
        put(header, payload);
        put(LINE_END, b"");
        let layout = Layout::composed(
            subject,
            reply,
            header_size,
            size,
            [header.len(), body_bytes],
        );
        Publish {
            input: buffer,
            layout,
            repeats: false,
        }
    }
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
}
