//! How are slaves, ports and the agent told to Prometheus? In OpenMetrics, from one reading of everything.

use crate::names::Named;
use ipvl_control::{BOUNDS, Kind, Latency, Overview, PortReport, SlaveReport};
use ipvl_core::Reason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics.
pub fn metrics(overview: Overview) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Told(overview)));
    let mut all = String::new();
    // Nothing fails that writes to a string.
    let _ = text::encode(&mut all, &registry);
    all
}

#[derive(Debug)]
struct Told(Overview);

type Labels = Vec<(&'static str, String)>;

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Overview { slaves, ports, agent } = &self.0;
        let slaves: Vec<(Labels, &SlaveReport)> = slaves.iter().map(|slave| (of_slave(slave), slave)).collect();
        let ports: Vec<(Labels, &PortReport)> = ports.iter().map(|port| (of_port(port), port)).collect();
        let mut out = Families { encoder: &mut encoder };
        out.info("ipvl_build", "The version of ipvl that tells this", &[vec![("version", VERSION.to_owned())]])?;
        told_slaves(&mut out, &slaves)?;
        told_ports(&mut out, &ports)?;
        out.gauge("ipvl_agent_up", "Whether an agent runs here", [(Labels::new(), u64::from(agent.runs))])?;
        let Some(counters) = &agent.counters else { return Ok(()) };
        let mut count = |name, help, value| out.counter(name, help, None, [(Labels::new(), value)]);
        count("ipvl_agent_events", "Events of the kernel that the agent has read", counters.events)?;
        count(
            "ipvl_agent_resyncs",
            "How often it read everything again: at its start, after lost events",
            counters.resyncs,
        )?;
        count("ipvl_agent_syncs", "How often it brought a slave into the tables", counters.syncs)?;
        count("ipvl_agent_errors", "What failed in the agent and was tried again", counters.errors)?;
        out.histogram(
            "ipvl_agent_event_to_table",
            "From reading an event to its slave in the tables",
            &counters.latency,
        )
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn told_slaves(out: &mut Families<'_, '_>, slaves: &[(Labels, &SlaveReport)]) -> fmt::Result {
    let info = slaves.iter().map(|(labels, slave)| [labels.clone(), options(slave)].concat());
    out.info("ipvl_slave", "Options of a slave", &info.collect::<Vec<_>>())?;
    let each =
        |value: fn(&SlaveReport) -> u64| slaves.iter().map(move |(labels, slave)| (labels.clone(), value(slave)));
    let (packets, bytes) = (None, Some(Unit::Bytes));
    let rx_packets = each(|slave| slave.counters.rx_packets);
    out.counter("ipvl_slave_receive_packets", "Packets that the slave has received", packets.clone(), rx_packets)?;
    let tx_packets = each(|slave| slave.counters.tx_packets);
    out.counter(
        "ipvl_slave_transmit_packets",
        "Packets that it has sent and that were not dropped",
        packets,
        tx_packets,
    )?;
    let rx_bytes = each(|slave| slave.counters.rx_bytes);
    out.counter("ipvl_slave_receive", "Bytes that the slave has received", bytes.clone(), rx_bytes)?;
    let tx_bytes = each(|slave| slave.counters.tx_bytes);
    out.counter("ipvl_slave_transmit", "Bytes that it has sent and that were not dropped", bytes, tx_bytes)?;
    let drops = slaves.iter().flat_map(|(labels, slave)| by_reason(labels, &slave.drops));
    out.counter("ipvl_slave_dropped_packets", "Packets of the slave that were dropped, by reason", None, drops)?;
    out.gauge("ipvl_slave_up", "Whether the slave is administratively up", each(|slave| slave.link.is_up().into()))?;
    let carrier = each(|slave| slave.link.has_carrier().into());
    out.gauge("ipvl_slave_carrier", "Whether what it sends goes somewhere", carrier)?;
    let degraded = each(|slave| u64::from(!slave.link.degraded.is_empty()));
    out.gauge("ipvl_slave_degraded", "Whether it is not as it should be (ipvl doctor says why)", degraded)
}

fn told_ports(out: &mut Families<'_, '_>, ports: &[(Labels, &PortReport)]) -> fmt::Result {
    let each =
        |value: fn(&PortReport) -> usize| ports.iter().map(move |(labels, port)| (labels.clone(), value(port) as u64));
    out.gauge("ipvl_port_slaves", "Slaves of the master", each(|port| port.slaves))?;
    out.gauge("ipvl_port_slaves_limit", "How many it can have", each(|port| port.most_slaves))?;
    out.gauge("ipvl_port_addresses", "Single addresses in its table", each(|port| port.addresses))?;
    let limited = ports.iter().filter_map(|(labels, port)| Some((labels.clone(), port.most_addresses? as u64)));
    out.gauge("ipvl_port_addresses_limit", "How many there can be", limited)?;
    out.gauge("ipvl_port_prefixes", "Declared prefixes", each(|port| port.prefixes))?;
    out.gauge(
        "ipvl_port_conflicts",
        "Addresses of slaves that another slave or the host owns",
        each(|port| port.conflicts),
    )?;
    out.gauge("ipvl_port_refused_addresses", "Addresses of slaves that found no room", each(|port| port.refused))?;
    let drops = ports.iter().flat_map(|(labels, port)| by_reason(labels, &port.drops));
    out.counter("ipvl_port_dropped_packets", "Packets from the wire that were dropped, by reason", None, drops)
}

fn by_reason(labels: &Labels, drops: &[(Reason, u64)]) -> Vec<(Labels, u64)> {
    let one = |(reason, count): &(Reason, u64)| ([&labels[..], &[("reason", reason.to_string())]].concat(), *count);
    drops.iter().map(one).collect()
}

/// The host end tells slaves apart that have one name in several namespaces without names.
fn of_slave(slave: &SlaveReport) -> Labels {
    let link = &slave.link;
    let role = if link.kind == Kind::Ipvtap { "guest" } else { "slave" };
    let mut labels = vec![
        ("master", link.master.1.clone()),
        ("slave", link.name.clone()),
        ("host_end", link.host_end.1.clone()),
        ("role", role.to_owned()),
    ];
    labels.extend(link.netns.clone().map(|netns| ("netns", netns)));
    if let Some((engine, container)) = slave.owner.as_deref().and_then(owner) {
        labels.push(("engine", engine.to_owned()));
        labels.extend(container.map(|container| ("container", container.to_owned())));
    }
    labels
}

/// An engine and its container. CNI has network, container and interface, Docker network, endpoint and sandbox, netavark
/// network and container.
fn owner(owner: &str) -> Option<(&str, Option<&str>)> {
    let words: Vec<&str> = owner.split(' ').collect();
    let (engine, ids) = words.split_first()?;
    let container = if *engine == "docker" { ids.get(2).or(ids.get(1)) } else { ids.get(1) };
    let container = container.copied().filter(|id| !id.is_empty() && *engine != "apply");
    Some((engine, container))
}

fn of_port(port: &PortReport) -> Labels {
    vec![("master", port.name.clone()), ("role", "master".to_owned())]
}

fn options(slave: &SlaveReport) -> Labels {
    let of = |entry: &ipvl_core::OptionEntry| (entry.name, slave.link.options.word(entry.key).to_owned());
    let kind = ("type", slave.link.kind.word().to_owned());
    ipvl_core::OPTIONS.iter().map(of).chain([kind]).collect()
}

/// Writes families of metrics.
struct Families<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
}

impl Families<'_, '_> {
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => family.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                false => family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => family.encode_gauge(&value)?,
                false => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn info(&mut self, name: &str, help: &str, samples: &[Labels]) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Info)?;
        samples.iter().try_for_each(|labels| family.encode_info(labels))
    }

    fn histogram(&mut self, name: &str, help: &str, latency: &Latency) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(latency.buckets).collect();
        family.encode_histogram::<NoLabelSet>(latency.sum, latency.count, &buckets, None)
    }
}

#[cfg(test)]
mod tests;
