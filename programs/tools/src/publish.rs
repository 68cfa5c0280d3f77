//! `midge pub`.

use std::io::{self, BufRead, BufReader};

use midge_text::quantity::plural;

use super::cli::PubArgs;
use super::connection::{Connection, Error};
use super::message::publish;

/// Bytes that are gathered before they are sent.
const BATCH_BYTES: usize = 64 * 1024;

/// Publishes, and waits until the broker has carried it out: what it has to say against it comes by
/// then.
pub(super) fn run(args: &PubArgs) -> Result<(), Error> {
    let mut connection = Connection::open(&args.broker.server(), true, args.deadline())?;
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    let mut send = |payload: &[u8], is_last: bool| {
        for _ in 0..args.count {
            let (subject, reply) = (&args.message.subject, args.reply.as_deref());
            let headers = &args.message.headers;
            publish(connection.output(), subject, reply, headers, payload);
            messages += 1;
            bytes += payload.len() as u64;
            if connection.output().len() >= BATCH_BYTES {
                connection.flush()?;
            }
        }
        if is_last {
            connection.flush()?;
        }
        Ok::<(), Error>(())
    };
    if args.lines {
        let mut lines = BufReader::new(io::stdin().lock());
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            // Those who wait for a line get it while the next one is not there yet.
            let is_last = !lines.buffer().contains(&b'\n');
            send(line.strip_suffix(b"\n").unwrap_or(&line), is_last)?;
            line.clear();
        }
    } else {
        send(&args.message.payload()?, true)?;
    }
    connection.sync(args.deadline())?;
    if !args.quiet {
        let subject = &args.message.subject;
        let (messages, bytes) = (plural(messages, "message"), plural(bytes, "byte"));
        eprintln!("{messages}, {bytes} published to {subject}");
    }
    Ok(())
}
