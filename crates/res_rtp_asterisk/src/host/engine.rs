//! Implements the host's RTP engine table (`ast_rtp_engine`) for a session.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::story::verdict::NoSocket;
use asterisk::rtp::{self as host, DtmfMode, Engine, Instance, Property, RTCP_ON_ONE_PORT, Statistics, rtp_code};
use asterisk::{Failed, FrameRef, HostFrame};
use ice::Component;
use rtp::telephone_event::Key;

use crate::clock;
use crate::console::debug;
use crate::diagnosis::{statistics, story};
use crate::globals::globals;
use crate::media::digits;
use crate::media::incoming::reporting_of;
use crate::selftest;
use crate::session::Session;
use crate::state::State;
use crate::transport::ports;
use crate::transport::sockets::Pair;

/// A digit received this soon after we sent a digit or comfort noise counts as its echo and is ignored.
const ECHO: Duration = Duration::from_millis(500);

impl Engine for Session {
    const NAME: &'static CStr = c"asterisk";

    fn new(instance: Instance<'_>, local: Option<SocketAddr>) -> Result<Arc<Self>, Failed> {
        let globals = globals().ok_or(Failed)?;
        let settings = globals.settings();
        let local = local.ok_or(Failed)?;
        let range = instance.ports().unwrap_or(settings.ports);
        // The self-test is bound to each address by itself, which no call need be.
        let is_trial = selftest::is_running_here();
        let ready = if settings.ice && !is_trial { globals.gatherer().take(local.ip(), range) } else { None };
        let bind = || Pair::bind(local.ip(), range, asterisk::random::u32(), settings.checksums);
        let sockets = ready.map_or_else(bind, Ok);
        let sockets = sockets.map_err(|error| {
            let missing = NoSocket { why: ports::why(&error), ip: local.ip(), ports: range };
            if !is_trial {
                ports::count_failure(missing.why);
                globals.calls().note_no_socket(clock::now(), missing);
            }
            ports::report_failure(instance.pointer(), &missing, &error)
        })?;
        instance.set_local_address(sockets.rtp.local());
        let dtmf_timeout = settings.dtmf_timeout;
        let mut state = State::new(instance.pointer(), settings, sockets, globals.always(), globals.loaded());
        let worker = globals.worker().tasks();
        let id = worker.next_id();
        if is_trial {
            state.note_trial();
        } else {
            globals.calls().note_session(clock::now(), id);
        }
        Ok(Session::new(id, Arc::clone(worker), instance, state, dtmf_timeout))
    }

    fn destroy(self: &Arc<Self>, _instance: Instance<'_>) {
        if debug::STATISTICS.load(Ordering::Relaxed)
            && let Some(text) = self.with(|state| statistics::summary(state))
        {
            asterisk::verbose!(0, "{text}");
        }
        if let Some(globals) = globals() {
            story::handle_end(&globals, self);
        }
        self.end();
    }

    fn write(&self, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed> {
        self.write_frame(instance, frame)
    }

    fn read(&self, instance: Instance<'_>, component: host::Component) -> Option<HostFrame> {
        self.read_frame(instance, component_of(component))
    }

    fn stop(&self, instance: Instance<'_>) {
        let now = clock::now();
        self.with_at(now, |state| state.stop_media(now));
        instance.clear_remote_address();
    }

    fn update_source(&self, _instance: Instance<'_>) {
        self.with(|state| state.source_mut().mark_next());
    }

    fn change_source(&self, _instance: Instance<'_>) {
        self.change_ssrc();
    }

    fn dtmf_begin(&self, instance: Instance<'_>, digit: u8) -> Result<(), Failed> {
        let key = key_of(digit)?;
        let media_clock = self.with(|state| state.source().clock_rate()).flatten();
        let Some((payload_type, clock_rate)) = instance.payload_type_of_digits(media_clock) else {
            digits::note_not_agreed();
            return Err(Failed);
        };
        self.expect_echo();
        let begun = self.with(|state| state.begin_digit(clock::now(), key, payload_type, clock_rate));
        if begun == Some(true) { Ok(()) } else { Err(Failed) }
    }

    fn dtmf_end(&self, _instance: Instance<'_>, digit: u8, duration_ms: Option<u32>) -> Result<(), Failed> {
        key_of(digit)?;
        self.expect_echo();
        let held = duration_ms.filter(|held| *held > 0).map(|held| Duration::from_millis(held.into()));
        self.with(|state| state.end_digit(clock::now(), held)).ok_or(Failed)
    }

    fn property_set(&self, instance: Instance<'_>, property: Property, value: i32) {
        match property {
            Property::Rtcp => {
                self.with(|state| state.set_rtcp(value != 0, value == RTCP_ON_ONE_PORT));
            }
            Property::Nat => {
                self.with(|state| state.transport_mut().remote_mut().set_follows(value != 0));
            }
            Property::DtmfCompensate => {
                if let Some(mut reading) = self.reading() {
                    reading.incoming.set_reporting(reporting_of(instance));
                }
            }
            Property::AsymmetricFormats => {
                self.with(|state| state.set_allows_asymmetric(value != 0));
            }
            Property::Dtmf | Property::Stun => {}
        }
    }

    fn remote_address_set(&self, _instance: Instance<'_>, address: Option<SocketAddr>) {
        if self.is_telling() {
            return;
        }
        self.note_description();
        let now = clock::now();
        self.with_at(now, |state| {
            match address {
                Some(address) if state.set_address(now, address) => self.begin_watching(state, now),
                Some(_) => {}
                None => state.transport_mut().remote_mut().set_signalled(now, None),
            }
            state.drive(now);
        });
    }

    fn alt_remote_address_set(&self, _instance: Instance<'_>, address: Option<SocketAddr>) {
        let now = clock::now();
        self.with_at(now, |state| state.transport_mut().remote_mut().set_alternative(now, address));
    }

    fn dtmf_mode_set(&self, _instance: Instance<'_>, mode: DtmfMode) -> Result<(), Failed> {
        self.with(|state| state.set_dtmf_mode(mode)).ok_or(Failed)
    }

    fn dtmf_mode_get(&self, _instance: Instance<'_>) -> DtmfMode {
        self.with(|state| state.dtmf_mode()).unwrap_or(DtmfMode::None)
    }

    fn statistics(&self, _instance: Instance<'_>) -> Option<Statistics> {
        self.with(|state| statistics::told(state))
    }

    fn ssrc(&self, _instance: Instance<'_>) -> u32 {
        self.with(|state| state.source().ssrc()).unwrap_or_default()
    }

    fn cname(&self, _instance: Instance<'_>) -> Option<String> {
        self.with(|state| state.rtcp().cname().to_owned())
    }

    fn qos(&self, _instance: Instance<'_>, tos: i32, cos: i32, description: &CStr) -> Result<(), Failed> {
        let set = self.with(|state| {
            let transport = state.transport();
            Component::ALL.into_iter().try_for_each(|component| transport.socket(component).set_quality(tos, cos))
        });
        set.ok_or(Failed)?.map_err(|error| {
            asterisk::warning!("RTP: TOS {tos} and CoS {cos} of {description:?} could not be set: {error}");
            Failed
        })
    }

    fn descriptor(&self, _instance: Instance<'_>, component: host::Component) -> RawFd {
        let component = component_of(component);
        self.with(|state| {
            let wanted = component == Component::Rtp || state.transport().uses_rtcp();
            if wanted { state.transport_mut().descriptor(component) } else { -1 }
        })
        .unwrap_or(-1)
    }

    fn activate(&self, _instance: Instance<'_>) -> Result<(), Failed> {
        let now = clock::now();
        self.with_at(now, |state| {
            if state.transport_mut().activate(now) {
                self.begin_watching(state, now);
            }
            state.drive(now);
        })
        .ok_or(Failed)
    }

    fn bundle(self: &Arc<Self>, instance: Instance<'_>, parent: Option<&Arc<Self>>) -> Result<(), Failed> {
        // The host may set payload types after this, and no address follows.
        self.note_description();
        let Some(parent) = parent else {
            self.go_alone();
            return Ok(());
        };
        self.join(parent)?;
        let address = self.with(|state| {
            let address = state.media_route().map(|(to, _)| to);
            state.transport_mut().remote_mut().note_told(address);
            address
        });
        if let Some(address) = address.flatten() {
            self.tell_address(instance, address);
        }
        Ok(())
    }

    fn set_remote_ssrc(&self, _instance: Instance<'_>, ssrc: u32) {
        self.set_marks(|marks| marks.described_ssrc = Some(ssrc));
    }

    fn set_stream_number(&self, _instance: Instance<'_>, number: i32) {
        self.set_marks(|marks| marks.number = Some(number));
        if let Some(mut reading) = self.reading() {
            reading.incoming.set_number(number);
        }
    }

    fn local_bridge(
        self: &Arc<Self>,
        instance: Instance<'_>,
        peer: Option<(&Arc<Self>, Instance<'_>)>,
    ) -> Result<(), Failed> {
        self.bridge(instance, peer)
    }

    fn redundancy_start(&self, _instance: Instance<'_>, buffer_ms: i32, payloads: &[i32]) -> Result<(), Failed> {
        let interval = u64::try_from(buffer_ms).ok().filter(|interval| *interval > 0).ok_or(Failed)?;
        self.with(|state| state.start_redundancy(Duration::from_millis(interval), payloads)).ok_or(Failed)
    }

    fn redundancy_buffer(&self, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed> {
        self.write_text(instance, frame)
    }

    fn send_comfort_noise(&self, instance: Instance<'_>, level: i32) -> Result<(), Failed> {
        let payload_type = instance.payload_type_of_code(rtp_code::CN).unwrap_or(rtp::comfort_noise::PAYLOAD_TYPE);
        // The host passes the loudness; the packet carries the level below overload in -dBov (RFC 3389 §3).
        let level = 127 - (level & 0x7F) as u8;
        if self.with(|state| state.is_kept_alive(clock::now())) == Some(true) {
            return Ok(());
        }
        self.expect_echo();
        let sent = self.with(|state| state.send_comfort_noise(clock::now(), payload_type, level));
        if sent == Some(true) { Ok(()) } else { Err(Failed) }
    }
}

impl Session {
    fn expect_echo(&self) {
        let until = clock::now() + ECHO;
        if let Some(mut reading) = self.reading() {
            reading.incoming.mute_digits(until);
        }
    }
}

/// Converts the host's component to that of the `ice` crate.
fn component_of(component: host::Component) -> Component {
    match component {
        host::Component::Rtp => Component::Rtp,
        host::Component::Rtcp => Component::Rtcp,
    }
}

fn key_of(digit: u8) -> Result<Key, Failed> {
    Key::from_char(digit.into()).ok_or_else(|| {
        asterisk::warning!("Don't know how to represent '{}'", char::from(digit).escape_default());
        Failed
    })
}
