//! The program `earwitness-codec`: decodes codecs of FFmpeg for other processes, locked in.
//!
//! It is started by [`earwitness_codec::WorkerPool`] with one socket as standard input and output,
//! locks itself in (`sandbox`), and answers requests until the socket closes. It has no arguments,
//! no configuration and no files. Only this program links FFmpeg.

mod ffmpeg;
mod serve;

use std::io;
use std::process::ExitCode;

use earwitness_codec::sandbox;

fn main() -> ExitCode {
    // What FFmpeg has to say about hostile bytes interests nobody, and costs time.
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
    // Without its cell this program does not touch a foreign byte.
    if let Err(error) = sandbox::enter() {
        eprintln!("earwitness-codec: {}", anyhow::Error::new(error));
        return ExitCode::FAILURE;
    }
    match serve::serve(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
