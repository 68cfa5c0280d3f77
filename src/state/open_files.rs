//! `Room`: for how many connections of each kind there are files.

use crate::records::{HTTP_CONNECTIONS_MAX, NEWCOMERS_MAX};
use midge_reactor::raise_open_files;

/// What a process may have open beside the clients' sockets: standard streams, log, listeners, selector, and
/// what a reload, a new log and monitoring want at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// All that may be open.
    pub(crate) limit: u64,
    /// Sockets of clients, those included that were sent away and are not closed yet.
    pub(crate) clients: usize,
    /// Connections that have asked for monitoring.
    pub(crate) http: usize,
    /// Connections that have come to ask for it, and have not yet.
    pub(crate) newcomers: usize,
    /// Connections that one listener may accept in a turn: as many again may be open until its end.
    pub(crate) accepts: usize,
}

/// Below this limit, files are spent with care.
const FILES_FEW: u64 = 4096;

/// Files kept from clients where there are few, and where there are many.
const OTHER_FILES: u64 = 44;
const OTHER_FILES_OF_MANY: u64 = 192;

/// Of a reactor whose limit is not ours.
impl Default for Room {
    fn default() -> Room {
        Room {
            limit: u64::MAX,
            clients: usize::MAX,
            http: HTTP_CONNECTIONS_MAX,
            newcomers: NEWCOMERS_MAX,
            accepts: 64,
        }
    }
}

impl Room {
    /// That of this process, whose limit is raised as far as it goes.
    ///
    /// # Errors
    /// The limit, which leaves none for clients.
    pub(crate) fn of_process() -> Result<Room, u64> {
        match raise_open_files() {
            Ok(limit) => Room::of(limit),
            Err(_) => Ok(Room::default()),
        }
    }

    fn of(limit: u64) -> Result<Room, u64> {
        let room = match limit < FILES_FEW {
            true => Room {
                limit,
                clients: usize::try_from(limit.saturating_sub(OTHER_FILES)).unwrap_or(0),
                http: 10,
                newcomers: 4,
                accepts: 2,
            },
            false => Room {
                limit,
                clients: usize::try_from(limit - OTHER_FILES_OF_MANY).unwrap_or(usize::MAX),
                ..Room::default()
            },
        };
        match room.clients {
            0 => Err(limit),
            _ => Ok(room),
        }
    }

    /// Keeps files from clients for this number of further listeners: two sockets of each, and what they accept in a turn.
    pub(crate) fn keep_for_listeners(&mut self, count: usize) {
        let files = count.saturating_mul(2 + self.accepts.min(16));
        self.clients = self.clients.saturating_sub(files);
    }

    /// The limit on open files that leaves room for `clients` clients.
    pub(crate) fn limit_for(clients: u64) -> u64 {
        match clients.saturating_add(OTHER_FILES) {
            limit if limit < FILES_FEW => limit,
            _ => clients.saturating_add(OTHER_FILES_OF_MANY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_on_open_files_leaves_room_for_more_than_clients() {
        for limit in [45, 64, 1024, 4095, 4096, 65_536, u64::MAX] {
            let room = Room::of(limit).expect("there is room");
            // Two listeners each, of clients and of monitoring; and two dozen files of other kinds.
            let most = (room.clients as u64).saturating_add((room.http + room.newcomers) as u64);
            let most = most.saturating_add(4 * room.accepts.min(16) as u64 + 22);
            assert!(most <= limit, "{limit}: {room:?}");
        }
        assert!(Room::of(OTHER_FILES).is_err());
    }
}
