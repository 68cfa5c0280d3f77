//! Layers, as they are asked for.

use super::Io;
use crate::core::Phase;
use crate::layer::{Attached, Layer, LayerError};
use crate::{Context, Key};
use std::time::Duration;

impl Io<'_> {
    /// Puts a layer between the queue and the socket of a connection that is open or connecting, at
    /// any point of its conversation. Its handshake, if it has one, may take `timeout`: from now, or
    /// from the opening.
    ///
    /// What was queued before leaves as it is, what is queued from now on leaves by the layer, behind
    /// its handshake. What has come and is left unread by the present `on_input` is the layer's first
    /// input. What else changes is in [`layer`](crate::layer). On a connection that has a layer this one goes over it.
    ///
    /// # Errors
    /// Those of [`LayerError`]; the connection is as it was.
    pub fn start_layer(
        &mut self,
        key: Key,
        layer: impl Layer,
        timeout: Duration,
    ) -> Result<(), LayerError> {
        let Some(conn) = self.core.conn_mut(key) else {
            return Err(LayerError::NotOpen);
        };
        if conn.layer.as_deref().is_some_and(Attached::is_stacked) {
            return Err(LayerError::AlreadyStarted);
        }
        if conn.eof || conn.apart || !conn.takes_output() {
            return Err(LayerError::NotOpen);
        }
        // What was queued counts on the other side of the layer from here on.
        conn.outbound.shut_window();
        let (layer, lower) = (Box::new(layer), conn.rest.layer.take());
        let mut attached = match lower {
            None => Attached::new(layer, timeout, &mut conn.outbound),
            Some(lower) => lower.under(layer, timeout, &mut conn.outbound),
        };
        let begins = conn.phase == Phase::Open && attached.is_handshaking();
        let timer = attached.timer.take();
        conn.layer = Some(Box::new(attached));
        if let Some(timer) = timer {
            self.core.timers.cancel(timer);
        }
        if begins {
            self.read_clock();
            self.core.arm_handshake_timer(key);
        }
        self.core.mark_dirty(key);
        // What comes now may be a handshake's.
        self.core.enqueue_anew(key);
        Ok(())
    }

    /// The connection's layer, if it has one of this type: for what its handshake has settled.
    #[must_use]
    pub fn layer<L: Layer>(&self, key: Key) -> Option<&L> {
        self.core.conn(key)?.layer.as_deref()?.find()
    }

    /// As [`layer`](Io::layer), to tell it something: what it is to say at its end, for instance.
    #[must_use]
    pub fn layer_mut<L: Layer>(&mut self, key: Key) -> Option<&mut L> {
        self.core.conn_mut(key)?.layer.as_deref_mut()?.find_mut()
    }
}

impl<S> Context<'_, S> {
    /// Puts a layer on this connection: see [`Io::start_layer`].
    ///
    /// # Errors
    /// As [`Io::start_layer`].
    pub fn start_layer(&mut self, layer: impl Layer, timeout: Duration) -> Result<(), LayerError> {
        self.io.start_layer(self.key, layer, timeout)
    }

    /// This connection's layer, if it has one of this type.
    #[must_use]
    pub fn layer<L: Layer>(&self) -> Option<&L> {
        self.io.layer(self.key)
    }

    /// As [`layer`](Context::layer), to tell it something.
    #[must_use]
    pub fn layer_mut<L: Layer>(&mut self) -> Option<&mut L> {
        self.io.layer_mut(self.key)
    }
}
