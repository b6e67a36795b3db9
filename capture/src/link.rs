//! News of interfaces: up, down, gone, back. From rtnetlink, whose socket is opened before the cage closes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::socket;

/// linux/rtnetlink.h: messages about links.
const GROUP_LINK: u32 = 1;
const HEADER_BYTES: usize = 16;
const LINK_BYTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 4;

/// How an interface is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    Up,
    Down,
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkNews {
    pub name: String,
    pub index: u32,
    pub state: LinkState,
}

#[derive(Debug)]
pub struct LinkWatch {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl LinkWatch {
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        let socket = socket::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
        socket::bind(socket.as_fd(), &address())?;
        Ok(Self { socket, buffer: vec![0; 64 << 10] })
    }

    /// Everything new. Lost news (the kernel's buffer was full) are an error that the next change mends.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read(&mut self) -> io::Result<Vec<LinkNews>> {
        let mut news = Vec::new();
        loop {
            let length = socket::receive(self.socket.as_fd(), &mut self.buffer)?;
            if length == 0 {
                return Ok(news);
            }
            parse(&self.buffer[..length], &mut news);
        }
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for LinkWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn address() -> libc::sockaddr_nl {
    socket::zeroed::<libc::sockaddr_nl>(|address| {
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = GROUP_LINK;
    })
}

/// RFC 3549 section 2.3.2: messages, each with attributes.
fn parse(mut bytes: &[u8], news: &mut Vec<LinkNews>) {
    while let Some(length) = number::<4>(bytes, 0).map(|raw| u32::from_ne_bytes(raw) as usize) {
        let Some(message) = bytes.get(..length).filter(|_| length >= HEADER_BYTES) else { return };
        news.extend(link(message));
        let next = length.next_multiple_of(4).min(bytes.len());
        bytes = &bytes[next..];
    }
}

fn link(message: &[u8]) -> Option<LinkNews> {
    let kind = u16::from_ne_bytes(number(message, 4)?);
    let index = u32::from_ne_bytes(number(message, HEADER_BYTES + 4)?);
    let flags = u32::from_ne_bytes(number(message, HEADER_BYTES + 8)?).cast_signed();
    let state = match kind {
        libc::RTM_DELLINK => LinkState::Gone,
        libc::RTM_NEWLINK
            if flags & (libc::IFF_UP | libc::IFF_RUNNING) == libc::IFF_UP | libc::IFF_RUNNING =>
        {
            LinkState::Up
        }
        libc::RTM_NEWLINK => LinkState::Down,
        _ => return None,
    };
    let mut attributes = message.get(HEADER_BYTES + LINK_BYTES..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(number(attributes, 0)?));
        let attribute = attributes.get(..length).filter(|_| length >= ATTRIBUTE_BYTES)?;
        if u16::from_ne_bytes(number(attribute, 2)?) == libc::IFLA_IFNAME {
            let text = attribute[ATTRIBUTE_BYTES..].split(|&byte| byte == 0).next()?;
            let name = String::from_utf8_lossy(text).into_owned();
            return Some(LinkNews { name, index, state });
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, index: u32, flags: u32, name: &str) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend([0; 4]);
        // An attribute before the name.
        body.extend([5, 0, 99, 0, 1, 0, 0, 0]);
        body.extend((4 + name.len() as u16 + 1).to_ne_bytes());
        body.extend(libc::IFLA_IFNAME.to_ne_bytes());
        body.extend(name.as_bytes());
        body.push(0);
        while !body.len().is_multiple_of(4) {
            body.push(0);
        }
        let mut bytes = (16 + body.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    /// S9: an interface that goes or comes back is news, not a surprise.
    #[test]
    fn links_come_and_go() {
        let running = (libc::IFF_UP | libc::IFF_RUNNING) as u32;
        let mut bytes = message(libc::RTM_NEWLINK, 3, running, "eth1");
        bytes.extend(message(libc::RTM_NEWLINK, 3, libc::IFF_UP as u32, "eth1"));
        bytes.extend(message(libc::RTM_NEWADDR, 3, 0, "eth1"));
        bytes.extend(message(libc::RTM_DELLINK, 4, 0, "tap-with-a-name"));
        let mut news = Vec::new();
        parse(&bytes, &mut news);
        let of = |name: &str, index, state| LinkNews { name: name.into(), index, state };
        assert_eq!(
            news,
            [
                of("eth1", 3, LinkState::Up),
                of("eth1", 3, LinkState::Down),
                of("tap-with-a-name", 4, LinkState::Gone)
            ]
        );
    }

    proptest! {
        /// S9: any bytes are read without harm.
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes, &mut Vec::new());
        }
    }
}
