//! Which rules let pass what a pod's NetworkPolicy objects allow, and nothing else?
//!
//! Policies add up: what one of them allows may pass. So all rules accept, their order does not matter, and what none of them
//! fits is dropped. One exception makes this short: an ipBlock with many addresses left out. Such a block may come last, behind
//! rules that drop what it leaves out, one block for each family and direction. Others are cut into networks.
//!
//! What a pod and its node send each other always passes, whatever is said of it.

use crate::blocks::Block;
use crate::cluster::{Cluster, Pod};
use crate::meaning::{Allowed, Peer, Policy};
use crate::refusal::Refusal;
use crate::traffic::{Traffic, Wanted};
use ipnet::IpNet;
use ipvl_control::policy_words::PolicySpec;
use ipvl_control::{PolicyPeer, PolicyRule};
use ipvl_core::Addr;
use ipvl_core::policy::MAX_RULES;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What follows for one pod.
#[derive(Debug)]
pub struct Translated {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// By these its slave is known.
    pub addresses: Vec<IpAddr>,
    /// `None` if everything may pass, as without a policy.
    pub policy: Result<Option<PolicySpec>, Refusal>,
}

/// What follows for each pod that has a network of its own.
pub fn translate(cluster: &Cluster) -> Vec<Translated> {
    let translated =
        |pod: &Pod| Translated { pod: pod.to_string(), addresses: pod.addresses.clone(), policy: policy(cluster, pod) };
    cluster.pods.values().map(translated).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Way {
    fn of(self, policy: &Policy) -> Option<&[Allowed]> {
        match self {
            Self::In => policy.ingress.as_deref(),
            Self::Out => policy.egress.as_deref(),
        }
    }
}

fn policy(cluster: &Cluster, pod: &Pod) -> Result<Option<PolicySpec>, Refusal> {
    let (inward, mut rules) = one_way(cluster, pod, Way::In)?;
    let (outward, more) = one_way(cluster, pod, Way::Out)?;
    rules.extend(more);
    match rules.len() {
        _ if inward && outward => Ok(None),
        0..=MAX_RULES => Ok(Some(PolicySpec { inward, outward, rules })),
        count => Err(Refusal::TooManyRules { pod: pod.to_string(), rules: count }),
    }
}

/// Whether what no rule fits passes, and the rules.
fn one_way(cluster: &Cluster, pod: &Pod, way: Way) -> Result<(bool, Vec<PolicyRule>), Refusal> {
    let selects = |policy: &&Policy| policy.namespace == pod.namespace && policy.pods.fits(&pod.labels);
    let policies = cluster.policies.values().filter(selects);
    let about: Vec<_> = policies.filter_map(|policy| Some((policy, way.of(policy)?))).collect();
    if about.is_empty() {
        return Ok((true, Vec::new()));
    }
    let mut passing = Passing::default();
    for (policy, allowed) in about {
        for allowed in allowed {
            passing.add(cluster, allowed, (policy, pod, way))?;
        }
    }
    match passing.is_everything() {
        true => Ok((true, Vec::new())),
        false => Ok((false, passing.rules(way))),
    }
}

/// What may pass in one direction: which traffic, with which peers.
#[derive(Default)]
struct Passing(BTreeMap<Traffic, Reach>);

/// Some addresses.
#[derive(Clone, Default)]
struct Reach {
    anyone: bool,
    nets: Vec<IpNet>,
    /// With something excepted.
    blocks: Vec<Block>,
}

impl Passing {
    fn add(
        &mut self,
        cluster: &Cluster,
        allowed: &Allowed,
        (policy, pod, way): (&Policy, &Pod, Way),
    ) -> Result<(), Refusal> {
        let reach = Reach::of(cluster, policy, &allowed.peers)?;
        for wanted in &allowed.traffic {
            match wanted {
                Wanted::Traffic(traffic) => self.reach(*traffic).extend(&reach),
                Wanted::Named(protocol, name) if way == Way::In => {
                    let number = pod.port(*protocol, name);
                    number.into_iter().for_each(|port| self.reach(Traffic::to(*protocol, port)).extend(&reach));
                }
                Wanted::Named(protocol, name) => {
                    for peer in cluster.pods.values() {
                        let Some(port) = peer.port(*protocol, name) else { continue };
                        let addresses = peer.addresses.iter().filter(|addr| reach.has(**addr));
                        self.reach(Traffic::to(*protocol, port)).nets.extend(addresses.map(|addr| IpNet::from(*addr)));
                    }
                }
            }
        }
        Ok(())
    }

    fn reach(&mut self, traffic: Traffic) -> &mut Reach {
        self.0.entry(traffic).or_default()
    }

    fn is_everything(&self) -> bool {
        self.0.get(&Traffic::ANY).is_some_and(|reach| reach.anyone)
    }

    fn rules(mut self, way: Way) -> Vec<PolicyRule> {
        let last = self.take_last_blocks();
        let mut rules = vec![rule(way, PolicyPeer::Host, Traffic::ANY, true)];
        for (traffic, Reach { anyone, mut nets, blocks }) in self.0 {
            nets.extend(blocks.iter().flat_map(Block::networks));
            match anyone {
                true => rules.push(rule(way, PolicyPeer::Any, traffic, true)),
                false => {
                    rules.extend(IpNet::aggregate(&nets).iter().map(|net| rule(way, network(*net), traffic, true)))
                }
            }
        }
        for (Block { net, except }, traffic) in last {
            rules.extend(except.iter().map(|except| rule(way, network(*except), Traffic::ANY, false)));
            rules.extend(traffic.into_iter().map(|traffic| rule(way, network(net), traffic, true)));
        }
        rules
    }

    /// Takes out, of each family, the block that would be cut into most networks.
    fn take_last_blocks(&mut self) -> Vec<(Block, Vec<Traffic>)> {
        let mut blocks: BTreeMap<Block, Vec<Traffic>> = BTreeMap::new();
        for (traffic, reach) in self.0.iter().filter(|(_, reach)| !reach.anyone) {
            reach.blocks.iter().for_each(|block| blocks.entry(block.clone()).or_default().push(*traffic));
        }
        let mut last = Vec::new();
        for is_v4 in [true, false] {
            let of_family = blocks.iter().filter(|(block, _)| block.net.addr().is_ipv4() == is_v4);
            let most = of_family.max_by_key(|(block, traffic)| block.networks().len() * traffic.len());
            last.extend(most.map(|(block, traffic)| (block.clone(), traffic.clone())));
        }
        for reach in self.0.values_mut() {
            reach.blocks.retain(|block| !last.iter().any(|(taken, _)| taken == block));
        }
        last
    }
}

impl Reach {
    fn of(cluster: &Cluster, policy: &Policy, peers: &[Peer]) -> Result<Self, Refusal> {
        let mut reach = Self { anyone: peers.is_empty(), ..Self::default() };
        for peer in peers {
            match peer {
                Peer::Block(block) if block.except.is_empty() => reach.nets.push(block.net),
                Peer::Block(block) => reach.blocks.push(block.clone()),
                Peer::Pods { namespaces, pods } => {
                    for pod in cluster.pods.values().filter(|pod| pods.fits(&pod.labels)) {
                        let is_there = match namespaces {
                            Some(namespaces) => cluster.is_in(pod, namespaces)?,
                            None => pod.namespace == policy.namespace,
                        };
                        reach.nets.extend(pod.addresses.iter().filter(|_| is_there).map(|addr| IpNet::from(*addr)));
                    }
                }
            }
        }
        Ok(reach)
    }

    fn extend(&mut self, other: &Self) {
        self.anyone |= other.anyone;
        self.nets.extend(&other.nets);
        let new = other.blocks.iter().filter(|block| !self.blocks.contains(block)).cloned().collect::<Vec<_>>();
        self.blocks.extend(new);
    }

    fn has(&self, addr: IpAddr) -> bool {
        self.anyone
            || self.nets.iter().any(|net| net.contains(&addr))
            || self.blocks.iter().any(|block| block.has(addr))
    }
}

fn rule(way: Way, peer: PolicyPeer, traffic: Traffic, accept: bool) -> PolicyRule {
    let directions = (way == Way::In, way == Way::Out);
    PolicyRule { directions, peer, protocol: traffic.protocol, ports: traffic.ports(), accept }
}

fn network(net: IpNet) -> PolicyPeer {
    PolicyPeer::Network(Addr::from(net.network()), net.prefix_len())
}
