//! Sockets for datagrams, as a handler asks for them.

use super::{Context, Slot};
use crate::{Datagram, Endpoint, Key, UdpOptions};
use std::io;
use std::net::SocketAddr;

impl<S> Context<'_, S> {
    /// Opens a UDP socket on `addr` and gives it to `handler`. With port 0 the system picks one:
    /// [`local_addr`](crate::Io::local_addr) tells which. Packets may be sent to it by its key at
    /// once. If `addr` is a name, it is looked up here and now, and the loop waits for that.
    ///
    /// ```
    /// use midge_reactor::{Context, Datagram, run};
    /// use std::net::SocketAddr;
    ///
    /// struct Echo;
    ///
    /// impl Datagram for Echo {
    ///     fn on_packet(&mut self, cx: &mut Context<'_>, _: SocketAddr, packet: &[u8]) {
    ///         cx.reply(packet);
    ///     }
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// run(|cx| {
    ///     cx.udp("127.0.0.1:0", Echo)?;
    /// #   cx.stop();
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the system: the port is in use, the address is not this machine's, no right to the
    /// port, too many open files; a name that is not known. The text names what was asked; the
    /// system's own error is its source. Nothing is left behind. `Unsupported` where the driver has no datagrams.
    #[doc(alias = "open_datagram_socket")]
    pub fn udp(
        &mut self,
        addr: impl Endpoint,
        handler: impl Datagram<S> + 'static,
    ) -> io::Result<Key> {
        self.udp_with(addr, &UdpOptions::default(), handler)
    }

    /// As [`udp`](Context::udp), with options.
    ///
    /// # Errors
    /// As [`udp`](Context::udp), and those of the options; the last one, if `addr` names several
    /// addresses.
    pub fn udp_with(
        &mut self,
        addr: impl Endpoint,
        options: &UdpOptions,
        handler: impl Datagram<S> + 'static,
    ) -> io::Result<Key> {
        let place = addr.place();
        let mut failure = None;
        for addr in place.addrs(self.io.driver, "udp on")? {
            let key = self.io.core.reserve();
            match self.io.driver.udp(key, addr, options) {
                Ok(bound) => {
                    self.io.core.set_udp(key, bound, options);
                    self.tasks
                        .new
                        .push((key, Slot::Datagram(Box::new(handler))));
                    return Ok(key);
                }
                Err(error) => {
                    self.io.core.release(key);
                    failure = Some(place.failed_at("udp on", addr, error));
                }
            }
        }
        Err(failure.expect("there is an address"))
    }

    /// Queues a packet for `to` from this socket: see [`Io::send_to`](crate::Io::send_to).
    #[doc(alias = "send_datagram")]
    pub fn send_to(&mut self, to: SocketAddr, packet: &[u8]) -> bool {
        self.io.send_to(self.key, to, packet)
    }

    /// Queues a packet for the sender of the one in hand; outside of
    /// [`on_packet`](Datagram::on_packet), for [`UdpOptions::peer`]. Answers `false` as
    /// [`Io::send_to`](crate::Io::send_to) does, and where there is no peer to answer.
    #[doc(alias = "send_data")]
    pub fn reply(&mut self, packet: &[u8]) -> bool {
        let udp = self.io.core.udp(self.key);
        match udp.and_then(|udp| udp.from.or(udp.peer)) {
            Some(to) => self.send_to(to, packet),
            None => false,
        }
    }
}
