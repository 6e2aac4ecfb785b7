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
pub struct Manager(BufReader<TcpStream>);

impl Manager {
    /// Logs in.
    pub fn listen(lab: &Lab) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, lab.ports().manager))?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        write!(stream, "Action: Login\r\nUsername: {USER}\r\nSecret: {SECRET}\r\n\r\n")?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The headers of the next event with this name, if it arrives in time.
    pub fn event(&mut self, name: &str, patience: Duration) -> Result<Vec<String>> {
        let end = Instant::now() + patience;
        let mut event: Vec<String> = Vec::new();
        let mut line = String::new();
        while Instant::now() < end {
            // After a timeout, the rest of the line is read next time.
            if self.0.read_line(&mut line).is_err() {
                continue;
            }
            match line.trim_end() {
                "" if event.first().is_some_and(|first| *first == format!("Event: {name}")) => return Ok(event),
                "" => event.clear(),
                header => event.push(header.to_owned()),
            }
            line.clear();
        }
        Err(Failure::new(format!("the manager interface sent no event {name}")))
    }
}
