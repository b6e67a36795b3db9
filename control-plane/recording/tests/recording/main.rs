//! Recordings of made-up traffic: what goes in by packets comes out as audio, to the sample.

mod durable;
mod hostile;
mod media;
mod timeline;
mod traffic;
