//! What runs on a machine as its heartbeat: ours, or the model of the classic.

use super::classic::Classic;
use crate::daemon::{Action, Daemon, Event};
use crate::ids::MediumId;
use crate::time::{Instant, Now};

#[derive(Debug)]
pub enum Program {
    Ours(Box<Daemon>),
    Classic(Box<Classic>),
}

impl Program {
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        match self {
            Self::Ours(daemon) => daemon.handle(now, event),
            Self::Classic(classic) => classic.handle(now, event),
        }
    }

    pub fn receive(&mut self, now: Now, medium: MediumId, bytes: &[u8]) -> Vec<Action> {
        match self {
            Self::Ours(daemon) => daemon.receive(now, medium, bytes),
            Self::Classic(classic) => classic.receive(now, medium, bytes),
        }
    }

    pub fn deadline(&self) -> Instant {
        match self {
            Self::Ours(daemon) => daemon.deadline(),
            Self::Classic(classic) => classic.deadline(),
        }
    }

    pub fn is_active(&self) -> bool {
        match self {
            Self::Ours(daemon) => daemon.is_active(),
            Self::Classic(classic) => classic.is_active(),
        }
    }

    pub fn ours(&self) -> Option<&Daemon> {
        match self {
            Self::Ours(daemon) => Some(daemon),
            Self::Classic(_) => None,
        }
    }

    pub fn classic(&self) -> Option<&Classic> {
        match self {
            Self::Ours(_) => None,
            Self::Classic(classic) => Some(classic),
        }
    }
}
