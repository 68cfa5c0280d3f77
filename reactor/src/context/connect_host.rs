//! Connections to names.

use crate::context::Slot;
use crate::core::{Phase, Target};
use crate::dial::{self, Dial};
use crate::{ConnectOptions, Context, Handler, Key};

impl<S: 'static> Context<'_, S> {
    /// Connects to `host`, a name and a port: `"db.example.org:4222"`, `"127.0.0.1:4222"`,
    /// `"[::1]:4222"`. The name is [looked up](Context::resolve) and its addresses are tried in
    /// order until one answers.
    ///
    /// Never fails here. The key is good at once: what is sent meanwhile waits in the queue, and a
    /// close ends all of it. Lookup and attempts together may take
    /// [`CONNECT_TIMEOUT`](crate::CONNECT_TIMEOUT), and each
    /// address an equal share of what is left of that. When none answers, `on_close` comes without
    /// `on_open`, with one of two reasons:
    ///
    /// * [`Close::ConnectFailed`](crate::Close::ConnectFailed), whose error names `host`, the address
    ///   tried last and what was wrong with it; the system's own error is its source;
    /// * [`Close::ConnectTimeout`](crate::Close::ConnectTimeout) when the time is over.
    ///
    /// [`peer_addr`](Context::peer_addr) is the address being tried, or the one that has answered;
    /// `None` while the name is looked up.
    #[doc(alias = "EM.connect")]
    pub fn connect_host(&mut self, host: &str, handler: impl Handler<S> + 'static) -> Key {
        self.connect_host_with(host, &ConnectOptions::default(), handler)
    }

    /// As [`connect_host`](Context::connect_host), with options, which hold for each address that is
    /// tried. [`timeout`](ConnectOptions::timeout) is for all of it, the lookup included.
    ///
    /// An address of the other family than [`local_addr`](ConnectOptions::local_addr) cannot be
    /// reached from there: it fails, and the next is tried.
    #[doc(alias = "bind_connect")]
    pub fn connect_host_with(
        &mut self,
        host: &str,
        options: &ConnectOptions,
        handler: impl Handler<S> + 'static,
    ) -> Key {
        let deadline = self.io.read_clock() + options.timeout;
        let core = &mut *self.io.core;
        let key = core.reserve();
        let conn = core.set_conn(key, Phase::Connecting, None);
        conn.dial = Some(Box::new(Dial::new(host, options, deadline)));
        core.arm_phase_timer(key, options.timeout, Target::ConnectDeadline(key));
        self.tasks.new.push((key, Slot::Conn(Box::new(handler))));
        match dial::split(host) {
            Err(error) => self.io.dial_found(key, Err(error)),
            Ok((name, port)) => match dial::literal(name, port) {
                Some(addr) => self.io.dial_found(key, Ok(vec![addr])),
                None => self.resolve(name, port, move |cx, found| cx.io.dial_found(key, found)),
            },
        }
        key
    }
}
