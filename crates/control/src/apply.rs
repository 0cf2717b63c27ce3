//! How do slaves come to be as files say? Files in, a plan out, which is shown or carried out.

mod carry_out;
mod fault;
mod file;
mod link_schema;
mod link_table;
mod namespaces;
mod observe;
mod plan;
mod raw;
mod value;
mod wish;

pub use carry_out::carry_out;
pub use fault::{Fault, Place, Wrong};
pub use file::{File, schema};
pub use observe::{Observed, Present, missing_masters, observe};
pub use plan::{Difference, Drift, Plan, Step, plan};
pub use wish::{Wish, Wishes, read};
