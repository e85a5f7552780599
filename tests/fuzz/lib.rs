//! The targets for the programs in `bin/`; `tests/fuzz_corpus.rs` runs the same ones over the corpus on every test run.

pub mod targets;
