//! How is the graph told to Graphviz? `ipvl graph --dot | dot -Tsvg`.

use super::{label, title};
use crate::graph::{Graph, Node, Way};
use crate::render::harmless::harmless;

/// A digraph with a cluster for each namespace.
pub fn dot(graph: &Graph) -> String {
    let mut text = "digraph ipvl {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=sans];\n".to_owned();
    for (at, master) in graph.masters().into_iter().enumerate() {
        text += &format!("  m{at} [label={}, shape=hexagon];\n", quoted(&[master.to_owned()]));
        if let Some((number, host)) = graph.host(master) {
            text += &node(number, host, "  ");
            text += &format!("  n{number} -> m{at} [dir=none];\n");
        }
        for (place_number, place) in graph.places(master).into_iter().enumerate() {
            text += &format!("  subgraph cluster_{at}_{place_number} {{\n    label={};\n", quoted(&[title(place)]));
            for (number, slave) in graph.slaves_in(master, place) {
                text += &node(number, slave, "    ");
            }
            text += "  }\n";
        }
        for (number, _) in graph.slaves(master) {
            text += &format!("  m{at} -> n{number} [dir=none];\n");
        }
    }
    text + &edges(graph) + "}\n"
}

fn node(number: usize, node: &Node, indent: &str) -> String {
    format!("{indent}n{number} [label={}];\n", quoted(&label(node)))
}

fn edges(graph: &Graph) -> String {
    let edge = graph.reached().map(|answer| {
        let style = if answer.way == Way::Direct { "solid" } else { "dashed" };
        let (from, to, way) = (answer.from, answer.to, answer.way.word());
        format!("  n{from} -> n{to} [style={style}, tooltip=\"{way}\", constraint=false, color=\"#2a7\"];\n")
    });
    edge.collect()
}

/// A string of dot, with its lines.
fn quoted(lines: &[String]) -> String {
    let lines: Vec<String> =
        lines.iter().map(|line| harmless(line).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("\"{}\"", lines.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::sample;
    use crate::snapshot;

    #[test]
    fn dot_is_as_it_was() {
        snapshot::check("graph.dot", &dot(&sample()));
    }
}
