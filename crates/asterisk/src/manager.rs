//! Events and actions of the manager interface (AMI). Header values may come from a peer, so a line break in one must not start
//! another header or event.

use std::ffi::{CStr, c_int};
use std::fmt::{Display, Write as _};
use std::marker::PhantomData;
use std::ptr;

use crate::callers::{Callers, LAST_STEPS};
use crate::fence::fence;
use crate::{Failed, check, log, module, sys};

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

impl Category {
    fn flag(self) -> c_int {
        let flag = match self {
            Self::System => sys::EVENT_FLAG_SYSTEM,
            Self::Call => sys::EVENT_FLAG_CALL,
            Self::Reporting => sys::EVENT_FLAG_REPORTING,
        };
        flag as c_int
    }
}

/// Headers, each in a line of its own.
#[derive(Debug, Clone, Default)]
pub struct Headers(String);

impl Headers {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        // Writing to a String cannot fail; if a Display fails, the text written so far is kept.
        let _ = write!(Line(&mut self.0), "{name}: {value}");
        self.0.push_str("\r\n");
        self
    }

    /// Adds a header that has no value, and no space behind its colon.
    pub fn bare(mut self, name: &str) -> Self {
        self.0.push_str(name);
        self.0.push_str(":\r\n");
        self
    }
}

/// One event, built header by header.
#[derive(Debug, Clone)]
pub struct Event {
    category: Category,
    name: &'static CStr,
    headers: Headers,
}

impl Event {
    /// An event with no headers yet.
    pub fn new(category: Category, name: &'static CStr) -> Self {
        Self { category, name, headers: Headers::default() }
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: impl Display) -> Self {
        Self { headers: self.headers.header(name, value), ..self }
    }

    /// Adds a header that has no value, and no space behind its colon.
    pub fn bare(self, name: &str) -> Self {
        Self { headers: self.headers.bare(name), ..self }
    }

    #[cfg(test)]
    pub(crate) fn headers(&self) -> &str {
        &self.headers.0
    }

    /// Sends the event to all subscribers. Wraps `__ast_manager_event_multichan`.
    pub fn send(self) {
        let (headers, file) = (log::c_text(&self.headers.0), module::name().as_ptr());
        // SAFETY: the strings outlive the call, there are no channels, and the shim passes the headers as
        // text, not format.
        unsafe {
            sys::asterisk_sys_manager_event(
                self.category.flag(),
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

/// An action that managers may ask for.
pub trait Action {
    /// The name in the header `Action`.
    const NAME: &'static CStr;
    /// The categories of which a manager needs one for writing.
    const CATEGORIES: &'static [Category];
    /// One line for `manager show commands`.
    const SYNOPSIS: &'static CStr;
    /// The text of `manager show command`.
    const DESCRIPTION: &'static CStr;

    /// Runs the action. An error is sent to the manager as the message of an error response.
    fn run(request: &Request<'_>) -> Result<List, String>;
}

/// A request of a manager.
#[derive(Debug)]
pub struct Request<'a> {
    message: *const sys::message,
    lent: PhantomData<&'a sys::message>,
}

impl<'a> Request<'a> {
    /// Returns the value of a header, in any case; empty if the request lacks it. Wraps `astman_get_header`.
    pub fn header(&self, name: &CStr) -> &'a str {
        // SAFETY: the host lends the message while the action runs, and only reads the name.
        unsafe { log::text(sys::astman_get_header(self.message, name.as_ptr().cast_mut())) }.unwrap_or_default()
    }
}

/// A response that is a list: an event for each item, then one that ends it.
#[derive(Debug, Clone)]
pub struct List {
    /// The name of the items' events.
    pub event: &'static str,
    /// The items.
    pub items: Vec<Headers>,
}

impl List {
    /// Writes the whole response to the action `name`, with the request's `ActionID` in each part if it has one.
    fn text(&self, name: &str, id: &str) -> String {
        let part = |first: &str, value: &str| {
            let headers = Headers::default().header(first, value);
            if id.is_empty() { headers } else { headers.header("ActionID", id) }
        };
        let begin = part("Response", "Success").header("EventList", "start").header("Message", "The list follows");
        let end = part("Event", &format!("{name}Complete")).header("EventList", "Complete");
        let end = end.header("ListItems", self.items.len());
        let items = self.items.iter().map(|item| format!("{}{}\r\n", part("Event", self.event).0, item.0));
        format!("{}\r\n{}{}\r\n", begin.0, items.collect::<String>(), end.0)
    }
}

/// A registered action; dropping it unregisters the action and waits until no thread runs one.
#[derive(Debug)]
pub struct Registered(&'static CStr);

/// Registers an action. Wraps `ast_manager_register2`.
pub fn register<A: Action>() -> Result<Registered, Failed> {
    let authority = A::CATEGORIES.iter().fold(0, |flags, category| flags | category.flag());
    let (synopsis, description) = (A::SYNOPSIS.as_ptr(), A::DESCRIPTION.as_ptr());
    // SAFETY: the strings and the function live as long as this module, which the action is removed before.
    check(unsafe {
        sys::ast_manager_register2(
            A::NAME.as_ptr(),
            authority,
            Some(handle::<A>),
            module::host_module(),
            synopsis,
            description,
        )
    })?;
    Ok(Registered(A::NAME))
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: a static string.
        unsafe { sys::ast_manager_unregister(self.0.as_ptr()) };
        RUNNING.wait(LAST_STEPS);
    }
}

/// The threads that run actions of this module.
static RUNNING: Callers = Callers::new();

/// Runs an action for the host. Anything but 0 would end the manager's session.
unsafe extern "C" fn handle<A: Action>(session: *mut sys::mansession, message: *const sys::message) -> c_int {
    let _running = RUNNING.enter();
    let request = Request { message, lent: PhantomData };
    let failed = || Err("The action has failed after an internal error".to_owned());
    let answer = fence("a manager action", failed(), || A::run(&request));
    match answer {
        Ok(list) => {
            // The host gives a slow manager a tenth of a second for each text.
            for part in list.text(&A::NAME.to_string_lossy(), request.header(c"ActionID")).split_inclusive("\r\n\r\n") {
                let text = log::c_text(part);
                // SAFETY: the host lends the session while the action runs; the shim passes the text as text.
                unsafe { sys::asterisk_sys_manager_append(session, text.as_ptr()) };
            }
        }
        Err(error) => {
            let mut line = String::new();
            let _ = write!(Line(&mut line), "{error}");
            let error = log::c_text(&line);
            // SAFETY: the host lends session and message while the action runs, and copies the text.
            unsafe { sys::astman_send_error(session, message, error.as_ptr().cast_mut()) };
        }
    }
    0
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
        assert_eq!(event.headers(), "To: xAction: Evil\r\nSSRC: 7\r\n");
    }

    #[test]
    fn each_part_of_a_list_has_the_id_of_its_request() {
        let list = List { event: "Call", items: vec![Headers::default().header("Port", 5000)] };
        let expected = "Response: Success\r\nActionID: 7\r\nEventList: start\r\nMessage: The list follows\r\n\r\n\
                        Event: Call\r\nActionID: 7\r\nPort: 5000\r\n\r\n\
                        Event: ShowComplete\r\nActionID: 7\r\nEventList: Complete\r\nListItems: 1\r\n\r\n";
        assert_eq!(list.text("Show", "7"), expected);
        assert!(!list.text("Show", "").contains("ActionID"));
    }
}
