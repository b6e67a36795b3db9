//! A lane: the series of segments that one writer thread fills.

use std::fmt;

/// Number of a lane, unique within a data folder.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct LaneId(pub u16);

/// What a lane carries. It decides how records are located: see [`crate::RecordPos`].
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
#[repr(u8)]
pub enum LaneKind {
    /// Blocks are built in memory and compressed where that is smaller; committed at once.
    Signalling = 1,
    /// Records are written straight into the mapping, never compressed.
    Media = 2,
}

impl LaneKind {
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Signalling),
            2 => Some(Self::Media),
            _ => None,
        }
    }

    /// The letter in file names.
    pub fn letter(self) -> char {
        match self {
            Self::Signalling => 's',
            Self::Media => 'm',
        }
    }

    pub fn from_letter(letter: char) -> Option<Self> {
        match letter {
            's' => Some(Self::Signalling),
            'm' => Some(Self::Media),
            _ => None,
        }
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl fmt::Display for LaneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signalling => "signalling",
            Self::Media => "media",
        })
    }
}
