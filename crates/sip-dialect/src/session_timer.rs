//! Session timers (RFC 4028) between the client and this module. The host understands them only with re-INVITE, which is how
//! it refreshes a session itself; a client that is the refresher may use UPDATE (RFC 4028 §7.4).

use crate::edit::Edits;
use crate::memory::Dialog;
use crate::message::{Message, Start, number, parameter};
use crate::respond;

/// Cuts `Session-Expires` from a client's 2xx to an INVITE of the host's, so that to the host the client has no session timer.
/// Does so if the header makes the client refresh, and the client does not say that it knows no UPDATE (JsSIP 3.13 says nothing
/// about it in its 2xx). Returns whether it was cut.
pub fn hide(response: &Message<'_>, edits: &mut Edits) -> bool {
    names_refresher(response, b"uas") && !excludes_update(response) && cut(response, edits)
}

/// Cuts `Session-Expires` from a re-INVITE of a client whose timer is hidden: the host would wait for its refreshes. Returns
/// whether it was cut.
pub fn hide_again(invite: &Message<'_>, dialog: Option<&Dialog>, edits: &mut Edits) -> bool {
    dialog.is_some_and(|dialog| dialog.hides_refresh) && cut(invite, edits)
}

/// Whether a message of the host's makes the client refresh (RFC 4028 §4): then the host counts the refreshes itself.
pub fn host_counts(message: &Message<'_>) -> bool {
    match message.start {
        Start::Request(_) => names_refresher(message, b"uas"),
        Start::Response(_) => names_refresher(message, b"uac"),
    }
}

fn names_refresher(message: &Message<'_>, wanted: &[u8]) -> bool {
    let timer = message.value("session-expires");
    timer
        .and_then(|timer| parameter(timer, "refresher"))
        .is_some_and(|refresher| refresher.eq_ignore_ascii_case(wanted))
}

fn cut(message: &Message<'_>, edits: &mut Edits) -> bool {
    let mut timers = message.headers().filter(|header| header.is("session-expires")).peekable();
    let has_any = timers.peek().is_some();
    timers.for_each(|timer| edits.cut(timer.lines));
    has_any
}

/// Whether there is `Allow`, and no UPDATE in it (RFC 3261 §20.5).
fn excludes_update(message: &Message<'_>) -> bool {
    let mut allowed = message
        .headers()
        .filter(|header| header.is("allow"))
        .filter_map(|header| message.bytes.get(header.value))
        .flat_map(|methods| methods.split(|byte| *byte == b','))
        .peekable();
    allowed.peek().is_some() && !allowed.any(|method| method.trim_ascii() == b"UPDATE")
}

/// Answers a client's UPDATE that refreshes the session (RFC 4028 §7.4, §9); `None` for one that is the host's to answer. The
/// client stays the refresher, whatever it asks for: nobody else would refresh.
pub fn refresh(update: &Message<'_>, dialog: &Dialog) -> Option<Vec<u8>> {
    let timer = update.value("session-expires")?;
    let interval = timer.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_refresh =
        dialog.hides_refresh && update.has_to_tag && update.body().is_empty() && number(interval).is_some();
    let contact = dialog.contact.as_deref().filter(|_| is_refresh)?;
    let timer = [b"Require: timer\r\nSession-Expires: ", interval, b";refresher=uac\r\n"].concat();
    // RFC 3311 §5.2: the response names the other end, which UPDATE may change.
    Some(respond::ok(update, &[b"Contact: ", contact, b"\r\n", &timer[..]].concat()))
}
