//! Which addresses are in a block, without those that it excepts?

use ipnet::IpNet;
use std::net::IpAddr;

/// A network without parts of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The network.
    pub net: IpNet,
    /// Its parts that do not count, none inside another.
    pub except: Vec<IpNet>,
}

impl Block {
    pub fn has(&self, addr: IpAddr) -> bool {
        self.net.contains(&addr) && !self.except.iter().any(|except| except.contains(&addr))
    }

    /// The same addresses as networks of which all of it counts.
    pub fn networks(&self) -> Vec<IpNet> {
        without(self.net, &self.except)
    }
}

/// Halves the network until each part is excepted or is not.
fn without(net: IpNet, except: &[IpNet]) -> Vec<IpNet> {
    if except.iter().any(|except| except.contains(&net)) {
        return Vec::new();
    }
    if !except.iter().any(|except| net.contains(except)) {
        return vec![net];
    }
    let halves = net.subnets(net.prefix_len() + 1).into_iter().flatten();
    halves.flat_map(|half| without(half, except)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_is_not_excepted() {
        let block = |net: &str, except: &[&str]| Block {
            net: net.parse().expect("a network"),
            except: except.iter().map(|net| net.parse().expect("a network")).collect(),
        };
        let said = |block: Block| block.networks().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(said(block("10.0.0.0/8", &[])), "10.0.0.0/8");
        assert_eq!(said(block("10.0.0.0/30", &["10.0.0.1/32"])), "10.0.0.0/32 10.0.0.2/31");
        assert_eq!(said(block("10.0.0.0/31", &["10.0.0.0/32", "10.0.0.1/32"])), "");
        assert_eq!(said(block("fd00::/126", &["fd00::2/127"])), "fd00::/127");
        assert_eq!(block("0.0.0.0/0", &["10.1.2.3/32"]).networks().len(), 32);
    }
}
