//! How does `top` run? It reads, draws, and waits for a key or for the time of the next reading.

use crate::backend;
use crate::command::When;
use crate::failure::Failure;
use crate::render::is_colored;
use crate::top::{Top, draw};
use ipvl_control::Names;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

/// Runs until a key ends it.
pub fn run(interval: Duration, color: When) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let (mut top, mut names) = (Top::default(), Names::default());
    top.update(backend::overview(&mut names)?, Instant::now());
    let mut terminal = ratatui::try_init()?;
    let result = interact(&mut terminal, &mut top, &mut names, interval, is_colored(color));
    ratatui::restore();
    Ok(result?)
}

fn interact(
    terminal: &mut DefaultTerminal,
    top: &mut Top,
    names: &mut Names,
    interval: Duration,
    color: bool,
) -> io::Result<()> {
    let mut next = Instant::now() + interval;
    loop {
        terminal.draw(|frame| draw(frame, top, color))?;
        let pressed = event::poll(next.saturating_duration_since(Instant::now()))?;
        if pressed
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && top.key(key)
        {
            return Ok(());
        }
        if Instant::now() >= next {
            match backend::overview(names) {
                Ok(overview) => top.update(overview, Instant::now()),
                Err(error) => top.failed(error.to_string()),
            }
            next = Instant::now() + interval;
        }
    }
}
