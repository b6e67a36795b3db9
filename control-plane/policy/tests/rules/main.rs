//! The rules as a whole: the matrices of 001, the settings of 002 and 003, a model of its own to compare with.

mod call;
mod identities;
mod matrices;
mod model;
mod property;
mod random;
mod refusals;
mod settings;
mod stories;
