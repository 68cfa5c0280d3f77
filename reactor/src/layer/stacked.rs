//! `Stacked`: two layers of one connection, the upper one nearer to its handler.
//!
//! ```text
//! queue ── seal ──▶ upper ──▶ between ── seal ──▶ lower ──▶ wire
//! plain ◀── open ── upper ◀── opened ◀── open ─── lower ◀── socket
//! ```
//!
//! `between` is empty when a call has returned, unless the lower one is in its handshake or cannot go on before more
//! has come. `opened` then holds what the upper one was not given yet, which is nothing unless it asks for
//! [another call](Heard::Again), or has just been put over the other.

use super::{Arrived, Heard, Layer, Queue, Wire};
use crate::Close;
use crate::outbound::{Outbound, Pool};
use std::any::Any;

#[derive(Debug)]
pub(super) struct Stacked {
    lower: Box<dyn Layer>,
    upper: Box<dyn Layer>,
    pub(super) between: Outbound,
    pub(super) opened: Vec<u8>,
    /// The lower one has said an end: nothing more comes from there.
    is_lower_over: bool,
    /// What the lower one says is not believed any more: what the upper one has to say would not arrive.
    has_lower_failed: bool,
}

impl Stacked {
    /// `upper` over `lower`, by which alone leaves what is in `queue`.
    pub(super) fn new(lower: Box<dyn Layer>, upper: Box<dyn Layer>, queue: Outbound) -> Stacked {
        Stacked {
            lower,
            upper,
            between: queue,
            opened: Vec::new(),
            is_lower_over: false,
            has_lower_failed: false,
        }
    }

    pub(super) fn find<L: Layer>(&self) -> Option<&L> {
        let (upper, lower): (&dyn Any, &dyn Any) = (&*self.upper, &*self.lower);
        upper.downcast_ref().or_else(|| lower.downcast_ref())
    }

    pub(super) fn find_mut<L: Layer>(&mut self) -> Option<&mut L> {
        let (upper, lower): (&mut dyn Any, &mut dyn Any) = (&mut *self.upper, &mut *self.lower);
        upper.downcast_mut().or_else(|| lower.downcast_mut())
    }

    /// Hands what the upper one has sealed to the lower one, as far as that takes it.
    fn settle(&mut self, wire: &mut Wire<'_>) {
        loop {
            self.lower.write(wire);
            if self.between.is_empty() || self.lower.is_handshaking() {
                return;
            }
            let before = self.between.len();
            let taken = self.lower.seal(&mut Queue(&mut self.between), wire);
            self.between.advance(taken, wire.pool);
            if self.between.len() == before {
                // What it says in place of that.
                self.lower.write(wire);
                return;
            }
        }
    }

    /// The end of what the upper one seals.
    fn between<'a>(between: &'a mut Outbound, pool: &'a mut Pool) -> Wire<'a> {
        between.shut_window();
        Wire {
            bytes: between,
            pool,
        }
    }
}

impl Layer for Stacked {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        let below = match self.is_lower_over {
            true => Ok(Heard::End),
            false => self.lower.open(wire, &mut self.opened),
        };
        self.has_lower_failed |= below.is_err();
        self.is_lower_over = matches!(below, Ok(Heard::End));
        let mut opened = std::mem::take(&mut self.opened);
        let above = self.upper.open(Arrived::new(&mut opened), plain)?;
        match (above, below?) {
            (Heard::End, _) => Ok(Heard::End),
            (Heard::Again, _) => Ok(Heard::Again),
            (Heard::More, Heard::End) => self.upper.at_eof().map(|()| Heard::End),
            (Heard::More, below) => Ok(below),
        }
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        self.lower.at_eof()?;
        self.upper.at_eof()
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let mut between = Stacked::between(&mut self.between, wire.pool);
        let taken = self.upper.seal(queue, &mut between);
        self.settle(wire);
        taken
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        self.lower.write(wire);
        if self.has_lower_failed || self.lower.is_handshaking() {
            return;
        }
        // What was queued before the upper one leaves first.
        self.settle(wire);
        let mut between = Stacked::between(&mut self.between, wire.pool);
        self.upper.write(&mut between);
        self.settle(wire);
    }

    fn wants_write(&self) -> bool {
        let above = || self.upper.wants_write() || !self.between.is_empty();
        self.lower.wants_write() || (!self.lower.is_handshaking() && above())
    }

    fn finish(&mut self, wire: &mut Wire<'_>) {
        let mut between = Stacked::between(&mut self.between, wire.pool);
        self.upper.finish(&mut between);
        self.settle(wire);
        self.lower.finish(wire);
    }

    fn is_handshaking(&self) -> bool {
        self.lower.is_handshaking() || self.upper.is_handshaking()
    }

    fn timed_out(&mut self) -> Close {
        match self.lower.is_handshaking() {
            true => self.lower.timed_out(),
            false => self.upper.timed_out(),
        }
    }
}
