//! Names of the program, its maps and its settings, as they stand in the object.

pub const PROGRAM: &str = "earwitness";

/// Array of `verdicts::BucketV4`.
pub const VERDICTS_V4: &str = "VERDICTS_V4";
/// Array of `verdicts::BucketV6`.
pub const VERDICTS_V6: &str = "VERDICTS_V6";
/// Array of one `SipPorts`.
pub const SIP_PORTS: &str = "SIP_PORTS";
/// LRU hash: `Connection` to u64.
pub const TCP_CONNECTIONS: &str = "TCP_CONNECTIONS";
/// Per-CPU array of one `[u64; COUNTERS]`.
pub const COUNTERS: &str = "COUNTERS";
/// Array of `ring::Chunk`: those of all rings, one ring's behind another's.
pub const CHUNKS: &str = "CHUNKS";
/// Array of `ring::Control`, by `record::ring_index`.
pub const CONTROLS: &str = "CONTROLS";
/// XSKMAP: AF_XDP sockets, by `queue * SOCKETS_PER_QUEUE + flow hash % SOCKETS_PER_QUEUE`.
pub const SOCKETS: &str = "SOCKETS";

/// Array of one `verdicts::Table`.
pub const VERDICT_TABLE: &str = "VERDICT_TABLE";
/// `[u64; 2]`, secret.
pub const VERDICT_SEED: &str = "VERDICT_SEED";
/// u32 of `settings::UNMATCHED_*`.
pub const UNMATCHED: &str = "UNMATCHED";
/// u32 of `settings::OUTPUT_*`.
pub const OUTPUT: &str = "OUTPUT";
/// u32, at least 1.
pub const SOCKETS_PER_QUEUE: &str = "SOCKETS_PER_QUEUE";
/// u64 of `VXLAN_PORTS_MAX` ports, 16 bits each; 0 is none.
pub const VXLAN_PORTS: &str = "VXLAN_PORTS";
