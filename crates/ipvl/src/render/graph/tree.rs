//! How is the graph shown on a terminal? As a tree: masters, their namespaces, slaves, and what each reaches.

use super::super::Style;
use super::super::color::Color;
use super::{addresses, json, words};
use crate::graph::{Graph, MOST_ASKED, Node, Way};

/// A record for each master.
pub fn graph(graph: &Graph, style: Style) -> String {
    style.print(
        || {
            let trees = graph.masters().into_iter().map(|master| tree(graph, master, style));
            trees.chain(unasked(graph)).collect()
        },
        || json(graph),
    )
}

fn tree(graph: &Graph, master: &str, style: Style) -> String {
    let host = graph.host(master).map_or_else(Vec::new, |(_, node)| addresses(node));
    let mut text = format!("{}  {}\n", style.paint(Color::Name, master), host.join(" "));
    let places = graph.places(master);
    for (number, place) in places.iter().enumerate() {
        let (branch, stem) = if number + 1 == places.len() { ("└─", "  ") } else { ("├─", "│ ") };
        let place_name = place.map_or_else(|| "in the master's netns".to_owned(), |name| format!("netns {name}"));
        text += &format!("{branch} {place_name}\n");
        let slaves: Vec<_> = graph.slaves_in(master, *place).collect();
        for (at, (node_number, node)) in slaves.iter().enumerate() {
            let (branch, below) = if at + 1 == slaves.len() { ("└─", "  ") } else { ("├─", "│ ") };
            text += &format!("{stem} {branch} {}\n", slave(node, style));
            text += &reach(graph, *node_number, &format!("{stem} {below}   "), style);
        }
    }
    text
}

fn slave(node: &Node, style: Style) -> String {
    let (color, state) = if node.up { (Color::Good, "up") } else { (Color::Bad, "down") };
    let degraded: String =
        node.degraded.iter().map(|why| format!("  {}: {why}", style.paint(Color::Bad, "degraded"))).collect();
    let (name, state) = (style.paint(Color::Name, &node.name), style.paint(color, state));
    format!("{name}  {state}  {}  {}{degraded}", words(node), addresses(node).join(" "))
}

/// A line for each way, with the nodes that are reached by it.
fn reach(graph: &Graph, number: usize, indent: &str, style: Style) -> String {
    let ways = [
        (Way::Direct, "reaches directly", Color::Good),
        (Way::Host, "reaches by the host's stack", Color::Good),
        (Way::Outside, "reaches by the outside", Color::Limited),
        (Way::Not, "does not reach", Color::Bad),
    ];
    let mut text = String::new();
    for (way, what, color) in ways {
        let names = graph.from(number).filter(|answer| answer.way == way).map(|answer| &graph.nodes[answer.to].name);
        let names: Vec<&str> = names.map(String::as_str).collect();
        if !names.is_empty() {
            text += &format!("{indent}{}: {}\n", style.paint(color, what), names.join(" "));
        }
    }
    text
}

fn unasked(graph: &Graph) -> Option<String> {
    let count = graph.unasked;
    (count > 0).then(|| format!("{count} more slaves: only the first {MOST_ASKED} are asked what they reach\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::sample;
    use crate::snapshot;

    #[test]
    fn the_tree_is_as_it_was() {
        snapshot::check("graph.txt", &graph(&sample(), Style::default()));
        snapshot::check("graph.json", &graph(&sample(), Style { json: true, pretty: true, ..Style::default() }));
    }
}
