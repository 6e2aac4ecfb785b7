//! Ends the call that an instance belongs to. An instance does not know its channel, so this looks at every channel and asks its
//! driver for the instance of its audio.

use std::ffi::CStr;
use std::ptr::{self, NonNull};

use super::InstancePtr;
use crate::host::objects;
use crate::{Ao2, sys};

/// The result of [`hang_up`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HangUp {
    /// The channel with this name was asked to hang up.
    Asked(String),
    /// It is the instance of this channel, but the caller does not want it to hang up any more.
    Kept(String),
    /// No channel has it as the instance of its audio.
    NoChannel,
    /// It was not found, and other threads held the locks of some channels. Try again later.
    Busy,
}

/// Asks the channel whose audio runs over `instance` to hang up, with the cause that chan_sip gives for `rtptimeout`. Wraps
/// `ast_softhangup_nolock`, which also wakes up a dialplan that waits.
///
/// The instance may be gone, and another may have its address by now. So `is_wanted` has to tell whether the session is still alive
/// and to be ended; while it runs, an instance at this address is alive, and the channel is locked.
///
/// Call this on a thread that holds none of our locks and none of the host's: it locks channels, though it never waits for them,
/// and it may give back the last reference to an instance, whose `destroy` then runs on this thread.
pub fn hang_up(instance: InstancePtr, is_wanted: impl Fn() -> bool) -> HangUp {
    let mut result = HangUp::NoChannel;
    for channel in Channels::all() {
        match channel.hang_up_if_it_has(instance, &is_wanted) {
            HangUp::NoChannel => {}
            HangUp::Busy => result = HangUp::Busy,
            found => return found,
        }
    }
    result
}

/// Returns the names of all channels with the instances of their audio. An instance serves to compare only, because it may be gone.
/// Channels that other threads have locked are left out.
///
/// Call this on a thread that holds none of our locks and none of the host's, as [`hang_up`].
pub fn names() -> Vec<(InstancePtr, String)> {
    Channels::all().filter_map(|channel| channel.name()).collect()
}

/// A reference to a channel.
struct Channel(Ao2<sys::ast_channel>);

impl Channel {
    fn hang_up_if_it_has(&self, wanted: InstancePtr, is_wanted: impl Fn() -> bool) -> HangUp {
        let Some(locked) = Locked::try_lock(self) else { return HangUp::Busy };
        let instance = locked.instance_of_audio();
        let result = match &instance {
            Some(instance) if instance.as_ptr() == wanted.as_ptr() => locked.hang_up(is_wanted),
            _ => HangUp::NoChannel,
        };
        // Unlocked first: the last reference to the instance may run `destroy`.
        drop(locked);
        drop(instance);
        result
    }

    fn name(&self) -> Option<(InstancePtr, String)> {
        let locked = Locked::try_lock(self)?;
        let instance = locked.instance_of_audio();
        let name = locked.name();
        // Unlocked first: the last reference to the instance may run `destroy`.
        drop(locked);
        let instance = NonNull::new(instance.as_ref()?.as_ptr())?;
        Some((InstancePtr::of(instance), name))
    }

    fn as_ptr(&self) -> *mut sys::ast_channel {
        self.0.as_ptr()
    }
}

/// A channel whose lock this thread holds.
struct Locked<'a>(&'a Channel);

impl<'a> Locked<'a> {
    fn try_lock(channel: &'a Channel) -> Option<Self> {
        // SAFETY: the reference keeps the channel alive, and channels have a lock.
        unsafe { objects::try_lock(channel.as_ptr().cast()) }.then_some(Self(channel))
    }

    /// The instance of the channel's audio, as its driver tells those that want to bridge it. Wraps `ast_rtp_instance_get_glue`.
    fn instance_of_audio(&self) -> Option<Ao2<sys::ast_rtp_instance>> {
        // SAFETY: the channel is alive; drivers and their tables stay while they have channels.
        let glue = unsafe {
            let driver = sys::ast_channel_tech(self.0.as_ptr()).as_ref()?;
            // A channel that is being made or has been hung up has a driver and nothing of its own. chan_motif does not ask.
            if driver.type_.is_null() || sys::ast_channel_tech_pvt(self.0.as_ptr()).is_null() {
                return None;
            }
            sys::ast_rtp_instance_get_glue(driver.type_).as_ref()?
        };
        let mut instance = ptr::null_mut();
        // SAFETY: the driver wants the channel locked, as it is. It adds a reference to the instance that it returns.
        unsafe { glue.get_rtp_info?(self.0.as_ptr(), &raw mut instance) };
        // SAFETY: the reference that the driver added is ours.
        NonNull::new(instance).map(|instance| unsafe { Ao2::adopt(instance) })
    }

    fn name(&self) -> String {
        // SAFETY: the channel is alive and locked, so its name does not change.
        unsafe { CStr::from_ptr(sys::ast_channel_name(self.0.as_ptr())) }.to_string_lossy().into_owned()
    }

    fn hang_up(&self, is_wanted: impl Fn() -> bool) -> HangUp {
        let channel = self.0.as_ptr();
        let name = self.name();
        if !is_wanted() {
            return HangUp::Kept(name);
        }
        // SAFETY: the channel is alive and locked.
        unsafe {
            sys::ast_channel_hangupcause_set(channel, sys::AST_CAUSE_REQUESTED_CHAN_UNAVAIL);
            sys::ast_softhangup_nolock(channel, sys::AST_SOFTHANGUP_DEV as _);
        }
        HangUp::Asked(name)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: `try_lock` locked it on this thread, and the reference keeps the channel alive.
        unsafe { objects::unlock(self.0.as_ptr().cast()) };
    }
}

/// A walk over all channels. Wraps `ast_channel_iterator_all_new`.
struct Channels(Option<NonNull<sys::ast_channel_iterator>>);

impl Channels {
    fn all() -> Self {
        // SAFETY: takes nothing; null when the host is out of memory.
        Self(NonNull::new(unsafe { sys::ast_channel_iterator_all_new() }))
    }
}

impl Iterator for Channels {
    type Item = Channel;

    fn next(&mut self) -> Option<Channel> {
        // SAFETY: the iterator is ours; it returns the channel with a reference, which is ours then.
        let channel = unsafe { sys::ast_channel_iterator_next(self.0?.as_ptr()) };
        // SAFETY: as above.
        NonNull::new(channel).map(|channel| Channel(unsafe { Ao2::adopt(channel) }))
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        if let Some(iterator) = self.0 {
            // SAFETY: the iterator is ours, and is not used again.
            unsafe { sys::ast_channel_iterator_destroy(iterator.as_ptr()) };
        }
    }
}
