//! What the door needs to know of the messages that pass it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Command, Event, MessageError, encode};

/// A `Command` or an `Event`.
pub trait Message: Serialize + DeserializeOwned {
    /// Two messages that together say the same, if it is a batch of more than one.
    fn split(self) -> Option<(Self, Self)>;
}

impl Message for Command {
    fn split(self) -> Option<(Self, Self)> {
        match self {
            Self::Verdicts(batch) => halves(batch, Self::Verdicts),
            Self::LearnTcp(batch) => halves(batch, Self::LearnTcp),
            Self::Release(batch) => halves(batch, Self::Release),
            Self::Erase(batch) => halves(batch, Self::Erase),
            Self::Hello { .. } | Self::Note(_) | Self::Shutdown => None,
        }
    }
}

impl Message for Event {
    fn split(self) -> Option<(Self, Self)> {
        match self {
            Self::FlowsSeen(batch) => halves(batch, Self::FlowsSeen),
            Self::Erased(batch) => halves(batch, Self::Erased),
            Self::Overheard(batch) => halves(batch, Self::Overheard),
            Self::Hello { .. } | Self::Stats(_) | Self::Error { .. } => None,
        }
    }
}

fn halves<M, T>(mut batch: Vec<T>, make: fn(Vec<T>) -> M) -> Option<(M, M)> {
    if batch.len() < 2 {
        return None;
    }
    let second = batch.split_off(batch.len() / 2);
    Some((make(batch), make(second)))
}

/// The bytes of a message, as several messages where one would be too long.
pub(crate) fn encode_split<M: Message>(
    message: M,
    encoded: &mut Vec<Vec<u8>>,
) -> Result<(), MessageError> {
    let mut waiting = vec![message];
    while let Some(message) = waiting.pop() {
        match encode(&message) {
            Ok(bytes) => encoded.push(bytes),
            Err(too_long @ MessageError::TooLong { .. }) => {
                let (first, second) = message.split().ok_or(too_long)?;
                waiting.push(second);
                waiting.push(first);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use earwitness_wire::{Endpoint, Verdict};
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MESSAGE_BYTES_MAX;
    use crate::{CaptureStats, Erasure, FlowSeen, Mark, VerdictChange, decode};

    fn endpoint() -> impl Strategy<Value = Endpoint> {
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(addr, port)| Endpoint { addr, port })
    }

    fn change() -> impl Strategy<Value = VerdictChange> {
        (endpoint(), prop::option::of(0u8..4), any::<u64>()).prop_map(|(dst, verdict, since_ns)| {
            VerdictChange { dst, verdict: verdict.map(Verdict::from_u8), since_ns }
        })
    }

    fn command() -> impl Strategy<Value = Command> {
        prop_oneof![
            (any::<u16>(), any::<[u8; 32]>())
                .prop_map(|(version, config_digest)| Command::Hello { version, config_digest }),
            prop::collection::vec(change(), 0..50).prop_map(Command::Verdicts),
            prop::collection::vec((endpoint(), endpoint()), 0..50).prop_map(Command::LearnTcp),
            prop::collection::vec(any::<(u16, u32)>(), 0..50).prop_map(Command::Release),
            prop::collection::vec(erasure(), 0..50).prop_map(Command::Erase),
            "[a-z]{0,40}".prop_map(Command::Note),
            Just(Command::Shutdown),
        ]
    }

    fn erasure() -> impl Strategy<Value = Erasure> {
        (any::<u64>(), any::<u16>(), any::<[u64; 3]>()).prop_map(
            |(number, lane, [last, from_ns, until_ns])| Erasure {
                number,
                lane,
                last,
                from_ns,
                until_ns,
            },
        )
    }

    fn flow() -> impl Strategy<Value = FlowSeen> {
        (endpoint(), endpoint(), any::<u64>(), any::<Option<u32>>())
            .prop_map(|(src, dst, ts_ns, ssrc)| FlowSeen { src, dst, ts_ns, ssrc })
    }

    proptest! {
        /// The door: every message is read as it was written, and every prefix of one is refused.
        #[test]
        fn commands_survive(command in command()) {
            let bytes = encode(&command).unwrap();
            prop_assert_eq!(decode::<Command>(&bytes).unwrap(), command);
            for end in 0..bytes.len().min(100) {
                prop_assert!(decode::<Command>(&bytes[..end]).is_err());
            }
        }

        /// The door: a batch of any size goes through in messages of at most 64 KiB, in order.
        #[test]
        fn batches_are_split_in_order(flows in prop::collection::vec(flow(), 1..200), times in 1usize..40) {
            let batch: Vec<_> = flows.iter().copied().cycle().take(flows.len() * times).collect();
            let mut encoded = Vec::new();
            encode_split(Event::FlowsSeen(batch.clone()), &mut encoded).unwrap();
            let mut read = Vec::new();
            for bytes in encoded {
                prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
                let Event::FlowsSeen(part) = decode(&bytes).unwrap() else { panic!() };
                read.extend(part);
            }
            prop_assert_eq!(read, batch);
        }

        /// S9: any bytes at all are a message or an error.
        #[test]
        fn hostile_bytes_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Command>(&bytes);
            let _ = decode::<Event>(&bytes);
            let _ = decode::<Mark>(&bytes);
        }
    }

    /// S9: what cannot be split and is too long is refused; bytes behind a message are, too.
    #[test]
    fn too_much_is_refused() {
        let text = "x".repeat(MESSAGE_BYTES_MAX);
        let long = Event::Error { fault: crate::Fault::Disk, text };
        let refused = encode_split(long, &mut Vec::new());
        assert!(matches!(refused, Err(MessageError::TooLong { .. })));
        let mut bytes = encode(&Event::Stats(Box::<CaptureStats>::default())).unwrap();
        bytes.push(0);
        assert!(matches!(decode::<Event>(&bytes), Err(MessageError::Trailing { bytes: 1 })));
        let long = vec![0; MESSAGE_BYTES_MAX + 1];
        assert!(matches!(decode::<Event>(&long), Err(MessageError::TooLong { .. })));
    }
}
