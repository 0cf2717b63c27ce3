//! What does a NetworkPolicy say, once its defaults are filled in?

use crate::blocks::Block;
use crate::objects::{self, PolicySpec, PolicyType};
use crate::refusal::Wrong;
use crate::selector::Selector;
use crate::traffic::{Traffic, Wanted};
use ipnet::IpNet;
use std::net::IpAddr;

/// A NetworkPolicy. A direction that it is not about is `None`.
#[derive(Clone, Debug)]
pub struct Policy {
    pub namespace: String,
    /// The pods of its namespace that it is about.
    pub pods: Selector,
    pub ingress: Option<Vec<Allowed>>,
    pub egress: Option<Vec<Allowed>>,
}

/// What may pass: any of this traffic with any of these peers.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Empty for any peer.
    pub peers: Vec<Peer>,
    pub traffic: Vec<Wanted>,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Block(Block),
    /// Pods of these namespaces; without a selector, of the policy's own.
    Pods {
        namespaces: Option<Selector>,
        pods: Selector,
    },
}

impl Policy {
    /// Without `policyTypes` it is about ingress, and about egress if it has a rule for that.
    pub fn of(namespace: String, spec: PolicySpec) -> Result<Self, Wrong> {
        let PolicySpec { pod_selector, policy_types, ingress, egress } = spec;
        let ingress = ingress.unwrap_or_default().into_iter().map(|rule| allowed(rule.from, rule.ports));
        let egress = egress.unwrap_or_default().into_iter().map(|rule| allowed(rule.to, rule.ports));
        let (ingress, egress): (Vec<_>, Vec<_>) =
            (ingress.collect::<Result<_, _>>()?, egress.collect::<Result<_, _>>()?);
        let types = policy_types.filter(|types| !types.is_empty()).unwrap_or_else(|| match egress.is_empty() {
            true => vec![PolicyType::Ingress],
            false => vec![PolicyType::Ingress, PolicyType::Egress],
        });
        let is_about = |kind| types.contains(&kind);
        Ok(Self {
            namespace,
            pods: pod_selector.unwrap_or_default().try_into()?,
            ingress: is_about(PolicyType::Ingress).then_some(ingress),
            egress: is_about(PolicyType::Egress).then_some(egress),
        })
    }
}

fn allowed(peers: Option<Vec<objects::Peer>>, ports: Option<Vec<objects::Port>>) -> Result<Allowed, Wrong> {
    let peers = peers.unwrap_or_default().into_iter().map(Peer::try_from).collect::<Result<_, _>>()?;
    let traffic: Vec<_> = ports.unwrap_or_default().into_iter().map(Wanted::try_from).collect::<Result<_, _>>()?;
    let any = || vec![Wanted::Traffic(Traffic::ANY)];
    Ok(Allowed { peers, traffic: if traffic.is_empty() { any() } else { traffic } })
}

impl TryFrom<objects::Peer> for Peer {
    type Error = Wrong;

    fn try_from(peer: objects::Peer) -> Result<Self, Wrong> {
        match (peer.ip_block, peer.namespace_selector, peer.pod_selector) {
            (Some(block), None, None) => block.try_into().map(Self::Block),
            (Some(_), ..) | (None, None, None) => Err(Wrong::Peer),
            (None, namespaces, pods) => Ok(Self::Pods {
                namespaces: namespaces.map(Selector::try_from).transpose()?,
                pods: pods.unwrap_or_default().try_into()?,
            }),
        }
    }
}

impl TryFrom<objects::IpBlock> for Block {
    type Error = Wrong;

    /// Bits behind a length do not count: the API server takes such a block, and so do the other implementations.
    fn try_from(objects::IpBlock { cidr, except }: objects::IpBlock) -> Result<Self, Wrong> {
        let net = own_family(cidr)?.trunc();
        let inside = |except: IpNet| match except.prefix_len() > net.prefix_len() && net.contains(&except) {
            true => Ok(except.trunc()),
            false => Err(Wrong::Except { except, cidr }),
        };
        let except = except.unwrap_or_default().into_iter().map(inside).collect::<Result<_, _>>()?;
        Ok(Self { net, except: IpNet::aggregate(&except) })
    }
}

fn own_family(net: IpNet) -> Result<IpNet, Wrong> {
    match net.addr() {
        IpAddr::V6(addr) if addr.to_ipv4_mapped().is_some() => Err(Wrong::Mapped(net)),
        _ => Ok(net),
    }
}
