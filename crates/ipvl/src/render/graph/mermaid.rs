//! How is the graph told to Mermaid, which forges and wikis draw?

use super::{label, title};
use crate::graph::{Graph, Node, Way};
use crate::render::harmless::harmless;

/// A flowchart with a subgraph for each namespace.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (at, master) in graph.masters().into_iter().enumerate() {
        text += &format!("  m{at}{{{{{}}}}}\n", quoted(&[master.to_owned()]));
        if let Some((number, host)) = graph.host(master) {
            text += &node(number, host, "  ");
            text += &format!("  n{number} --- m{at}\n");
        }
        for (place_number, place) in graph.places(master).into_iter().enumerate() {
            text += &format!("  subgraph p{at}_{place_number}[{}]\n", quoted(&[title(place)]));
            for (number, slave) in graph.slaves_in(master, place) {
                text += &node(number, slave, "    ");
            }
            text += "  end\n";
        }
        text += &graph.slaves(master).map(|(number, _)| format!("  m{at} --- n{number}\n")).collect::<String>();
    }
    let arrow = |way| if way == Way::Direct { "-->" } else { "-.->" };
    text + &graph
        .reached()
        .map(|answer| format!("  n{} {} n{}\n", answer.from, arrow(answer.way), answer.to))
        .collect::<String>()
}

fn node(number: usize, node: &Node, indent: &str) -> String {
    format!("{indent}n{number}[{}]\n", quoted(&label(node)))
}

/// Mermaid reads HTML's entities, with `#` for `&`.
fn quoted(lines: &[String]) -> String {
    let safe = |line: &String| {
        harmless(line).chars().fold(String::new(), |safe, c| match c {
            '"' | '<' | '>' | '#' | '&' | '`' | '\\' => format!("{safe}#{};", u32::from(c)),
            _ => format!("{safe}{c}"),
        })
    };
    format!("\"{}\"", lines.iter().map(safe).collect::<Vec<_>>().join("<br>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::sample;
    use crate::snapshot;

    #[test]
    fn mermaid_is_as_it_was() {
        snapshot::check("graph.mmd", &mermaid(&sample()));
    }
}
