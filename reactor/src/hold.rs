//! Why a connection is not read: several reasons at once, each lifted where it was given.

/// One reason not to read a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Hold {
    /// The program asked for it: `pause`.
    Program = 1,
    /// What it feeds is full: the loop's own doing.
    Relay = 2,
}

/// The reasons that hold at present. A connection is read while there is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Holds(u8);

impl Holds {
    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }

    pub(crate) fn has(self, hold: Hold) -> bool {
        self.0 & hold as u8 != 0
    }

    pub(crate) fn add(&mut self, hold: Hold) {
        self.0 |= hold as u8;
    }

    /// Lifts one reason; answers whether it was the last.
    pub(crate) fn lift(&mut self, hold: Hold) -> bool {
        let held = self.any();
        self.0 &= !(hold as u8);
        held && !self.any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_reason_to_go_lets_reading_go_on() {
        let mut holds = Holds::default();
        assert!(!holds.lift(Hold::Program), "nothing was lifted");
        holds.add(Hold::Program);
        holds.add(Hold::Relay);
        holds.add(Hold::Relay);
        assert!(!holds.lift(Hold::Program));
        assert!(holds.any() && holds.has(Hold::Relay) && !holds.has(Hold::Program));
        assert!(holds.lift(Hold::Relay));
        assert!(!holds.any() && !holds.lift(Hold::Relay));
    }
}
