//! `SimDriver`: one host's share of the net, as its reactor sees it.

use super::net::Net;
use crate::{
    Answer, ConnectOptions, Credentials, Driver, Event, Key, ListenOptions, OffloadJob,
    SocketOption, Time, UdpOptions, Wake,
};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct SimDriver {
    pub(super) net: Rc<RefCell<Net>>,
    pub(super) host: usize,
}

impl Driver for SimDriver {
    fn now(&mut self) -> Time {
        self.net.borrow().now_of(self.host)
    }

    fn seed(&mut self) -> u64 {
        self.net.borrow_mut().rng.seeds.next()
    }

    fn is_simulated(&self) -> bool {
        true
    }

    /// Never waits: the scheduler moves the clock before it lets a host turn.
    fn poll(&mut self, events: &mut Vec<Event>, _: Option<Duration>) -> io::Result<()> {
        self.net.borrow_mut().poll(self.host, events);
        Ok(())
    }

    fn events_left(&self) -> bool {
        !self.net.borrow().hosts[self.host].ready.is_empty()
    }

    fn listen(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr> {
        let mut net = self.net.borrow_mut();
        net.listen(self.host, key, addr, options)
    }

    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr> {
        self.net.borrow_mut().accept(self.host, listener)
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        Ok(self.net.borrow_mut().adopt(self.host, key))
    }

    fn connect(&mut self, key: Key, addr: SocketAddr, options: &ConnectOptions) -> io::Result<()> {
        let mut net = self.net.borrow_mut();
        match options.local_addr {
            None => net.connect(self.host, key, addr),
            Some(local) => net.connect_from(self.host, key, local, addr),
        }
    }

    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.net.borrow_mut().finish_connect(self.host, key)
    }

    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        self.net.borrow_mut().read(self.host, key, buf)
    }

    fn short_read_drains(&self) -> bool {
        self.net.borrow().faults.short_read_drains
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.net.borrow_mut().write(self.host, key, pieces)
    }

    fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        self.net.borrow_mut().shutdown_write(self.host, key)
    }

    fn udp(&mut self, key: Key, addr: SocketAddr, options: &UdpOptions) -> io::Result<SocketAddr> {
        self.net
            .borrow_mut()
            .open_udp(self.host, key, addr, options)
    }

    fn receive(&mut self, key: Key, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.net.borrow_mut().receive(self.host, key, buf)
    }

    fn send_packet(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        self.net
            .borrow_mut()
            .send_packet(self.host, key, to, packet)
    }

    fn close(&mut self, key: Key) {
        self.net.borrow_mut().close(self.host, key);
    }

    fn offload(&mut self, job: OffloadJob, threads: usize) -> io::Result<()> {
        self.net.borrow_mut().offload(self.host, job, threads);
        Ok(())
    }

    fn resolve(
        &mut self,
        name: &str,
        port: u16,
        answer: Answer<io::Result<Vec<SocketAddr>>>,
        threads: usize,
    ) -> io::Result<()> {
        let mut net = self.net.borrow_mut();
        net.resolve(self.host, name, port, answer, threads);
        Ok(())
    }

    fn lookup(&mut self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.net.borrow().lookup(name, port)
    }

    fn chance(&mut self, site: &'static str, probability: f64) -> bool {
        self.net.borrow_mut().chance(self.host, site, probability)
    }

    fn records(&self) -> bool {
        true
    }

    fn record(&mut self, key: Key, call: &'static str) {
        let mut net = self.net.borrow_mut();
        net.note(self.host, key, call, None);
        net.pay_for_call();
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.net.borrow().hosts[self.host].bell) as Arc<dyn Wake>
    }

    fn listen_unix(&mut self, key: Key, path: &Path, options: &ListenOptions) -> io::Result<()> {
        let mut net = self.net.borrow_mut();
        net.listen_unix(self.host, key, path, options)
    }

    fn connect_unix(&mut self, key: Key, path: &Path) -> io::Result<()> {
        self.net.borrow_mut().connect_unix(self.host, key, path)
    }

    fn peer_credentials(&self, key: Key) -> io::Result<Credentials> {
        self.net.borrow_mut().peer_credentials(self.host, key)
    }

    fn set_option(&mut self, _: Key, _: SocketOption) -> io::Result<()> {
        Ok(())
    }

    fn take_error(&mut self, _: Key) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    fn watch_signals(&mut self, signals: &[i32]) -> io::Result<()> {
        let mut net = self.net.borrow_mut();
        net.hosts[self.host].watched.extend(signals);
        Ok(())
    }
}

impl Drop for SimDriver {
    fn drop(&mut self) {
        // It is lent while the net itself panics.
        if let Ok(mut net) = self.net.try_borrow_mut() {
            net.close_all(self.host);
            let jobs = net.hosts[self.host].threads.end();
            drop(net);
            // What a job owns is let go when the net is free.
            drop(jobs);
        }
    }
}
