//! How do slaves come to be as files say? Files in, a plan out, which is shown or carried out.

mod actual;
mod carry_out;
mod config_error;
mod desired;
mod file;
mod find;
mod in_module;
mod inside;
mod inside_check;
mod inside_diff;
mod inside_table;
mod link_schema;
mod link_table;
mod namespaces;
mod observe;
mod observe_inside;
mod plan;
mod policy_diff;
mod value;

pub use actual::{ActualLink, ActualState, missing_masters};
pub use carry_out::carry_out;
pub use config_error::{ConfigError, ErrorKind, Location};
pub use desired::{DesiredLink, DesiredState, read};
pub use file::{File, schema};
pub use inside_diff::InsideDiff;
pub use inside_table::Inside;
pub use observe::observe;
pub use plan::{AddrDiff, Difference, Plan, Step, plan};
pub use policy_diff::PolicyDiff;
