//! Policies as people write them: the types of the files, and nothing that decides.
//!
//! Keys of 001 to 003 have the names they have there. Every struct refuses unknown keys, but those below `kazoo`,
//! where a document of a KAZOO account, user or device is pasted as it is.

mod callflow;
mod endpoint;
mod force;
mod kazoo;
mod network;
mod on_demand;
mod parameters;
mod policy_file;
mod queue;
mod recording;
mod switch;
mod tenant;

pub use callflow::{Action, Callflow, Method, RecordCall, RecordCaller};
pub use endpoint::{Device, User};
pub use force::{Force, ForceRecord};
pub use kazoo::{Envelope, KazooAccount, KazooDevice, KazooSip, KazooUser};
pub use network::{Domains, Network, NetworkKind, NumberList, Numbering, Trunk};
pub use on_demand::{FeatureCodes, OnDemand, PauseMode};
pub use parameters::{Format, Parameters};
pub use policy_file::PolicyFile;
pub use queue::{Agent, Group, Queue};
pub use recording::{AccountRecording, Networks, Settings};
pub use switch::Switch;
pub use tenant::{Tenant, TransferredCalls};
