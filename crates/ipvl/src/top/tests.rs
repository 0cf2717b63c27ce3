//! Does the screen show the rates, and do keys do what they say?

use super::*;
use crate::render::sample_link;
use crate::snapshot;
use ipvl_control::{AgentCounters, Link};
use ipvl_core::maps::Counters;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

#[test]
fn the_screen_is_as_it_was() {
    let mut top = fed();
    let list = screen(&top);
    press(&mut top, KeyCode::Down);
    press(&mut top, KeyCode::Enter);
    snapshot::check("top.txt", &format!("{list}{}{}", "-".repeat(80) + "\n", screen(&top)));
}

#[test]
fn keys_sort_filter_and_end() {
    let mut top = fed();
    assert_eq!(names(&top), ["s0", "s1", "s2"]);
    press(&mut top, KeyCode::Char('s'));
    assert_eq!((top.sort, names(&top)), (Sort::Received, vec!["s2", "s1", "s0"]));
    for c in "/s1".chars() {
        press(&mut top, KeyCode::Char(c));
    }
    assert_eq!((names(&top), top.marked), (vec!["s1"], Some(IfIndex(101))));
    press(&mut top, KeyCode::Enter);
    press(&mut top, KeyCode::Esc);
    assert_eq!(names(&top).len(), 3);
    assert!(top.key(KeyEvent::from(KeyCode::Char('q'))));
}

#[test]
fn a_filter_finds_the_reason_of_a_drop_and_may_find_nothing() {
    let mut top = fed();
    top.filter = "private".to_owned();
    assert_eq!(names(&top), ["s1"]);
    top.filter = "nothing".to_owned();
    top.keep_mark();
    press(&mut top, KeyCode::Enter);
    assert!(!top.detail && top.marked.is_none());
    let _ = screen(&top);
}

#[test]
fn rates_are_per_second_and_a_counter_that_starts_again_is_no_rate() {
    let top = fed();
    let rates = top.rows[&IfIndex(102)].rates;
    assert_eq!((rates.rx_packets, rates.rx_bits), (10.0, 16000.0));
    let (high, low) = (report(0, 9), report(0, 1));
    assert_eq!(Rates::between(&high, &low, Duration::from_secs(1)), Rates::default());
}

#[test]
fn without_color_nothing_is_colored() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(frame, &fed(), false)).unwrap();
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
}

/// Three slaves, read twice with two seconds between. The second one lost packets.
fn fed() -> Top {
    let (mut top, now) = (Top::default(), Instant::now());
    top.update(overview(0), now);
    top.update(overview(1), now + Duration::from_secs(2));
    top
}

fn overview(round: u64) -> Overview {
    let slaves = (0..3).map(|n| report(n, round * (1 + n as u64 * 19 / 2))).collect();
    let counters = AgentCounters { events: 7, syncs: 3, resyncs: 1, ..AgentCounters::default() };
    Overview { slaves, ports: Vec::new(), agent: AgentReport { runs: true, counters: Some(counters) } }
}

fn report(n: u32, packets: u64) -> SlaveReport {
    let host_end = (IfIndex(100 + n), format!("ipvlh{n}"));
    let link = Link { name: format!("s{n}"), host_end, ..sample_link() };
    let counters =
        Counters { tx_packets: packets, tx_bytes: 100 * packets, rx_packets: packets, rx_bytes: 200 * packets };
    let drops = if n == 1 && packets > 0 { vec![(Reason::Private, 17)] } else { Vec::new() };
    SlaveReport { link, owner: None, counters, drops }
}

fn names(top: &Top) -> Vec<&str> {
    top.shown().iter().map(|row| row.slave.link.name.as_str()).collect()
}

fn press(top: &mut Top, code: KeyCode) {
    assert!(!top.key(KeyEvent::from(code)));
}

fn screen(top: &Top) -> String {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(frame, top, true)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
    buffer.content.chunks(80).map(|row| format!("{}\n", line(row).trim_end())).collect()
}
