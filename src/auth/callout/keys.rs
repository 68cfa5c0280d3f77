//! `Keys`: the keys of this server, other ones in each run. It signs what it asks, and seals it where that is wanted.
//!
//! Neither is written anywhere. Who answers knows the server by `server_id` in `INFO`, the public half of the first, and
//! the second by `xkey` in `INFO`.

#[cfg(feature = "nkeys")]
use super::sealing::SealingKey;
use crate::jwt::Signer;
use midge_protocol::nkey::Kind;
use midge_reactor::Io;
use std::io;
use zeroize::Zeroizing;

/// The keys of this server.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(super) signer: Signer,
    #[cfg(feature = "nkeys")]
    pub(super) sealing: SealingKey,
}

impl Keys {
    /// New ones, which are those of no other server.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(crate) fn new() -> io::Result<Keys> {
        let mut secrets = Zeroizing::new([[0; 32]; 2]);
        for secret in secrets.iter_mut() {
            getrandom::fill(secret).map_err(io::Error::from)?;
        }
        Ok(Keys::of(&secrets))
    }

    /// Those of a server in this world: in a simulated one the same in each run.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(crate) fn in_world_of(io: &mut Io<'_>) -> io::Result<Keys> {
        if !io.is_simulated() {
            // Not from the reactor's numbers, of which a client might tell the next from those it was given.
            return Keys::new();
        }
        let mut secret = [0; 32];
        for bytes in secret.chunks_exact_mut(8) {
            bytes.copy_from_slice(&io.random().to_le_bytes());
        }
        Ok(Keys::of(&[secret, secret.map(|byte| !byte)]))
    }

    #[cfg_attr(not(feature = "nkeys"), expect(unused_variables))]
    fn of([signing, sealing]: &[[u8; 32]; 2]) -> Keys {
        Keys {
            signer: Signer::of(Kind::Server, signing),
            #[cfg(feature = "nkeys")]
            sealing: SealingKey::of(sealing),
        }
    }

    /// The server's id: the public half of the key that it signs with.
    pub(crate) fn server_id(&self) -> &str {
        self.signer.public()
    }

    /// The public half of the key that it seals with, if it seals anything.
    #[cfg(feature = "nkeys")]
    pub(crate) fn xkey(&self) -> Option<&str> {
        Some(self.sealing.public())
    }

    #[cfg(not(feature = "nkeys"))]
    pub(crate) fn xkey(&self) -> Option<&str> {
        None
    }
}
