//! A broker inside another program: started on a free port, used by two clients, stopped.
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! The broker has a thread of its own; its clients here are plain sockets, and any NATS client
//! library would do as well. The program ends with an error if the message does not arrive.

use midge::{Broker, Config, Stop};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    // Port 0 is any free port; `addr` knows which one it has become.
    let config = Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        ..Config::default()
    };
    let broker = Broker::spawn(config)?;
    println!("clients may connect to nats://{}", broker.addr());

    let mut subscriber = Client::connect(broker.addr())?;
    subscriber.say("SUB greet.* 1\r\nPING\r\n")?;
    // Answered in order: once there is a PONG, the subscription holds.
    subscriber.expect("PONG")?;

    let mut publisher = Client::connect(broker.addr())?;
    publisher.say("PUB greet.joe 5\r\nhello\r\n")?;

    // The `1` is the subscriber's own name for its subscription, the `5` counts bytes.
    subscriber.expect("MSG greet.joe 1 5")?;
    subscriber.expect("hello")?;
    println!("the message has arrived");

    // A handle stops the broker from any thread: what is queued is sent first. `shutdown` would
    // do both; dropping `broker` as well.
    broker.handle().shutdown();
    let stopped = broker.shutdown()?;
    assert_eq!(stopped, Stop::Requested);
    println!("the broker has stopped");
    Ok(())
}

/// Just enough of a client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(addr: SocketAddr) -> Result<Client, Box<dyn Error>> {
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut client = Client(BufReader::new(stream));
        // What the server is comes first. Without `CONNECT` each op would be answered by `+OK`.
        client.line()?;
        client.say("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")?;
        Ok(client)
    }

    fn say(&mut self, ops: &str) -> Result<(), Box<dyn Error>> {
        Ok(self.0.get_mut().write_all(ops.as_bytes())?)
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line)
    }

    fn expect(&mut self, expected: &str) -> Result<(), Box<dyn Error>> {
        loop {
            let line = self.line()?;
            match line.trim_end() {
                line if line == expected => return Ok(()),
                // The broker may ask at any time whether we are still there.
                "PING" => self.say("PONG\r\n")?,
                line => return Err(format!("expected {expected:?}, got {line:?}").into()),
            }
        }
    }
}
