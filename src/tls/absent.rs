//! What there is of TLS in a build without it: nothing, and a word about it.

use super::{Failure, PeerNames, Purpose, Settled, Shown, Tls};
use jiff::Timestamp;
use midge_reactor::{Close, Io, Key};
use std::time::Duration;

/// There are none.
#[derive(Clone, Debug)]
pub(crate) enum Certificates {}

impl Certificates {
    pub(super) fn read(_: &Tls) -> Result<Certificates, String> {
        Err(
            "this build has no TLS; build midge with its feature \"tls\", or leave tls out"
                .to_owned(),
        )
    }

    pub(super) fn has_changed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn shown(&self) -> &[Shown] {
        match *self {}
    }

    pub(crate) fn is_same(&self, _: &Certificates) -> bool {
        match *self {}
    }

    pub(crate) fn start(&self, _: &mut Io<'_>, _: Key, _: Purpose, _: Duration) {
        match *self {}
    }
}

pub(crate) fn settled(_: &Io<'_>, _: Key) -> Option<Settled> {
    None
}

pub(crate) fn shown_as_pem(_: &Io<'_>, _: Key) -> Vec<String> {
    Vec::new()
}

pub(crate) fn is_begun(_: &Io<'_>, _: Key) -> bool {
    false
}

pub(crate) fn is_resumed(_: &Io<'_>, _: Key) -> bool {
    false
}

pub(crate) fn is_pinned(_: &Io<'_>, _: Key, _: Option<&Tls>) -> bool {
    true
}

pub(crate) fn names(_: &Io<'_>, _: Key) -> Option<PeerNames> {
    None
}

pub(crate) fn has_ended(_: &Io<'_>, _: Key, _: Timestamp) -> bool {
    false
}

pub(crate) fn failure(_: &Close) -> Option<Failure> {
    None
}
