//! Which source an interface gets: the rungs of a ladder, best first, and why those above did not bear.

use std::fmt::Write as _;
use std::os::fd::AsFd;

use earwitness_ipc::{SourceInfo, SourceMode};
use thiserror::Error;

use crate::af_packet::PacketError;
use crate::af_xdp::{Transfer, XdpError, XdpSocket};
use crate::interface::Interface;
use crate::options::{RunOptions, SourceChoice, UnmatchedFrames};
use crate::privilege::{self, NEEDED_FOR_XDP, PrivilegeError};
use crate::program::{AttachMode, Output, Program, ProgramError, ProgramOptions, Unmatched};

/// One way to receive, as `SourceMode` names it.
const BEST_FIRST: &[SourceMode] = &[
    SourceMode::AfXdpZeroCopy,
    SourceMode::BpfRing,
    SourceMode::AfXdpCopy,
    SourceMode::BpfRingGeneric,
    SourceMode::AfXdpGeneric,
    SourceMode::AfPacket,
];

/// How an interface is tapped.
#[derive(Debug)]
pub(crate) enum Tapped {
    /// The program fills rings; there is one pair for each CPU.
    Rings(Box<Program>),
    /// The program redirects to these sockets.
    Sockets(Box<Program>, Vec<XdpSocket>),
    /// Packet sockets are opened where the lanes are known.
    Packets,
}

#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Xdp(#[from] XdpError),
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// Every rung that the options allow broke.
    #[error("no source for interface {interface}: {reasons}")]
    None { interface: String, reasons: String },
}

/// The rungs that the options allow, best first. Redirected frames do not reach the host, so that sockets exclude
/// passing.
pub(crate) fn rungs(choice: SourceChoice, unmatched: UnmatchedFrames) -> Vec<SourceMode> {
    let allowed = |mode: &SourceMode| match mode {
        SourceMode::AfXdpZeroCopy | SourceMode::AfXdpCopy | SourceMode::AfXdpGeneric => {
            unmatched == UnmatchedFrames::Drop
                && matches!(choice, SourceChoice::Auto | SourceChoice::AfXdp)
        }
        SourceMode::BpfRing | SourceMode::BpfRingGeneric => {
            matches!(choice, SourceChoice::Auto | SourceChoice::BpfRing)
        }
        SourceMode::AfPacket => matches!(choice, SourceChoice::Auto | SourceChoice::AfPacket),
        SourceMode::Pcap => false,
    };
    BEST_FIRST.iter().copied().filter(allowed).collect()
}

/// Takes the first rung that bears.
pub(crate) fn choose(
    interface: &Interface,
    options: &RunOptions,
) -> Result<(Tapped, SourceInfo), SourceError> {
    let mut broken = String::new();
    // Asked once: what XDP lacks, all its rungs lack.
    let xdp = privilege::take(NEEDED_FOR_XDP).map_err(|error| error.to_string());
    let mut told = false;
    for mode in rungs(options.source, options.unmatched) {
        let tried = match (&xdp, mode) {
            (_, SourceMode::AfPacket) => Ok(Tapped::Packets),
            (Err(_), _) if told => continue,
            (Err(missing), _) => {
                told = true;
                Err(format!("XDP: {missing}"))
            }
            (Ok(()), mode) => {
                tap(interface, options, mode).map_err(|error| format!("{mode}: {}", chain(&error)))
            }
        };
        match tried {
            Ok(tapped) => {
                let reason = reason(options.source, &broken);
                let info = SourceInfo {
                    interface: interface.name.clone(),
                    source: interface.source,
                    mode,
                    reason,
                };
                return Ok((tapped, info));
            }
            Err(why) => {
                let separator = if broken.is_empty() { "" } else { "; " };
                // Writing to a string cannot fail.
                let _ = write!(broken, "{separator}{why}");
            }
        }
    }
    Err(SourceError::None { interface: interface.name.clone(), reasons: broken })
}

fn reason(choice: SourceChoice, broken: &str) -> String {
    let chosen = match choice {
        SourceChoice::Auto => "the best there is",
        _ => "configured",
    };
    if broken.is_empty() { chosen.to_owned() } else { format!("{chosen}; not {broken}") }
}

fn tap(
    interface: &Interface,
    options: &RunOptions,
    mode: SourceMode,
) -> Result<Tapped, SourceError> {
    let attach = match mode {
        SourceMode::BpfRingGeneric | SourceMode::AfXdpGeneric => AttachMode::Generic,
        _ => AttachMode::Native,
    };
    match mode {
        SourceMode::BpfRing | SourceMode::BpfRingGeneric => {
            let output = Output::Rings {
                media_bytes: ring_bytes(options.media_ring_bytes()),
                signalling_bytes: ring_bytes(options.signalling_ring_bytes()),
            };
            let mut program = Program::load(&program_options(options, output))?;
            program.attach(&interface.name, attach)?;
            Ok(Tapped::Rings(Box::new(program)))
        }
        _ => {
            let transfer = match mode {
                SourceMode::AfXdpZeroCopy => Transfer::ZeroCopy,
                _ => Transfer::Copy,
            };
            let sockets_per_queue = options.sockets_per_queue;
            let mut queues = Vec::new();
            // Sockets first: that there is no zero-copy shows before anything is loaded.
            for queue in 0..interface.queues {
                queues.push(XdpSocket::open_queue(interface, queue, sockets_per_queue, transfer)?);
            }
            let output = Output::Sockets { queues: interface.queues, sockets_per_queue };
            let mut program = Program::load(&program_options(options, output))?;
            for (queue, sockets) in (0..).zip(&queues) {
                for (index, socket) in (0..).zip(sockets) {
                    program.insert_socket(queue, index, socket.as_fd())?;
                }
            }
            program.attach(&interface.name, attach)?;
            Ok(Tapped::Sockets(Box::new(program), queues.into_iter().flatten().collect()))
        }
    }
}

fn program_options(options: &RunOptions, output: Output) -> ProgramOptions {
    ProgramOptions {
        unmatched: match options.unmatched {
            UnmatchedFrames::Drop => Unmatched::Drop,
            UnmatchedFrames::Pass => Unmatched::Pass,
        },
        sip_ports: options.sip_ports.clone(),
        vxlan_ports: options.vxlan_ports.clone(),
        ..ProgramOptions::new(output)
    }
}

/// The kernel's rings have 32 bits for their size; the limits of options keep to half of that.
fn ring_bytes(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(1 << 31).min(1 << 31)
}

/// An error with everything that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-4: `auto` tries everything, best first; what is configured falls back to less of the same kind only.
    #[test]
    fn rungs_are_best_first() {
        use SourceMode::{
            AfPacket, AfXdpCopy, AfXdpGeneric, AfXdpZeroCopy, BpfRing, BpfRingGeneric,
        };
        let (drop, pass) = (UnmatchedFrames::Drop, UnmatchedFrames::Pass);
        assert_eq!(rungs(SourceChoice::Auto, drop), BEST_FIRST);
        assert_eq!(rungs(SourceChoice::Auto, pass), [BpfRing, BpfRingGeneric, AfPacket]);
        assert_eq!(rungs(SourceChoice::AfXdp, drop), [AfXdpZeroCopy, AfXdpCopy, AfXdpGeneric]);
        assert_eq!(rungs(SourceChoice::BpfRing, drop), [BpfRing, BpfRingGeneric]);
        assert_eq!(rungs(SourceChoice::AfPacket, drop), [AfPacket]);
    }

    /// OPS-3: the reason says what was better, and why it was not to be had.
    #[test]
    fn the_reason_names_what_broke() {
        assert_eq!(reason(SourceChoice::AfPacket, ""), "configured");
        let auto = reason(SourceChoice::Auto, "af_xdp_zero_copy: not supported");
        assert_eq!(auto, "the best there is; not af_xdp_zero_copy: not supported");
    }
}
