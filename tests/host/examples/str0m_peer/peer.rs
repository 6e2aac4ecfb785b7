//! The phone as its commands see it.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::failure::{Failure, Result, ensure};
use str0m::media::Direction;

use crate::media::Media;
use crate::sip::{Message, Phone, answered, refused};

const PATIENCE: Duration = Duration::from_secs(20);

/// str0m with its account.
pub struct Peer {
    phone: Phone,
    media: Media,
    responses: Vec<Message>,
    invite: Option<Message>,
    acknowledged: bool,
    is_over: bool,
}

impl Peer {
    /// `arguments` are those of the program.
    pub fn new(arguments: &[String]) -> Result<Self> {
        let [url, account, password, frequency, heard, save @ ..] = arguments else {
            return Err(Failure::new("URL ACCOUNT PASSWORD FREQUENCY HEARD [SAVE]"));
        };
        let port = url.split(':').nth(2).and_then(|rest| rest.split('/').next()).unwrap_or_default().parse()?;
        let phone = Phone::connect(port, account, password, save.first().map(PathBuf::from))?;
        let media = Media::new(frequency.parse()?, File::create(heard)?)?;
        Ok(Self { phone, media, responses: Vec::new(), invite: None, acknowledged: false, is_over: false })
    }

    pub fn register(&mut self) -> Result {
        let answer = self.authenticated("REGISTER", Phone::register)?;
        ensure(answer.status() == Some(200), || refused("REGISTER", &answer).to_string())
    }

    pub fn call(&mut self, number: &str) -> Result {
        self.phone.dial(number);
        self.negotiate(Direction::SendRecv)?;
        self.connected()
    }

    pub fn answer(&mut self) -> Result {
        self.until("INVITE", PATIENCE, |peer| peer.invite.is_some())?;
        let Some(invite) = self.invite.take() else { return Ok(()) };
        self.acknowledged = false;
        self.media.reconnect()?;
        let answer = self.media.answer(&invite.body)?;
        self.phone.accept(&invite, &answer)?;
        self.until("ACK", PATIENCE, |peer| peer.acknowledged)?;
        self.connected()
    }

    pub fn hold(&mut self) -> Result {
        self.redirect(Direction::SendOnly)
    }

    pub fn unhold(&mut self) -> Result {
        self.redirect(Direction::SendRecv)
    }

    /// Opens its connection anew in the same call, with the same certificate.
    pub fn reconnect(&mut self) -> Result {
        self.media.reconnect()?;
        self.negotiate(Direction::SendRecv)?;
        self.connected()
    }

    /// Has Asterisk offer in mid-call, and another browser answer.
    pub fn replace(&mut self) -> Result {
        self.media.replace()?;
        let offer = self.authenticated("INVITE", |phone, challenge| phone.invite("", challenge))?;
        let answer = self.media.answer(&offer.body)?;
        self.phone.acknowledge(&offer, &answer)?;
        self.connected()
    }

    /// Offers without ICE, from another address.
    pub fn leave_ice(&mut self) -> Result {
        let offer = self.media.offer_without_ice()?;
        let answer = self.authenticated("INVITE", |phone, challenge| phone.invite(&offer, challenge))?;
        self.phone.established(&answer)
    }

    pub fn hangup(&mut self) -> Result {
        let number = self.phone.bye()?;
        self.response(number, "BYE").map(drop)
    }

    pub fn ended(&mut self) -> Result {
        self.until("BYE", 2 * PATIENCE, |peer| peer.is_over)
    }

    /// Lets SIP and media go on for a few milliseconds.
    pub fn turn(&mut self) -> Result {
        self.media.turn()?;
        match self.phone.receive() {
            Some(message) if message.status().is_some() => self.responses.push(message),
            Some(request) => self.take(request)?,
            None => {}
        }
        Ok(())
    }

    fn redirect(&mut self, direction: Direction) -> Result {
        self.negotiate(direction)?;
        self.media.on_hold = direction == Direction::SendOnly;
        let current = self.media.direction;
        ensure(current == Some(direction), || format!("the answer makes it {current:?}"))
    }

    fn negotiate(&mut self, direction: Direction) -> Result {
        let offer = self.media.offer(direction);
        let answer = self.authenticated("INVITE", |phone, challenge| phone.invite(&offer, challenge))?;
        self.phone.established(&answer)?;
        self.media.accept_answer(&answer.body)
    }

    fn connected(&mut self) -> Result {
        self.until("connection", Duration::from_secs(15), |peer| peer.media.is_connected())
    }

    /// Sends a request, with credentials when it is challenged; returns the 200.
    fn authenticated(
        &mut self,
        method: &str,
        send: impl Fn(&mut Phone, Option<&Message>) -> Result<u32>,
    ) -> Result<Message> {
        let number = send(&mut self.phone, None)?;
        let mut answer = self.response(number, method)?;
        if answer.status() == Some(401) {
            if method == "INVITE" {
                self.phone.acknowledge(&answer, "")?;
            }
            let number = send(&mut self.phone, Some(&answer))?;
            answer = self.response(number, method)?;
        }
        if answer.status() == Some(200) { Ok(answer) } else { Err(refused(method, &answer)) }
    }

    /// The final response to our request of this number.
    fn response(&mut self, number: u32, method: &str) -> Result<Message> {
        let wanted = |message: &Message| answered(message) == number && message.status() >= Some(200);
        self.until(&format!("answer to {method}"), PATIENCE, |peer| peer.responses.iter().any(wanted))?;
        let found = self.responses.iter().find(|message| wanted(message)).cloned();
        found.ok_or_else(|| Failure::new(format!("no answer to {method}")))
    }

    fn take(&mut self, request: Message) -> Result {
        match request.method() {
            "ACK" => self.acknowledged = true,
            "INVITE" if request.is_in_call() => {
                let answer = self.media.answer(&request.body)?;
                self.phone.respond(&request, "200 OK", &answer, "")?;
            }
            "INVITE" => {
                self.phone.respond(&request, "180 Ringing", "", "ringing")?;
                self.invite = Some(request);
            }
            method => {
                self.is_over |= method == "BYE";
                self.phone.respond(&request, "200 OK", "", "done")?;
            }
        }
        Ok(())
    }

    fn until(&mut self, what: &str, patience: Duration, holds: impl Fn(&Self) -> bool) -> Result {
        let end = Instant::now() + patience;
        while !holds(self) {
            ensure(Instant::now() < end, || format!("no {what} after {patience:?}"))?;
            self.turn()?;
        }
        Ok(())
    }
}
