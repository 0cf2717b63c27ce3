//! How is everything: slaves, ports and the agent? What metrics are made from.

use super::inventory::Inventory;
use crate::error::Result;
use crate::kernel::finder::Names;
use crate::report::{AgentReport, Overview};
use crate::slave::agent_client;

/// Reads everything once. A process that does it again and again keeps `names`.
pub fn overview(names: &mut Names) -> Result<Overview> {
    let inventory = Inventory::read_with(names)?;
    Ok(Overview { slaves: inventory.slaves()?, ports: inventory.ports()?, agent: agent() })
}

/// An agent that cannot be asked does not hide the rest.
fn agent() -> AgentReport {
    match agent_client::counters() {
        Ok(Some(counters)) => AgentReport { runs: true, counters },
        Ok(None) => AgentReport { runs: false, counters: None },
        Err(_) => AgentReport { runs: true, counters: None },
    }
}
