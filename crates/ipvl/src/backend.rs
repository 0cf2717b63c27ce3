//! Which calls of the control plane does the command make?

pub use ipvl_control::apply::{carry_out, missing_masters, observe, plan, read, schema};
pub use ipvl_control::{
    Error, Explanation, Interest, Inventory, Monitor, NextHop, Seen, Watching, add, change_policy, declare, delete_all,
    doctor, explain, flush_flowtable, next_hop, overview, policies, replace, require_master_here, require_rights,
    run_agent, set, set_flowtable, upgrade, withdraw,
};
