//! The process of the hostile clients: each takes its next step when its time has come, and comes again when it was closed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::sorts::{Sort, Then, sorts};
use crate::stage::Random;
use crate::swarm::{Id, Swarm};

/// All clients have come for the first time in this number of seconds.
const RAMP_SECONDS: f64 = 8.0;

/// Most steps between two looks at the sockets: this process yields to others, and what it is late with must not come all
/// at once.
const STEPS_MAX: usize = 64;

/// How many are of a sort for each ten thousand.
const OF: usize = 10_000;

struct Client {
    sort: usize,
    id: Option<Id>,
    /// The step that comes next.
    step: usize,
}

struct Crowd {
    sorts: Vec<Sort>,
    /// By TCP, and by WebSocket.
    swarms: [Swarm; 2],
    clients: Vec<Client>,
    due: BinaryHeap<(Reverse<Instant>, usize)>,
    random: Random,
    steps: u64,
    connects: u64,
    failed: u64,
}

/// Plays `count` hostile clients for so long, and tells in a line what they did.
pub(crate) fn crowd(
    server: SocketAddr,
    websocket: SocketAddr,
    count: usize,
    time: Duration,
) -> io::Result<()> {
    midge_reactor::raise_open_files()?;
    let sorts = sorts()?;
    let now = Instant::now();
    let mut crowd = Crowd {
        swarms: [Swarm::new(server)?, Swarm::new(websocket)?],
        clients: Vec::new(),
        due: BinaryHeap::new(),
        random: Random(1),
        steps: 0,
        connects: 0,
        failed: 0,
        sorts,
    };
    for (place, sort) in crowd.sorts.iter().enumerate() {
        for _ in 0..(sort.count * count).div_ceil(OF) {
            let share = crowd.random.below(1_000) as f64 / 1_000.0;
            let at =
                now + Duration::from_secs_f64(RAMP_SECONDS.min(time.as_secs_f64() / 4.0) * share);
            crowd.due.push((Reverse(at), crowd.clients.len()));
            crowd.clients.push(Client {
                sort: place,
                id: None,
                step: 0,
            });
        }
    }
    let (mut open, mut looks) = (0, 0);
    let mut look = now + Duration::from_secs_f64(RAMP_SECONDS.min(time.as_secs_f64() / 4.0));
    while now.elapsed() < time {
        crowd.turn()?;
        if Instant::now() >= look {
            look += Duration::from_secs(1);
            open += crowd.swarms.iter().map(Swarm::len).sum::<usize>();
            looks += 1;
        }
    }
    let seconds = time.as_secs_f64();
    let closed: u64 = crowd.swarms.iter().map(|swarm| swarm.closed).sum();
    let sent: u64 = crowd.swarms.iter().map(|swarm| swarm.sent_bytes).sum();
    println!(
        "{} open on average of {}; each second {:.0} connects, {:.0} closed by the broker, {:.0} steps, {:.1} MB; {} connects failed",
        open / looks.max(1),
        crowd.clients.len(),
        crowd.connects as f64 / seconds,
        closed as f64 / seconds,
        crowd.steps as f64 / seconds,
        sent as f64 / seconds / 1e6,
        crowd.failed,
    );
    Ok(())
}

impl Crowd {
    fn turn(&mut self) -> io::Result<()> {
        for swarm in &mut self.swarms {
            swarm.turn(Duration::from_millis(1))?;
            // It comes again when its time has come.
            swarm.take_ended();
        }
        let now = Instant::now();
        for _ in 0..STEPS_MAX {
            let Some((Reverse(at), place)) = self.due.peek().copied() else {
                break;
            };
            if at > now {
                break;
            }
            self.due.pop();
            self.step(place);
            let period = self.sorts[self.clients[place].sort].period;
            // Half as soon, or half as late again: not in step with each other.
            let next = now + period.mul_f64(0.5 + self.random.below(1_000) as f64 / 1_000.0);
            self.due.push((Reverse(next), place));
        }
        Ok(())
    }

    fn step(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let sort = &self.sorts[client.sort];
        let swarm = &mut self.swarms[usize::from(sort.is_websocket)];
        self.steps += 1;
        let open = client.id.filter(|id| swarm.is_open(*id));
        if let Some(id) = open {
            // What the broker does not take is not said twice.
            if !swarm.is_silent(id) {
                return;
            }
            if client.step == sort.steps.len() {
                match sort.then {
                    Then::Stay => return,
                    Then::Again => client.step = 1,
                    Then::Vanish => swarm.reset(id),
                }
            }
            if swarm.is_open(id) {
                swarm.repeat(id, &sort.steps[client.step], 1);
                client.step += 1;
                return;
            }
        }
        self.connects += 1;
        match swarm.dial_soon(&sort.steps[0], sort.reading) {
            Ok(id) => (client.id, client.step) = (Some(id), 1),
            Err(_) => self.failed += 1,
        }
    }
}
