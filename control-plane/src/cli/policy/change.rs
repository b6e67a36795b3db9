//! `policy reload`, `apply`, `remove`: other policies come into force while the daemon runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use earwitness_policy::Faults;
use serde_json::json;

use super::{PolicyError, REFUSED, changes, print, tell_faults};
use crate::cli::List;
use crate::cli::socket::{self, SocketError};
use crate::daemon::errand::{Errand, PolicyAnswer, PolicyRequest, PolicyResult};
use crate::rules::{Edit, Folder};

/// How long a set may take to be read: one of 10,000 tenants with 1,000,000 devices takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub struct Apply {
    /// Policy files, JSON or TOML; each takes the place of the one of its name, or is new.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub list: List,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// Names of files in the folder of policies.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub list: List,
}

/// The daemon reads its files again.
pub(super) fn reload(list: &List) -> Result<ExitCode, PolicyError> {
    let answer = ask(&list.data_dir, Errand::Reload)?;
    tell(answer, list.json)
}

pub(super) fn apply(asked: &Apply) -> Result<ExitCode, PolicyError> {
    let edits: Result<Vec<Edit>, _> = asked.files.iter().map(|file| Edit::put(file)).collect();
    let own_name = |file: &Path| {
        let is_it = |given: &&PathBuf| given.file_name() == file.file_name();
        asked.files.iter().find(is_it).cloned()
    };
    change(&asked.list, Errand::Apply, &edits?, own_name)
}

pub(super) fn remove(asked: &Remove) -> Result<ExitCode, PolicyError> {
    let edits = asked.names.iter().map(|name| Edit::Remove { name: name.clone() });
    change(&asked.list, Errand::Remove, &edits.collect::<Vec<_>>(), |_| None)
}

/// Checked as a whole, put there as a whole, and in force; or all is as it was.
fn change(
    list: &List,
    errand: Errand,
    edits: &[Edit],
    own_name: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<ExitCode, PolicyError> {
    let files = ask(&list.data_dir, Errand::Files)?.files;
    let folder = Folder::take(&files)?;
    let in_folder: Vec<PathBuf> = edits.iter().map(|edit| folder.file(edit.name())).collect();
    // Faults are told of the files that were given, not of where they would be.
    let renamed = |mut faults: Faults| {
        for fault in &mut faults.faults {
            let at = in_folder.iter().find(|at| Path::new(&fault.file) == at.as_path());
            if let Some(own) = at.and_then(|at| own_name(at)) {
                fault.file = own.display().to_string();
            }
        }
        faults
    };
    let copy = folder.copy(edits)?;
    if let Err(faults) = copy.check(&files) {
        return refuse(&renamed(faults), list.json, None);
    }
    copy.place()?;
    let answer = match ask(&list.data_dir, errand) {
        Ok(answer) => answer,
        Err(error) => {
            copy.take_back()?;
            return Err(PolicyError::TakenBack { source: error });
        }
    };
    if matches!(answer.result, PolicyResult::Refused | PolicyResult::Failed) {
        copy.take_back()?;
    }
    tell(answer, list.json)
}

fn ask(data_dir: &Path, policies: Errand) -> Result<PolicyAnswer, SocketError> {
    socket::ask(data_dir, &PolicyRequest { policies }, PATIENCE)
}

fn tell(answer: PolicyAnswer, is_json: bool) -> Result<ExitCode, PolicyError> {
    let version = answer.version.as_deref();
    let text = match answer.result {
        PolicyResult::Refused => {
            let faults = Faults { faults: answer.faults, left_out: answer.faults_left_out };
            return refuse(&faults, is_json, version);
        }
        PolicyResult::Failed => {
            let reason = answer.reason.unwrap_or_else(|| "it does not say why".to_owned());
            return Err(PolicyError::Failed { reason });
        }
        PolicyResult::Done | PolicyResult::Unchanged if is_json => json!({
            "result": answer.result,
            "version": version,
            "added": answer.added,
            "changed": answer.changed,
            "removed": answer.removed,
            "names_left_out": answer.names_left_out,
        })
        .to_string(),
        PolicyResult::Unchanged => {
            format!("nothing is otherwise: policies {} are in force", version.unwrap_or("none"))
        }
        PolicyResult::Done => {
            let mut what = changes(&answer.added, &answer.changed, &answer.removed);
            if what.is_empty() {
                what = "they are written otherwise, and say the same".to_owned();
            }
            if answer.names_left_out > 0 {
                what += &format!("; and {} more, see policy history", answer.names_left_out);
            }
            format!("policies {} are in force: {what}", version.unwrap_or("none"))
        }
    };
    print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// As `check` does; and which set stays.
fn refuse(faults: &Faults, is_json: bool, version: Option<&str>) -> Result<ExitCode, PolicyError> {
    tell_faults(faults, is_json)?;
    let stays = version.map_or_else(|| "what is".to_owned(), |version| format!("set {version}"));
    eprintln!("earwitness: the policies are refused for the faults above; {stays} stays in force");
    Ok(ExitCode::from(REFUSED))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::daemon::desk;

    /// A daemon that reads `folder`, and says `answer` to who has changed it; a failure without reason is silence.
    fn daemon(data_dir: &Path, folder: &Path, answer: &PolicyAnswer) -> thread::JoinHandle<()> {
        fs::create_dir_all(data_dir.join("run")).unwrap();
        let listener = UnixListener::bind(desk::path(data_dir)).unwrap();
        let answers = [PolicyAnswer::files(&[folder.to_owned()]), answer.clone()];
        thread::spawn(move || {
            for answer in answers {
                let (mut guest, _) = listener.accept().unwrap();
                BufReader::new(&guest).read_line(&mut String::new()).unwrap();
                if answer.result != PolicyResult::Failed || answer.reason.is_some() {
                    let line = serde_json::to_string(&answer).unwrap() + "\n";
                    guest.write_all(line.as_bytes()).unwrap();
                }
            }
        })
    }

    /// POL-1: a change that the daemon refuses, or of which it does not say that it is in force, is taken back.
    #[test]
    fn taken_back() {
        let refused = PolicyAnswer::new(PolicyResult::Refused, Some("1-hash".to_owned()));
        let silent = PolicyAnswer::new(PolicyResult::Failed, None);
        let failed = PolicyAnswer::failed("the disk is full", None);
        let done = PolicyAnswer::new(PolicyResult::Done, None);
        for (answer, stays) in [(refused, false), (silent, false), (failed, false), (done, true)] {
            let above = tempfile::tempdir().unwrap();
            let folder = above.path().join("policies");
            fs::create_dir(&folder).unwrap();
            let given = above.path().join("a.json");
            fs::write(&given, "{}").unwrap();
            let served = daemon(above.path(), &folder, &answer);
            let list = List { data_dir: above.path().to_owned(), json: false };
            let result = apply(&Apply { files: vec![given], list });
            served.join().unwrap();
            assert_eq!(folder.join("a.json").exists(), stays, "{answer:?}");
            let is_told = match answer.result {
                PolicyResult::Failed if answer.reason.is_none() => {
                    matches!(result, Err(PolicyError::TakenBack { .. }))
                }
                PolicyResult::Failed => matches!(result, Err(PolicyError::Failed { .. })),
                _ => result.is_ok(),
            };
            assert!(is_told, "{answer:?}");
            assert!(!above.path().join(".policies.next").exists());
        }
    }
}
