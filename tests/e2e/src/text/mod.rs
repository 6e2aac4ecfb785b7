//! A text phone: T.140 text with the redundancy of RFC 4103 or without, and no audio. Its network may lose packets in both
//! directions.
//!
//! It shares no code with our modules.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;
use crate::plain_phone::SipPhone;

mod media;

pub use media::{Offer, Packet, Received};

/// One text phone, in at most one call.
pub struct TextPhone {
    orders: Sender<Order>,
    thread: JoinHandle<Result<Received>>,
}

/// The account of a text phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// 2003.
    First,
    /// 2004.
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
        let host = SocketAddr::from(([127, 0, 0, 1], lab.ports().sip));
        let user = match account {
            Account::First => "2003",
            Account::Second => "2004",
        };
        let mut sip = SipPhone::new(host, user)?.with_secret(&format!("demo-{user}"));
        sip.register()?;
        let media = media::Media::new(offer)?;
        let (orders, taken) = channel();
        let thread = thread::spawn(move || live(sip, media, number.as_deref(), &taken));
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
    mut sip: SipPhone,
    mut media: media::Media,
    number: Option<&str>,
    orders: &Receiver<Order>,
) -> Result<Received> {
    let description = match number {
        Some(number) => sip.call(number, &media.description())?.body,
        None => {
            let invite = sip.rung(PATIENCE)?;
            sip.answer(&media.description())?;
            invite.body
        }
    };
    media.connect(&description)?;
    let (began, mut hangs_up) = (Instant::now(), false);
    while !sip.methods().iter().any(|method| method == "BYE") {
        while let Ok(order) = orders.try_recv() {
            match order {
                Order::Type(text) => media.types(&text),
                Order::HangUp => hangs_up = true,
            }
        }
        media.run()?;
        if hangs_up && media.is_idle() {
            sip.bye()?;
            break;
        }
        ensure(began.elapsed() < PATIENCE, || "the text phone's call did not end".to_owned())?;
        thread::sleep(Duration::from_millis(5));
    }
    // Packets that were sent before the end are still on their way.
    thread::sleep(Duration::from_millis(50));
    media.run()?;
    Ok(media.received())
}
