//! Sockets for datagrams in memory: what has come, what was sent, and what the kernel says to it.

use super::driver::Name;
use super::probe::shown;
use super::world::{Net, Socket, World};
use super::{Cx, Inside, Log};
use midge_reactor::{Close, Datagram, Key, UdpOptions};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// One socket.
#[derive(Debug)]
pub(crate) struct Udp {
    addr: SocketAddr,
    arrived: VecDeque<Came>,
    read_armed: bool,
    write_armed: bool,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// Packets the kernel will still take.
    room: usize,
    send_errors: VecDeque<io::Error>,
}

#[derive(Debug)]
enum Came {
    Packet(SocketAddr, Vec<u8>),
    Error(ErrorKind),
}

/// What all sockets have sent, in order.
#[derive(Debug, Default)]
pub(super) struct Sent {
    packets: Vec<(SocketAddr, Vec<u8>)>,
    /// Buffers for more, so that a test can do without allocations.
    spare: Vec<Vec<u8>>,
}

impl Net {
    fn udp_mut(&mut self, key: Key) -> &mut Udp {
        match self.sockets.get_mut(&key) {
            Some(Socket::Udp(udp)) => udp,
            other => panic!("the loop used {key:?}, which is {other:?}"),
        }
    }

    pub(super) fn open_udp(
        &mut self,
        key: Key,
        addr: SocketAddr,
        _: &UdpOptions,
    ) -> io::Result<SocketAddr> {
        let taken = |socket: &Socket| matches!(socket, Socket::Udp(udp) if udp.addr == addr);
        if self.sockets.values().any(taken) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let udp = Udp {
            addr,
            arrived: VecDeque::new(),
            read_armed: false,
            write_armed: false,
            readable: false,
            writable: false,
            room: usize::MAX,
            send_errors: VecDeque::new(),
        };
        self.open(key, Socket::Udp(udp));
        Ok(addr)
    }

    pub(super) fn receive(&mut self, key: Key, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        assert!(buf.len() > 65_536, "a packet would be cut");
        let (log, name) = (self.log.clone(), Name(key));
        let udp = self.udp_mut(key);
        match udp.arrived.pop_front() {
            None => {
                udp.read_armed = true;
                log.add(|| format!("receive {name} would block"));
                Err(ErrorKind::WouldBlock.into())
            }
            Some(Came::Error(kind)) => {
                log.add(|| format!("receive {name} {kind:?}"));
                Err(kind.into())
            }
            Some(Came::Packet(from, packet)) => {
                buf[..packet.len()].copy_from_slice(&packet);
                log.add(|| format!("receive {name} {}", packet.len()));
                let len = packet.len();
                self.sent.spare.push(packet);
                Ok((len, from))
            }
        }
    }

    pub(super) fn send_packet(
        &mut self,
        key: Key,
        to: SocketAddr,
        packet: &[u8],
    ) -> io::Result<()> {
        let (log, name) = (self.log.clone(), Name(key));
        let udp = self.udp_mut(key);
        if let Some(error) = udp.send_errors.pop_front() {
            log.add(|| format!("send {name} {:?}", error.kind()));
            return Err(error);
        }
        if udp.room == 0 {
            udp.write_armed = true;
            log.add(|| format!("send {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        udp.room -= usize::from(udp.room < usize::MAX);
        log.add(|| format!("send {name} to {} {}", to.port(), shown(packet)));
        let mut copy = self.sent.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(packet);
        self.sent.packets.push((to, copy));
        Ok(())
    }
}

impl World {
    fn udp<R>(&self, key: Key, work: impl FnOnce(&mut Udp) -> R) -> R {
        work(self.0.borrow_mut().udp_mut(key))
    }

    /// A packet comes.
    pub(crate) fn packet(&self, key: Key, from: SocketAddr, bytes: &[u8]) {
        let mut packet = self.0.borrow_mut().sent.spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(bytes);
        self.udp(key, |udp| {
            udp.arrived.push_back(Came::Packet(from, packet));
            udp.readable |= std::mem::take(&mut udp.read_armed);
        });
    }

    /// The network tells of an error; the next receive answers with it.
    pub(crate) fn receive_error(&self, key: Key, kind: ErrorKind) {
        self.udp(key, |udp| {
            udp.arrived.push_back(Came::Error(kind));
            (udp.readable, udp.writable) = (true, true);
        });
    }

    /// The next send fails so, without the packet having left.
    pub(crate) fn send_error(&self, key: Key, kind: ErrorKind) {
        self.udp(key, |udp| udp.send_errors.push_back(kind.into()));
    }

    /// The next send fails so, as the system numbers it.
    pub(crate) fn send_errno(&self, key: Key, errno: i32) {
        let error = io::Error::from_raw_os_error(errno);
        self.udp(key, |udp| udp.send_errors.push_back(error));
    }

    /// The kernel takes no more than so many packets from now on.
    pub(crate) fn packet_room(&self, key: Key, packets: usize) {
        self.udp(key, |udp| {
            udp.room = packets;
            udp.writable |= packets > 0 && std::mem::take(&mut udp.write_armed);
        });
    }

    /// Takes what was sent since the last time: to whom, and what.
    pub(crate) fn sent(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.0.borrow_mut().sent.packets)
    }

    /// Forgets what was sent, keeping the memory; answers how many packets that was.
    pub(crate) fn forget_sent(&self) -> usize {
        let sent = &mut self.0.borrow_mut().sent;
        let count = sent.packets.len();
        let packets = sent.packets.drain(..).map(|(_, packet)| packet);
        sent.spare.extend(packets);
        count
    }

    /// Packets that have come and were not received.
    pub(crate) fn unreceived(&self, key: Key) -> usize {
        self.udp(key, |udp| udp.arrived.len())
    }
}

type OnPacket = Box<dyn FnMut(&mut Cx<'_>, SocketAddr, &[u8])>;
type OnOther = Box<dyn FnMut(&mut Cx<'_>)>;

/// A handler that logs each call, checks the order of calls, and does what it was made with.
#[derive(Default)]
pub(crate) struct Catcher {
    name: &'static str,
    open: Option<OnOther>,
    packet: Option<OnPacket>,
    error: Option<OnOther>,
    drain: Option<OnOther>,
    timer: Option<OnOther>,
    close: Option<OnOther>,
    opened: bool,
    closed: bool,
}

impl Catcher {
    pub(crate) fn new(name: &'static str) -> Catcher {
        Catcher {
            name,
            ..Catcher::default()
        }
    }

    /// Sends back what comes.
    pub(crate) fn echo(name: &'static str) -> Catcher {
        Catcher::new(name).on_packet(|cx, _, packet| {
            cx.reply(packet);
        })
    }

    pub(crate) fn on_open(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Catcher {
        self.open = Some(Box::new(work));
        self
    }

    pub(crate) fn on_packet(
        mut self,
        work: impl FnMut(&mut Cx<'_>, SocketAddr, &[u8]) + 'static,
    ) -> Catcher {
        self.packet = Some(Box::new(work));
        self
    }

    pub(crate) fn on_error(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Catcher {
        self.error = Some(Box::new(work));
        self
    }

    pub(crate) fn on_drain(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Catcher {
        self.drain = Some(Box::new(work));
        self
    }

    pub(crate) fn on_timer(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Catcher {
        self.timer = Some(Box::new(work));
        self
    }

    pub(crate) fn on_close(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Catcher {
        self.close = Some(Box::new(work));
        self
    }

    fn enter(&self, cx: &Cx<'_>, call: impl FnOnce() -> String) -> Inside {
        assert!(!self.closed, "{}: called after on_close", self.name);
        let name = self.name;
        cx.state.add(|| format!("{name} {}", call()));
        cx.state.enter()
    }

    fn enter_open(&self, cx: &Cx<'_>, call: impl FnOnce() -> String) -> Inside {
        assert!(self.opened, "{}: called before on_open", self.name);
        self.enter(cx, call)
    }
}

fn run(work: &mut Option<OnOther>, cx: &mut Cx<'_>) {
    if let Some(work) = work {
        work(cx);
    }
}

impl Datagram<Log> for Catcher {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let _inside = self.enter(cx, || "open".to_owned());
        assert!(!std::mem::replace(&mut self.opened, true), "opened twice");
        run(&mut self.open, cx);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, from: SocketAddr, packet: &[u8]) {
        let call = || format!("packet from {} {}", from.port(), shown(packet));
        let _inside = self.enter_open(cx, call);
        assert!(cx.io.is_open(cx.key()), "a packet after a close");
        assert!(!cx.io.is_paused(cx.key()), "a packet in spite of a pause");
        if let Some(work) = &mut self.packet {
            work(cx, from, packet);
        }
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, error: &io::Error) {
        let _inside = self.enter_open(cx, || format!("error {:?}", error.kind()));
        run(&mut self.error, cx);
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        let _inside = self.enter_open(cx, || "drain".to_owned());
        run(&mut self.drain, cx);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
        let _inside = self.enter_open(cx, || format!("timer {timer}"));
        run(&mut self.timer, cx);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        let (packets, bytes) = (cx.io.queued_packets(cx.key()), cx.queued());
        let _inside = self.enter(cx, || format!("close: {why}, {packets} of {bytes} unsent"));
        self.closed = true;
        run(&mut self.close, cx);
    }
}
