//! `Endpoint`: where to listen or bind, as a program writes it, and the addresses that it stands for.

use crate::annotated::annotated;
use crate::dial;
use crate::{Driver, Io, Key, ListenOptions};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _,
};

/// How often one port is sought that is free for each of several addresses.
const PORT_TRIES: usize = 16;

/// Where to listen, or where to open a socket for datagrams: an address, several, or a name and a
/// port, as text or apart.
///
/// What [`ToSocketAddrs`](std::net::ToSocketAddrs) takes is an endpoint, but for types of a program's
/// own. Unlike that, an endpoint can be named in an error, and a name is looked up by the
/// [`Driver`]: in a simulation no resolver is asked.
///
/// ```
/// use midge_reactor::Reactor;
///
/// let mut reactor = Reactor::new(())?;
/// # struct Echo;
/// # impl midge_reactor::Handler for Echo {
/// #     fn on_input(&mut self, _: &mut midge_reactor::Context<'_>, _: &mut midge_reactor::Input<'_>) {}
/// # }
/// reactor.with(|cx| cx.listen("127.0.0.1:0", |_: &mut midge_reactor::Context<'_>| Echo))?;
/// reactor.with(|cx| cx.listen(("localhost", 0), |_: &mut midge_reactor::Context<'_>| Echo))?;
/// let error = reactor.with(|cx| cx.listen("256.1.1.1:80", |_: &mut midge_reactor::Context<'_>| Echo));
/// assert!(error.unwrap_err().to_string().starts_with("listen on 256.1.1.1:80: "));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Endpoint: Named {}

impl<T: Named + ?Sized> Endpoint for T {}

mod sealed {
    /// Kept from other crates, so that what an endpoint is can grow.
    pub trait Named {
        fn place(&self) -> Place;
    }

    /// What an endpoint is, and how a program wrote it.
    pub struct Place {
        pub(crate) text: String,
        pub(crate) wanted: Wanted,
    }

    pub(crate) enum Wanted {
        Addrs(Vec<super::SocketAddr>),
        Name(String, u16),
        Nothing(super::io::Error),
    }
}

pub(crate) use sealed::Place;
use sealed::{Named, Wanted};

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Place {
    fn of_name(name: &str, port: u16) -> Place {
        let text = match name.contains(':') {
            true => format!("[{name}]:{port}"),
            false => format!("{name}:{port}"),
        };
        let wanted = match dial::literal(name, port) {
            Some(addr) => Wanted::Addrs(vec![addr]),
            None if name.is_empty() => Wanted::Nothing(io::Error::new(
                ErrorKind::InvalidInput,
                "no name before the port; for every address of this machine write 0.0.0.0",
            )),
            None => Wanted::Name(name.to_owned(), port),
        };
        Place { text, wanted }
    }

    fn of_addrs(addrs: &[SocketAddr]) -> Place {
        let texts: Vec<String> = addrs.iter().map(SocketAddr::to_string).collect();
        Place {
            text: texts.join(", "),
            wanted: Wanted::Addrs(addrs.to_vec()),
        }
    }

    /// The addresses, each once.
    ///
    /// # Errors
    /// Those of looking up a name, and `InvalidInput` where there is nothing to open; both name what
    /// was asked, behind the verb `what`.
    pub(crate) fn addrs(&self, driver: &mut dyn Driver, what: &str) -> io::Result<Vec<SocketAddr>> {
        let found = match &self.wanted {
            Wanted::Addrs(addrs) => Ok(addrs.clone()),
            Wanted::Name(name, port) => driver.lookup(name, *port),
            Wanted::Nothing(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        let mut addrs: Vec<SocketAddr> = Vec::new();
        for addr in found.map_err(|error| self.annotated(what, error))? {
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        match addrs.is_empty() {
            false => Ok(addrs),
            true => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{what} {}: no address", self.text),
            )),
        }
    }

    /// An error of all of it.
    pub(crate) fn annotated(&self, what: &str, cause: io::Error) -> io::Error {
        annotated(format!("{what} {}", self.text), cause)
    }

    /// An error of one of its addresses.
    pub(crate) fn failed_at(&self, what: &str, addr: SocketAddr, cause: io::Error) -> io::Error {
        match &self.wanted {
            Wanted::Name(..) => annotated(format!("{what} {} ({addr})", self.text), cause),
            _ => annotated(format!("{what} {addr}"), cause),
        }
    }
}

impl Named for str {
    fn place(&self) -> Place {
        if let Ok(addr) = self.parse() {
            return Place::of_addrs(&[addr]);
        }
        let text = self.to_owned();
        match dial::split(self) {
            Ok((name, port)) => Place {
                text,
                ..Place::of_name(name, port)
            },
            Err(error) => Place {
                text,
                wanted: Wanted::Nothing(error),
            },
        }
    }
}

impl Named for String {
    fn place(&self) -> Place {
        self.as_str().place()
    }
}

impl Named for (&str, u16) {
    fn place(&self) -> Place {
        Place::of_name(self.0, self.1)
    }
}

impl Named for (String, u16) {
    fn place(&self) -> Place {
        Place::of_name(&self.0, self.1)
    }
}

impl Named for [SocketAddr] {
    fn place(&self) -> Place {
        Place::of_addrs(self)
    }
}

impl<const N: usize> Named for [SocketAddr; N] {
    fn place(&self) -> Place {
        Place::of_addrs(self)
    }
}

impl Named for Vec<SocketAddr> {
    fn place(&self) -> Place {
        Place::of_addrs(self)
    }
}

impl<T: Named + ?Sized> Named for &T {
    fn place(&self) -> Place {
        (**self).place()
    }
}

macro_rules! one_address {
    ($($type:ty),*) => {$(
        impl Named for $type {
            fn place(&self) -> Place {
                Place::of_addrs(&[SocketAddr::from(*self)])
            }
        }
    )*};
}

one_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

/// The addresses of a name, by the system's resolver, which may take its time.
pub(crate) fn of_name(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (name, port).to_socket_addrs().map(Iterator::collect)
}

/// An IPv4 address as one, also where a socket of both families has told it in the form
/// `::ffff:127.0.0.1`.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip == addr.ip() => addr,
        ip => SocketAddr::new(ip, addr.port()),
    }
}

impl Io<'_> {
    /// Opens each of the addresses of `place` under `key`, all with the same port if the system is to
    /// pick it. One that this machine does not have is left out if another can be opened.
    ///
    /// # Errors
    /// Any but that; nothing is open then.
    pub(crate) fn listen_on(
        &mut self,
        key: Key,
        place: &Place,
        options: &ListenOptions,
    ) -> io::Result<Vec<SocketAddr>> {
        let addrs = place.addrs(self.driver, "listen on")?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.listen_on_each(key, place, &addrs, options) {
                Ok(bound) => return Ok(bound),
                // The port was picked for another of the addresses.
                Err((error, true)) if tries == PORT_TRIES => return Err(error),
                Err((_, true)) => {}
                Err((error, false)) => return Err(error),
            }
        }
    }

    /// Answers, with an error, whether another port may do.
    fn listen_on_each(
        &mut self,
        key: Key,
        place: &Place,
        addrs: &[SocketAddr],
        options: &ListenOptions,
    ) -> Result<Vec<SocketAddr>, (io::Error, bool)> {
        let mut bound: Vec<SocketAddr> = Vec::new();
        let mut lacking = Vec::new();
        for addr in addrs {
            let mut addr = *addr;
            let picked = match bound.first() {
                Some(first) if addr.port() == 0 => {
                    addr.set_port(first.port());
                    true
                }
                _ => false,
            };
            if options.both_families && bound.iter().any(|at| are_all(*at, addr)) {
                // It came with the other family's.
                continue;
            }
            match listen_on_one(self.driver, key, addr, options) {
                Ok(at) => bound.extend(at.into_iter().map(canonical)),
                Err(error) if is_lacking(&error) => lacking.push((addr, error)),
                Err(error) => {
                    self.driver.close(key);
                    let retry = picked && error.kind() == ErrorKind::AddrInUse;
                    return Err((place.failed_at("listen on", addr, error), retry));
                }
            }
        }
        if bound.is_empty() {
            let (addr, error) = lacking.pop().expect("there is an address");
            return Err((place.failed_at("listen on", addr, error), false));
        }
        for (addr, error) in lacking {
            log::warn!("{}; left out", place.failed_at("listen on", addr, error));
        }
        Ok(bound)
    }
}

/// Opens one address; with [`ListenOptions::both_families`], where it stands for every address of the
/// machine, those of the other family too. Answers what was asked for, and then the other.
fn listen_on_one(
    driver: &mut dyn Driver,
    key: Key,
    addr: SocketAddr,
    options: &ListenOptions,
) -> io::Result<Vec<SocketAddr>> {
    if !(options.both_families && addr.ip().is_unspecified()) {
        return Ok(vec![driver.listen(key, addr, options)?]);
    }
    let mut both = options.clone();
    both.only_v6 = false;
    let mut v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, addr.port()));
    let mut v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
    match driver.listen(key, v6, &both) {
        Ok(bound) => {
            v6.set_port(bound.port());
            v4.set_port(bound.port());
            Ok(match addr.is_ipv4() {
                true => vec![v4, v6],
                false => vec![v6, v4],
            })
        }
        Err(error) if is_lacking(&error) => Ok(vec![driver.listen(key, v4, options)?]),
        Err(error) => Err(error),
    }
}

/// Whether both stand for every address of the machine, of whatever family, with one port.
fn are_all(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = |addr: SocketAddr| addr.ip().is_unspecified();
    is_any(one) && is_any(other) && one.port() == other.port()
}

/// Whether the machine does not have the address, or not its family.
fn is_lacking(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let families = [
        Errno::AFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::PFNOSUPPORT,
    ];
    let of_family = |code| families.iter().any(|errno| errno.raw_os_error() == code);
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error().is_some_and(of_family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_as_it_was_written() {
        assert_eq!("localhost:80".place().text, "localhost:80");
        assert_eq!(("256.1.1.1", 80).place().text, "256.1.1.1:80");
        assert_eq!(
            (String::from("fe80::1%eth0"), 80).place().text,
            "[fe80::1%eth0]:80"
        );
        assert_eq!("[::1]:80".place().text, "[::1]:80");
        let two = ["127.0.0.1:1", "[::1]:1"].map(|addr| addr.parse().expect("an address"));
        assert_eq!(two.place().text, "127.0.0.1:1, [::1]:1");
        assert_eq!(":80".place().text, ":80");
    }

    #[test]
    fn an_ipv4_address_in_the_form_of_ipv6_is_an_ipv4_address() {
        for (addr, shown) in [
            ("[::ffff:127.0.0.1]:7", "127.0.0.1:7"),
            ("127.0.0.1:7", "127.0.0.1:7"),
            ("[::1]:7", "[::1]:7"),
            ("[::]:7", "[::]:7"),
            ("[fe80::1%3]:7", "[fe80::1%3]:7"),
        ] {
            let addr: SocketAddr = addr.parse().expect("an address");
            assert_eq!(canonical(addr).to_string(), shown);
        }
    }
}
