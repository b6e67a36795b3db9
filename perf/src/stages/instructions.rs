//! Instructions of a stage, counted by callgrind: the same number on a busy machine.

use std::process::Command;

use anyhow::{Context as _, bail};

use super::{Scale, Stage};
use crate::figure::{Figure, Spread};

/// Runs one round of the stage under callgrind.
pub fn of(stage: &Stage) -> anyhow::Result<Figure> {
    let program = std::env::current_exe().context("this program's path is unknown")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*earwitness_perf_measured*"])
        .arg(program)
        .args(["stages", "--once", stage.name])
        .output()
        .context("valgrind cannot be started: apt-get install valgrind")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    let items = |line: &str| line.strip_prefix(stage.name)?.trim().parse::<f64>().ok();
    let (Some(collected), Some(items)) = (collected(&errors), printed.lines().find_map(items))
    else {
        bail!("valgrind counted nothing: {errors}");
    };
    let each = collected / items;
    let (unit, value) = match stage.scale {
        Scale::Each(item) => (format!("instructions per {item}"), each),
        Scale::RealTime => ("instructions per s of sound".to_owned(), each * 1e3),
    };
    let spread = Spread::of(&[value]).context("one value")?;
    Ok(Figure { name: stage.name.to_owned(), unit, spread })
}

/// Of the line `==1== Collected : 12345`.
fn collected(errors: &str) -> Option<f64> {
    let line = errors.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrind_is_understood() {
        assert_eq!(collected("==7== \n==7== Collected : 1234\n"), Some(1234.0));
        assert_eq!(collected("==7== Events"), None);
    }
}
