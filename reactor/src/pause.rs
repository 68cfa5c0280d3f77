//! Why a connection is not read: several reasons at once, each lifted where it was given.

/// One reason not to read a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Pause {
    /// The program asked for it: `pause`.
    Program = 1,
    /// What it feeds is full: the loop's own doing.
    Relay = 2,
}

/// The reasons there are at present. A connection is read while there is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Pauses(u8);

impl Pauses {
    pub(crate) fn is_paused(self) -> bool {
        self.0 != 0
    }

    pub(crate) fn has(self, pause: Pause) -> bool {
        self.0 & pause as u8 != 0
    }

    pub(crate) fn add(&mut self, pause: Pause) {
        self.0 |= pause as u8;
    }

    /// Takes one reason away; answers whether it was the last.
    pub(crate) fn remove(&mut self, pause: Pause) -> bool {
        let was_paused = self.is_paused();
        self.0 &= !(pause as u8);
        was_paused && !self.is_paused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_reason_to_go_lets_reading_go_on() {
        let mut pauses = Pauses::default();
        assert!(!pauses.remove(Pause::Program), "nothing was there");
        pauses.add(Pause::Program);
        pauses.add(Pause::Relay);
        pauses.add(Pause::Relay);
        assert!(!pauses.remove(Pause::Program));
        assert!(pauses.is_paused() && pauses.has(Pause::Relay) && !pauses.has(Pause::Program));
        assert!(pauses.remove(Pause::Relay));
        assert!(!pauses.is_paused() && !pauses.remove(Pause::Relay));
    }
}
