//! The bodies of the fuzz targets, which `tests/fuzz` calls. They panic when a promise of the crate is broken.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Event;
use crate::sip::{Description, Kind, Message};
use crate::timeline::{MOST_MEMORY, Timeline};

/// Takes the input as a message of SIP. What is read of it fits into a line of the log.
pub fn message(input: &[u8]) {
    let Some(message) = Message::parse(input) else { return };
    assert!(!message.call_id.is_empty());
    let method = match message.kind {
        Kind::Request(method) => method,
        Kind::Response(_) => "",
    };
    let Description { formats, .. } = message.description.clone().unwrap_or_default();
    let words = [method, message.method, message.call_id, message.from_user, message.to_user];
    for word in words.into_iter().chain(formats.into_iter().map(|(_, name)| name)) {
        assert!(!word.contains(['\r', '\n']), "{word:?} breaks a line");
    }
}

/// Takes each four octets as an event: its kind, the time since the last one, and the ports of both ends. A timeline stays bounded,
/// and tells its events in the order of time.
pub fn timeline(input: &[u8]) {
    let began = Instant::now();
    let (mut now, mut timeline) = (began, Timeline::new(began));
    for [kind, after, ours, theirs] in input.as_chunks::<4>().0 {
        now += Duration::from_millis((*after).into());
        let address = |port: u8| (port > 0).then(|| SocketAddr::from(([192, 0, 2, 1], port.into())));
        timeline.note(now, event(*kind), address(*ours), address(*theirs));
    }
    assert!(timeline.memory() <= MOST_MEMORY, "{}", timeline.memory());
    let times: Vec<Instant> = timeline.lines().map(|line| line.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(timeline.lines().all(|line| !line.event.to_string().is_empty()));
}

fn event(kind: u8) -> Event {
    match kind % 6 {
        0 => Event::Began,
        1 => Event::Report { lost: kind, jitter: 1, round_trip: 2 },
        2 => Event::ReceivesNow(kind),
        3 => Event::SendsNow(kind),
        4 => Event::ConsentLost(kind),
        _ => Event::Selected(kind),
    }
}
