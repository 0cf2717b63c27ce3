//! Does the flowtable, if it is on, have the devices of the slaves that there are?

use super::state::Agent;
use crate::error::Result;
use crate::slave::flowtable;

impl Agent {
    /// Adds devices that came. Those that went the kernel has removed.
    pub fn sync_flowtable(&mut self) -> Result<()> {
        if !flowtable::is_on()? {
            self.flowing.clear();
            return Ok(());
        }
        let devices = flowtable::devices(&self.netlink, self.ports.values())?;
        if devices.iter().any(|device| !self.flowing.contains_key(device.0)) {
            flowtable::add(&devices)?;
        }
        self.flowing = devices;
        Ok(())
    }
}
