//! How is a policy shown?

use super::Style;
use super::color::Color;
use ipvl_control::policy_words::{PolicySpec, verdict};
use ipvl_control::{CountedRule, SlavePolicy};
use ipvl_core::policy::{Direction, PolicyCount};
use serde_json::{Value, json};

/// A pod, the host end of its slave, and what follows from its NetworkPolicy objects.
pub struct PodOnSlave {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// The name by which commands find the slave.
    pub host_end: String,
    /// `None` if everything may pass.
    pub policy: Option<PolicySpec>,
}

/// The commands that give pods their policies; `elsewhere` counts those without a slave on this machine.
pub fn translated(pods: &[PodOnSlave], elsewhere: usize, style: Style) -> String {
    let elsewhere = || if elsewhere > 0 { format!("# without a slave here: {elsewhere}\n") } else { String::new() };
    style.print(|| pods.iter().map(command).chain([elsewhere()]).collect(), || pods.iter().map(pod_json).collect())
}

fn command(PodOnSlave { pod, host_end, policy }: &PodOnSlave) -> String {
    match policy {
        Some(policy) => format!("# {pod}\npolicy set dev {host_end} {policy}\n"),
        None => format!("# {pod}: nothing restricts it\npolicy flush dev {host_end}\n"),
    }
}

fn pod_json(PodOnSlave { pod, host_end, policy }: &PodOnSlave) -> Value {
    let default = |policy: &PolicySpec| json!({ "in": verdict(policy.inward), "out": verdict(policy.outward) });
    let rules = policy.iter().flat_map(|policy| &policy.rules).map(ToString::to_string);
    json!({
        "pod": pod,
        "host_end": host_end,
        "default": policy.as_ref().map(default),
        "rules": rules.collect::<Vec<_>>(),
    })
}

/// All of `policies`; in text with handles and counters if `counted`.
pub fn policies(policies: &[SlavePolicy], counted: bool, style: Style) -> String {
    let counted = counted || style.details;
    style.print(
        || policies.iter().map(|policy| text(policy, counted, style)).collect(),
        || policies.iter().map(json).collect(),
    )
}

fn text(policy: &SlavePolicy, counted: bool, style: Style) -> String {
    let SlavePolicy { slave, master, labels, defaults, rules, others } = policy;
    let labels = if labels.is_empty() { String::new() } else { format!(" label {}", labels.join(",")) };
    let name = style.paint(Color::Name, slave);
    let head = format!("{name} of {master}{labels}\n");
    let Some((inward, outward)) = *defaults else { return format!("{head}    no policy\n") };
    let default = format!("    default in {} out {}\n", verdict(inward), verdict(outward));
    let rules: String = rules.iter().map(|rule| rule_text(rule, counted)).collect();
    let others: String = others
        .iter()
        .filter(|_| counted)
        .map(|(cause, way, count)| format!("    # {cause} {}{}\n", way.word(), counters(*count)))
        .collect();
    head + &default + &rules + &others
}

fn rule_text(CountedRule { handle, rule, count }: &CountedRule, counted: bool) -> String {
    let count = if counted { counters(*count) } else { String::new() };
    format!("    {rule} # handle {handle}{count}\n")
}

fn counters(count: PolicyCount) -> String {
    format!(" packets {} bytes {}", count.packets, count.bytes)
}

fn json(policy: &SlavePolicy) -> Value {
    let rule = |CountedRule { handle, rule, count }: &CountedRule| json!({ "handle": handle, "rule": rule.to_string(), "packets": count.packets, "bytes": count.bytes });
    let other = |(cause, way, count): &(&str, Direction, PolicyCount)| json!({ "cause": cause, "direction": way.word(), "packets": count.packets, "bytes": count.bytes });
    let default = policy.defaults.map(|(inward, outward)| json!({ "in": verdict(inward), "out": verdict(outward) }));
    json!({
        "ifname": policy.slave,
        "link": policy.master,
        "labels": policy.labels,
        "default": default,
        "rules": policy.rules.iter().map(rule).collect::<Vec<_>>(),
        "others": policy.others.iter().map(other).collect::<Vec<_>>(),
    })
}
