//! The questions of a client, one method each: what the answers say, in the types of the asker.

use super::client::{Client, ClientError};
use crate::clients::request::{self, field};
use crate::msg::{Message, fields};

/// A node as `nodelist` tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub name: String,
    /// `normal` or `ping`.
    pub kind: String,
    /// `init`, `up`, `active`, `dead`; `ping` for a ping node that answers.
    pub status: String,
}

fn text(answer: &Message, name: &str) -> String {
    answer.get(name).unwrap_or("").to_owned()
}

impl Client {
    /// All nodes of the cluster, ping nodes included, in the order of ha.cf.
    pub fn nodes(&mut self) -> Result<Vec<Node>, ClientError> {
        let answers = self.ask(&request::of(request::NODELIST))?;
        let node = |a: &Message| Node {
            name: text(a, fields::NODE),
            kind: text(a, field::NODETYPE),
            status: text(a, fields::STATUS),
        };
        Ok(answers.iter().map(node).collect())
    }

    /// The value of a directive of ha.cf, as written there or its default; `None` when there is no such directive.
    pub fn parameter(&mut self, name: &str) -> Result<Option<String>, ClientError> {
        let answer = self.ask_one(&request::of(request::GETPARM).with(field::PNAME, name))?;
        Ok(answer.get(field::PVALUE).map(str::to_owned))
    }

    /// Which resources this node holds: `none`, `local`, `foreign`, `all`, or `transition` while they move.
    pub fn resources(&mut self) -> Result<String, ClientError> {
        let answer = self.ask_one(&request::of(request::GETRSC))?;
        Ok(text(&answer, fields::RSC_HOLD))
    }
}
