//! All calls of a load: one thread, one clock of a millisecond, three sockets.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Certificate, Context, ContextConfig, MAX_DATAGRAM_LEN, MinVersion, Profile, Verify};
use e2e::dialog::{Dialog, Fact, Over};
use e2e::failure::{Failure, Result, ensure};
use e2e::signalling::Signalling;
use e2e::sip::Message;
use ice::Component;

use crate::batch::Inbox;
use crate::leg::{Leg, Marks, Media, leg_of_check};
use crate::options::{Kind, Load, Shape};
use crate::server::Server;
use crate::stream::Codec;

/// The period of media, and its parts: a leg sends in one of them.
const PERIOD: Duration = Duration::from_millis(20);
const SLOTS: u32 = 20;
const SLOT: Duration = Duration::from_millis(1);

/// The slots between two readings in the steady state, where nothing waits for an answer.
const READ_EVERY: u64 = 5;

/// The longest time for a call to be set up or to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// The most datagrams that wait for an answer.
const EARLY: usize = 256;

/// Nobody.
const NOBODY: u32 = u32::MAX;

/// The legs that send media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// The legs of calls in which somebody has not heard anything yet.
    UntilHeard,
    /// All legs.
    All,
    /// No leg.
    Nobody,
}

/// The calls of a load.
pub struct Crowd {
    signalling: Signalling,
    media: Option<Media>,
    context: Arc<Context>,
    kind: Kind,
    codec: Codec,
    over: Over,
    inbox: Inbox,
    legs: Vec<(Dialog, Leg)>,
    /// The number of legs whose calls have begun.
    begun: usize,
    by_call_id: HashMap<String, usize>,
    /// The leg of each port of the server, for each of our sockets.
    by_port: [Vec<u32>; 2],
    /// Datagrams of ports that no answer has named yet: a ClientHello may overtake it.
    early: Vec<(Component, SocketAddrV4, Vec<u8>)>,
    shape: Shape,
    began: Instant,
    /// The number of slots that are done.
    slots: u64,
    /// That number when datagrams were last read.
    read: u64,
    talk: Talk,
    failure: Option<Failure>,
}

/// The socket of SIP and the address of media, which the server's configuration names.
pub struct Place {
    sip: UdpSocket,
    ip: Ipv4Addr,
}

impl Place {
    /// Binds the socket.
    pub fn new(ip: Ipv4Addr) -> Result<Self> {
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sip.set_nonblocking(true)?;
        Ok(Self { sip, ip })
    }

    /// The port of SIP.
    pub fn port(&self) -> Result<u16> {
        Ok(self.sip.local_addr()?.port())
    }
}

impl Crowd {
    /// A crowd of nobody.
    pub fn new(place: &Place, server: &Server, load: &Load) -> Result<Self> {
        Ok(Self {
            signalling: Signalling::new(place.sip.try_clone()?, server.port(), server.web_port())?,
            media: Some(Media::bind(place.ip)?),
            context: context(load.gcm)?,
            kind: load.kind,
            codec: load.codec(),
            over: load.over(),
            inbox: Inbox::new(),
            legs: Vec::new(),
            begun: 0,
            by_call_id: HashMap::new(),
            by_port: [vec![NOBODY; 1 << 16], vec![NOBODY; 1 << 16]],
            early: Vec::new(),
            shape: load.shape,
            began: Instant::now(),
            slots: 0,
            read: 0,
            talk: Talk::UntilHeard,
            failure: None,
        })
    }

    /// Adds legs without calls; callers connect their WebSockets.
    pub fn grow(&mut self, calls: usize) -> Result {
        let before = self.legs.len();
        let at = self.signalling.address()?;
        let kinds: &[Kind] = if self.shape == Shape::Echo { &[self.kind] } else { &[self.kind, Kind::Plain] };
        let Some(media) = &self.media else { return Ok(()) };
        for number in before..before + calls * kinds.len() {
            let is_caller = number % kinds.len() == 0;
            let (kind, over) = (kinds[number % kinds.len()], if is_caller { self.over } else { Over::Udp });
            if over == Over::Ws {
                self.signalling.connect(number)?;
            }
            let leg = Leg::new(number, kind, self.codec, &self.context, media);
            let dialog = Dialog::new(kind.name(), number, &at, over);
            self.by_call_id.insert(dialog.call_id().to_owned(), number);
            self.legs.push((dialog, leg));
        }
        Ok(())
    }

    /// Begins the calls of new legs at this rate, and waits until all have heard the other side. Earlier ones are silent.
    pub fn set_up(&mut self, rate: u32) -> Result {
        let numbers = self.begun..self.legs.len();
        self.begun = numbers.end;
        self.talk = Talk::UntilHeard;
        self.paced(numbers.step_by(self.step()), rate, |crowd, now, leg| crowd.call(now, leg))?;
        let is_up = |(dialog, leg): &(Dialog, Leg)| dialog.is_up() && leg.marks.heard.is_some();
        let end = Instant::now() + PATIENCE;
        while let Some((_, silent)) = self.legs.iter().find(|leg| !is_up(leg)) {
            ensure(Instant::now() < end, || format!("a call was not set up: {}", silent.progress()))?;
            self.run(Instant::now() + SLOT)?;
        }
        Ok(())
    }

    /// Ends calls at this rate, and waits until they are over.
    pub fn tear_down(&mut self, rate: u32) -> Result {
        self.talk = Talk::Nobody;
        let numbers = 0..self.legs.len();
        self.paced(numbers.step_by(self.step()), rate, |crowd, now, leg| {
            let bye = crowd.legs[leg].0.end(now);
            crowd.signalling.send(leg, &bye)
        })?;
        let end = Instant::now() + PATIENCE;
        while self.legs.iter().any(|(dialog, _)| !dialog.is_over()) {
            ensure(Instant::now() < end, || "a call did not end".to_owned())?;
            self.run(Instant::now() + SLOT)?;
        }
        Ok(())
    }

    /// Lets all legs talk, or none, for a while.
    pub fn talk(&mut self, talk: Talk, length: Duration) -> Result {
        self.talk = talk;
        self.run(Instant::now() + length)
    }

    /// From now on packets count.
    pub fn begin_window(&mut self) {
        self.legs.iter_mut().for_each(|(_, leg)| leg.stream.begin_window());
    }

    /// Later packets do not count any more.
    pub fn end_window(&mut self) {
        self.legs.iter_mut().for_each(|(_, leg)| leg.stream.end_window());
    }

    /// The packets that counted: sent, and arrived at the other side.
    pub fn counted(&self) -> (u64, u64) {
        let counts = self.legs.iter().map(|(_, leg)| leg.stream.counted());
        counts.fold((0, 0), |(sent, arrived), (more, came)| (sent + u64::from(more), arrived + u64::from(came)))
    }

    /// The progress of callers' legs.
    pub fn marks(&self) -> impl Iterator<Item = Marks> {
        self.legs.iter().step_by(self.step()).map(|(_, leg)| leg.marks)
    }

    fn step(&self) -> usize {
        if self.shape == Shape::Echo { 1 } else { 2 }
    }

    fn paced(
        &mut self,
        legs: impl Iterator<Item = usize>,
        rate: u32,
        mut act: impl FnMut(&mut Self, Instant, usize) -> Result,
    ) -> Result {
        let began = Instant::now();
        for (number, leg) in legs.enumerate() {
            self.run(began + Duration::from_secs(1) * number as u32 / rate)?;
            act(self, Instant::now(), leg)?;
        }
        Ok(())
    }

    fn call(&mut self, now: Instant, leg: usize) -> Result {
        let Some(media) = &self.media else { return Ok(()) };
        let description = self.legs[leg].1.description(media);
        self.legs[leg].1.marks.called = Some(now);
        let number = match self.shape {
            Shape::Echo => "echo".to_owned(),
            Shape::Bridge => format!("pair-{}", leg + 1),
        };
        let invite = self.legs[leg].0.call(now, &number, &self.signalling.server(), &description);
        self.signalling.send(leg, &invite)
    }

    /// Does what is due until `end`.
    fn run(&mut self, end: Instant) -> Result {
        // The media stands beside the legs while it is used.
        let mut media = self.media.take().ok_or_else(|| Failure::new("the crowd has no sockets"))?;
        while Instant::now() < end {
            if self.talk == Talk::UntilHeard || self.slots >= self.read + READ_EVERY {
                self.read = self.slots;
                self.take_sip(&mut media)?;
                self.take_media(&mut media);
            }
            self.do_slots(&mut media)?;
            media.flush();
            self.wait(&media, end);
        }
        self.media = Some(media);
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Waits for the next slot. While calls are set up, a datagram ends the wait too; later ones are taken once a slot, which
    /// spares the server the wake-up of another process.
    fn wait(&self, media: &Media, end: Instant) {
        let due = self.began + SLOT * u32::try_from(self.slots + 1).unwrap_or(u32::MAX);
        let left = due.min(end).saturating_duration_since(Instant::now());
        if self.talk != Talk::UntilHeard {
            std::thread::sleep(left);
            return;
        }
        let [udp, web] = self.signalling.as_fds();
        let fds = [udp, web, media.sockets[0].as_fd(), media.sockets[1].as_fd()];
        let mut fds = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        let left = libc::timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        // SAFETY: the kernel reads and writes the array and reads the time, which are locals.
        unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &raw const left, std::ptr::null()) };
    }

    /// Sends the media of all slots that are due, and lets timers run.
    fn do_slots(&mut self, media: &mut Media) -> Result {
        let due = (self.began.elapsed().as_micros() / SLOT.as_micros()) as u64;
        while self.slots < due {
            self.slots += 1;
            let slot = (self.slots % u64::from(SLOTS)) as usize;
            let tick = (self.slots / u64::from(SLOTS)) as u32;
            let now = Instant::now();
            for number in (slot..self.legs.len()).step_by(SLOTS as usize) {
                self.do_slot(now, number, tick, media)?;
            }
        }
        Ok(())
    }

    /// The slot of one leg, which comes every [`PERIOD`].
    fn do_slot(&mut self, now: Instant, number: usize, tick: u32, media: &mut Media) -> Result {
        let legs_of_call = number - number % self.step()..number - number % self.step() + self.step();
        let waits = self.legs[legs_of_call].iter().any(|(_, leg)| leg.marks.heard.is_none());
        let (dialog, leg) = &mut self.legs[number];
        let speaks = match self.talk {
            Talk::All => true,
            Talk::Nobody => false,
            Talk::UntilHeard => waits,
        };
        if speaks {
            leg.speak(tick, media);
        }
        leg.handle_timeout(now, media);
        if let Some(again) = dialog.handle_timeout(now) {
            self.signalling.send(number, again)?;
        }
        Ok(())
    }

    fn take_media(&mut self, media: &mut Media) {
        for component in Component::ALL {
            let at = usize::from(component.id()) - 1;
            let mut arrived = Vec::new();
            let socket = Rc::clone(&media.sockets[at]);
            self.inbox.receive(&socket, |from, datagram| {
                let known = self.by_port[at][usize::from(from.port())];
                let is_check = matches!(datagram.first(), Some(0..=3));
                if known == NOBODY && !is_check && self.early.len() < EARLY {
                    self.early.push((component, from, datagram.to_vec()));
                }
                let leg = if known == NOBODY && is_check { leg_of_check(datagram) } else { Some(known as usize) };
                let Some((_, leg)) = leg.and_then(|leg| self.legs.get_mut(leg)) else { return };
                arrived.extend(leg_takes(leg, component, from, datagram, media));
            });
            for (number, packet) in arrived {
                if let Some((_, leg)) = self.legs.get_mut(number) {
                    leg.stream.note(packet);
                }
            }
        }
    }

    fn take_sip(&mut self, media: &mut Media) -> Result {
        self.signalling.receive()?.iter().try_for_each(|message| self.take_message(message, media))
    }

    fn take_message(&mut self, message: &Message, media: &mut Media) -> Result {
        let known = self.by_call_id.get(message.header("call-id")).copied();
        let Some(number) = known.or_else(|| called_leg(message)) else { return Ok(()) };
        let Some((dialog, _)) = self.legs.get_mut(number) else { return Ok(()) };
        let (reply, fact) = dialog.handle(message);
        if let Some(reply) = reply {
            self.signalling.send(number, &reply)?;
        }
        let now = Instant::now();
        match fact {
            Some(Fact::Answered(answer)) => self.learn(now, number, &answer, media),
            Some(Fact::Rings(invite)) => {
                self.learn(now, number, &invite, media)?;
                let (dialog, leg) = &mut self.legs[number];
                let answer = dialog.answer(now, &invite, &leg.description(media));
                self.by_call_id.insert(dialog.call_id().to_owned(), number);
                self.signalling.send(number, &answer)
            }
            Some(Fact::Challenged(challenge)) => Err(Failure::new(format!("a call was refused: {}", challenge.first))),
            Some(Fact::Refused(status)) => Err(Failure::new(format!("a call was refused: {status}"))),
            Some(Fact::Over) | None => Ok(()),
        }
    }

    /// Takes in the description of the server, and sends the first packet at once if nothing is to be waited for.
    fn learn(&mut self, now: Instant, number: usize, message: &Message, media: &mut Media) -> Result {
        let leg = &mut self.legs[number].1;
        let ports = leg.learn(now, message)?;
        self.by_port[0][usize::from(ports.rtp)] = number as u32;
        self.by_port[1][usize::from(ports.rtcp)] = number as u32;
        leg.drive(now, media);
        let is_its_own =
            |(component, from, _): &mut (Component, SocketAddrV4, Vec<u8>)| from.port() == ports[*component];
        for (component, from, mut datagram) in self.early.extract_if(.., is_its_own) {
            leg.take(now, component, from, &mut datagram, media);
        }
        if leg.is_ready() {
            leg.speak((self.slots / u64::from(SLOTS)) as u32, media);
        }
        Ok(())
    }
}

/// Hands a datagram to a leg, which speaks at once when that gave it keys.
fn leg_takes(
    leg: &mut Leg,
    component: Component,
    from: SocketAddrV4,
    datagram: &mut [u8],
    media: &mut Media,
) -> Option<(usize, u32)> {
    let was_ready = leg.is_ready();
    let stamp = leg.take(Instant::now(), component, from, datagram, media);
    if !was_ready && leg.is_ready() {
        leg.speak(0, media);
    }
    stamp
}

/// The leg that an INVITE of the server calls.
fn called_leg(message: &Message) -> Option<usize> {
    let uri = message.first.strip_prefix("INVITE sip:")?;
    uri.split('@').next()?.parse().ok()
}

/// The DTLS of all callers.
fn context(gcm: bool) -> Result<Arc<Context>> {
    let aes_cm = Profile::Aes128CmSha1_80;
    let certificate = Certificate::self_signed().map_err(|error| Failure::new(error.to_string()))?;
    let config = ContextConfig {
        certificate,
        verify: Verify { fingerprint: true, certificate: false },
        cipher_list: None,
        ca_file: None,
        ca_path: None,
        srtp_profiles: if gcm { vec![Profile::AeadAes128Gcm, aes_cm] } else { vec![aes_cm] },
        min_version: MinVersion::default(),
        mtu: MAX_DATAGRAM_LEN as u32,
    };
    Context::new(config).map_err(|error| Failure::new(error.to_string()))
}

const _: () = assert!(PERIOD.as_millis() == SLOT.as_millis() * SLOTS as u128);
