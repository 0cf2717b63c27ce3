//! How does a table of ratios become a picture? Grouped bars in SVG, and a line at 1.

use std::fmt::Write as _;

const WIDTH: f64 = 1180.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 40.0;
const GAP: f64 = 22.0;
/// A dark and a light colour for each mode, and greys for other drivers.
const COLOURS: [&str; 8] = ["#004c7f", "#56b4e9", "#00664b", "#5fd3b3", "#a35200", "#f0b040", "#666666", "#bbbbbb"];

/// The content of a chart.
pub struct Chart {
    /// The title above it.
    pub title: String,
    /// The meaning of each colour.
    pub legend: Vec<String>,
    /// A name below, and a bar for each colour; `None` where nothing was measured.
    pub groups: Vec<(String, Vec<Option<f64>>)>,
}

impl Chart {
    /// As an SVG document.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(&mut svg, LEFT, 22.0, "start", "font-size=\"15\" font-weight=\"bold\"", &self.title);
        self.legend(&mut svg);
        self.grid(&mut svg);
        self.bars(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// The top of the scale: the next quarter above the highest bar.
    fn top(&self) -> f64 {
        let highest = self.groups.iter().flat_map(|(_, bars)| bars).flatten().copied().fold(1.0, f64::max);
        (highest * 4.0 + 0.2).ceil() / 4.0
    }

    fn y(&self, value: f64) -> f64 {
        let room = HEIGHT - TOP - BOTTOM;
        TOP + room * (1.0 - value / self.top())
    }

    fn legend(&self, svg: &mut String) {
        let step = (WIDTH - LEFT) / self.legend.len().max(1) as f64;
        for (n, name) in self.legend.iter().enumerate() {
            let x = LEFT + step * n as f64;
            rectangle(svg, [x, 36.0, 12.0, 12.0], COLOURS[n % COLOURS.len()], name);
            text(svg, x + 17.0, 46.0, "start", "", name);
        }
    }

    fn grid(&self, svg: &mut String) {
        let steps = (self.top() * 4.0).round() as u32;
        for value in (0..=steps).map(|step| f64::from(step) / 4.0) {
            let (y, even) = (self.y(value), (value - 1.0).abs() < 1e-9);
            let style = if even { "stroke=\"black\" stroke-width=\"1.5\"" } else { "stroke=\"#dddddd\"" };
            let _ = writeln!(svg, "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" {style}/>");
            text(svg, LEFT - 6.0, y + 4.0, "end", "", &format!("{value:.2}"));
        }
    }

    fn bars(&self, svg: &mut String) {
        let group = (WIDTH - LEFT) / self.groups.len().max(1) as f64;
        let width = (group - GAP) / self.legend.len().max(1) as f64;
        for (n, (name, bars)) in self.groups.iter().enumerate() {
            let left = LEFT + group * n as f64 + GAP / 2.0;
            text(svg, left + (group - GAP) / 2.0, HEIGHT - 14.0, "middle", "", name);
            for (m, value) in bars.iter().enumerate() {
                let Some(value) = *value else { continue };
                let (x, y) = (left + width * m as f64, self.y(value));
                let label = format!("{name}, {}: {value:.3}", self.legend[m]);
                rectangle(svg, [x, y, width - 2.0, self.y(0.0) - y], COLOURS[m % COLOURS.len()], &label);
                text(svg, x + width / 2.0 - 1.0, y - 3.0, "middle", "font-size=\"9\"", &format!("{value:.2}"));
            }
        }
    }
}

fn rectangle(svg: &mut String, [x, y, width, height]: [f64; 4], colour: &str, title: &str) {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
    let _ = writeln!(svg, "<rect {place} fill=\"{colour}\"><title>{title}</title></rect>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, style: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_of_half_the_scale_is_half_as_high() {
        let groups = vec![("a".to_owned(), vec![Some(0.5), None])];
        let chart = Chart { title: String::new(), legend: vec!["x".into(), "y".into()], groups };
        let (zero, half, top) = (chart.y(0.0), chart.y(0.5), chart.y(chart.top()));
        assert!(top < half && half < zero);
        assert_eq!(chart.svg().matches("<title>a, ").count(), 1);
    }
}
