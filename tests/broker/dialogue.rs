//! What is said on the wire: plays `dialogue/*.txt`, line by line, against a broker.
//!
//! Against midge by default; against a nats-server whose executable is in `NATS_SERVER`; or against
//! the broker at `NATS_ADDR` (`host:port`), as far as a dialogue needs no settings of its own.
//! `DIALOGUE=words` plays only the dialogues whose heading contains the words.
//!
//! # The language
//!
//! ```text
//! # A remark.
//! == the heading is a sentence and names the dialogue
//! telnet                                      nobody sends CONNECT
//! telnet 2                                    client 2 sends none
//! connect: {"verbose":true}                   everybody comes in with this CONNECT
//! connect 2: {"echo":false,"verbose":false}   client 2 comes in with this one
//! config: users=ann:a|{key 1}|bob:b:WEBSOCKET several: name, password, connection types; or a key
//! config: max_payload=100, ping_max=1         settings of the broker, in nats-server's names
//! authorization: users [{user: a}]            the block of that name, as it stands in a file; so does `accounts`
//! mappings: foo: bar                          likewise
//! tls: pinned_certs: ["{pin ann}"]            likewise; files are filled in, and the digests of keys
//! secure                                      everybody makes a TLS handshake after INFO
//! secure 2: ann                               client 2 does, and shows ann's certificate
//! secure 3 first: ann                         client 3 begins with it
//! plain 2                                     client 2 makes none
//! only: midge, because ...                    not played against a nats-server (or: `reference`)
//! since: 2.10, because ...                    not played against a nats-server before that version
//! uncut: because ...                          a nats-server plays it only in packets as written
//! 1> SUB job workers 7         client 1 sends the line and CR LF; payload lines likewise
//! 1>> "PU" "B a 0\r\n\r\n"     client 1 sends exactly these bytes, each string a packet
//! 1< MSG job 7 2               the next line that client 1 hears is this one
//! 1|2< MSG job * 2             the next line of exactly one of the two is this one
//! 1|2< ok                      (not MSG or HMSG) and of the same one, this one
//! 1> CONNECT {"nkey":"{key 1}","sig":"{sig 1}"}    key 1, made of 32 bytes 1, and its signature of the nonce;
//!                              `{sig 1 std=}` in another base64: `url`, `url=`, `std` or `std=`
//! 1> PUB {reply 2} 0           to the last reply subject that client 2 has heard
//! 1<~ MSG a 1 0                this and the `<~` lines around it come in any order; a line that
//! 1<~ MSG a 2 0                follows MSG or HMSG stays with it
//! 1<INFO {"proto":1}           the greeting had these fields; "*" is any value, "=other" the value
//!                              of the field `other`, null is absence
//! 1< EOF                       the broker closed the connection
//! 1.                           client 1 heard nothing more
//! .                            nobody heard anything more
//! 1 half-close                 client 1 will send no more, and still reads
//! 1 close                      client 1 is gone
//! ```
//!
//! * Directives before the first heading hold for the whole file. Without any, a client comes in
//!   with `CONNECT {"verbose":false,"pedantic":false}` and `PING`, and has read the `PONG`.
//! * A client connects at its first step. The greeting is then taken off the line: every one must
//!   be `INFO`, one object, one blank, with a `client_id` not given before.
//! * Text after `>`, `<` and in quotes knows `\r \n \t \0 \\ \" \* \x7f` and `{text*times}`.
//! * In an expected line, a lone `*` between blanks stands for any one token. A published subject
//!   or payload that is itself `*` is expected as `\*`; `foo.*` and `>` stand for themselves.
//! * A payload is expected line by line. `1<` alone is an empty line: an empty payload, or the end
//!   of a header block.
//! * `1.` sends `PING`, and the next line must be `PONG`. What *another* client published is
//!   certain to be in front of that `PONG` only after that client was answered itself: `2.` then
//!   `1.`, or simply `.`, which goes round twice. Every dialogue ends with that `.`, and then each
//!   client that is left half-closes and must hear the end at once.
//! * Certificates are made for each dialogue. That of `ann` has the address `ann@acme.test` and the subject
//!   `CN=somebody,O=Acme`, and so has that of any other name, but for these: `old` has ended, `server` is one of a
//!   server, and `stranger` is signed by somebody unknown. A handshake that fails is the end of the stream.
//! * A broker's `PING` is passed over, except in dialogues that set `ping_interval`.

#[path = "../support/keys.rs"]
mod keys;
#[path = "../support/player.rs"]
mod player;
#[path = "../support/script.rs"]
mod script;
#[cfg(feature = "tls")]
#[path = "../support/secure.rs"]
mod secure;
#[path = "../support/server.rs"]
mod server;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use player::Packets;
use script::{Dialogue, Only};
use secure::Papers;
use server::Target;

#[test]
fn every_dialogue_goes_as_written() {
    play_all(Packets::AsWritten);
}

#[test]
fn every_dialogue_goes_the_same_when_each_byte_is_a_packet() {
    play_all(Packets::OneByteEach);
}

#[test]
fn the_corpus_is_large_and_every_heading_is_unique() {
    let corpus = corpus();
    assert!(corpus.len() >= 150, "only {} dialogues", corpus.len());
    let mut places = HashMap::new();
    for dialogue in &corpus {
        let place = format!("{}:{}", dialogue.file, dialogue.line);
        if let Some(first) = places.insert(&dialogue.heading, place.clone()) {
            panic!("{first} and {place} are both called: {}", dialogue.heading);
        }
    }
}

/// All dialogues of all files, in the order of the file names.
fn corpus() -> Vec<Dialogue> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogue");
    let entries = std::fs::read_dir(&folder).expect("the corpus is beside this file");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let mut corpus = Vec::new();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
    {
        let text = std::fs::read_to_string(path).expect("a dialogue file is text");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        corpus.extend(script::parse(&name, &text).unwrap_or_else(|wrong| panic!("{wrong}")));
    }
    corpus
}

/// Plays what `target` can play, several at a time unless they share one broker, and reports all
/// failures together.
fn play_all(packets: Packets) {
    /// The test runner starts all tests together; two might meet on one shared broker.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);

    let target = Target::from_env();
    let corpus = corpus();
    let words = std::env::var("DIALOGUE").unwrap_or_default();
    let chosen = corpus
        .iter()
        .filter(|dialogue| dialogue.heading.contains(&words));
    let (played, passed_over): (Vec<_>, Vec<_>) = chosen.partition(|d| suits(&target, d, packets));

    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let at_once = match target {
        Target::Address(_) => 1,
        _ => thread::available_parallelism()
            .map_or(2, usize::from)
            .min(8),
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(dialogue) = played.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = play(&target, dialogue, packets) {
                        failures
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(failure);
                    }
                }
            });
        }
    });

    let mut failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    failures.sort();
    let count = played.len();
    println!(
        "{target:?}, packets {packets:?}: {} of {count} dialogues passed, {} not for this target",
        count - failures.len(),
        passed_over.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {count} dialogues failed\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn suits(target: &Target, dialogue: &Dialogue, packets: Packets) -> bool {
    if dialogue.has_tls() && cfg!(not(feature = "tls")) {
        return false;
    }
    if dialogue.since.is_some_and(|since| !target.is_since(since)) {
        return false;
    }
    if *target == Target::Midge {
        return dialogue.only != Some(Only::Reference);
    }
    let settings = matches!(target, Target::Executable(_)) || dialogue.config.is_empty();
    let cuts = packets == Packets::AsWritten || !dialogue.uncut;
    dialogue.only != Some(Only::Midge) && settings && cuts
}

fn play(target: &Target, dialogue: &Dialogue, packets: Packets) -> Result<(), String> {
    let Dialogue {
        file,
        line,
        heading,
        ..
    } = dialogue;
    let papers = dialogue.has_tls().then(Papers::new);
    let papers = papers.as_ref();
    let server = target
        .start(&dialogue.config, papers)
        .map_err(|e| format!("{file}:{line}: {heading}\n  no broker: {e}\n"))?;
    player::play(dialogue, server.addr, papers, packets).map_err(|failure| failure.to_string())
}

/// What there is of TLS without the feature: nothing that is ever made.
#[cfg(not(feature = "tls"))]
mod secure {
    use std::io::{self, Read};
    use std::net::TcpStream;

    pub(crate) enum Papers {}

    impl Papers {
        pub(crate) fn new() -> Papers {
            unreachable!("no dialogue with TLS is played")
        }

        pub(crate) fn block(&self, _: &str) -> String {
            match *self {}
        }

        pub(crate) fn secure(&self, _: &TcpStream, _: Option<&str>) -> io::Result<Secured> {
            match *self {}
        }
    }

    #[derive(Clone)]
    pub(crate) struct Secured(());

    impl Secured {
        pub(crate) fn send(&self, _: &[u8]) -> io::Result<()> {
            Ok(self.0)
        }

        pub(crate) fn half_close(&self) {}
    }

    impl Read for Secured {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }
}

/// The checks are worth something only if a wrong answer fails them.
mod the_player_itself {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread;

    use serde_json::json;

    use super::player::{self, Packets};
    use super::script::{self, Pattern};

    /// Plays the steps against a broker that answers each line as `answer` says (`None`: it hangs
    /// up) and tells what was expected and what came instead.
    fn play(steps: &str, answer: fn(&str) -> Option<&'static str>) -> Result<(), (String, String)> {
        let addr = answering(answer);
        let text = format!("telnet\n== a test\n{steps}");
        let dialogues = script::parse("test.txt", &text).expect("the steps are well-formed");
        player::play(&dialogues[0], addr, None, Packets::AsWritten).map_err(|f| (f.expected, f.got))
    }

    fn answering(answer: fn(&str) -> Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for (id, socket) in (1..).zip(listener.incoming().flatten()) {
                thread::spawn(move || converse(socket, id, answer));
            }
        });
        addr
    }

    /// Ends with the connection, whichever side ends it.
    fn converse(
        mut socket: TcpStream,
        id: u64,
        answer: fn(&str) -> Option<&'static str>,
    ) -> Option<()> {
        let lines = BufReader::new(socket.try_clone().ok()?).lines();
        write!(socket, "INFO {{\"client_id\":{id}}} \r\n").ok()?;
        for line in lines {
            socket.write_all(answer(&line.ok()?)?.as_bytes()).ok()?;
        }
        None
    }

    /// As a broker would answer who knows one subscriber, `1`, of subject `a`.
    fn honest(line: &str) -> Option<&'static str> {
        match line {
            "PING" => Some("PONG\r\n"),
            "PUB a 2" => Some("+OK\r\nMSG a 1 2\r\nhi\r\n"),
            "BYE" => Some("-ERR 'bye'\r\n"),
            "HANG UP" => None,
            _ => Some(""),
        }
    }

    fn fails(steps: &str, expected: &str, got: &str) {
        let (was_expected, came) = play(steps, honest).expect_err("the dialogue is wrong");
        assert_eq!((was_expected.as_str(), came.as_str()), (expected, got));
    }

    #[test]
    fn a_right_dialogue_passes() {
        let steps = "1> PUB a 2\n1> hi\n1< +OK\n1< MSG a * 2\n1< hi\n1.\n1> HANG UP\n1< EOF\n";
        assert_eq!(play(steps, honest), Ok(()));
    }

    #[test]
    fn another_line_than_expected_fails() {
        fails(
            "1> PUB a 2\n1< +OK\n1< MSG a 9 2\n",
            "MSG a 9 2",
            "MSG a 1 2",
        );
    }

    #[test]
    fn a_line_too_many_before_the_pong_fails() {
        let expected = "nothing more for client 1 before PONG";
        fails("1> PUB a 2\n1< +OK\n1.\n", expected, "MSG a 1 2");
    }

    #[test]
    fn a_line_too_many_at_the_end_of_a_dialogue_fails() {
        let expected = "nothing more for client 1 before PONG";
        fails("1> PUB a 2\n1< +OK\n1< MSG a 1 2\n", expected, "hi");
        fails("1> PUB a 2\n1< +OK\n1< MSG a 1 2\n2.\n", expected, "hi");
    }

    #[test]
    fn a_pong_too_many_fails() {
        fails("1> PING\n", "EOF", "PONG");
        fails("1> PING\n1> PING\n1< PONG\n2.\n", "EOF", "PONG");
    }

    #[test]
    fn a_close_fails_where_a_line_is_expected_and_the_reverse() {
        fails("1> HANG UP\n1< +OK\n", "+OK", "EOF");
        fails("1> BYE\n1< EOF\n", "EOF", "-ERR 'bye'");
        fails(
            "1> HANG UP\n1< EOF\n1> PING\n",
            "a step for a connected client",
            "1 is gone",
        );
    }

    #[test]
    fn a_choice_passes_for_either_client_and_fails_for_both() {
        let one = "2> x\n1> PUB a 2\n1< +OK\n1|2< MSG a 1 2\n1|2< hi\n";
        assert_eq!(play(one, honest), Ok(()));
        let both = "1> PUB a 2\n1< +OK\n2> PUB a 2\n2< +OK\n1|2< MSG a 1 2\n1|2< hi\n";
        let (expected, got) = play(both, honest).expect_err("both got it");
        assert!(
            expected.starts_with("nothing more for client"),
            "{expected}"
        );
        assert_eq!(got, "MSG a 1 2");
    }

    #[test]
    fn lines_in_any_order_keep_what_belongs_to_a_message() {
        let answer = |line: &str| match line {
            "PING" => Some("PONG\r\n"),
            _ => Some("MSG a 2 1\r\ny\r\nMSG a 1 1\r\nx\r\n"),
        };
        let right = "1> go\n1<~ MSG a 1 1\n1<~ x\n1<~ MSG a 2 1\n1<~ y\n";
        assert_eq!(play(right, answer), Ok(()));
        let swapped = "1> go\n1<~ MSG a 1 1\n1<~ y\n1<~ MSG a 2 1\n1<~ x\n";
        assert_eq!(play(swapped, answer), Err(("x".into(), "y".into())));
        let twice = "1> go\n1<~ MSG a 1 1\n1<~ x\n1<~ MSG a 1 1\n1<~ x\n";
        let (expected, got) = play(twice, answer).expect_err("one of them is for sid 2");
        assert_eq!(
            (expected.as_str(), got.as_str()),
            ("MSG a 1 1, or MSG a 1 1", "MSG a 2 1")
        );
    }

    #[test]
    fn a_greeting_is_compared_field_by_field() {
        let info = json!({"proto": 1, "headers": true, "client_id": 7});
        let fits = |fields| player::contains(&info, &fields).is_ok();
        assert!(fits(json!({"proto": 1, "client_id": "*", "nonce": null})));
        assert!(fits(json!({"client_id": "=client_id"})));
        assert!(!fits(json!({"client_id": "=proto"})));
        assert!(!fits(json!({"proto": 2})));
        assert!(!fits(json!({"nonce": "*"})));
        assert!(!fits(json!({"headers": null})));
        fails(
            "1<INFO {\"proto\":1}\n",
            "INFO with \"proto\": 1",
            "{\"client_id\":1}",
        );
    }

    #[test]
    fn a_star_is_any_token_only_between_blanks() {
        let fits = |pattern: &str, line: &str| {
            let pattern = Pattern::parse(pattern).expect("it is well-formed");
            pattern.fits(line.as_bytes())
        };
        assert!(fits("MSG a * 2", "MSG a 7 2"));
        assert!(!fits("MSG a * 2", "MSG a 7 r 2"));
        assert!(!fits("MSG a * 2", "MSG a  2"));
        assert!(fits("MSG foo.* 1 2", "MSG foo.* 1 2"));
        assert!(!fits("MSG foo.* 1 2", "MSG foo.bar 1 2"));
        assert!(fits("MSG \\* 1 2", "MSG * 1 2"));
        assert!(!fits("MSG \\* 1 2", "MSG a 1 2"));
        assert!(!fits("+OK", "+OK "));
    }

    #[test]
    fn text_is_unescaped_once() {
        let bytes = |text| script::unescape(text).expect("it is well-formed");
        assert_eq!(bytes("a{x*3}b{ab.*2}"), b"axxxbab.ab.");
        assert_eq!(bytes("{\\t*2}\\r\\n\\\\r\\0\\xff"), b"\t\t\r\n\\r\0\xff");
        assert_eq!(bytes("{\"a\":{}}"), b"{\"a\":{}}");
        assert_eq!(bytes("{\"a\":\"{x*3}\"}"), b"{\"a\":\"xxx\"}");
        assert!(script::unescape("\\q").is_err());
        assert!(script::unescape("\\").is_err());
    }

    #[test]
    fn what_is_not_in_the_language_is_an_error_with_its_line() {
        let wrong = |steps: &str| {
            script::parse("test.txt", &format!("== a test\n{steps}")).expect_err("it is wrong")
        };
        assert!(wrong("1> PING\n1 <PONG\n").starts_with("test.txt:3: not a step"));
        assert!(wrong("1>PING\n").starts_with("test.txt:2: a blank belongs"));
        assert!(wrong("1> PUB \n").starts_with("test.txt:2: blanks at the end"));
        assert!(wrong("x> PING\n").starts_with("test.txt:2: a client is called"));
        assert!(wrong("1>> PING\n").starts_with("test.txt:2: raw bytes are quoted"));
        assert!(wrong("1>> \"PING\n").starts_with("test.txt:2: the quote is not closed"));
        assert!(wrong("1|2> PING\n").starts_with("test.txt:2: several clients"));
        assert!(wrong("only: midge\n").starts_with("test.txt:2: `only: who, why`"));
        assert!(wrong("since: 2.10\n").starts_with("test.txt:2: `since: version, why`"));
        assert!(wrong("since: new, why\n").starts_with("test.txt:2: a version is"));
        assert!(wrong("secure 2 last\n").starts_with("test.txt:2: a client is called"));
        assert!(wrong("plain 2: ann\n").starts_with("test.txt:2: a client is called"));
        assert!(wrong("# nothing\n").starts_with("test.txt:1: nothing happens"));
        let homeless = script::parse("test.txt", "1> PING\n").expect_err("no heading");
        assert!(homeless.starts_with("test.txt:1: not under a heading"));
    }
}
