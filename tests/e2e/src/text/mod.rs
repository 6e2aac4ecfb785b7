//! A text phone: SIP over UDP, and T.140 text with the redundancy of RFC 4103 or without. It sends no audio.
//!
//! It shares no code with our modules. Its network may lose packets in both directions.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::lab::Lab;

mod media;
mod sip;

pub use media::{Offer, Packet, Received};

/// One text phone, in at most one call.
pub struct TextPhone {
    orders: Sender<Order>,
    thread: JoinHandle<Result<Received>>,
}

/// The account of a text phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// 2001.
    First,
    /// 2002.
    Second,
}

enum Order {
    Type(String),
    HangUp,
}

impl TextPhone {
    /// Calls `number`.
    pub fn call(lab: &Lab, account: Account, number: &str, offer: Offer) -> Result<Self> {
        Self::start(lab, account, Some(number.to_owned()), offer)
    }

    /// Answers a call at once.
    pub fn answer(lab: &Lab, account: Account, offer: Offer) -> Result<Self> {
        Self::start(lab, account, None, offer)
    }

    fn start(lab: &Lab, account: Account, number: Option<String>, offer: Offer) -> Result<Self> {
        let port = lab.ports().plain + u16::from(account == Account::Second);
        let socket = UdpSocket::bind(("127.0.0.1", port))?;
        let host = SocketAddr::from(([127, 0, 0, 1], lab.ports().sip));
        let (orders, taken) = channel();
        let thread = thread::spawn(move || live(&socket, host, number.as_deref(), offer, &taken));
        Ok(Self { orders, thread })
    }

    /// Types a text once the call is up, all of it at once.
    pub fn types(&self, text: &str) {
        // A phone whose call failed says so at the end.
        let _ = self.orders.send(Order::Type(text.to_owned()));
    }

    /// Types the words, one each 300 ms.
    pub fn types_slowly(&self, words: &[&str]) {
        for word in words {
            self.types(word);
            thread::sleep(media::INTERVAL);
        }
    }

    /// Hangs up, and returns what it has received.
    pub fn hang_up(self) -> Result<Received> {
        let _ = self.orders.send(Order::HangUp);
        self.finish()
    }

    /// Waits until the other party hangs up, and returns what it has received.
    pub fn finish(self) -> Result<Received> {
        self.thread.join().map_err(|_| Failure::new("the text phone's thread panicked"))?
    }
}

/// The longest time until a call is up, or over.
const PATIENCE: Duration = Duration::from_secs(30);

fn live(
    socket: &UdpSocket,
    host: SocketAddr,
    number: Option<&str>,
    offer: Offer,
    orders: &Receiver<Order>,
) -> Result<Received> {
    let mut media = media::Media::new(offer)?;
    let mut call = sip::Call::new(socket, host, media.description())?;
    let began = Instant::now();
    if let Some(number) = number {
        call.invite(number)?;
    }
    let mut hangs_up = false;
    while !call.is_over() {
        if let Some(description) = call.handle()? {
            media.connect(&description)?;
        }
        while media.is_connected() && !hangs_up {
            match orders.try_recv() {
                Ok(Order::Type(text)) => media.types(&text),
                Ok(Order::HangUp) => hangs_up = true,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        media.run()?;
        if hangs_up && media.is_idle() {
            hangs_up = false;
            call.bye()?;
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the text phone's call did not end: {}", call.transcript())));
        }
    }
    // What was sent before the end is still on its way.
    thread::sleep(Duration::from_millis(50));
    media.run()?;
    Ok(media.received())
}
