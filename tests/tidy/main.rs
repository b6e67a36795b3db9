//! The house style as tests: what CONTRIBUTING.md asks for and a program can see.

mod dependencies;
mod documents;
mod functions;
mod sources;
mod specification;
mod tree;
mod unsafety;
