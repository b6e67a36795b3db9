//! What is generated from the command line's own description: manual pages and shell completion.

use std::path::Path;

use clap::CommandFactory;

use super::Cli;

/// Writes one page for the program and one for each command.
///
/// # Errors
/// The folder or a page cannot be written.
pub fn man_pages(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}

/// Prints the completion script of `shell` on standard output.
pub fn completion(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "earwitness", &mut std::io::stdout());
}
