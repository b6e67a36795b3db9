//! The control plane: follows the segment log, knows the calls, finishes recordings, keeps the catalog, answers
//! people and Prometheus.
//!
//! | module | what it does |
//! |---|---|
//! | [`follow`], [`intake`] | every record of the log, once: SIP to dialogs, media to calls |
//! | [`call`] | what a call is: parties, bindings, streams, decision, trace |
//! | [`rules`] | the policies in force, their history |
//! | [`control`] | who may start, stop, pause and mask while a call runs |
//! | [`finish`] | a finished call to a durable recording and its rows |
//! | [`replay`], [`daemon`] | the two ways to run: over capture files, and live |
//! | [`cli`], [`config`], [`http`], [`metrics`], [`doctor`], [`check`], [`export`], [`listen`] | the outside |

pub mod call;
pub mod check;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod export;
pub mod finish;
pub mod follow;
pub mod http;
pub mod intake;
pub mod listen;
pub mod metrics;
pub mod programs;
pub mod replay;
pub mod rules;
pub mod setup;
