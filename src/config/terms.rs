//! `Terms`: on what terms clients come in by a [door](Door), whichever block of the settings they stand in.

use super::{
    AUTH_TIMEOUT, Advertise, Auth, AuthCallout, Config, ConnectionType, ProxyProtocol, UnixSocket,
};
use crate::door::{Door, Entrance};
use crate::tls::Tls;
#[cfg(feature = "command")]
use std::path::Path;
use std::time::Duration;

/// On what terms clients come in by a door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// What people call it; empty where it is told apart otherwise.
    pub(crate) name: &'a str,
    /// What settings call the way in which they are connected.
    pub(crate) connection: ConnectionType,
    /// Host name or address that is listened on.
    pub(crate) host: &'a str,
    /// Port that is listened on; 0 is any.
    pub(crate) port: u16,
    /// The Unix socket that is listened on instead.
    pub(crate) unix: Option<&'a UnixSocket>,
    /// What `INFO` tells of where it is, in place of where it listens.
    pub(crate) advertise: Option<&'a Advertise>,
    pub(crate) tls: Option<&'a Tls>,
    /// Whether a client may speak in clear although there is TLS.
    pub(crate) allow_non_tls: bool,
    /// What a client must present.
    pub(crate) auth: &'a Auth,
    /// Who decides about clients in its place.
    pub(crate) callout: Option<&'a AuthCallout>,
    /// The user that a client is who presents nothing.
    pub(crate) no_auth_user: Option<&'a str>,
    /// Time in which `CONNECT` must come.
    pub(crate) login_time: Duration,
    /// Time in which the request must come that makes a connection a WebSocket.
    pub(crate) handshake_timeout: Duration,
    /// Most clients that have come in here, if there is a limit beside that of all.
    pub(crate) connections_max: Option<usize>,
    /// Proxies that tell for whom a connection is.
    pub(crate) proxy_protocol: Option<&'a ProxyProtocol>,
}

impl Terms<'_> {
    /// Whether a client is refused that presents nothing.
    pub(crate) fn want_credentials(&self) -> bool {
        let by_default = match self.callout {
            None => *self.auth == Auth::None || self.no_auth_user.is_some(),
            // About one that presents nothing the service is asked as well.
            Some(callout) => {
                (self.no_auth_user).is_some_and(|user| callout.leaves(user, self.auth))
            }
        };
        !by_default || *self.auth != Auth::None && self.map_certificates()
    }

    /// Whether the certificate of a client tells which user it is.
    pub(crate) fn map_certificates(&self) -> bool {
        self.tls.is_some_and(|tls| tls.verify_and_map)
    }
}

impl Config {
    /// The doors that there are.
    pub(crate) fn doors(&self) -> impl Iterator<Item = Door> {
        let websocket = self.websocket.as_ref().map(|_| Door::WebSocket);
        let further = (0..self.listeners.len()).map(|number| Door::Further(number as u8));
        [Some(Door::Main), websocket]
            .into_iter()
            .flatten()
            .chain(further)
    }

    /// The terms of a door. One that is not there is like the server's own.
    pub(crate) fn terms(&self, door: Door) -> Terms<'_> {
        let main = Terms {
            name: "",
            connection: ConnectionType::Standard,
            host: match self.host.as_str() {
                "" => "0.0.0.0",
                host => host,
            },
            port: self.port,
            unix: self.unix.as_ref(),
            advertise: self.advertise.as_ref(),
            tls: self.tls.as_ref(),
            allow_non_tls: self.allow_non_tls,
            auth: &self.auth,
            callout: self.auth_callout.as_ref(),
            no_auth_user: self.no_auth_user.as_deref(),
            login_time: login_time(self.auth_timeout, self.tls.as_ref()),
            handshake_timeout: Duration::ZERO,
            connections_max: None,
            proxy_protocol: self.proxy_protocol.as_ref(),
        };
        match door {
            Door::Main => main,
            Door::WebSocket => self.websocket_terms(main),
            Door::Further(number) => self.further_terms(usize::from(number), main),
        }
    }

    /// Those of the block `websocket`. What it does not say is as for the server.
    fn websocket_terms<'a>(&'a self, main: Terms<'a>) -> Terms<'a> {
        let main = Terms {
            name: "",
            connection: ConnectionType::WebSocket,
            unix: None,
            proxy_protocol: None,
            tls: None,
            allow_non_tls: false,
            ..main
        };
        let Some(own) = &self.websocket else {
            return main;
        };
        Terms {
            host: &own.host,
            port: own.port,
            advertise: own.advertise.as_ref(),
            tls: own.tls.as_ref(),
            auth: match &own.auth {
                Auth::None => &self.auth,
                own => own,
            },
            no_auth_user: own.no_auth_user.as_deref().or(main.no_auth_user),
            login_time: own.auth_timeout.unwrap_or(main.login_time),
            handshake_timeout: own.handshake_timeout,
            proxy_protocol: own.proxy_protocol.as_ref(),
            ..main
        }
    }

    /// Those of one of `listeners`. Nothing that lets a client in is taken over from the server's own.
    fn further_terms<'a>(&'a self, number: usize, main: Terms<'a>) -> Terms<'a> {
        let Some(own) = self.listeners.get(number) else {
            return main;
        };
        Terms {
            name: &own.name,
            host: &own.host,
            port: own.port,
            unix: own.unix.as_ref(),
            advertise: own.advertise.as_ref(),
            tls: own.tls.as_ref(),
            allow_non_tls: own.allow_non_tls,
            no_auth_user: own.no_auth_user.as_deref(),
            login_time: login_time(own.auth_timeout.or(self.auth_timeout), own.tls.as_ref()),
            connections_max: own.connections_max,
            proxy_protocol: own.proxy_protocol.as_ref(),
            ..main
        }
    }

    /// The terms for a client: those of its door, where its process may tell who it is.
    pub(crate) fn terms_for(&self, entrance: Entrance) -> Terms<'_> {
        let terms = self.terms(entrance.door);
        let user = (terms.unix.zip(entrance.credentials))
            .and_then(|(unix, credentials)| unix.user_of(credentials));
        Terms {
            no_auth_user: user.or(terms.no_auth_user),
            ..terms
        }
    }

    /// What logs and metrics call a door.
    pub(crate) fn called(&self, door: Door) -> &str {
        match door {
            Door::Main => "client",
            Door::WebSocket => "websocket",
            Door::Further(_) => self.terms(door).name,
        }
    }

    /// The Unix sockets, each with what the file calls it.
    #[cfg(feature = "command")]
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (String, &Path)> {
        self.doors().filter_map(|door| {
            let unix = self.terms(door).unix?;
            let name = match door {
                Door::Main => "listen".to_owned(),
                _ => format!("listener {}", self.called(door)),
            };
            Some((name, unix.path.as_path()))
        })
    }

    /// TLS of a door, to put what its files hold there.
    pub(crate) fn tls_mut(&mut self, door: Door) -> Option<&mut Tls> {
        match door {
            Door::Main => self.tls.as_mut(),
            Door::WebSocket => self.websocket.as_mut()?.tls.as_mut(),
            Door::Further(number) => {
                let own = self.listeners.get_mut(usize::from(number))?;
                own.tls.as_mut()
            }
        }
    }

    /// TLS of each door that has it.
    pub(crate) fn each_tls(&self) -> impl Iterator<Item = (Door, &Tls)> {
        self.doors()
            .filter_map(|door| Some((door, self.terms(door).tls?)))
    }

    /// TLS of each door that has it, and the setting that it stands in.
    pub(crate) fn each_tls_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Tls)> {
        let main = self.tls.as_mut().map(|tls| ("tls", tls));
        let websocket = self.websocket.as_mut();
        let websocket = websocket.and_then(|own| Some(("websocket tls", own.tls.as_mut()?)));
        let listeners = self.listeners.iter_mut();
        let further = listeners.filter_map(|own| Some(("listeners tls", own.tls.as_mut()?)));
        main.into_iter().chain(websocket).chain(further)
    }
}

/// Time in which `CONNECT` must come, behind the handshake if there is one.
fn login_time(set: Option<Duration>, tls: Option<&Tls>) -> Duration {
    set.unwrap_or_else(|| match tls {
        Some(tls) => tls.timeout + Duration::from_secs(1),
        None => AUTH_TIMEOUT,
    })
}
