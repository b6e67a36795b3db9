//! Where the other two programs are: beside this one, or on PATH, unless configuration says.

use std::path::{Path, PathBuf};

pub const CAPTURE: &str = "earwitness-capture";
pub const CODEC: &str = "earwitness-codec";

/// A program that is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("{name} is neither beside earwitness nor on PATH{configured}")]
pub struct NotFound {
    name: &'static str,
    configured: String,
}

/// Finds `name`; `configured` wins where it is not empty.
///
/// # Errors
/// It is not there.
pub fn find(name: &'static str, configured: &Path) -> Result<PathBuf, NotFound> {
    if !configured.as_os_str().is_empty() {
        let is_there = configured.is_file();
        return is_there.then(|| configured.to_owned()).ok_or_else(|| NotFound {
            name,
            configured: format!(": {} is no file", configured.display()),
        });
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&on_path))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .ok_or(NotFound { name, configured: String::new() })
}
