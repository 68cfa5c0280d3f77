//! `midge req`.

use std::io;

use midge_protocol::encode;

use super::cli::ReqArgs;
use super::connection::{Connection, Error, Event};
use super::message::publish;

/// Sends a request, and prints the replies that come in time.
pub(super) fn run(args: &ReqArgs) -> Result<(), Error> {
    let payload = args.message.payload()?;
    let deadline = args.deadline();
    let mut connection = Connection::open(&args.broker.server(), true, deadline)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::from)?;
    let inbox = format!("_INBOX.{}", data_encoding::BASE64URL_NOPAD.encode(&random));
    encode::sub(connection.output(), inbox.as_bytes(), None, b"1");
    let subject = &args.message.subject;
    let headers = &args.message.headers;
    publish(
        connection.output(),
        subject,
        Some(&inbox),
        headers,
        &payload,
    );
    let mut out = io::stdout().lock();
    let mut number = 0;
    while number < args.replies {
        let event = connection.next(deadline).map_err(|error| {
            let thing = ["reply", "replies"];
            error.while_receiving(thing, number, Some(args.replies))
        });
        let Event::Message(reply) = event? else {
            continue;
        };
        if reply.payload.is_empty() && reply.status().as_deref() == Some("503") {
            return Err(Error::NoResponders(subject.clone()));
        }
        number += 1;
        reply.show(number, args.show.how(), &mut out)?;
    }
    Ok(())
}
