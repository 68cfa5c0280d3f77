//! Layers, as they are asked for.

use super::Io;
use crate::core::Phase;
use crate::layer::{Attached, Layer, LayerError};
use crate::{Context, Key};
use std::any::Any;
use std::time::Duration;

impl Io<'_> {
    /// Puts a layer between the queue and the socket of a connection that is open or connecting, at
    /// any point of its conversation. Its handshake, if it has one, may take `timeout`: from now, or
    /// from the opening.
    ///
    /// What was queued before leaves as it is, what is queued from now on leaves by the layer, behind
    /// its handshake. What has come and is left unread by the present `on_input` is the layer's first
    /// input. What else changes is in [`layer`](crate::layer).
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
        if conn.layer.is_some() {
            return Err(LayerError::AlreadyStarted);
        }
        if conn.eof || conn.apart || !conn.takes_output() {
            return Err(LayerError::NotOpen);
        }
        // What was queued counts on the other side of the layer from here on.
        conn.outbound.shut_window();
        let attached = Attached::new(Box::new(layer), timeout, &mut conn.outbound);
        let begins = conn.phase == Phase::Open && attached.is_handshaking();
        conn.layer = Some(Box::new(attached));
        if begins {
            self.read_clock();
            self.core.arm_handshake_timer(key);
        }
        self.core.mark_dirty(key);
        self.core.enqueue(key);
        Ok(())
    }

    /// The connection's layer, if it has one of this type: for what its handshake has settled.
    #[must_use]
    pub fn layer<L: Layer>(&self, key: Key) -> Option<&L> {
        let layer: &dyn Any = self.core.conn(key)?.layer.as_deref()?.layer();
        layer.downcast_ref()
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
}
