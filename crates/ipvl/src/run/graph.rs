//! How does a graph get to a person? Everything is read, all pairs are asked about, and it is drawn in one way.

use super::explain::answer;
use super::output::show;
use crate::backend::{self, Inventory};
use crate::command::Drawing;
use crate::failure::Failure;
use crate::graph::{Graph, graph};
use crate::render::{self, Style};
use ipvl_control::Names;
use std::fs;

/// Draws it.
pub fn run(drawing: Drawing, style: Style) -> Result<(), Failure> {
    let graph = read()?;
    match drawing {
        Drawing::Tree => show(&render::graph(&graph, style)),
        Drawing::Dot => show(&render::dot(&graph)),
        Drawing::Mermaid => show(&render::mermaid(&graph)),
        Drawing::Html(path) if path.as_os_str() == "-" => show(&render::html(&graph)),
        Drawing::Html(path) => {
            let unwritten = |source| Failure::Unwritten { name: path.display().to_string(), source };
            fs::write(&path, render::html(&graph)).map_err(unwritten)
        }
    }
}

fn read() -> Result<Graph, Failure> {
    let inventory = Inventory::read()?;
    let (links, addresses) = (inventory.links(), inventory.addresses()?);
    let overview = backend::overview(&mut Names::default())?;
    if links.is_empty() {
        backend::require_master_here("examine")?;
    }
    let ask = |question: &_| answer(question, &links, &addresses).map_err(|failure| failure.to_string());
    Ok(graph(&links, &addresses, &overview.ports, ask))
}
