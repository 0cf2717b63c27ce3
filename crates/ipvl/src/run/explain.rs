//! What becomes of a frame? One answer, for `explain` and for every pair of a graph.

use super::output::show;
use crate::backend::{self, Explanation, Inventory};
use crate::command::Question;
use crate::failure::Failure;
use crate::frame;
use crate::render::{self, Style};
use ipvl_control::{AddressEntry, Link};

/// Prints the answer.
pub fn run(question: &Question, style: Style) -> Result<(), Failure> {
    let inventory = Inventory::read()?;
    let (links, addresses) = (inventory.links(), inventory.addresses()?);
    show(&render::explanation(&answer(question, &links, &addresses)?, style))
}

/// The answer, with these slaves and addresses.
pub fn answer(question: &Question, links: &[Link], addresses: &[AddressEntry]) -> Result<Explanation, Failure> {
    let is_slave = links.iter().any(|link| link.is_called(&question.device));
    let routed = frame::routed(question).filter(|_| is_slave);
    // If the slave's netns cannot be entered, the tables alone explain the frame.
    let next = routed.and_then(|to| backend::next_hop(&question.device, to).ok().flatten());
    let bytes = frame::bytes(question, links, addresses, next.as_ref())?;
    let explanation = backend::explain(&question.device, &bytes)?;
    Ok(match next {
        Some(next) => explanation.behind(next),
        None => explanation,
    })
}
