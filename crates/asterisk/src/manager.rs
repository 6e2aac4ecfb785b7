//! Events of the manager interface (AMI). Header values may come from a peer, so a line break in one must not start
//! another header or event.

use std::ffi::{CStr, c_int};
use std::fmt::{Display, Write as _};
use std::ptr;

use crate::{log, module, sys};

/// The category of an event, by which managers subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The host itself.
    System,
    /// A call.
    Call,
    /// Statistics.
    Reporting,
}

/// One event, built header by header.
#[derive(Debug, Clone)]
pub struct Event {
    category: Category,
    name: &'static CStr,
    headers: String,
}

impl Event {
    /// An event with no headers yet.
    pub fn new(category: Category, name: &'static CStr) -> Self {
        Self { category, name, headers: String::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        // Writing to a String cannot fail; if a Display fails, the text written so far is kept.
        let _ = write!(Line(&mut self.headers), "{name}: {value}");
        self.headers.push_str("\r\n");
        self
    }

    /// Adds a header that has no value, and no space behind its colon.
    pub fn bare(mut self, name: &str) -> Self {
        self.headers.push_str(name);
        self.headers.push_str(":\r\n");
        self
    }

    #[cfg(test)]
    pub(crate) fn headers(&self) -> &str {
        &self.headers
    }

    /// Sends the event to all subscribers. Wraps `__ast_manager_event_multichan`.
    pub fn send(self) {
        let category = match self.category {
            Category::System => sys::EVENT_FLAG_SYSTEM,
            Category::Call => sys::EVENT_FLAG_CALL,
            Category::Reporting => sys::EVENT_FLAG_REPORTING,
        };
        let (headers, file) = (log::c_text(&self.headers), module::name().as_ptr());
        // SAFETY: the strings outlive the call, there are no channels, and the shim passes the headers as
        // text, not format.
        unsafe {
            sys::asterisk_sys_manager_event(
                category as c_int,
                self.name.as_ptr(),
                0,
                ptr::null_mut(),
                file,
                0,
                file,
                headers.as_ptr(),
            );
        }
    }
}

/// Removes the characters that would end a header or the text.
struct Line<'a>(&'a mut String);

impl std::fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend(text.chars().filter(|character| !matches!(character, '\r' | '\n' | '\0')));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_add_a_header() {
        let event = Event::new(Category::Reporting, c"RTCPSent").header("To", "x\r\nAction: Evil").header("SSRC", 7);
        assert_eq!(event.headers, "To: xAction: Evil\r\nSSRC: 7\r\n");
    }
}
