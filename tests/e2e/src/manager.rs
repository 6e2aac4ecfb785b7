//! A client of the host's manager interface (AMI) that waits for events and asks for actions.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;

/// The account of `manager.conf`.
pub const USER: &str = "listener";
/// Its password.
pub const SECRET: &str = "secret-listener";

/// A connection that receives all events.
#[derive(Debug)]
pub struct Manager {
    stream: BufReader<TcpStream>,
    /// The part of the next event that is here.
    event: Vec<String>,
    line: String,
}

impl Manager {
    /// Logs in.
    pub fn listen(lab: &Lab) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().manager))?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        write!(stream, "Action: Login\r\nUsername: {USER}\r\nSecret: {SECRET}\r\n\r\n")?;
        Ok(Self { stream: BufReader::new(stream), event: Vec::new(), line: String::new() })
    }

    /// The headers of the next event with this name, if it arrives in time.
    pub fn event(&mut self, name: &str, patience: Duration) -> Result<Vec<String>> {
        let end = Instant::now() + patience;
        let first = format!("Event: {name}");
        while let Some(event) = self.next_until(end) {
            if event.first().is_some_and(|line| *line == first) {
                return Ok(event);
            }
        }
        Err(Failure::new(format!("the manager interface sent no event {name}")))
    }

    /// Asks for an action that answers with a list, with one header. Returns the headers of the list's events, without the last one.
    pub fn list(&mut self, action: &str, header: &str, patience: Duration) -> Result<Vec<Vec<String>>> {
        write!(self.stream.get_mut(), "Action: {action}\r\nActionID: list\r\n{header}\r\n\r\n")?;
        let (end, mut items) = (Instant::now() + patience, Vec::new());
        while let Some(part) = self.next_until(end) {
            let is_of_list = part.iter().any(|header| header == "ActionID: list");
            match part.first().map(String::as_str) {
                Some("Response: Error") if is_of_list => return Err(Failure::new(part.join(", "))),
                Some(first) if is_of_list && first == format!("Event: {action}Complete") => {
                    let count = format!("ListItems: {}", items.len());
                    ensure(part.contains(&count), || format!("{part:?} after {} items", items.len()))?;
                    return Ok(items);
                }
                Some(first) if is_of_list && first.starts_with("Event: ") => items.push(part),
                _ => {}
            }
        }
        Err(Failure::new(format!("the list of {action} does not end")))
    }

    /// The headers of the next event, or of a response, that arrives before `end`.
    pub fn next_until(&mut self, end: Instant) -> Option<Vec<String>> {
        while Instant::now() < end {
            // After a timeout, the rest of the line is read next time.
            match self.stream.read_line(&mut self.line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(_) => continue,
            }
            let line = std::mem::take(&mut self.line);
            match line.trim_end() {
                "" if self.event.is_empty() => {}
                "" => return Some(std::mem::take(&mut self.event)),
                header => self.event.push(header.to_owned()),
            }
        }
        None
    }
}
