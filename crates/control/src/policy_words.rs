//! How is a policy said in words, rule by rule and as a whole? One grammar for the command, files and engines.

mod labels;
mod rule;
mod spec;
mod value;

pub use labels::{labels, unless_unfit};
pub use rule::{GONE, PolicyPeer, PolicyRule, is_accept, only_rule, rules, verdict};
pub use spec::{PolicyKeys, PolicySpec, spec};
pub use value::{LabelsValue, PolicyValue};
