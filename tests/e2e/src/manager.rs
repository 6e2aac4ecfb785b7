//! A client of the host's manager interface (AMI) that waits for events.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
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
