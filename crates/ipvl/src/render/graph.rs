//! How is the graph shown: as a tree, for Graphviz, for Mermaid, as JSON, and as a page?

mod dot;
mod html;
mod mermaid;
mod tree;

pub use dot::dot;
pub use html::html;
pub use mermaid::mermaid;
pub use tree::graph;

use super::addr::prefix;
use super::options;
use crate::graph::{Answer, Graph, Node, Role};
use serde_json::{Value, json};

/// The same for programs.
fn json(graph: &Graph) -> Value {
    let nodes: Vec<Value> = graph.nodes.iter().map(node_json).collect();
    let answers: Vec<Value> = graph.answers.iter().map(answer_json).collect();
    json!({ "nodes": nodes, "answers": answers, "unasked": graph.unasked })
}

fn node_json(node: &Node) -> Value {
    json!({
        "name": node.name,
        "device": node.device,
        "master": node.master,
        "netns": node.netns,
        "role": role(node.role),
        "options": words(node),
        "up": node.up,
        "degraded": node.degraded,
        "addresses": addresses(node),
    })
}

fn answer_json(answer: &Answer) -> Value {
    let Answer { from, to, question, way, text, remedy, steps } = answer;
    json!({ "from": from, "to": to, "question": question, "way": way.word(), "text": text, "remedy": remedy, "questions": steps })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Slave => "slave",
        Role::Guest => "guest",
    }
}

/// `mode l2 bridge ...`; nothing for the host.
fn words(node: &Node) -> String {
    node.options.map(options::in_words).unwrap_or_default()
}

fn addresses(node: &Node) -> Vec<String> {
    node.addresses.iter().map(|(addr, len)| prefix(*addr, *len)).collect()
}

/// The title of a namespace in a drawing; none is the master's own.
fn title(place: Option<&str>) -> String {
    place.map_or_else(|| "the master's netns".to_owned(), |name| format!("netns {name}"))
}

/// The lines of a node in a drawing: its name, its options without their defaults, its addresses.
fn label(node: &Node) -> Vec<String> {
    let state = if node.up { "" } else { " (down)" };
    let start = format!("{}{state}", node.name);
    let mode = node.options.map(|options| format!("{} {}", options.mode.word(), options.flag.word()));
    [Some(start), mode].into_iter().flatten().chain(addresses(node)).collect()
}
