//! What the broker itself publishes, as a [`Service`].

use super::queues::Queues;
use crate::core::Core;
use crate::core::delivery::{Published, Quota, Tally, publish_one};
use crate::core::requests::Service;
use midge_protocol::{Publish, Run};
use midge_reactor::Io;

/// A message of the broker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) reply: Option<&'a [u8]>,
    /// A whole header block, or nothing.
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// Publishes a message in the account of a service, to whomever it reaches, in one piece; answers whether it has reached
/// somebody.
pub(crate) fn publish(
    core: &mut Core,
    io: &mut Io<'_>,
    service: &mut Service,
    message: &Message<'_>,
) -> bool {
    let Message {
        subject,
        reply,
        header,
        payload,
    } = *message;
    let mut buffer = Vec::new();
    let message = Publish::compose(&mut buffer, subject, reply, header, payload);
    let (run, mut tally) = (Run::from(message), Tally::default());
    let (publisher, out) = (&mut service.publisher, &mut Queues(io));
    let mut published = publish_one(core, publisher, &run, &mut tally, |_| {}, out);
    while published == Published::InPieces {
        published = publisher.go_on(core, &message, Quota::ONE, &mut tally, out);
    }
    core.settle(service.receiver, &tally);
    published != Published::NOBODY
}
