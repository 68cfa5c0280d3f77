//! Handshakes: a step of one may take long, cannot be cut, and delays the others by itself alone.

use crate::support::{Bench, Cx, Peer, Probe, World};
use midge_reactor::Close;
use midge_reactor::layer::{Arrived, Heard, Layer, Queue, Wire};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// What others had heard by the time of each signature.
type Signatures = Rc<RefCell<Vec<String>>>;

/// Signs whatever comes, which takes its time, and waits for more.
struct Signing {
    takes: Duration,
    world: World,
    neighbour: Peer,
    made: Signatures,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signing")
    }
}

impl Layer for Signing {
    fn open(&mut self, _: Arrived<'_>, _: &mut Vec<u8>) -> Result<Heard, Close> {
        self.made.borrow_mut().push(self.neighbour.text());
        self.world.stall(self.takes);
        Ok(Heard::More)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    fn seal(&mut self, _: &mut Queue<'_>, _: &mut Wire<'_>) -> usize {
        0
    }

    fn is_handshaking(&self) -> bool {
        true
    }
}

/// A bench with a client that is answered what it says, and what makes layers whose signatures take so long.
fn stage(
    takes: Duration,
) -> (
    Bench,
    Peer,
    Signatures,
    impl Fn() -> Signing + Clone + 'static,
) {
    let mut bench = Bench::new();
    let neighbour = bench.client(Probe::echo("neighbour"));
    let made = Signatures::default();
    let signing = {
        let (world, neighbour, made) = (bench.world.clone(), neighbour.clone(), made.clone());
        move || Signing {
            takes,
            world: world.clone(),
            neighbour: neighbour.clone(),
            made: Rc::clone(&made),
        }
    };
    (bench, neighbour, made, signing)
}

/// This number of clients come, which have yet to say their first words.
fn come(
    bench: &mut Bench,
    count: usize,
    signing: &(impl Fn() -> Signing + Clone + 'static),
) -> Vec<Peer> {
    let come = (0..count).map(|_| {
        let signing = signing.clone();
        let begins = move |cx: &mut Cx<'_>| {
            cx.start_layer(signing(), TIMEOUT).expect("it is open");
        };
        bench.client(Probe::new("new").on_open(begins))
    });
    come.collect()
}

#[test]
fn a_neighbour_waits_for_one_signature_and_is_answered_before_the_next() {
    let (mut bench, neighbour, made, signing) = stage(MILLI);
    for peer in come(&mut bench, 20, &signing) {
        peer.send(b"hello");
    }
    for round in 1..=20 {
        neighbour.send(b"?");
        bench.turn();
        assert_eq!(neighbour.text(), "?".repeat(round));
        // Already when the signature of this turn was made.
        let made = made.borrow();
        assert_eq!((made.len(), &made[round - 1]), (round, &"?".repeat(round)));
    }
}

#[test]
fn handshakes_go_on_beside_those_who_use_the_loop_up() {
    let (mut bench, _, made, signing) = stage(MILLI / 5);
    let world = bench.world.clone();
    let flood = bench.client(Probe::new("flood").on_input(move |_, input| {
        input.take();
        world.stall(5 * MILLI);
    }));
    let peers = come(&mut bench, 20, &signing);
    flood.send(&vec![b'x'; 4 << 20]);
    for _ in 0..3 {
        bench.turn();
    }
    for peer in peers {
        peer.send(b"hello");
    }
    // Half a millisecond, and what is left of the last one.
    for round in 1..=3 {
        bench.turn();
        assert_eq!(made.borrow().len(), 3 * round);
    }
}

#[test]
fn one_that_waits_for_its_turn_when_its_handshake_begins_has_it_with_the_handshakes() {
    let (mut bench, neighbour, made, signing) = stage(MILLI);
    let world = bench.world.clone();
    let [first, second] = ["first", "second"].map(|name| {
        let world = world.clone();
        bench.client(Probe::new(name).on_input(move |_, input| {
            input.take();
            world.stall(5 * MILLI);
        }))
    });
    first.send(b"x");
    second.send(b"hello");
    bench.turn();
    let key = second.key();
    bench.with(|cx| {
        cx.io
            .start_layer(key, signing(), TIMEOUT)
            .expect("it is open");
    });
    neighbour.send(b"?");
    bench.turn();
    assert_eq!(*made.borrow(), ["?"]);
}
