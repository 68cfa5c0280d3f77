//! Messages from publishers to subscribers.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::{Error, Run, latency, need_files, shared};
use crate::check::{Bits, Fault, Receiver, Share};
use crate::frame::Shape;
use crate::load::dial;
use crate::load::idler::Idler;
use crate::load::publisher::{GO, LOOK, Publisher};
use crate::load::shared::{Checked, Schedule, Shared};
use crate::load::subscriber::{FINISH, Pace, Subscriber};
use crate::load::thread::{Clock, Plan, Thread, command};
use crate::outcome::Outcome;
use crate::workload::{Flow, WINDOW_BYTES};

pub(super) fn measure(mut run: Run<'_>, flow: &Flow) -> Result<Outcome, Error> {
    need_files(flow.publishers + flow.subscribers + flow.idle)?;
    let shape = Shape::new(&run.subject(), flow.size, flow.headers, run.nonce);
    let shape = shape.subjects(flow.subjects);
    let (mut shared, events) = shared(flow.publishers, flow.subscribers);
    // With one subscriber all messages come to it, whatever their subjects are.
    let once = flow.queue || (flow.subjects > 0 && flow.subscribers > 1);
    shared.share = if once { Share::Once } else { Share::Each };
    shared.window = window(flow, &shape);
    shared.readers = flow.subscribers - flow.stalled;
    shared.schedule = flow.rate.map(|rate| Schedule::new(rate, flow.publishers));
    let (shared, meter) = (Arc::new(shared), run.meter);

    let beside = beside(&run, flow, &shape, &shared)?;
    let subscribers = subscribers(&run, flow, &shape, &shared)?;
    let publishers = publishers(&run, flow, &shape, &shared)?;
    let mut outcome = run.outcome.clone();
    let mut watch = run.watch(&shared, events);
    let others = flow.idle + usize::from(flow.bystanders > 0);
    let result = (|| {
        watch.ready(flow.publishers + flow.subscribers + others)?;
        let meter = meter.begin();
        let _ = shared.began.set(Instant::now());
        subscribers.command(GO);
        publishers.command(GO);
        let published = watch.published(flow.publishers);
        // What can be said of a failed run is said as well.
        meter.end(&mut outcome);
        let published = published?;
        let readers = flow.subscribers - flow.stalled;
        subscribers.command_range(0..readers, FINISH);
        let mut checked = watch.checked(readers)?;
        meter.end(&mut outcome);
        // A stalled one reads at last: it gets all that the broker has kept for it, or its end.
        subscribers.command_range(readers..flow.subscribers, FINISH);
        checked.extend(watch.checked_or_cut(flow.stalled)?);
        settle(&published, &checked, shared.share)
    })();
    outcome.broker = watch.broker();
    outcome.cut_off = watch.cut_off;
    run.outcome = outcome;
    run.count(&shared, flow.size + shape.header.len());
    drop((publishers, beside));
    run.outcome.latency = latency(subscribers.end());
    if flow.subscribers > 0 {
        let copies = match shared.share {
            Share::Each => shared.readers as u64,
            Share::Once => 1,
        };
        let due = run.outcome.published * copies;
        run.outcome.lost = due.saturating_sub(run.outcome.delivered);
    }
    Ok(run.finish(result))
}

/// Messages that publishers may be ahead, all together.
fn window(flow: &Flow, shape: &Shape) -> u64 {
    let (Some(bytes), None) = (flow.window_bytes, flow.rate) else {
        return u64::MAX;
    };
    // Many subscribers may each be as far behind: the broker keeps a copy for each.
    let bytes = bytes.min(16 * WINDOW_BYTES / flow.subscribers.max(1) as u64);
    (bytes / shape.published_bytes() as u64).max(1)
}

/// Connections that are merely there: the idle ones, and one with many subscriptions.
fn beside(
    run: &Run<'_>,
    flow: &Flow,
    shape: &Shape,
    shared: &Arc<Shared>,
) -> io::Result<Option<Thread>> {
    let (idle, bystanders) = (flow.idle, flow.bystanders);
    if idle + bystanders == 0 {
        return Ok(None);
    }
    let (dial, subject) = (Arc::clone(&run.dial), shape.subject(0));
    let plan = Plan {
        name: "bench-idle",
        connections: idle + usize::from(bystanders > 0),
        latency: false,
        clock: None,
    };
    let thread = Thread::spawn(plan, shared, move |cx, number| {
        let subs: String = if number < idle {
            format!("SUB {subject}.idle.{number:06} 1\r\n")
        } else {
            let subjects = 0..bystanders;
            let line = |number| format!("SUB {subject}.beside.{number:06} {number}\r\n");
            subjects.map(line).collect()
        };
        dial::connect(cx, &dial, Idler::new("an idle connection", &subs))
    });
    thread.map(Some)
}

fn subscribers(
    run: &Run<'_>,
    flow: &Flow,
    shape: &Shape,
    shared: &Arc<Shared>,
) -> io::Result<Thread> {
    let (flow, shape, share) = (*flow, shape.clone(), shared.share);
    let dial = Arc::clone(&run.dial);
    let plan = Plan {
        name: "bench-sub",
        connections: flow.subscribers,
        latency: flow.rate.is_some(),
        clock: None,
    };
    Thread::spawn(plan, shared, move |cx, number| {
        let step = flow.subscribers;
        let queue = if flow.queue { " workers" } else { "" };
        let subs: String = if flow.subjects == 0 {
            shape.sub_line(0, queue, false)
        } else {
            let own = (number..flow.subjects).step_by(step);
            own.map(|subject| shape.sub_line(subject, queue, flow.wildcards))
                .collect()
        };
        let receiver = Receiver::new(&shape, flow.publishers, share).own_subjects(number, step);
        let pace = if number >= flow.subscribers - flow.stalled {
            Pace::Stalled
        } else {
            flow.read_rate.map_or(Pace::Free, Pace::Limited)
        };
        dial::connect(cx, &dial, Subscriber::new(number, receiver, pace, &subs))
    })
}

fn publishers(
    run: &Run<'_>,
    flow: &Flow,
    shape: &Shape,
    shared: &Arc<Shared>,
) -> io::Result<Thread> {
    let (flow, shape, dial) = (*flow, shape.clone(), Arc::clone(&run.dial));
    let plan = Plan {
        name: "bench-pub",
        connections: flow.publishers,
        latency: false,
        clock: shared.schedule.map(|schedule| Clock {
            pause: schedule.tick(),
            tick: Box::new(|cx| command(cx, LOOK)),
            hears: false,
        }),
    };
    Thread::spawn(plan, shared, move |cx, number| {
        let publisher = Publisher::new(number, flow.publishers, &shape, flow.span);
        dial::connect(cx, &dial, publisher)
    })
}

/// Whether all that was published has come, once it is known that nothing more will.
pub(super) fn settle(published: &[u64], checked: &[Checked], share: Share) -> Result<(), Fault> {
    match share {
        Share::Each => checked
            .iter()
            .try_for_each(|one| settle_each(published, one)),
        Share::Once if checked.is_empty() => Ok(()),
        Share::Once => settle_once(published, checked),
    }
}

fn settle_each(published: &[u64], checked: &Checked) -> Result<(), Fault> {
    let total: u64 = published.iter().sum();
    let received = checked.received;
    let who = format!("subscriber {}", checked.subscriber);
    if received < total {
        let mut places = published.iter().zip(&checked.next);
        let publisher = places.position(|(sent, next)| sent != next).unwrap_or(0);
        return Err(Fault::Lost {
            who,
            count: total - received,
            publisher,
            sequence: checked.next.get(publisher).copied().unwrap_or(0),
        });
    }
    if received > total {
        let count = received - total;
        return Err(Fault::Surplus { who, count });
    }
    Ok(())
}

fn settle_once(published: &[u64], checked: &[Checked]) -> Result<(), Fault> {
    for (publisher, sent) in published.iter().enumerate() {
        let mut all = Bits::default();
        for one in checked {
            if let Some(sequence) = all.add(&one.seen[publisher]) {
                return Err(Fault::Doubled {
                    publisher,
                    sequence,
                });
            }
        }
        if let Some((count, sequence)) = all.missing(*sent) {
            return Err(Fault::Lost {
                who: "all together".to_owned(),
                count,
                publisher,
                sequence,
            });
        }
    }
    let total: u64 = published.iter().sum();
    let received: u64 = checked.iter().map(|one| one.received).sum();
    if received > total {
        return Err(Fault::Surplus {
            who: "all together".to_owned(),
            count: received - total,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(subscriber: usize, next: &[u64], seen: &[&[u64]]) -> Checked {
        let bits = seen.iter().map(|numbers| {
            let mut bits = Bits::default();
            numbers.iter().for_each(|number| {
                bits.set(*number);
            });
            bits
        });
        Checked {
            subscriber,
            received: if seen.is_empty() {
                next.iter().sum()
            } else {
                seen.iter().map(|numbers| numbers.len() as u64).sum()
            },
            next: next.to_vec(),
            seen: bits.collect(),
        }
    }

    #[test]
    fn the_last_message_is_missed_by_each_who_lacks_it() {
        let all = || got(0, &[5, 7], &[]);
        assert_eq!(settle(&[5, 7], &[all()], Share::Each), Ok(()));
        let lacking = settle(&[5, 7], &[all(), got(1, &[5, 6], &[])], Share::Each);
        let expected = Fault::Lost {
            who: "subscriber 1".to_owned(),
            count: 1,
            publisher: 1,
            sequence: 6,
        };
        assert_eq!(lacking, Err(expected));
        let more = settle(&[5, 6], &[all()], Share::Each);
        assert!(
            matches!(more, Err(Fault::Surplus { count: 1, .. })),
            "{more:?}"
        );
    }

    #[test]
    fn a_group_has_each_message_once() {
        let group = |one: &[u64], other: &[u64]| {
            let members = [got(0, &[0], &[one]), got(1, &[0], &[other])];
            settle(&[4], &members, Share::Once)
        };
        assert_eq!(group(&[0, 3], &[1, 2]), Ok(()));
        let twice = Fault::Doubled {
            publisher: 0,
            sequence: 3,
        };
        assert_eq!(group(&[0, 3], &[1, 2, 3]), Err(twice));
        let lost = group(&[0, 3], &[2]);
        assert!(
            matches!(
                lost,
                Err(Fault::Lost {
                    count: 1,
                    sequence: 1,
                    ..
                })
            ),
            "{lost:?}"
        );
        let more = group(&[0, 3], &[1, 2, 4]);
        assert!(
            matches!(more, Err(Fault::Surplus { count: 1, .. })),
            "{more:?}"
        );
    }
}
