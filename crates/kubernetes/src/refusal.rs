//! Why is a policy not translated?

use ipnet::IpNet;
use ipvl_core::policy::MAX_RULES;
use thiserror::Error;

/// Why objects are not understood, or a pod's policy cannot be said in ipvl's words.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "each variant's text names its fields")]
pub enum Refusal {
    #[error("\"{file}\" is not YAML or JSON: {source}")]
    Unreadable { file: String, source: Box<serde_saphyr::Error> },
    #[error("kind \"{kind}\" is not understood: give NetworkPolicy, Pod and Namespace objects, or a List of them")]
    Kind { kind: String },
    #[error("{object} is not as Kubernetes has it: {source}")]
    Shape { object: String, source: serde_path_to_error::Error<serde_json::Error> },
    #[error("NetworkPolicy {policy}: {wrong}")]
    Policy { policy: String, wrong: Wrong },
    #[error(
        "namespace {namespace} of pod {pod} is not among the objects, and a policy asks for its labels: give it too"
    )]
    NoNamespace { namespace: String, pod: String },
    #[error(
        "pod {pod}: its NetworkPolicy objects take {rules} rules, and a policy of ipvl has at most {MAX_RULES}: \
         name peers by an ipBlock, or select fewer pods and ports"
    )]
    TooManyRules { pod: String, rules: usize },
}

/// What is wrong with a NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "each variant's text names its fields")]
pub enum Wrong {
    #[error("apiVersion \"{0}\" is not networking.k8s.io/v1")]
    ApiVersion(String),
    #[error("a peer must have a podSelector, a namespaceSelector or both, or an ipBlock alone")]
    Peer,
    #[error("except {except} is not a smaller part of ipBlock {cidr}")]
    Except { except: IpNet, cidr: IpNet },
    #[error("ipBlock {0} has IPv4 addresses in IPv6's form: write them as IPv4")]
    Mapped(IpNet),
    #[error("port 0 is none: it is a number from 1 to 65535, or a name")]
    PortZero,
    #[error("endPort {0} needs a port that is a number, and not a larger one")]
    EndPort(u16),
    #[error("the label \"{0}\" must have values with In and NotIn, and none with Exists and DoesNotExist")]
    Values(String),
}
