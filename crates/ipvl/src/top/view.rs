//! How is it drawn? In 80 columns and 24 lines, and without colors as well as with them.

use super::numbers::{bars, short};
use super::{LastDrop, Row, Top};
use crate::render::{harmless, own_words};
use ipvl_control::{AgentReport, remedy};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline, Table, TableState, Wrap};
use std::time::Instant;

const BARS: usize = 9;
const KEYS: &str = "q quit  s sort  / filter  Enter detail  arrows move";
const KEYS_OF_DETAIL: &str = "q quit  Esc back  arrows other slaves";

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, top: &Top, color: bool) {
    let [head, agent, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Line::from(totals(top)), head);
    frame.render_widget(health(top, color), agent);
    match top.marked.filter(|_| top.detail).and_then(|marked| top.rows.get(&marked)) {
        Some(row) => detail(frame, row, body, color),
        None => table(frame, top, body, color),
    }
    frame.render_widget(footer(top, color), foot);
}

fn totals(top: &Top) -> String {
    let sum = |value: fn(&Row) -> f64| short(top.rows.values().map(value).sum());
    let conflicts: usize = top.ports.iter().map(|port| port.conflicts + port.refused).sum();
    let degraded = top.rows.values().filter(|row| !row.slave.link.degraded.is_empty()).count();
    format!(
        "ipvl top: {} slaves, rx {} tx {} bit/s, drops {}/s, conflicts {conflicts}, degraded {degraded}",
        top.rows.len(),
        sum(|row| row.rates.rx_bits),
        sum(|row| row.rates.tx_bits),
        sum(|row| row.rates.drops),
    )
}

fn health(top: &Top, color: bool) -> Line<'static> {
    if let Some(why) = &top.failure {
        return Line::styled(harmless(&format!("not read: {why}")), style(color, Color::Red));
    }
    match &top.agent {
        Some(AgentReport { runs: false, .. }) if !top.rows.is_empty() => Line::styled(
            "agent: does not run, so changes of addresses are not noticed: ipvl agent &",
            style(color, Color::Red),
        ),
        Some(AgentReport { counters: Some(counters), .. }) => {
            let mean = 1000.0 * counters.latency.sum / counters.latency.count.max(1) as f64;
            Line::raw(format!(
                "agent: {} events  {} syncs  {} resyncs  {} errors  event to table {mean:.1} ms",
                counters.events, counters.syncs, counters.resyncs, counters.errors
            ))
        }
        Some(AgentReport { runs: true, .. }) => {
            Line::styled("agent: busy, or of another version", style(color, Color::Yellow))
        }
        _ => Line::raw("agent: does not run, and is not needed"),
    }
}

fn table(frame: &mut Frame<'_>, top: &Top, area: Rect, color: bool) {
    let shown = top.shown();
    let place = top.marked.and_then(|marked| shown.iter().position(|row| row.slave.link.host_end.0 == marked));
    let rows = shown.iter().map(|row| cells(row, color));
    let widths = [16, 11, 11, 7, 7, 7, BARS as u16, 5].map(Constraint::Length);
    let header = ["SLAVE", "NETNS", "MODE", "RX bit", "TX bit", "DROP/s", "drops", "STATE"];
    let table = Table::new(rows, widths)
        .header(ratatui::widgets::Row::new(header).style(Style::new().bold()))
        .row_highlight_style(Style::new().reversed());
    frame.render_stateful_widget(table, area, &mut TableState::default().with_selected(place));
}

fn cells(row: &Row, color: bool) -> ratatui::widgets::Row<'static> {
    let (link, rates) = (&row.slave.link, &row.rates);
    let netns = link.netns.clone().or_else(|| link.netnsid.map(|id| format!("#{id}"))).unwrap_or_default();
    let (state, of_state) = match (link.degraded.is_empty(), link.is_up()) {
        (false, _) => ("DEGR", style(color, Color::Red)),
        (true, false) => ("down", style(color, Color::Yellow)),
        (true, true) => ("up", style(color, Color::Green)),
    };
    let of_drops = if rates.drops > 0.0 { style(color, Color::Red) } else { Style::new() };
    let mode = format!("{} {}", link.options.mode.word(), link.options.flag.word());
    ratatui::widgets::Row::new([
        Span::styled(harmless(&link.name), style(color, Color::Cyan)),
        Span::raw(harmless(&netns)),
        Span::raw(mode),
        Span::raw(short(rates.rx_bits)),
        Span::raw(short(rates.tx_bits)),
        Span::styled(short(rates.drops), of_drops),
        Span::styled(bars(&row.drops(), BARS), of_drops),
        Span::styled(state, of_state),
    ])
}

fn detail(frame: &mut Frame<'_>, row: &Row, area: Rect, color: bool) {
    let texts = [sentence(row), traffic(row), harmless(&own_words(&row.slave.link))];
    let degraded = row.slave.link.degraded.iter().map(|why| format!("degraded: {why}"));
    let lines: Vec<Line<'_>> = std::iter::once(Line::styled(harmless(&row.slave.link.name), Style::new().bold()))
        .chain(texts.into_iter().map(Line::raw))
        .chain(degraded.map(|text| Line::styled(text, style(color, Color::Red))))
        .chain([Line::raw("")])
        .collect();
    let [about, reasons] = Layout::vertical([Constraint::Length(10), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), about);
    for (place, (reason, count)) in row.slave.drops.iter().enumerate() {
        let Some(line) = reasons.rows().nth(place) else { break };
        let [name, bars] = Layout::horizontal([Constraint::Length(32), Constraint::Min(0)]).areas(line);
        let new: Vec<u64> = row.history.get(reason).into_iter().flatten().copied().collect();
        frame.render_widget(Line::raw(format!("{:<20} {count:>9}", reason.name())), name);
        frame.render_widget(Sparkline::default().data(new).style(style(color, Color::Red)), bars);
    }
}

/// Why the slave lost its last packets, and what to do.
fn sentence(row: &Row) -> String {
    let Some(LastDrop { reason, count, time }) = row.last else {
        return match row.slave.drops.is_empty() {
            true => "It has lost no packet.".to_owned(),
            false => "It has lost no packet since ipvl top began.".to_owned(),
        };
    };
    let packets = if count == 1 { "packet was".to_owned() } else { format!("{count} packets were") };
    let ago = Instant::now().saturating_duration_since(time);
    let todo = match remedy(reason) {
        "" => String::new(),
        remedy => format!(" To do: {remedy}."),
    };
    let meaning = reason.meaning().trim();
    format!("Its last {packets} dropped {} s ago as {reason}: {meaning}{todo}", ago.as_secs())
}

fn traffic(row: &Row) -> String {
    let (rates, counters) = (&row.rates, &row.slave.counters);
    let way = |name: &str, packets: f64, bits: f64, all: u64| {
        format!("{name} {} packets/s {}bit/s ({all} packets)", short(packets), short(bits))
    };
    let rx = way("rx", rates.rx_packets, rates.rx_bits, counters.rx_packets);
    format!("{rx}  {}", way("tx", rates.tx_packets, rates.tx_bits, counters.tx_packets))
}

fn footer(top: &Top, color: bool) -> Line<'static> {
    let text = match (top.typing, top.detail) {
        (true, _) => format!("filter: {}_  (Enter keeps it, Esc ends it)", top.filter),
        (false, true) => KEYS_OF_DETAIL.to_owned(),
        (false, false) if top.filter.is_empty() => format!("{KEYS}  by {}", top.sort.word()),
        (false, false) => format!("{KEYS}  by {}  /{}", top.sort.word(), top.filter),
    };
    Line::styled(harmless(&text), style(color, Color::Blue))
}

fn style(color: bool, wanted: Color) -> Style {
    if color { Style::new().fg(wanted) } else { Style::new() }
}
