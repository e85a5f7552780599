//! One cluster of two programs: heartbeat 3.0.6 itself in one node, ours in the other, in the lab.
//!
//! Every scenario runs twice at the same time, in labs of its own: with ours as the primary and with ours as the
//! secondary node. At its end the classic's log may have no ERROR but those of `bed::KNOWN` and of `Setup::known`,
//! and each part of it that was measured is printed as a row of the table in hb_migrate(7): `ROW | scenario | ours primary | ours secondary`.
//! Without the packages (`tests/interop/packages` gets them) or without root they say `SKIPPED: reason` and pass.

mod bad_cable;
mod bed;
mod clients;
mod failing;
mod ipfail;
mod keys;
mod leaving;
mod legacy;
mod media;
mod moves;
mod partition;
mod replacement;
mod self_test;
mod starting;
