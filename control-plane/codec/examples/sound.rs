//! Writes the sound of the test vectors to standard output: 16-bit samples, little-endian.
//!
//! `cargo run --example sound 8000 > sound.raw`

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let rate: u32 = std::env::args().nth(1).unwrap_or_default().parse()?;
    let bytes: Vec<u8> =
        earwitness_codec::vectors::sound(rate).iter().flat_map(|s| s.to_le_bytes()).collect();
    std::io::stdout().lock().write_all(&bytes)?;
    Ok(())
}
