//! The channel that the core of Asterisk 11 bridges. Its loop looks at each packet's wake-up whether something else wants the channel:
//! a masquerade, a recording, a spy, a hook. An engine that passes packets on without a wake-up has to look for it.

use std::ffi::c_void;
use std::ptr::NonNull;

use super::Instance;
use crate::symbols::Function;
use crate::sys;

type Get = unsafe extern "C" fn(*const sys::ast_channel) -> *mut c_void;
type IsEmpty = unsafe extern "C" fn(*mut c_void) -> i32;

static WISHES: [Function; 4] = [
    Function::new(c"ast_channel_masq"),
    Function::new(c"ast_channel_masqr"),
    Function::new(c"ast_channel_monitor"),
    Function::new(c"ast_channel_audiohooks"),
];
static HOOKS: Function = Function::new(c"ast_channel_framehooks");
static IS_EMPTY: Function = Function::new(c"ast_framehook_list_is_empty");
static GET_CHANNEL: Function = Function::new(c"ast_rtp_instance_get_chan");

/// The channel of a bridged instance. Later hosts than Asterisk 11 break their bridges by themselves, and have none.
#[derive(Debug)]
pub struct BridgedChannel {
    channel: NonNull<sys::ast_channel>,
    /// Functions that return null as long as nothing wants the channel.
    wishes: [Get; 4],
    hooks: Get,
    is_empty: IsEmpty,
}

// SAFETY: the core lets every thread look at a channel's members through these functions, each of which reads one word.
unsafe impl Send for BridgedChannel {}

impl BridgedChannel {
    /// Returns the channel that the host bridges through `instance`, if the host tells. Wraps `ast_rtp_instance_get_chan`. Nothing is
    /// imported, because later hosts have not all of the functions.
    pub fn of(instance: Instance<'_>) -> Option<Self> {
        type GetChannel = unsafe extern "C" fn(*mut sys::ast_rtp_instance) -> *mut sys::ast_channel;
        // SAFETY: each takes a channel and returns a pointer, in every Asterisk 11.
        let [masquerade, masqueraded, monitor, audiohooks] = WISHES.each_ref().map(|wish| unsafe { wish.get::<Get>() });
        // SAFETY: as above; the last two have the types of their names.
        let (hooks, is_empty, get) = unsafe { (HOOKS.get()?, IS_EMPTY.get()?, GET_CHANNEL.get::<GetChannel>()?) };
        // SAFETY: the instance is lent to us.
        let channel = NonNull::new(unsafe { get(instance.as_ptr()) })?;
        Some(Self { channel, wishes: [masquerade?, masqueraded?, monitor?, audiohooks?], hooks, is_empty })
    }

    /// Returns whether the core would take the channel out of the bridge if it woke up.
    ///
    /// # Safety
    /// The host has not ended the bridge since [`Self::of`]: until then its thread keeps the channel, whose list of hooks it frees
    /// itself.
    pub unsafe fn is_wanted(&self) -> bool {
        let channel = self.channel.as_ptr();
        // SAFETY: our caller guarantees that the channel lives, and with it its list of hooks.
        unsafe {
            self.wishes.iter().any(|wish| !wish(channel).is_null()) || (self.is_empty)((self.hooks)(channel)) == 0
        }
    }
}
