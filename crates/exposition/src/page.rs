//! A page of metrics: families with their samples.

use std::fmt::{Display, Write};

use crate::{Format, Reading};

/// A page, or a part of one, in one format.
#[derive(Debug)]
pub struct Page {
    format: Format,
    /// The labels that every sample begins with, written already.
    labels: String,
    text: String,
}

/// A family of samples that share name, type and help.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
    /// The ending of the name in a sample of a counter.
    suffix: &'static str,
}

impl Page {
    /// Creates an empty page. Every sample has these `labels`.
    pub fn new(format: Format, labels: &[(&str, &str)]) -> Self {
        let mut written = String::new();
        labels.iter().for_each(|(name, value)| write_label(&mut written, name, value));
        Self { format, labels: written, text: String::new() }
    }

    /// Begins a family of counters. `name` has neither `_total`, which is added, nor a space; it ends with its unit if it has one.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        let typed_as = if self.format == Format::Text { "_total" } else { "" };
        self.begin(name, typed_as, "counter", help);
        Family { page: self, name, suffix: "_total" }
    }

    /// Begins a family of gauges.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.begin(name, "", "gauge", help);
        Family { page: self, name, suffix: "" }
    }

    /// Begins a family of histograms.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.begin(name, "", "histogram", help);
        Family { page: self, name, suffix: "" }
    }

    /// Adds families that another [`Page`] of the same format has.
    pub fn append(&mut self, families: &str) {
        self.text.push_str(families);
    }

    /// Returns the families alone, for another page.
    pub fn into_part(self) -> String {
        self.text
    }

    /// Returns the whole page. OpenMetrics has a line that says that nothing is missing.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn begin(&mut self, name: &str, suffix: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name}{suffix} {help}"));
        self.line(format_args!("# TYPE {name}{suffix} {kind}"));
        let unit = UNITS.iter().find(|unit| name.strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_')));
        if let Some(unit) = unit.filter(|_| self.format == Format::OpenMetrics) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Writes a bound as a label: OpenMetrics wants it as a floating-point number in every case.
    fn bound(&self, bound: f64) -> String {
        if self.format == Format::OpenMetrics { format!("{bound:?}") } else { bound.to_string() }
    }
}

impl Family<'_> {
    /// Writes one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.write(self.suffix, labels, value);
        self
    }

    /// Writes the samples of a histogram.
    pub fn reading(&mut self, labels: &[(&str, &str)], read: &Reading) -> &mut Self {
        for (bound, count) in &read.buckets {
            let bound = self.page.bound(*bound);
            self.write("_bucket", &[labels, &[("le", &bound)]].concat(), count);
        }
        self.write("_bucket", &[labels, &[("le", "+Inf")]].concat(), read.count);
        self.write("_sum", labels, read.sum);
        self.write("_count", labels, read.count);
        self
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let Self { page, name, .. } = self;
        let mut written = page.labels.clone();
        labels.iter().for_each(|(name, value)| write_label(&mut written, name, value));
        match written.is_empty() {
            true => page.line(format_args!("{name}{suffix} {value}")),
            false => page.line(format_args!("{name}{suffix}{{{written}}} {value}")),
        }
    }
}

/// The units that names end with.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// Appends a label. Backslashes, quotes and line feeds of the value are escaped.
fn write_label(to: &mut String, name: &str, value: &str) {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let comma = if to.is_empty() { "" } else { "," };
    // Writing to a string does not fail.
    let _ = write!(to, "{comma}{name}=\"{value}\"");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Histogram;

    fn page(format: Format) -> String {
        let mut page = Page::new(format, &[("node", "pbx-1")]);
        page.counter("asterisk_rtp_packets", "RTP packets.")
            .sample(&[("direction", "received")], 7)
            .sample(&[("direction", "sent")], 9);
        page.gauge("asterisk_websocket_queued_bytes", "Output that waits.").sample(&[], 512);
        let times = Histogram::new([0.5, 1.0]);
        times.observe(0.7);
        page.histogram("asterisk_rtp_setup_seconds", "Times.").reading(&[("stage", "ice")], &times.read());
        page.finish()
    }

    #[test]
    fn text_format_0_0_4() {
        let expected = r#"# HELP asterisk_rtp_packets_total RTP packets.
# TYPE asterisk_rtp_packets_total counter
asterisk_rtp_packets_total{node="pbx-1",direction="received"} 7
asterisk_rtp_packets_total{node="pbx-1",direction="sent"} 9
# HELP asterisk_websocket_queued_bytes Output that waits.
# TYPE asterisk_websocket_queued_bytes gauge
asterisk_websocket_queued_bytes{node="pbx-1"} 512
# HELP asterisk_rtp_setup_seconds Times.
# TYPE asterisk_rtp_setup_seconds histogram
asterisk_rtp_setup_seconds_bucket{node="pbx-1",stage="ice",le="0.5"} 0
asterisk_rtp_setup_seconds_bucket{node="pbx-1",stage="ice",le="1"} 1
asterisk_rtp_setup_seconds_bucket{node="pbx-1",stage="ice",le="+Inf"} 1
asterisk_rtp_setup_seconds_sum{node="pbx-1",stage="ice"} 0.7
asterisk_rtp_setup_seconds_count{node="pbx-1",stage="ice"} 1
"#;
        assert_eq!(page(Format::Text), expected);
    }

    #[test]
    fn openmetrics_1_0_0() {
        let page = page(Format::OpenMetrics);
        assert!(page.starts_with("# HELP asterisk_rtp_packets RTP packets.\n# TYPE asterisk_rtp_packets counter\n"));
        assert!(page.contains("asterisk_rtp_packets_total{node=\"pbx-1\",direction=\"sent\"} 9\n"));
        assert!(
            page.contains(
                "# TYPE asterisk_websocket_queued_bytes gauge\n# UNIT asterisk_websocket_queued_bytes bytes\n"
            )
        );
        assert!(page.contains(",le=\"1.0\"} 1\n") && page.ends_with("} 1\n# EOF\n"), "{page}");
    }

    #[test]
    fn without_labels_there_are_no_braces() {
        let mut page = Page::new(Format::Text, &[]);
        page.gauge("asterisk_rtp_ports", "a \\ and\na line").sample(&[], 3);
        assert!(page.finish().ends_with("\nasterisk_rtp_ports 3\n"));
    }

    proptest! {
        /// Any value of a label stays one value on one line.
        #[test]
        fn labels_are_read_as_they_were(value in any::<String>()) {
            let mut page = Page::new(Format::Text, &[]);
            page.gauge("a", "A.").sample(&[("b", &value)], 1);
            let page = page.finish();
            let sample = page.split('\n').nth(2).unwrap_or_default();
            let written = sample.strip_prefix("a{b=\"").and_then(|rest| rest.strip_suffix("\"} 1")).unwrap_or_default();
            prop_assert_eq!(read(written), Some(value));
        }
    }

    fn read(written: &str) -> Option<String> {
        let (mut value, mut characters) = (String::new(), written.chars());
        while let Some(character) = characters.next() {
            value.push(match character {
                '\\' => match characters.next()? {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    _ => return None,
                },
                '"' => return None,
                plain => plain,
            });
        }
        Some(value)
    }
}
