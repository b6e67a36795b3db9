//! `replay` as people and programs see it: a bar while it runs, lines as calls are finished, a summary.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Replay;
use crate::config::Config;
use crate::finish::Done;
use crate::replay::{self, Progress, ReplayError, Summary};
use crate::setup;

struct Screen {
    bar: ProgressBar,
    json: bool,
}

impl Progress for Screen {
    fn at(&mut self, bytes: u64, of: Option<u64>, calls: u64) {
        if let Some(of) = of {
            self.bar.set_length(of);
        }
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{calls} calls"));
    }

    fn done(&mut self, done: &Done) {
        if !self.json {
            return;
        }
        let mut out = std::io::stdout().lock();
        let mut line = |kind: &str, row: serde_json::Result<serde_json::Value>| {
            let Ok(serde_json::Value::Object(mut row)) = row else { return };
            row.insert("type".to_owned(), kind.into());
            // A reader that is gone does not stop the recording.
            let _ = writeln!(out, "{}", serde_json::Value::Object(row));
        };
        line("call", serde_json::to_value(&done.call));
        for recording in &done.recordings {
            line("recording", serde_json::to_value(recording));
        }
    }
}

/// Replays what the command line names.
///
/// # Errors
/// As [`replay::replay`], and a configuration that is not valid.
pub fn replay_files(asked: &Replay) -> Result<(), ReplayError> {
    let config = asked.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if std::io::stderr().is_terminal() {
        let style = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg} {eta}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.enable_steady_tick(Duration::from_millis(250));
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let mut screen = Screen { bar, json: asked.json };
    setup::use_small_pages();
    let summary = replay::replay(&asked.files, &asked.data_dir, &config, &mut screen)?;
    screen.bar.finish_and_clear();
    tell(&summary, asked);
    Ok(())
}

fn tell(summary: &Summary, asked: &Replay) {
    let mut out = std::io::stdout().lock();
    let written = if asked.json {
        let mut line = serde_json::json!({ "type": "summary" });
        if let (Some(line), Ok(serde_json::Value::Object(fields))) =
            (line.as_object_mut(), serde_json::to_value(summary))
        {
            line.extend(fields);
        }
        writeln!(out, "{line}")
    } else {
        writeln!(
            out,
            "{} packets, {} calls, {} recordings in {}",
            summary.packets,
            summary.calls,
            summary.recordings,
            asked.data_dir.display()
        )
    };
    // A reader that is gone does not make the replay a failure.
    drop(written);
}
