//! Loads the XDP program, attaches it, and owns its maps.
//!
//! What the program does stands in `design/xdp.md`. Reading its rings and sockets belongs to the sources. After
//! loading and attaching, everything here is lookups and updates of open maps (`bpf(2)` commands 1 to 3), which need
//! no privilege.

mod counters;
mod cuckoo;
mod error;
mod map;
mod slots;
mod verdicts;

use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::maps::{Map, XskMap};
use aya::programs::links::FdLink;
use aya::programs::{ProgramError as AyaError, Xdp, XdpMode};
use aya::util::{nr_cpus, online_cpus};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use earwitness_abi::limits::{TCP_CONNECTIONS_DEFAULT, VERDICTS_DEFAULT};
use earwitness_abi::record::{Class, RINGS_PER_CPU, ring_index};
use earwitness_abi::ring::{CHUNK_BYTES, Control};
use earwitness_abi::verdicts::buckets_for;
use earwitness_abi::{COUNTERS, Connection, SipPorts, names, settings};
use earwitness_wire::limits::{VXLAN_PORT, VXLAN_PORTS_MAX};
use earwitness_wire::{Endpoint, Options, Verdict};

pub use counters::ProgramCounters;
use cuckoo::Full;
pub use error::ProgramError;
use map::ElementMap;
use verdicts::{Maps, VerdictTable};

/// The object that build.rs made.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/earwitness-xdp"));

/// What becomes of frames that nobody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Dropped in the driver, and so is what was taken: for a port that only taps.
    #[default]
    Drop,
    /// Every frame goes on to the host; what is wanted is copied: for a port that a live host uses.
    Pass,
}

/// Where frames go that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Into two rings of each CPU that is online. Sizes are powers of two, and at least a chunk.
    Rings { media_bytes: u32, signalling_bytes: u32 },
    /// To AF_XDP sockets. Slots are numbered by queue: use one program for each interface.
    Sockets { queues: u32, sockets_per_queue: u32 },
}

/// What is fixed when the program is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOptions {
    pub output: Output,
    pub unmatched: Unmatched,
    /// Verdicts there is room for; those of an even port and the odd one behind it count once.
    pub verdicts_max: u32,
    /// TCP connections known to carry signalling; the least recently used gives way.
    pub tcp_connections_max: u32,
    pub sip_ports: Vec<u16>,
    /// UDP ports at which VXLAN is looked for, at most four; 0 is none.
    pub vxlan_ports: Vec<u16>,
}

impl ProgramOptions {
    /// The defaults, for an output.
    #[must_use]
    pub fn new(output: Output) -> Self {
        Self {
            output,
            unmatched: Unmatched::Drop,
            verdicts_max: VERDICTS_DEFAULT,
            tcp_connections_max: TCP_CONNECTIONS_DEFAULT,
            sip_ports: vec![5060],
            vxlan_ports: vec![VXLAN_PORT],
        }
    }

    fn vxlan_ports(&self) -> Result<[u16; VXLAN_PORTS_MAX], ProgramError> {
        let count = self.vxlan_ports.len();
        Options::with_vxlan_ports(&self.vxlan_ports)
            .map(|options| options.vxlan_ports)
            .ok_or(ProgramError::TooManyVxlanPorts { count })
    }

    fn check(&self) -> Result<(), ProgramError> {
        match self.output {
            Output::Rings { media_bytes, signalling_bytes } => {
                for bytes in [media_bytes, signalling_bytes] {
                    if !bytes.is_power_of_two() || bytes < CHUNK_BYTES {
                        return Err(ProgramError::RingBytes { bytes });
                    }
                }
                Ok(())
            }
            Output::Sockets { .. } if self.unmatched == Unmatched::Pass => {
                Err(ProgramError::SocketsCannotPass)
            }
            Output::Sockets { queues, sockets_per_queue } => {
                match queues.checked_mul(sockets_per_queue) {
                    Some(1..) => Ok(()),
                    _ => Err(ProgramError::NoSockets { queues, sockets_per_queue }),
                }
            }
        }
    }
}

/// How to attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver if it can, else generic.
    #[default]
    Auto,
    Native,
    Generic,
}

/// How it was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    /// In the driver, before a socket buffer is made.
    Native,
    /// In the network stack: several times slower.
    Generic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachReport {
    pub mode: AttachedMode,
    /// Why it is not native, in the kernel's words; none if it is, or if generic was asked for.
    pub reason: Option<String>,
}

/// The rings of one CPU.
#[derive(Debug)]
pub struct CpuRings {
    pub cpu: u32,
    pub media: RingMaps,
    pub signalling: RingMaps,
}

/// What one ring is made of.
#[derive(Debug)]
pub struct RingMaps {
    /// Those of all rings are in one map.
    pub chunks: OwnedFd,
    /// The first of this ring.
    pub first_chunk: u32,
    /// Where its words are: those of all rings are in one map.
    pub controls: OwnedFd,
    pub index: u32,
    pub bytes: u32,
}

/// The loaded program. When it is dropped, or its process dies, it is detached.
#[derive(Debug)]
pub struct Program {
    links: Vec<(String, FdLink)>,
    ebpf: Ebpf,
    verdicts: Mutex<VerdictTable>,
    verdicts_max: u32,
    sip_ports: ElementMap,
    tcp_connections: ElementMap,
    counters: ElementMap,
    cpus_possible: usize,
    rings: Vec<CpuRings>,
    output: Output,
}

impl Program {
    /// Loads the program and makes its maps and rings. Needs CAP_BPF and CAP_NET_ADMIN, and kernel 6.1.
    ///
    /// # Errors
    /// Options that exclude each other, or what the kernel refuses.
    pub fn load(options: &ProgramOptions) -> Result<Self, ProgramError> {
        options.check()?;
        let cpus_possible =
            nr_cpus().map_err(|(path, source)| ProgramError::Cpus { path, source })?;
        let seed = random_seed();
        let mut ebpf = load_object(options, cpus_possible, seed)?;
        xdp_mut(&mut ebpf)?.load().map_err(|source| ProgramError::Verify { source })?;
        let mut program = Self {
            links: Vec::new(),
            verdicts: Mutex::new(verdict_table(&ebpf, options.verdicts_max, seed)?),
            verdicts_max: options.verdicts_max,
            sip_ports: element_map(&ebpf, names::SIP_PORTS)?,
            tcp_connections: element_map(&ebpf, names::TCP_CONNECTIONS)?,
            counters: element_map(&ebpf, names::COUNTERS)?,
            cpus_possible,
            rings: Vec::new(),
            output: options.output,
            ebpf,
        };
        program.set_sip_ports(&options.sip_ports)?;
        program.make_rings()?;
        Ok(program)
    }

    /// Attaches to an interface. A program may be attached to several, unless it feeds sockets.
    ///
    /// # Errors
    /// There is no such interface, another program is there, or the kernel refuses the mode.
    pub fn attach(
        &mut self,
        interface: &str,
        mode: AttachMode,
    ) -> Result<AttachReport, ProgramError> {
        if mode == AttachMode::Generic {
            self.attach_as(interface, XdpMode::Skb)?;
            return Ok(AttachReport { mode: AttachedMode::Generic, reason: None });
        }
        match self.attach_as(interface, XdpMode::Driver) {
            Ok(()) => Ok(AttachReport { mode: AttachedMode::Native, reason: None }),
            Err(error) if mode == AttachMode::Native || error.is_final() => Err(error),
            Err(error) => {
                self.attach_as(interface, XdpMode::Skb)?;
                let reason = Some(error.cause());
                Ok(AttachReport { mode: AttachedMode::Generic, reason })
            }
        }
    }

    fn attach_as(&mut self, interface: &str, mode: XdpMode) -> Result<(), ProgramError> {
        let failed = |source| ProgramError::Attach { interface: interface.to_owned(), source };
        let xdp = xdp_mut(&mut self.ebpf)?;
        let id = xdp.attach(interface, mode).map_err(failed)?;
        let link = xdp.take_link(id).map_err(failed)?;
        // Without a descriptor the program would outlive us, and drop the host's packets for nobody.
        let link = FdLink::try_from(link)
            .map_err(|_| ProgramError::NoLink { interface: interface.to_owned() })?;
        self.links.push((interface.to_owned(), link));
        Ok(())
    }

    /// Detaches from an interface; whether it was attached.
    pub fn detach(&mut self, interface: &str) -> bool {
        let before = self.links.len();
        self.links.retain(|(name, _)| name != interface);
        self.links.len() < before
    }

    /// Sets the verdict of a flow.
    ///
    /// # Errors
    /// The table is full.
    pub fn set_verdict(&self, dst: &Endpoint, verdict: Verdict) -> Result<(), ProgramError> {
        let max = self.verdicts_max;
        self.verdicts().set(dst, verdict).map_err(|Full| ProgramError::VerdictsFull { max })
    }

    /// Forgets a flow; whether it was known.
    pub fn forget_verdict(&self, dst: &Endpoint) -> bool {
        self.verdicts().remove(dst)
    }

    /// The verdict that the program finds for a flow.
    #[must_use]
    pub fn verdict(&self, dst: &Endpoint) -> Option<Verdict> {
        self.verdicts().get(dst)
    }

    fn verdicts(&self) -> MutexGuard<'_, VerdictTable> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the SIP ports.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_sip_ports(&self, ports: &[u16]) -> Result<(), ProgramError> {
        let mut bits = SipPorts::NONE;
        for port in ports {
            bits.insert(*port);
        }
        self.sip_ports.update(&0_u32.to_ne_bytes(), &bits.to_bytes())
    }

    /// From now on this connection is signalling, in both directions.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn learn_tcp(&self, a: &Endpoint, b: &Endpoint) -> Result<(), ProgramError> {
        self.tcp_connections.update(&Connection::new(a, b).to_bytes(), &1_u64.to_ne_bytes())
    }

    /// Forgets a connection; whether it was known.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn forget_tcp(&self, a: &Endpoint, b: &Endpoint) -> Result<bool, ProgramError> {
        self.tcp_connections.delete(&Connection::new(a, b).to_bytes())
    }

    /// The counters, summed over all CPUs. They only grow.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn counters(&self) -> Result<ProgramCounters, ProgramError> {
        let mut values = vec![0; self.cpus_possible * COUNTERS * size_of::<u64>()];
        self.counters.lookup(&0_u32.to_ne_bytes(), &mut values)?;
        Ok(ProgramCounters::sum(&values))
    }

    /// The rings of each CPU that is online; none if the output is sockets.
    #[must_use]
    pub fn rings(&self) -> &[CpuRings] {
        &self.rings
    }

    /// Puts a socket, bound to this queue, at its place: `index` counts the sockets of the queue.
    ///
    /// # Errors
    /// There is no such place, or the kernel refuses.
    pub fn insert_socket(
        &mut self,
        queue: u32,
        index: u32,
        socket: BorrowedFd<'_>,
    ) -> Result<(), ProgramError> {
        let Output::Sockets { queues, sockets_per_queue } = self.output else {
            return Err(ProgramError::NoSlot { queue, index });
        };
        if queue >= queues || index >= sockets_per_queue {
            return Err(ProgramError::NoSlot { queue, index });
        }
        let map = self
            .ebpf
            .map_mut(names::SOCKETS)
            .ok_or(ProgramError::Missing { name: names::SOCKETS })?;
        XskMap::try_from(map)
            .and_then(|mut map| map.set(queue * sockets_per_queue + index, socket.as_raw_fd(), 0))
            .map_err(|source| ProgramError::Socket { queue, index, source })
    }

    /// The program itself, for `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    /// The object has no such program, which build.rs excludes.
    pub fn xdp(&self) -> Result<&Xdp, ProgramError> {
        let missing = ProgramError::Missing { name: names::PROGRAM };
        let program = self.ebpf.program(names::PROGRAM).ok_or(missing)?;
        program.try_into().map_err(|source| ProgramError::Verify { source })
    }

    fn make_rings(&mut self) -> Result<(), ProgramError> {
        let Output::Rings { media_bytes, signalling_bytes } = self.output else { return Ok(()) };
        let chunks = element_map(&self.ebpf, names::CHUNKS)?;
        let controls = element_map(&self.ebpf, names::CONTROLS)?;
        let mut next_chunk = 0;
        let mut make = |cpu, class, bytes| {
            let (index, first_chunk) = (ring_index(cpu, class), next_chunk);
            next_chunk += bytes / CHUNK_BYTES;
            controls.update(&index.to_ne_bytes(), &Control::empty(bytes, first_chunk))?;
            let (chunks, controls) = (chunks.share()?, controls.share()?);
            Ok(RingMaps { chunks, first_chunk, controls, index, bytes })
        };
        for cpu in cpus()? {
            let media = make(cpu, Class::Media, media_bytes)?;
            let signalling = make(cpu, Class::Signalling, signalling_bytes)?;
            self.rings.push(CpuRings { cpu, media, signalling });
        }
        Ok(())
    }
}

/// Those that have rings.
fn cpus() -> Result<Vec<u32>, ProgramError> {
    online_cpus().map_err(|(path, source)| ProgramError::Cpus { path, source })
}

fn load_object(
    options: &ProgramOptions,
    cpus_possible: usize,
    seed: [u64; 2],
) -> Result<Ebpf, ProgramError> {
    let vxlan_ports = packed(options.vxlan_ports()?);
    let unmatched = match options.unmatched {
        Unmatched::Drop => settings::UNMATCHED_DROP,
        Unmatched::Pass => settings::UNMATCHED_PASS,
    };
    let (output, sockets, sockets_per_queue) = match options.output {
        Output::Rings { .. } => (settings::OUTPUT_RING, 1, 1),
        Output::Sockets { queues, sockets_per_queue } => {
            (settings::OUTPUT_SOCKET, queues * sockets_per_queue, sockets_per_queue)
        }
    };
    let chunks = match options.output {
        Output::Rings { media_bytes, signalling_bytes } => {
            let each = media_bytes / CHUNK_BYTES + signalling_bytes / CHUNK_BYTES;
            each * cpus()?.len() as u32
        }
        Output::Sockets { .. } => 1,
    };
    EbpfLoader::new()
        .override_global(names::VERDICT_SEED, &seed, true)
        .override_global(names::UNMATCHED, &unmatched, true)
        .override_global(names::OUTPUT, &output, true)
        .override_global(names::SOCKETS_PER_QUEUE, &sockets_per_queue, true)
        .override_global(names::VXLAN_PORTS, &vxlan_ports, true)
        .map_max_entries(names::VERDICTS_V4, buckets_for(options.verdicts_max))
        .map_max_entries(names::VERDICTS_V6, buckets_for(options.verdicts_max))
        .map_max_entries(names::TCP_CONNECTIONS, options.tcp_connections_max)
        .map_max_entries(names::CHUNKS, chunks)
        .map_max_entries(names::CONTROLS, cpus_possible as u32 * RINGS_PER_CPU)
        .map_max_entries(names::SOCKETS, sockets)
        .load(OBJECT)
        .map_err(|source| ProgramError::Load { source })
}

/// As the program compares them: all at once.
fn packed(ports: [u16; VXLAN_PORTS_MAX]) -> u64 {
    ports.iter().fold(0, |word, port| word << 16 | u64::from(*port))
}

/// From the operating system's entropy.
fn random_seed() -> [u64; 2] {
    let state = RandomState::new();
    [state.hash_one(1), state.hash_one(2)]
}

fn xdp_mut(ebpf: &mut Ebpf) -> Result<&mut Xdp, ProgramError> {
    let missing = ProgramError::Missing { name: names::PROGRAM };
    let program = ebpf.program_mut(names::PROGRAM).ok_or(missing)?;
    program.try_into().map_err(|source: AyaError| ProgramError::Verify { source })
}

fn verdict_table(
    ebpf: &Ebpf,
    verdicts_max: u32,
    seed: [u64; 2],
) -> Result<VerdictTable, ProgramError> {
    let share = |name| element_map(ebpf, name)?.share();
    let v4 = share(names::VERDICTS_V4)?;
    let v6 = share(names::VERDICTS_V6)?;
    let table = share(names::VERDICT_TABLE)?;
    let maps = Maps { v4: v4.as_fd(), v6: v6.as_fd(), table: table.as_fd() };
    let failed = |source| ProgramError::Map { name: names::VERDICT_TABLE, action: "map", source };
    VerdictTable::map(maps, seed, verdicts_max).map_err(failed)
}

fn element_map(ebpf: &Ebpf, name: &'static str) -> Result<ElementMap, ProgramError> {
    let data = match ebpf.map(name) {
        Some(
            Map::HashMap(data) | Map::LruHashMap(data) | Map::Array(data) | Map::PerCpuArray(data),
        ) => data,
        _ => return Err(ProgramError::Missing { name }),
    };
    let map = data.fd().as_fd().try_clone_to_owned();
    map.map(|map| ElementMap::new(name, map)).map_err(|source| ProgramError::Map {
        name,
        action: "duplicate",
        source,
    })
}
