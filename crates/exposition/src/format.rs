//! The two formats, and which one a client asks for.

/// A format of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Chooses by the `Accept` header of a request (RFC 9110 §12.5.1): OpenMetrics 1.0.0 for clients that name it and do not prefer
    /// plain text, the text format for all others.
    pub fn accepted(accept: &str) -> Self {
        let ranges: Vec<Range<'_>> = accept.split(',').map(Range::read).collect();
        let open = ranges.iter().filter(|range| range.is_open_metrics()).map(|range| range.weight).max();
        let text = ranges.iter().filter(|range| range.media_type == "text/plain").map(|range| range.weight).max();
        match open {
            Some(open) if open > 0 && open >= text.unwrap_or(0) => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// The `Content-Type` of a page in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A media range of `Accept`.
struct Range<'a> {
    media_type: String,
    version: Option<&'a str>,
    /// In thousandths.
    weight: u32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut version, mut weight) = (None, 1000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "version" => version = Some(value.trim().trim_matches('"')),
                "q" | "Q" => weight = thousandths(value.trim()),
                _ => {}
            }
        }
        Self { media_type, version, weight }
    }

    fn is_open_metrics(&self) -> bool {
        self.media_type == "application/openmetrics-text" && self.version.is_none_or(|version| version == "1.0.0")
    }
}

/// Reads a weight from 0 to 1; others are 0.
fn thousandths(weight: &str) -> u32 {
    match weight.parse::<f64>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_format_that_they_prefer() {
        // Prometheus 2.42 and 3.
        let old = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let new =
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3";
        for accept in [old, new, "application/openmetrics-text", "text/plain;q=0.2, application/OpenMetrics-text;q=0.9"]
        {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        let text = "text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.1";
        let later = "application/openmetrics-text;version=2.0.0";
        let never = "application/openmetrics-text;q=0";
        for accept in ["", "*/*", browser, text, later, never, ";;==,q=9", "application/openmetrics-text;q=many"] {
            assert_eq!(Format::accepted(accept), Format::Text, "{accept}");
        }
    }
}
