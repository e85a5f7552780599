//! What connected programs may ask the daemon, and the answers: the client API of heartbeat 1.x.
//!
//! Pure. The FIFOs are in [`crate::ipc`].

use crate::daemon::Identity;
use crate::daemon::view::View;
use crate::ids::ClientId;
use crate::msg::Message;
use crate::time::Now;

/// What a request or an event leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Reply { client: ClientId, message: Message },
    Drop { client: ClientId },
}

/// The programs that have signed on.
#[derive(Debug, Default)]
pub struct Clients {}

impl Clients {
    pub fn request(
        &mut self,
        _now: Now,
        _client: ClientId,
        _who: Identity,
        _message: &Message,
        _view: &View<'_>,
    ) -> Vec<Answer> {
        unimplemented!()
    }

    pub fn gone(&mut self, _client: ClientId) {
        unimplemented!()
    }

    /// Hands an accepted message, or a change (`status`, `ifstat`, `hb_phase`), to every client that wants it.
    pub fn publish(&mut self, _message: &Message) -> Vec<Answer> {
        unimplemented!()
    }
}
