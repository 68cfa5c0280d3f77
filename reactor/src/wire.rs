//! What of a connection goes to its socket: its queue itself, or what its layer has made of it.

use crate::core::{Conn, Phase};
use crate::layer::{After, Attached};
use crate::outbound::{Outbound, Pool};

impl Conn {
    /// Bytes queued and not yet taken by the kernel.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        match &self.rest.layer {
            Some(layer) => self.outbound.len() + layer.waiting(),
            None => self.outbound.len(),
        }
    }

    /// Bytes of memory that its queue holds, and what its layer has made of it.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        match &self.rest.layer {
            Some(layer) => self.outbound.held() + layer.held(),
            None => self.outbound.held(),
        }
    }

    /// Has the layer seal the queue, as far as that is its way.
    #[inline]
    pub(crate) fn seal(&mut self, pool: &mut Pool) {
        if self.rest.layer.is_some() {
            self.seal_layer(pool);
        }
    }

    /// As [`seal`](Conn::seal), the first time in a turn.
    #[inline]
    pub(crate) fn begin_sealing(&mut self, pool: &mut Pool) {
        if let Some(layer) = &mut self.rest.layer {
            layer.begin_turn();
            self.seal_layer(pool);
        }
    }

    fn seal_layer(&mut self, pool: &mut Pool) {
        let after = self.after();
        if let Some(layer) = &mut self.rest.layer {
            layer.seal(&mut self.outbound, pool, after);
        }
    }

    /// Whether the layer has more to seal, and will in the next turn.
    pub(crate) fn is_sealing_cut(&self) -> bool {
        let layer = self.rest.layer.as_deref();
        layer.is_some_and(|layer| layer.is_cut(&self.outbound))
    }

    /// What the socket is to take next.
    #[inline]
    pub(crate) fn wire(&self) -> &Outbound {
        match &self.rest.layer {
            Some(layer) => &layer.wire,
            None => &self.outbound,
        }
    }

    #[inline]
    pub(crate) fn wire_mut(&mut self) -> &mut Outbound {
        match &mut self.rest.layer {
            Some(layer) => &mut layer.wire,
            None => &mut self.outbound,
        }
    }

    /// Whether the socket has taken all, with what the layer puts behind the last byte.
    #[inline]
    pub(crate) fn is_flushed(&self) -> bool {
        match &self.rest.layer {
            Some(layer) => layer.is_flushed(&self.outbound, self.after()),
            None => self.outbound.is_empty(),
        }
    }

    /// Whether nothing stands between the queue and the socket.
    pub(crate) fn is_plain(&self) -> bool {
        self.layer.is_none()
    }

    /// Whether the layer has input, or an end of it, that the socket will not tell of again.
    #[inline]
    pub(crate) fn is_layer_pending(&self) -> bool {
        self.layer.as_deref().is_some_and(Attached::is_pending)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.layer.as_deref().is_some_and(Attached::is_handshaking)
    }

    pub(crate) fn has_layer_failed(&self) -> bool {
        self.layer.as_deref().is_some_and(Attached::has_failed)
    }

    fn after(&self) -> After {
        match self.phase {
            Phase::Ending | Phase::Draining => After::Close,
            _ if self.wants_write_end => After::End,
            _ => After::Nothing,
        }
    }
}
