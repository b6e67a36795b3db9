//! Costs as bars, in SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LABEL_WIDTH: f64 = 260.0;
const ROW_HEIGHT: f64 = 26.0;
const BAR_HEIGHT: f64 = 18.0;
const TOP: f64 = 44.0;
/// Room behind a bar for its number.
const NUMBER_WIDTH: f64 = 60.0;
const KERNEL: &str = "#7a9cc6";
const PROCESS: &str = "#d9822b";

/// A bar for each name, of the kernel's part and the process's.
pub fn bars(costs: &[(String, f64, f64)]) -> String {
    let most =
        costs.iter().map(|(_, kernel, process)| kernel + process).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABEL_WIDTH - NUMBER_WIDTH) / most;
    let height = TOP + ROW_HEIGHT * costs.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\">CPU seconds of a million packets</text>\n\
         <rect x=\"{LABEL_WIDTH}\" y=\"8\" width=\"14\" height=\"14\" fill=\"{KERNEL}\"/>\
         <text x=\"{}\" y=\"20\">kernel</text>\n\
         <rect x=\"{}\" y=\"8\" width=\"14\" height=\"14\" fill=\"{PROCESS}\"/>\
         <text x=\"{}\" y=\"20\">process</text>\n",
        LABEL_WIDTH + 20.0,
        LABEL_WIDTH + 90.0,
        LABEL_WIDTH + 110.0
    );
    for (row, (name, kernel, process)) in costs.iter().enumerate() {
        let y = TOP + ROW_HEIGHT * row as f64;
        let text_y = y + BAR_HEIGHT - 4.0;
        let (kernel, process) = (kernel.max(0.0), process.max(0.0));
        let (first, second) = (kernel * scale, process * scale);
        let end = LABEL_WIDTH + first + second + 6.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{text_y:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABEL_WIDTH}\" y=\"{y:.0}\" width=\"{first:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{KERNEL}\"/>\
             <rect x=\"{:.1}\" y=\"{y:.0}\" width=\"{second:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{PROCESS}\"/>\
             <text x=\"{end:.1}\" y=\"{text_y:.0}\">{:.2}</text>",
            LABEL_WIDTH - 8.0,
            escaped(name),
            LABEL_WIDTH + first,
            kernel + process
        );
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_bar() {
        let svg = bars(&[("a < b".to_owned(), 0.2, 0.1), ("c".to_owned(), 0.4, 0.8)]);
        assert!(svg.contains("a &lt; b") && svg.contains(">0.30<") && svg.contains(">1.20<"));
        assert_eq!(svg.matches("<rect x=").count(), 2 + 4);
    }
}
