//! Which set it is: a hash of its texts, a number in the history, a hash of each part to tell what changed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use earwitness_policy::document::{PolicyFile, Tenant};
use earwitness_policy::{Faults, Policy};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::files;

/// Bytes of a hash that are kept.
const HASH_BYTES: usize = 6;

/// A set in force, as traces and rows name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// In the history.
    pub number: i64,
    pub hash: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, self.hash)
    }
}

/// A set that was read and holds.
#[derive(Debug)]
pub struct Loaded {
    pub policy: Policy,
    /// Of all texts.
    pub hash: String,
    pub files: Vec<String>,
    /// A hash of each part, by name.
    pub parts: BTreeMap<String, String>,
}

impl Loaded {
    /// Reads and checks the files of a set as a whole.
    ///
    /// # Errors
    /// Everything that is wrong, files that cannot be read included.
    pub fn of(paths: &[PathBuf]) -> Result<Self, Faults> {
        files::load(paths, None)
    }

    pub(super) fn new(loaded: earwitness_policy::Loaded, texts: &[(String, String)]) -> Self {
        let mut hash = Sha256::new();
        for (_, text) in texts {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
        Self {
            parts: parts(&loaded.documents),
            policy: loaded.policy,
            hash: short(&hash.finalize()),
            files: texts.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

fn short(digest: &[u8]) -> String {
    digest.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Each tenant is a part; what all share is one.
fn parts(documents: &[PolicyFile]) -> BTreeMap<String, String> {
    let shared: Vec<PolicyFile> = documents
        .iter()
        .map(|document| PolicyFile { tenants: Vec::new(), ..document.clone() })
        .filter(|document| *document != PolicyFile::default())
        .collect();
    let all = (!shared.is_empty()).then(|| ("what all share".to_owned(), hash_of(&shared)));
    let tenants = documents.iter().flat_map(|document| &document.tenants);
    let tenant = |tenant: &Tenant| (format!("tenant {}", tenant.known_as()), hash_of(tenant));
    tenants.map(tenant).chain(all).collect()
}

fn hash_of(part: &impl Serialize) -> String {
    // Text keys and plain values: it cannot fail.
    let text = serde_json::to_vec(part).unwrap_or_default();
    short(&Sha256::digest(text))
}
