//! Requests for whole pictures: the host is told what the peer needs of the stream that we send, and the peer is asked for what
//! the host needs of the stream that we receive.

use std::time::Instant;

use asterisk::rtp::Which;
use rtp::pictures;

use super::State;
use crate::bundle::PictureRequest;
use crate::rtcp::feedback::Request;

impl State {
    /// Notes that a source of video begins in the stream that we send.
    pub fn begin_pictures(&mut self, now: Instant) {
        self.rtcp.pictures_mut().handle_source(now);
    }

    pub(super) fn handle_picture_request(&mut self, now: Instant, media_ssrc: u32) {
        if !self.bundle.handle_picture_request(now, media_ssrc) {
            self.rtcp.pictures_mut().handle_request(now);
        }
    }

    /// Returns a picture request that the channel has to be told of, once per request.
    pub fn take_picture_request(&mut self) -> Option<PictureRequest> {
        if self.rtcp.pictures_mut().take() {
            return Some(self.bundle.marks().picture_request());
        }
        self.bundle.take_picture_request()
    }

    /// The peer sends under another SSRC: another encoder, whose first whole picture may have been lost on the way. Only peers with
    /// DTLS are asked, which are WebRTC endpoints and know FIR (RFC 8834 §5.1.1); the descriptions of others are not known here.
    pub(super) fn handle_other_encoder(&mut self, now: Instant, payload_type: u8) {
        if self.clock_rates.of(payload_type) == Some(pictures::CLOCK) && self.transport.has_dtls() {
            self.ask_for_picture(now);
        }
    }

    /// Asks the peer for a whole picture soon, on a thread that may send.
    pub fn ask_for_picture_soon(&mut self, now: Instant) {
        self.rtcp.requests_mut().0.note_due(now);
    }

    pub(super) fn handle_request_timeout(&mut self, now: Instant) {
        if self.rtcp.requests_mut().0.handle_timeout(now) {
            self.ask_for_picture(now);
        }
    }

    /// Sends the peer a Full Intra Request for the stream that we receive (RFC 5104 §4.3.1).
    pub fn ask_for_picture(&mut self, now: Instant) {
        let described = self.bundle.marks().described_ssrc;
        let Some(media_ssrc) = self.receiver.ssrc().or(described).filter(|_| self.transport.uses_rtcp()) else {
            return;
        };
        let mut told = Vec::new();
        let ssrc = self.source.ssrc();
        let (requests, cname) = self.rtcp.requests_mut();
        let request = Request { ssrc, media_ssrc, cname };
        let sent = self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
            let way = transport.way_of_reports(stream)?;
            requests.send(now, &request, way.to(), |compound| transport.send(&way, Which::Rtcp, compound), &mut told)
        });
        self.note_report_sent(sent.flatten(), told);
    }
}
