//! Flow of the connection being called: relays, streams, and writing at once.

use super::Context;
use crate::annotated::annotated;
use crate::{Key, ProxyError, ProxyOptions, StreamError, StreamOptions};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

impl<S> Context<'_, S> {
    /// Reads from this connection again: see [`Io::resume`](crate::Io::resume).
    pub fn resume(&mut self) {
        self.io.resume(self.key);
    }

    /// Sends what `from` receives on to `to`: see [`Io::proxy`](crate::Io::proxy).
    ///
    /// # Errors
    /// Those of [`ProxyError`].
    #[doc(alias = "enable_proxy")]
    #[doc(alias = "proxy_incoming_to")]
    pub fn proxy(&mut self, from: Key, to: Key, options: &ProxyOptions) -> Result<(), ProxyError> {
        self.io.proxy(from, to, options)
    }

    /// Ends the relay of `from`: see [`Io::unproxy`](crate::Io::unproxy).
    #[doc(alias = "disable_proxy")]
    #[doc(alias = "stop_proxying")]
    pub fn unproxy(&mut self, from: Key) -> bool {
        self.io.unproxy(from)
    }

    /// Bytes that the relay of `from` has handed over: see [`Io::proxied`](crate::Io::proxied).
    #[must_use]
    pub fn proxied(&self, from: Key) -> u64 {
        self.io.proxied(from)
    }

    /// Queues all that `reader` gives for this connection: see [`Io::stream`](crate::Io::stream).
    ///
    /// # Errors
    /// Those of [`StreamError`].
    pub fn stream(
        &mut self,
        reader: impl Read + 'static,
        options: &StreamOptions,
    ) -> Result<(), StreamError> {
        self.io.stream(self.key, reader, options)
    }

    /// Opens the file at `path` and streams it: see [`Io::stream_file`](crate::Io::stream_file).
    /// Opening and reading may wait for a disk, each read for no more than a piece.
    ///
    /// # Errors
    /// Those of opening the file, with its path; `NotConnected` or `ResourceBusy` with a [`StreamError`] in it. The
    /// connection can be used as before.
    #[doc(alias = "stream_file_data")]
    #[doc(alias = "FileStreamer")]
    #[doc(alias = "send_file_data")]
    pub fn stream_file(
        &mut self,
        path: impl AsRef<Path>,
        options: &StreamOptions,
    ) -> io::Result<()> {
        let path = path.as_ref();
        let opened = File::open(path);
        let file = opened.map_err(|error| annotated(path.display().to_string(), error))?;
        Ok(self.io.stream_file(self.key, file, options)?)
    }

    /// Bytes that this connection's stream has queued: see [`Io::streamed`](crate::Io::streamed).
    #[must_use]
    pub fn streamed(&self) -> u64 {
        self.io.streamed(self.key)
    }

    /// Has this connection's queue written right after this callback: see
    /// [`Io::flush_now`](crate::Io::flush_now).
    pub fn flush_now(&mut self) {
        self.io.flush_now(self.key);
    }
}
