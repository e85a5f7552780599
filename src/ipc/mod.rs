//! FIFOs: the command FIFO, the conversation FIFOs of clients, and the client library of every tool.

pub mod client;
pub mod server;
