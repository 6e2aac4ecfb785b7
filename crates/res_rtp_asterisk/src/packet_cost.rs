//! Tests that a received packet costs one lock, one clock reading and one parse, and a sent packet one lock and one clock
//! reading; a packet that a bridge passes on costs one lock more than one that is received. The test host calls the module through the same functions as the real host.

#[expect(dead_code, reason = "the tests of the built module use the rest")]
#[path = "../../../tests/host/tests/common/rtp.rs"]
mod rtp;

use host_tests::{Host, Kind};

use self::rtp::{FRAME_LEN, Frame, Instance, Phone, RTP};
use crate::cost::counted;

/// Packets counted in each direction. One more packet each way goes first, because it looks up payload types and routes.
const PACKETS: u32 = 20;

#[test]
fn a_packet_costs_one_lock_one_parse_and_one_reading_of_the_clock() {
    let host = Host::start(Kind::Newest);
    // So that this thread counts what a packet of a bridge costs.
    host.configure("rtp.conf", "[general]\nbridgethreads=no\n");
    crate::load().expect("the small host takes the engine");
    {
        let (call, mut phone) = (Instance::new(), Phone::new());
        call.set_remote(phone.address());
        exchange(&call, &mut phone, 0);
        let mut costs = (Vec::new(), Vec::new());
        for n in 0..PACKETS {
            counted::take();
            phone.send(call.local(), n as u8);
            let frame = call.read(RTP);
            costs.0.push(counted::take());
            assert!(matches!(&frame[..], [Frame::Voice { payload, .. }] if payload[..] == [n as u8; FRAME_LEN]));
            call.write(n as u8);
            costs.1.push(counted::take());
            assert_eq!(phone.receive().payload, [n as u8; FRAME_LEN]);
        }
        let (read, written) = costs;
        assert_eq!(read, vec![[1, 1, 1]; PACKETS as usize], "clock, lock and parse of a packet that is read");
        assert_eq!(written, vec![[1, 1, 0]; PACKETS as usize], "clock, lock and parse of a packet that is written");
        pass_on(&call, &mut phone);
    }
    <crate::RtpModule as asterisk::module::Module>::unload().expect("no session is left");
}

/// Bridges the call to another one.
fn pass_on(call: &Instance, phone: &mut Phone) {
    let (other, ear) = (Instance::new(), Phone::new());
    other.set_remote(ear.address());
    for leg in [call, &other] {
        leg.map(0, c"PCMU", 8000);
    }
    call.bridge(Some(&other));
    let costs = (0..PACKETS).map(|n| {
        counted::take();
        phone.send(call.local(), n as u8);
        assert_eq!(call.read(RTP), []);
        let cost = counted::take();
        assert_eq!(ear.receive().payload, [n as u8; FRAME_LEN]);
        cost
    });
    // The first one starts the reports of the other call.
    assert_eq!(costs.skip(1).collect::<Vec<_>>(), vec![[1, 2, 1]; PACKETS as usize - 1], "clock, lock and parse");
    call.bridge(None);
}

fn exchange(call: &Instance, phone: &mut Phone, value: u8) {
    phone.send(call.local(), value);
    assert_eq!(call.read(RTP).len(), 1);
    call.write(value);
    phone.receive();
}
