//! `midge sub`.

use std::io;
use std::time::Duration;

use midge_protocol::encode;

use super::cli::SubArgs;
use super::connection::{Connection, Deadline, Error, Event};
use super::message::publish;
use super::{plain, subject};

/// How long the broker may take for the last answer.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Prints messages until there were enough, or it is ended.
pub(super) fn run(args: &SubArgs) -> Result<(), Error> {
    let deadline = args.deadline();
    let mut connection = Connection::open(&args.broker.server(), true, deadline)?;
    for (sid, subject) in args.subjects.iter().enumerate() {
        let queue = args.queue.as_deref().map(str::as_bytes);
        let sid = (sid + 1).to_string();
        encode::sub(
            connection.output(),
            subject.as_bytes(),
            queue,
            sid.as_bytes(),
        );
    }
    // A program that waits for the line that follows misses nothing from then on.
    connection.output().extend_from_slice(encode::PING);
    let mut out = io::stdout().lock();
    let mut number = 0;
    while args.count.is_none_or(|count| number < count) {
        let event = connection.next(deadline).map_err(|error| {
            let thing = ["message", "messages"];
            error.while_receiving(thing, number, args.count)
        });
        let message = match event? {
            Event::Message(message) => message,
            Event::Pong => {
                eprintln!("subscribed to {}", args.subjects.join(", "));
                continue;
            }
        };
        number += 1;
        message.show(number, args.show.how(), &mut out)?;
        if let (Some(answer), Some(reply)) = (&args.answer, &message.reply) {
            if subject::literal(reply).is_ok() {
                publish(connection.output(), reply, None, &[], answer.as_bytes());
            } else {
                let reply = plain::line(reply);
                eprintln!("midge sub: no answer to {reply:?}: it has no subscriber");
            }
        }
    }
    connection.sync(Deadline::new(LAST_WORDS))
}
