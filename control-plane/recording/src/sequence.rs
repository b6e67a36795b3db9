//! Sequence numbers without end: wraps counted, restarts told from loss and from strays.
//!
//! A place is an epoch and a number in it. An epoch begins where the sender began anew; within one,
//! numbers only grow. Timestamps are asked where the number alone could be either loss or a restart.

use crate::limits::{
    SEQUENCE_CONFIRM_MAX, SEQUENCE_DROPOUT_MAX, SEQUENCE_MISORDER_MAX, SEQUENCE_PATIENCE,
};

/// Where a packet stands among all of its stream.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) epoch: u32,
    /// Wraps are counted in the upper bits.
    pub(crate) number: i64,
}

/// How the packet's timestamp relates to that of the highest one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Advanced about as much as time did.
    Forward,
    /// A little earlier, as a late packet is.
    Backward,
    Neither,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    At(Place),
    /// Fits nothing yet: keep the packet. What was kept before is stray.
    Hold,
    /// The packet kept before and this one begin a new epoch.
    Confirmed {
        held: Place,
        this: Place,
    },
    /// The packet that is kept, once more.
    HeldAgain,
    /// Fits nothing, and there are no more epochs to give.
    Stray,
}

#[derive(Copy, Clone, Debug)]
struct Epoch {
    id: u32,
    highest: i64,
}

impl Epoch {
    /// The number nearest to the highest one that ends in `sequence`.
    fn extend(self, sequence: u16) -> i64 {
        let step = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest + i64::from(step)
    }
}

#[derive(Copy, Clone, Debug)]
struct Held {
    sequence: u16,
    patience: u8,
}

/// RFC 3550 A.1, for one stream.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    current: Option<Epoch>,
    before: Option<Epoch>,
    held: Option<Held>,
}

impl Sequence {
    pub(crate) fn place(&mut self, sequence: u16, agreement: Agreement) -> Verdict {
        let Some(current) = self.current else {
            let highest = i64::from(sequence) + 0x1_0000;
            self.current = Some(Epoch { id: 0, highest });
            return Verdict::At(Place { epoch: 0, number: highest });
        };
        if let Some(number) = fits(current, sequence, agreement) {
            self.current = Some(Epoch { highest: current.highest.max(number), ..current });
            self.tire();
            return Verdict::At(Place { epoch: current.id, number });
        }
        if let Some(before) = self.before {
            let number = before.extend(sequence);
            let late = before.highest - number;
            if (-16..i64::from(SEQUENCE_MISORDER_MAX)).contains(&late) && self.held.is_none() {
                return Verdict::At(Place { epoch: before.id, number });
            }
        }
        self.restart(current, sequence)
    }

    /// A packet that fits neither epoch: held, or the second witness of a new one.
    fn restart(&mut self, current: Epoch, sequence: u16) -> Verdict {
        let Some(held) = self.held else {
            self.held = Some(Held { sequence, patience: SEQUENCE_PATIENCE });
            return Verdict::Hold;
        };
        let step = sequence.wrapping_sub(held.sequence) as i16;
        if step == 0 {
            return Verdict::HeldAgain;
        }
        if step.unsigned_abs() > SEQUENCE_CONFIRM_MAX {
            self.held = Some(Held { sequence, patience: SEQUENCE_PATIENCE });
            return Verdict::Hold;
        }
        let Some(id) = current.id.checked_add(1) else { return Verdict::Stray };
        let held_number = i64::from(held.sequence) + 0x1_0000;
        let number = held_number + i64::from(step);
        self.before = Some(current);
        self.current = Some(Epoch { id, highest: held_number.max(number) });
        self.held = None;
        Verdict::Confirmed {
            held: Place { epoch: id, number: held_number },
            this: Place { epoch: id, number },
        }
    }

    /// The old sequence goes on: what is held loses credit.
    fn tire(&mut self) {
        if let Some(held) = &mut self.held {
            held.patience -= 1;
            if held.patience == 0 {
                self.held = None;
            }
        }
    }

    /// Whether the packet kept at the last [`Verdict::Hold`] may still be confirmed.
    pub(crate) fn holds(&self) -> bool {
        self.held.is_some()
    }
}

/// The number in `epoch`, if the packet belongs to it.
fn fits(epoch: Epoch, sequence: u16, agreement: Agreement) -> Option<i64> {
    let forward = sequence.wrapping_sub(epoch.highest as u16);
    let backward = (epoch.highest as u16).wrapping_sub(sequence);
    let fits = forward <= SEQUENCE_CONFIRM_MAX
        || backward <= SEQUENCE_CONFIRM_MAX
        || (forward < SEQUENCE_DROPOUT_MAX && agreement == Agreement::Forward)
        || (backward < SEQUENCE_MISORDER_MAX && agreement == Agreement::Backward);
    fits.then(|| epoch.extend(sequence))
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Place, Sequence, Verdict};

    fn at(epoch: u32, number: i64) -> Verdict {
        Verdict::At(Place { epoch, number })
    }

    /// REC-2: numbers go on over the wrap, and a late packet from before it keeps its place.
    #[test]
    fn wraps_are_counted() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.place(65_534, Agreement::Forward), at(0, 131_070));
        assert_eq!(sequence.place(0, Agreement::Forward), at(0, 131_072));
        assert_eq!(sequence.place(65_535, Agreement::Backward), at(0, 131_071));
        assert_eq!(sequence.place(1, Agreement::Forward), at(0, 131_073));
    }

    /// CALL-4: a restart needs two witnesses, and a late one of the old epoch is still known.
    #[test]
    fn restart_is_confirmed() {
        let mut sequence = Sequence::default();
        sequence.place(100, Agreement::Forward);
        sequence.place(101, Agreement::Forward);
        assert_eq!(sequence.place(40_000, Agreement::Neither), Verdict::Hold);
        assert_eq!(sequence.place(40_000, Agreement::Neither), Verdict::HeldAgain);
        assert_eq!(
            sequence.place(40_001, Agreement::Neither),
            Verdict::Confirmed {
                held: Place { epoch: 1, number: 105_536 },
                this: Place { epoch: 1, number: 105_537 },
            }
        );
        assert_eq!(sequence.place(102, Agreement::Neither), at(0, 65_638));
    }

    /// A restart that happens to land within the window of loss is found by its timestamp.
    #[test]
    fn near_restart_is_found_by_timestamp() {
        let mut sequence = Sequence::default();
        sequence.place(100, Agreement::Forward);
        assert_eq!(sequence.place(2_000, Agreement::Neither), Verdict::Hold);
        assert!(matches!(sequence.place(2_001, Agreement::Neither), Verdict::Confirmed { .. }));
    }

    /// One stray packet changes nothing.
    #[test]
    fn stray_is_forgotten() {
        let mut sequence = Sequence::default();
        sequence.place(100, Agreement::Forward);
        assert_eq!(sequence.place(30_000, Agreement::Neither), Verdict::Hold);
        for number in 101..106 {
            assert_eq!(
                sequence.place(number, Agreement::Forward),
                at(0, i64::from(number) + 65_536)
            );
        }
        assert!(!sequence.holds());
    }
}
