//! Session timers (RFC 4028) between the client and this module. The host understands them only with re-INVITE, which is how
//! it refreshes a session itself; a client that is the refresher may use UPDATE (RFC 4028 §7.4).

use crate::edit::Edits;
use crate::memory::Dialog;
use crate::message::{Message, parameter};
use crate::respond;

/// Cuts `Session-Expires` from a client's 2xx to an INVITE of the host's, if it makes the client refresh and the client does
/// not say that it knows no UPDATE. (JsSIP 3.13 says nothing about it in its 2xx.) To the host the client then has no session timer. Whether there was anything to cut.
pub fn hide(response: &Message<'_>, edits: &mut Edits) -> bool {
    let Some(timer) = response.header("session-expires") else { return false };
    let value = response.bytes.get(timer.value.clone()).unwrap_or_default();
    let refreshes = parameter(value, "refresher").is_some_and(|refresher| refresher.eq_ignore_ascii_case(b"uas"));
    if !refreshes || excludes_update(response) {
        return false;
    }
    edits.cut(timer.lines);
    true
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

/// Answers a client's UPDATE that refreshes the session (RFC 4028 §7.4, §9); `None` for one that is the host's to answer.
pub fn refresh(update: &Message<'_>, dialog: &Dialog) -> Option<Vec<u8>> {
    let timer = update.value("session-expires")?;
    let is_refresh = dialog.hides_refresh && update.has_to_tag && update.body().is_empty();
    let contact = dialog.contact.as_deref().filter(|_| is_refresh)?;
    let timer = [b"Require: timer\r\nSession-Expires: ", timer, b"\r\n"].concat();
    // RFC 3311 §5.2: the response names the other end, which UPDATE may change.
    Some(respond::ok(update, &[b"Contact: ", contact, b"\r\n", &timer[..]].concat()))
}
