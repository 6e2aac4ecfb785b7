//! WebSockets: the memory of those that are idle, and the cost of an echo beside that of a bare server.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use e2e::failure::{Failure, Result, ensure};
use e2e::process::cpu;
use e2e::signalling::connect;
use tungstenite::Message;

use crate::server::Server;

/// The word of the command line that makes this program the bare server.
pub const BARE: &str = "--bare-echo";

/// The octets of a message, and the echoes of a measurement.
const MESSAGE: usize = 1024;
const ECHOES: u32 = 500;

/// Idle sessions.
const IDLE: usize = 500;

/// The time that is given to threads to begin to sleep.
const PAUSE: Duration = Duration::from_millis(500);

/// An echo server of tungstenite alone, in a process of its own.
pub struct Bare {
    child: Child,
    port: u16,
}

impl Bare {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(BARE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or_else(|| Failure::new("no output"))?).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse()? })
    }

    /// Its CPU per echo, in microseconds.
    pub fn echo(&self) -> Result<f64> {
        echo(self.child.id(), self.port, "")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves echoes at a free port, which is printed, until the standard input ends.
pub fn serve_bare() -> Result {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo_all(stream));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn echo_all(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

/// The CPU of an Asterisk per echo, in microseconds.
pub fn echo_of(server: &Server) -> Result<f64> {
    echo(server.pid(), server.web_port(), "echo")
}

/// The memory of an idle session of SIP over WebSocket, in KiB.
pub fn idle_memory(server: &Server) -> Result<f64> {
    let connect = || connect(server.web_port(), "sip");
    // The first ones make what stays.
    drop((0..20).map(|_| connect()).collect::<Result<Vec<_>>>()?);
    thread::sleep(PAUSE);
    let before = server.memory()?;
    let sessions = (0..IDLE).map(|_| connect()).collect::<Result<Vec<_>>>()?;
    thread::sleep(PAUSE);
    let memory = server.memory()?.saturating_sub(before);
    drop(sessions);
    Ok(memory as f64 / IDLE as f64)
}

fn echo(pid: u32, port: u16, protocol: &'static str) -> Result<f64> {
    let mut socket = connect(port, protocol)?;
    let message = Message::text("x".repeat(MESSAGE));
    let mut once = || -> Result {
        socket.send(message.clone())?;
        let answer = socket.read()?;
        ensure(answer.len() == MESSAGE, || format!("{} octets came back of {MESSAGE}", answer.len()))
    };
    (0..20).try_for_each(|_| once())?;
    let before = cpu(pid)?;
    (0..ECHOES).try_for_each(|_| once())?;
    Ok((cpu(pid)? - before).as_secs_f64() * 1e6 / f64::from(ECHOES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bare_server_echoes() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || listener.incoming().flatten().for_each(echo_all));
        assert!(echo(std::process::id(), port, "").unwrap() > 0.0);
    }
}
