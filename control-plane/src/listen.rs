//! A call in progress, as far as it is in the log (REC-4).
//!
//! The daemon is not asked: the log is the truth, and whoever reads it from where the daemon would begin again
//! finds the same calls. So listening costs the daemon nothing and cannot disturb it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use earwitness_recording::RenderReport;

use crate::call::Call;
use crate::config::{Config, ConfigError, RecordDefault};
use crate::finish::{JobError, Workshop, render_so_far};
use crate::follow::{FollowError, LogFollower, Note};
use crate::metrics::Metrics;
use crate::rules::Rules;
use crate::setup;

/// Why a call in progress cannot be heard.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Render(#[from] JobError),
    #[error("{count} calls in progress begin with id {id}: give more of it")]
    Ambiguous { id: String, count: usize },
}

/// Records read of each lane before the calls that ended by then are put away.
const BUDGET: usize = 65_536;

/// The call in progress that has `id` as its Call-ID, or as the beginning of its id. `note` is where the daemon
/// would begin to read.
///
/// # Errors
/// Several calls are meant, or the log cannot be read.
pub fn find(
    data_dir: &Path,
    config: &Config,
    note: &Note,
    id: &str,
) -> Result<Option<Call>, ListenError> {
    let metrics = Arc::new(Metrics::new());
    let mut follower = LogFollower::open(data_dir, &note.cursors, &metrics)?;
    // What the policy did not want is not in the log; what is there is to be found.
    let all = Rules::without_policies(RecordDefault::All);
    let mut intake = setup::intake(config, all, &metrics);
    while follower.signalling(u64::MAX, BUDGET, &mut intake) + follower.media(BUDGET, &mut intake)
        > 0
    {
        // The daemon's to finish and to command; here only what is still open counts.
        intake.tick(follower.read_until(follower.latest_ns()));
        while intake.next_finished().is_some() {}
        intake.table.take_superseded();
        intake.take_commands();
    }
    follower.rest(&mut intake)?;
    let is_meant = |call: &&Call| call.call_id == id || call.id.starts_with(id);
    let mut meant: Vec<&Call> = intake.table.iter().filter(is_meant).collect();
    match meant.len() {
        0 | 1 => Ok(meant.pop().cloned()),
        count => Err(ListenError::Ambiguous { id: id.to_owned(), count }),
    }
}

/// Renders what there is of `call` into `sink`; `None` while nobody has been heard.
///
/// # Errors
/// The log cannot be read, or `sink` cannot be written.
pub fn render(
    data_dir: &Path,
    config: &Config,
    call: &Call,
    sink: &mut dyn Write,
) -> Result<Option<RenderReport>, ListenError> {
    let aliases = config.aliases()?;
    let shop = Workshop {
        data_dir,
        options: &setup::render_options(config),
        aliases: &aliases,
        prefer: setup::recorded_leg(config),
        decoders: &setup::decoders(config, 1),
    };
    Ok(render_so_far(call, &shop, sink)?)
}
