//! One step of a recovery on this node: looked at once more before it is done, whoever asks for it.

use super::look;
use super::tools::{self, CHANGE};
use crate::dopd::DrbdName;
use crate::drbd::account::Situation;
use crate::drbd::promotion::code;
use crate::drbd::recovery::Order;
use crate::drbd::{Account, Role};
use crate::ids::NodeName;
use crate::time::Duration;

/// Unmounting writes what is left to write.
const UNMOUNT: Duration = Duration::from_secs(60);

/// Does it, and tells how the node is afterwards. `theirs` is what the other node said: without it, or when it does not
/// prove a split brain, nothing is thrown away.
pub fn perform(order: Order, me: &NodeName, resource: &DrbdName, theirs: Option<&Account>) -> Result<Account, String> {
    let said = |e: tools::Fault| e.to_string();
    let name = resource.as_str();
    let change = |args: &[&str]| tools::good("drbdadm", args, CHANGE).map(drop).map_err(said);
    // Looks harmless, but only on the way to throwing something away is it asked for.
    if !matches!(order, Order::Report | Order::Connect) {
        prove(&look::account(me, resource).map_err(said)?, theirs)?;
    }
    match order {
        Order::Report => {}
        Order::Disconnect => {
            let ran = tools::run("drbdadm", &["disconnect", name], CHANGE).map_err(said)?;
            // 10: there is no connection to end.
            if !ran.good() && ran.code != Some(code::CONFIGURATION) {
                return Err(format!(
                    "drbdadm disconnect {name}: {}",
                    crate::drbd::promotion::last_reason(&ran.text)
                ));
            }
        }
        Order::Unmount => {
            let minors = look::rows_of(resource)
                .map_err(said)?
                .into_iter()
                .filter_map(|r| r.minor);
            for (place, _) in minors.flat_map(look::places) {
                tools::good("umount", &[&place], UNMOUNT).map_err(said)?;
            }
        }
        Order::Secondary => change(&["secondary", name])?,
        Order::ConnectDiscarding => {
            let ours = look::account(me, resource).map_err(said)?;
            if let Some(why) = ours.in_use() {
                return Err(format!("{why}: nothing is thrown away"));
            }
            if ours.role() == Role::Primary {
                return Err("this node is primary: nothing is thrown away".to_owned());
            }
            change(&["connect", "--discard-my-data", name])?;
        }
        Order::Connect => {
            let ran = tools::run("drbdadm", &["connect", name], CHANGE).map_err(said)?;
            // 10: it looks for its peer already.
            if !ran.good() && ran.code != Some(code::CONFIGURATION) {
                return Err(format!(
                    "drbdadm connect {name}: {}",
                    crate::drbd::promotion::last_reason(&ran.text)
                ));
            }
        }
    }
    look::account(me, resource).map_err(said)
}

/// Both have data that the other one has not.
fn prove(ours: &Account, theirs: Option<&Account>) -> Result<(), String> {
    let theirs = theirs.ok_or("it is not said how the data of the other node are: nothing is done")?;
    match ours.situation(theirs) {
        Situation::SplitBrain => Ok(()),
        Situation::Unknown | Situation::Unrelated | Situation::Behind | Situation::Same => {
            Err("the generations of the data show no split brain: nothing is done".to_owned())
        }
    }
}
