//! What of a connection goes to its socket: its queue itself, or what TLS has made of it.

use crate::core::Conn;
#[cfg(feature = "tls")]
use crate::core::Phase;
use crate::outbound::{Outbound, Pool};
#[cfg(feature = "tls")]
use crate::tls::layer::{After, Layer};

impl Conn {
    /// Bytes queued and not yet taken by the kernel.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.rest.tls {
            return self.outbound.len() + tls.wire().len();
        }
        self.outbound.len()
    }

    /// Bytes of memory that its queue holds, and what TLS has made of it.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.rest.tls {
            return self.outbound.held() + tls.wire().held();
        }
        self.outbound.held()
    }

    /// Encrypts the queue, as far as that is its way.
    #[inline]
    pub(crate) fn seal(&mut self, pool: &mut Pool) {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            let after = self.after();
            if let Some(tls) = &mut self.rest.tls {
                tls.seal(&mut self.outbound, pool, after);
            }
        }
        #[cfg(not(feature = "tls"))]
        let _ = pool;
    }

    /// What the socket is to take next.
    #[inline]
    pub(crate) fn wire(&self) -> &Outbound {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.rest.tls {
            return tls.wire();
        }
        &self.outbound
    }

    #[inline]
    pub(crate) fn wire_mut(&mut self) -> &mut Outbound {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.rest.tls {
            return tls.wire_mut();
        }
        &mut self.outbound
    }

    /// Whether the socket has taken all, with what TLS puts behind the last byte.
    #[inline]
    pub(crate) fn is_flushed(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.rest.tls {
            return tls.is_flushed(&self.outbound, self.after());
        }
        self.outbound.is_empty()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether TLS has input, or an end of it, that the socket will not tell of again.
    #[inline]
    pub(crate) fn tls_pending(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_deref().is_some_and(Layer::is_pending);
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether its handler has started TLS and has input left that is not its own.
    #[inline]
    pub(crate) fn has_left_plaintext(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_deref().is_some_and(|tls| tls.fresh);
        #[cfg(not(feature = "tls"))]
        false
    }

    #[cfg(feature = "tls")]
    fn after(&self) -> After {
        match self.phase {
            Phase::Ending | Phase::Draining => After::Close,
            _ if self.wants_write_end => After::End,
            _ => After::Nothing,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_deref().is_some_and(Layer::is_handshaking)
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn is_handshaking(&self) -> bool {
        false
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls_failed(&self) -> bool {
        self.tls.as_deref().is_some_and(Layer::has_failed)
    }
}
