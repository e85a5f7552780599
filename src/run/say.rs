//! How what our processes say to each other waits while the other one does not read: what must not be lost, and what a
//! newer one takes the place of. So a process that is stopped costs the others a bounded amount of memory.

use super::link::{ToCore, ToHeir, ToMaster};
use crate::sys::pair::{End, Waits};
use std::os::fd::OwnedFd;

pub fn to_core(link: &mut End, said: &ToCore, fd: Option<OwnedFd>) {
    link.send_as(for_core(said), said.encode(), fd);
}

pub fn to_master(link: &mut End, said: &ToMaster) {
    link.send_as(for_master(said), said.encode(), None);
}

pub fn to_heir(link: &mut End, said: &ToHeir, fd: Option<OwnedFd>) {
    link.send_as(for_heir(said), said.encode(), fd);
}

fn for_core(said: &ToCore) -> Waits {
    match said {
        // The programs, the scripts and the files as they are now.
        ToCore::Clients { .. } => Waits::Newest("clients"),
        ToCore::Scripts { .. } => Waits::Newest("scripts"),
        ToCore::Reload { .. } => Waits::Newest("reload"),
        ToCore::Debug { .. } => Waits::Newest("debug"),
        ToCore::Renewed { .. } => Waits::Newest("renewed"),
        ToCore::Watchdog => Waits::Newest("watchdog"),
        ToCore::Stop | ToCore::End => Waits::Once,
        // As many as the core has asked for.
        ToCore::Begin { .. } | ToCore::Opened { .. } | ToCore::NotOpened { .. } | ToCore::Ended { .. } => Waits::Each,
        // Not sent to a core that is behind.
        ToCore::Sighted { .. } => Waits::Each,
    }
}

fn for_master(said: &ToMaster) -> Waits {
    match said {
        // One renewal is all a beat needs; the node tables and the status say everything each time.
        ToMaster::Renew { .. } => Waits::Newest("renew"),
        ToMaster::Nodes { .. } => Waits::Newest("nodes"),
        ToMaster::Status { .. } => Waits::Newest("status"),
        ToMaster::Wake { .. } | ToMaster::Drop { .. } | ToMaster::Lookout { .. } | ToMaster::Open { .. } => Waits::Once,
        // What is held is told before the script is ordered that it is held for, and does not change again before that has
        // ended: this order stays.
        ToMaster::Held { .. } | ToMaster::Run { .. } | ToMaster::Fence { .. } => Waits::Each,
        // Not sent to a master that is behind.
        ToMaster::Notice { .. } => Waits::Each,
        // Once in a life.
        ToMaster::Ready { .. } | ToMaster::Active | ToMaster::Released | ToMaster::Stopped => Waits::Each,
    }
}

fn for_heir(said: &ToHeir) -> Waits {
    match said {
        ToHeir::Keep { .. } => Waits::Newest("keep"),
        ToHeir::Watchdog => Waits::Newest("watchdog"),
        ToHeir::Generations { .. } => Waits::Newest("generations"),
        ToHeir::Stopping => Waits::Once,
        ToHeir::Output { .. } | ToHeir::Goodbye => Waits::Each,
    }
}
