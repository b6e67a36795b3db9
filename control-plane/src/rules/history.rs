//! The history: each set that came into force, who put it there, and what it changed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use earwitness_catalog::{Catalog, PolicyVersionRow, Timestamp};

use super::files::RulesError;
use super::in_force::Rules;
use super::version::{Loaded, Version};
use crate::config::Config;

/// By what a set came into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Start,
    /// SIGHUP, or `policy reload`.
    Reload,
    /// `policy apply`.
    Apply,
    /// `policy remove`.
    Remove,
    Replay,
}

/// What a set has otherwise than the one before, by the names of its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

/// A set that is in force.
#[derive(Debug)]
pub struct Kept {
    pub rules: Rules,
    /// `None`: it is the one that was in force.
    pub change: Option<Change>,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Apply => "apply",
            Self::Remove => "remove",
            Self::Replay => "replay",
        }
    }
}

/// Reads the policies of the configuration, and keeps them in the history of `data_dir` if they are new to it.
/// Without policies there is no version.
///
/// # Errors
/// The set is refused, or the history cannot be written.
pub fn keep(config: &Config, data_dir: &Path, (by, who): (By, &str)) -> Result<Kept, RulesError> {
    let rules = Rules::without_policies(config.recording.default);
    if config.policy.files.is_empty() {
        return Ok(Kept { rules, change: None });
    }
    let loaded = Loaded::of(&config.policy.files)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_ns(since.as_nanos() as u64);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RulesError::Runtime { source })?;
    let (version, change) = runtime.block_on(async {
        let catalog = Catalog::open(data_dir).await?;
        let entered = enter(&catalog, &loaded, (by, who), now).await;
        catalog.close().await;
        entered
    })?;
    tracing::info!(%version, tenants = loaded.policy.extent().tenants, who, "policies in force");
    Ok(Kept { rules: rules.with(loaded.policy, version), change })
}

async fn enter(
    catalog: &Catalog,
    loaded: &Loaded,
    (by, who): (By, &str),
    now: Timestamp,
) -> Result<(Version, Option<Change>), RulesError> {
    let last = catalog.last_policy_version().await?;
    if let Some(last) = last.as_ref().filter(|last| last.hash == loaded.hash) {
        return Ok((Version { number: last.number, hash: last.hash.clone() }, None));
    }
    let none = BTreeMap::new();
    let before = last.as_ref().map_or(&none, |last| &last.parts);
    let names = |of: &BTreeMap<String, String>, is_it: &dyn Fn(&String, &String) -> bool| {
        let found = of.iter().filter(|(name, hash)| is_it(name, hash));
        found.map(|(name, _)| name.clone()).collect::<Vec<String>>()
    };
    let change = Change {
        added: names(&loaded.parts, &|name, _| !before.contains_key(name)),
        changed: names(&loaded.parts, &|name, hash| {
            before.get(name).is_some_and(|known| known != hash)
        }),
        removed: names(before, &|name, _| !loaded.parts.contains_key(name)),
    };
    let row = PolicyVersionRow {
        number: last.as_ref().map_or(1, |last| last.number + 1),
        hash: loaded.hash.clone(),
        since: now,
        who: who.to_owned(),
        by: by.name().to_owned(),
        files: loaded.files.clone(),
        added: change.added.clone(),
        changed: change.changed.clone(),
        removed: change.removed.clone(),
        parts: loaded.parts.clone(),
    };
    catalog.keep_policy_version(&row).await?;
    Ok((Version { number: row.number, hash: row.hash }, Some(change)))
}

/// A user of this machine by name; `None`: the one that this process runs as.
#[must_use]
pub fn who(uid: Option<u32>) -> String {
    let own = || std::fs::metadata("/proc/self").map(|folder| folder.uid()).ok();
    let Some(uid) = uid.or_else(own) else { return "unknown".to_owned() };
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = users.lines().map(|line| line.split(':'));
    let name = lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> Config {
        let mut config = Config::default();
        config.policy.files = vec![folder.join("policies")];
        config
    }

    /// POL-1: a set has a number and a hash; the history says who put it there and what is otherwise than before.
    #[test]
    fn each_set_is_in_the_history_once() {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        let write = |name: &str, text: &str| std::fs::write(policies.join(name), text).unwrap();
        let keep = |by| keep(&config(folder.path()), folder.path(), (by, "ann"));
        write("a.json", r#"{ "tenants": [{ "id": "a" }, { "id": "b" }] }"#);
        write("note.txt", "no policy");
        let first = keep(By::Start).unwrap().rules.version.unwrap();
        let again = keep(By::Reload).unwrap();
        assert_eq!((first.number, Some(&first)), (1, again.rules.version.as_ref()));
        assert_eq!(again.change, None);
        write("a.json", r#"{ "tenants": [{ "id": "a", "catch_all": true }] }"#);
        write("b.toml", "[[tenants]]\nid = \"c\"\n");
        assert_eq!(keep(By::Reload).unwrap().rules.version.unwrap().number, 2);
        write("b.toml", "[[tenants]]\nid = \"a\"\n");
        let error = keep(By::Reload).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("is a tenant of"), "{error}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rows = runtime.block_on(async {
            Catalog::open_existing(folder.path()).await.unwrap().policy_versions().await.unwrap()
        });
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].who.as_str(), rows[1].by.as_str()), ("ann", "reload"));
        assert_eq!(rows[1].added, ["tenant c"]);
        assert_eq!(rows[1].changed, ["tenant a"]);
        assert_eq!(rows[1].removed, ["tenant b"]);
    }

    #[test]
    fn users_have_names() {
        assert_eq!(who(Some(0)), "root");
        assert_eq!(who(Some(4_000_000_000)), "uid 4000000000");
        assert!(!who(None).is_empty());
    }
}
