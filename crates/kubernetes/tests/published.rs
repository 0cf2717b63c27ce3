//! Do the examples of Kubernetes' documentation and of the network policy recipes mean what these say they mean?
//!
//! <https://kubernetes.io/docs/concepts/services-networking/network-policies/> and
//! <https://github.com/ahmetb/kubernetes-network-policy-recipes>, on a small cluster of our own.

use ipvl_kubernetes::{Cluster, Refusal, translate};
use std::collections::BTreeMap;

/// Namespaces with labels; pods with labels, an address and one port called `api`.
const NAMESPACES: [(&str, &str); 4] = [
    ("default", "{}"),
    ("kube-system", "{kubernetes.io/metadata.name: kube-system}"),
    ("mine", "{project: myproject, team: operations, purpose: production}"),
    ("other", "{}"),
];
const PODS: [(&str, &str, &str, u8); 9] = [
    ("default", "db", "{role: db, app: bookstore}", 1),
    ("default", "frontend", "{role: frontend}", 2),
    ("default", "web", "{app: web}", 3),
    ("default", "shop", "{app: bookstore, role: api}", 4),
    ("default", "inventory", "{app: inventory, role: web}", 5),
    ("kube-system", "dns", "{k8s-app: kube-dns}", 53),
    ("mine", "scraper", "{type: monitoring, role: monitoring}", 10),
    ("mine", "db", "{role: db}", 11),
    ("other", "stranger", "{role: frontend, type: monitoring}", 20),
];
const HOST: &str = "in from host accept";
const HOST_OUT: &str = "out to host accept";
const OPEN: &str = "none";

fn pods(text: &str) -> Vec<String> {
    let namespaces = NAMESPACES.iter().map(|(name, labels)| {
        format!("kind: Namespace\napiVersion: v1\nmetadata: {{name: {name}, labels: {labels}}}\n")
    });
    let pods = PODS.iter().map(|(namespace, name, labels, last)| {
        format!(
            "kind: Pod\napiVersion: v1\nmetadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\n\
             spec: {{containers: [{{name: c, ports: [{{name: api, containerPort: 5000}}]}}]}}\n\
             status: {{phase: Running, podIP: 10.1.0.{last}, podIPs: [{{ip: 10.1.0.{last}}}]}}\n"
        )
    });
    namespaces.chain(pods).chain([text.to_owned()]).collect()
}

/// By pod, the policy in one line, or why there is none.
fn meaning(policies: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let text = pods(policies).join("---\n");
    let translated = translate(&Cluster::read([("objects.yaml", text.as_str())])?);
    translated
        .into_iter()
        .map(|pod| {
            let said = pod.policy?.map_or(OPEN.to_owned(), |policy| {
                let verdict = |passes| if passes { "accept" } else { "drop" };
                let rules: Vec<_> = policy.rules.iter().map(ToString::to_string).collect();
                format!("in {} out {}: {}", verdict(policy.inward), verdict(policy.outward), rules.join(", "))
            });
            Ok((pod.pod, said))
        })
        .collect()
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: default}}\nspec: {spec}\n"
    )
}

/// `expected`: pods with the rules behind those about the host. All other pods may do everything.
fn means(spec: &str, defaults: &str, expected: &[(&str, &str)]) {
    let meaning = meaning(&policy("one", spec)).expect("understood");
    assert_eq!(meaning.len(), PODS.len());
    for (pod, said) in meaning {
        let wanted = expected.iter().find(|(name, _)| *name == pod).map(|(_, rules)| match *rules {
            "" => defaults.to_owned(),
            rules => format!("{defaults}, {rules}"),
        });
        assert_eq!(said, wanted.unwrap_or_else(|| OPEN.to_owned()), "{pod} by {spec}");
    }
}

fn ingress(spec: &str, expected: &[(&str, &str)]) {
    means(spec, &format!("in drop out accept: {HOST}"), expected);
}

fn egress(spec: &str, expected: &[(&str, &str)]) {
    means(spec, &format!("in accept out drop: {HOST_OUT}"), expected);
}

const OF_DEFAULT: [&str; 5] = ["default/db", "default/frontend", "default/web", "default/shop", "default/inventory"];

fn all_of_default(rules: &str) -> Vec<(&'static str, &str)> {
    OF_DEFAULT.iter().map(|pod| (*pod, rules)).collect()
}

#[test]
fn the_documentations_first_example() {
    let spec = "
  podSelector: {matchLabels: {role: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: myproject}}
    - podSelector: {matchLabels: {role: frontend}}
    ports: [{protocol: TCP, port: 6379}]
  egress:
  - to:
    - ipBlock: {cidr: 10.0.0.0/24}
    ports: [{protocol: TCP, port: 5978}]";
    let inward = "in from host accept, in from 10.1.0.2/32 tcp dport 6379 accept, in from 10.1.0.10/31 tcp dport 6379 accept, \
                  in from 172.17.1.0/24 drop, in from 172.17.0.0/16 tcp dport 6379 accept";
    let outward = "out to host accept, out to 10.0.0.0/24 tcp dport 5978 accept";
    means(spec, &format!("in drop out drop: {inward}, {outward}"), &[("default/db", "")]);
}

#[test]
fn the_documentations_defaults() {
    ingress("{podSelector: {}, policyTypes: [Ingress]}", &all_of_default(""));
    egress("{podSelector: {}, policyTypes: [Egress]}", &all_of_default(""));
    means(
        "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        &format!("in drop out drop: {HOST}, {HOST_OUT}"),
        &all_of_default(""),
    );
    means("{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}", OPEN, &[]);
    means("{podSelector: {}, egress: [{}], policyTypes: [Egress]}", OPEN, &[]);
    ingress("{podSelector: {}, policyTypes: [Egress, Ingress], egress: [{}], ingress: []}", &all_of_default(""));
}

#[test]
fn the_documentations_range_of_ports_and_its_two_ways_to_write_a_peer() {
    let range = "{podSelector: {matchLabels: {role: db}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}], \
                 ports: [{protocol: TCP, port: 32000, endPort: 32768}]}]}";
    egress(range, &[("default/db", "out to 10.0.0.0/24 tcp dport 32000-32768 accept")]);
    let both = "{podSelector: {matchLabels: {role: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {project: myproject}}, \
                podSelector: {matchLabels: {role: monitoring}}}]}]}";
    ingress(both, &[("default/db", "in from 10.1.0.10/32 accept")]);
    let either = "{podSelector: {matchLabels: {role: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {project: myproject}}}, \
                  {podSelector: {matchLabels: {role: frontend}}}]}]}";
    ingress(either, &[("default/db", "in from 10.1.0.2/32 accept, in from 10.1.0.10/31 accept")]);
    let named = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchExpressions: \
                 [{key: kubernetes.io/metadata.name, operator: In, values: [frontend, kube-system]}]}}]}]}";
    egress(named, &all_of_default("out to 10.1.0.53/32 accept"));
}

#[test]
fn recipes_about_what_comes() {
    let web = "podSelector: {matchLabels: {app: web}}";
    // 1: deny all traffic to an application; 2a, 8: allow it.
    ingress(&format!("{{{web}, ingress: []}}"), &[("default/web", "")]);
    means(&format!("{{{web}, ingress: [{{}}]}}"), OPEN, &[]);
    // 2: limit traffic to an application.
    let api = "{podSelector: {matchLabels: {app: bookstore, role: api}}, ingress: [{from: [{podSelector: {matchLabels: \
               {app: bookstore}}}]}]}";
    ingress(api, &[("default/shop", "in from 10.1.0.1/32 accept, in from 10.1.0.4/32 accept")]);
    // 3: deny all that is not allowed; 4: from other namespaces. The selector is written without a value there.
    ingress("{podSelector: {}, ingress: []}", &all_of_default(""));
    let own = "in from 10.1.0.1/32 accept, in from 10.1.0.2/31 accept, in from 10.1.0.4/31 accept";
    ingress("{podSelector: {matchLabels: }, ingress: [{from: [{podSelector: {}}]}]}", &all_of_default(own));
    // 5: from all namespaces; 6: from one; 7: from some pods of it.
    let of_all =
        format!("{own}, in from 10.1.0.10/31 accept, in from 10.1.0.20/32 accept, in from 10.1.0.53/32 accept");
    ingress(&format!("{{{web}, ingress: [{{from: [{{namespaceSelector: {{}}}}]}}]}}"), &[("default/web", &of_all)]);
    let production =
        format!("{{{web}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{purpose: production}}}}}}]}}]}}");
    ingress(&production, &[("default/web", "in from 10.1.0.10/31 accept")]);
    let monitoring = format!(
        "{{{web}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{team: operations}}}}, \
         podSelector: {{matchLabels: {{type: monitoring}}}}}}]}}]}}"
    );
    ingress(&monitoring, &[("default/web", "in from 10.1.0.10/32 accept")]);
    // 8, with a port; 9: to a port alone, by number and by name.
    ingress(&format!("{{{web}, ingress: [{{ports: [{{port: 80}}]}}]}}"), &[("default/web", "in tcp dport 80 accept")]);
    for port in ["5000", "api"] {
        let spec = format!(
            "{{{web}, ingress: [{{ports: [{{port: {port}}}], from: [{{podSelector: {{matchLabels: {{role: frontend}}}}}}]}}]}}"
        );
        ingress(&spec, &[("default/web", "in from 10.1.0.2/32 tcp dport 5000 accept")]);
    }
    // 10: several selectors.
    let several = "{podSelector: {matchLabels: {app: bookstore, role: db}}, ingress: [{from: \
                   [{podSelector: {matchLabels: {app: bookstore, role: search}}}, \
                   {podSelector: {matchLabels: {app: bookstore, role: api}}}, \
                   {podSelector: {matchLabels: {app: inventory, role: web}}}]}]}";
    ingress(several, &[("default/db", "in from 10.1.0.4/31 accept")]);
}

#[test]
fn recipes_about_what_goes() {
    let web = "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]";
    // 11: deny what an application sends; 12: what a namespace sends.
    egress(&format!("{{{web}, egress: []}}"), &[("default/web", "")]);
    egress("{podSelector: {}, policyTypes: [Egress], egress: []}", &all_of_default(""));
    // 11 and 14: only name resolution.
    let dns = format!(
        "{{{web}, egress: [{{to: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: kube-system}}}}, \
         podSelector: {{matchLabels: {{k8s-app: kube-dns}}}}}}], ports: [{{port: 53, protocol: UDP}}, {{port: 53, protocol: TCP}}]}}]}}"
    );
    egress(
        &dns,
        &[("default/web", "out to 10.1.0.53/32 tcp dport 53 accept, out to 10.1.0.53/32 udp dport 53 accept")],
    );
}

#[test]
fn policies_add_up() {
    let deny = policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
    let allow = policy("allow", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}");
    let sctp = policy(
        "sctp",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 81, protocol: SCTP}, {protocol: UDP}]}]}",
    );
    let meaning = meaning(&[deny, allow, sctp].join("---\n")).expect("understood");
    let host = format!("in drop out drop: {HOST}");
    let rules = "in tcp dport 80 accept, in udp accept, in sctp dport 81 accept";
    assert_eq!(meaning["default/web"], format!("{host}, {rules}, {HOST_OUT}"));
    assert_eq!(meaning["default/db"], format!("{host}, {HOST_OUT}"));
    assert_eq!(meaning["other/stranger"], OPEN);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let refused = |spec: &str| meaning(&policy("p", spec)).expect_err(spec).to_string();
    for (spec, named) in [
        (
            "{podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}",
            "default/p: a peer must",
        ),
        ("{podSelector: {}, ingress: [{from: [{}]}]}", "a peer must"),
        ("{podSelector: {}, ingress: [{from: [{nodeSelector: {}}]}]}", "unknown field `nodeSelector`"),
        ("{podSelector: {}, ingress: [{to: []}]}", "spec.ingress[0]"),
        ("{podSelector: {}, policyTypes: [Forward]}", "unknown variant `Forward`"),
        ("{podSelector: {}, ingress: [{ports: [{protocol: ICMP}]}]}", "unknown variant `ICMP`"),
        ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "port 0"),
        ("{podSelector: {}, ingress: [{ports: [{port: 70000}]}]}", "from 1 to 65535"),
        ("{podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]}", "endPort 80"),
        ("{podSelector: {}, ingress: [{ports: [{port: api, endPort: 80}]}]}", "endPort 80"),
        ("{podSelector: {}, ingress: [{ports: [{endPort: 80}]}]}", "endPort 80"),
        (
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}]}",
            "except 11.0.0.0/9",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
            "except 10.0.0.0/8",
        ),
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}", "ipBlock"),
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: \"::ffff:10.0.0.0/104\"}}]}]}", "IPv6's form"),
        ("{podSelector: {matchExpressions: [{key: a, operator: In}]}}", "\"a\" must have values"),
        ("{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}", "\"a\" must have values"),
        ("{podSelector: {matchExpressions: [{key: a, operator: Like, values: [b]}]}}", "unknown variant `Like`"),
        ("{podSelector: {matchLabels: {a: 1}}}", "podSelector.matchLabels"),
    ] {
        assert!(refused(spec).contains(named), "{spec}: {}", refused(spec));
    }
    let of_kind = |text: &str| Cluster::read([("f", text)]).expect_err(text).to_string();
    assert!(of_kind("kind: Deployment").contains("\"Deployment\""));
    assert!(of_kind("{kind: NetworkPolicy, apiVersion: extensions/v1beta1, metadata: {name: p}}").contains("v1beta1"));
    assert!(of_kind("a: [").contains("\"f\" is not YAML"));
}

#[test]
fn a_namespace_whose_labels_are_needed_must_be_there() {
    let pod = "kind: Pod\nmetadata: {name: a, namespace: lost}\nstatus: {podIP: 10.1.0.9}\n";
    let asks = policy("p", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}");
    let refused = meaning(&[pod, &asks].join("---\n")).expect_err("not there").to_string();
    assert!(refused.starts_with("namespace lost of pod lost/a is not among the objects"), "{refused}");
    assert!(meaning(&[pod, &policy("p", "{podSelector: {}}")].join("---\n")).is_ok());
}

#[test]
fn more_rules_than_there_is_room_for_are_refused_and_not_cut() {
    let ports =
        |count: u16| (0..count).map(|port| format!("{{port: {}}}", 1000 + 2 * port)).collect::<Vec<_>>().join(", ");
    let spec = |count| policy("p", &format!("{{podSelector: {{}}, ingress: [{{ports: [{}]}}]}}", ports(count)));
    assert!(meaning(&spec(63)).is_ok());
    let refused = meaning(&spec(64)).expect_err("too many").to_string();
    assert!(refused.contains("take 65 rules, and a policy of ipvl has at most 64"), "{refused}");
}

#[test]
fn pods_of_the_nodes_network_and_pods_that_have_ended_are_none() {
    let gone = "kind: Pod\nmetadata: {name: gone}\nstatus: {phase: Succeeded, podIP: 10.1.0.8}\n";
    let node = "kind: Pod\nmetadata: {name: node}\nspec: {hostNetwork: true}\nstatus: {podIP: 10.1.0.9}\n";
    let own = policy("p", "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}]}]}");
    let meaning = meaning(&[gone, node, &own].join("---\n")).expect("understood");
    assert_eq!(meaning.len(), PODS.len());
    assert!(!meaning["default/web"].contains("10.1.0.8"), "{}", meaning["default/web"]);
}

#[test]
fn a_list_and_json_mean_the_same_as_documents() {
    let list = r#"{"kind": "List", "apiVersion": "v1", "items": [
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "status": {"podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]}},
        {"kind": "NetworkPolicyList", "apiVersion": "networking.k8s.io/v1", "items": [{"metadata": {"name": "p"}, "spec": {"podSelector": {}}}]}
    ]}"#;
    let translated = translate(&Cluster::read([("list.json", list)]).expect("understood"));
    assert_eq!(translated.len(), 1);
    assert_eq!((translated[0].pod.as_str(), translated[0].addresses.len()), ("default/a", 2));
    assert!(matches!(&translated[0].policy, Ok(Some(policy)) if !policy.inward && policy.outward));
}
