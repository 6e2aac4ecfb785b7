//! An instance that we have made ourselves, as a channel driver does.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::held::session_of;
use super::{Component, Engine, Instance};
use crate::{Failed, Format, Frame, SockAddr, check, frame, host, sys};

/// An instance of the engine `E`; dropping it destroys the instance, and the engine's session with it.
#[derive(Debug)]
pub struct OwnInstance<E: Engine>(NonNull<sys::ast_rtp_instance>, PhantomData<fn(E)>);

impl<E: Engine> OwnInstance<E> {
    /// Creates an instance with sockets on the address `local`; the engine, which has to be registered, chooses the port. Wraps
    /// `ast_rtp_instance_new`.
    pub fn new(local: SocketAddr) -> Result<Self, Failed> {
        let local = SockAddr::from(local);
        // SAFETY: static text, no scheduler, of which the engine has no need, and an address that lives during the call.
        let instance =
            unsafe { sys::ast_rtp_instance_new(E::NAME.as_ptr(), ptr::null_mut(), local.as_ptr(), ptr::null_mut()) };
        NonNull::new(instance).map(|instance| Self(instance, PhantomData)).ok_or(Failed)
    }

    /// Borrows the instance.
    pub fn borrow(&self) -> Instance<'_> {
        // SAFETY: ours until the drop.
        unsafe { Instance::lend(self.0) }
    }

    /// Returns the engine's session.
    pub fn session(&self) -> Option<Arc<E>> {
        // SAFETY: the core has found the engine by our name, and two engines cannot register under one.
        unsafe { session_of(self.borrow()) }
    }

    /// Sends audio of a format whose samples have an octet each. Wraps `ast_rtp_instance_write`.
    pub fn write(&self, format: &Format, payload: &[u8]) -> Result<(), Failed> {
        let mut frame = frame::blank();
        frame.frametype = sys::AST_FRAME_VOICE;
        host::frame::set_format(&mut frame, format, false);
        frame.data.ptr = payload.as_ptr().cast_mut().cast();
        frame.datalen = i32::try_from(payload.len()).map_err(|_| Failed)?;
        frame.samples = frame.datalen;
        // SAFETY: the instance is ours; the engine only reads the frame, which lives during the call.
        check(unsafe { sys::ast_rtp_instance_write(self.0.as_ptr(), &raw mut frame) })
    }

    /// Has the engine read one datagram, if there is one. Wraps `ast_rtp_instance_read`.
    pub fn read(&self, component: Component) {
        let is_rtcp = i32::from(component == Component::Rtcp);
        // SAFETY: the instance is ours.
        let frame = unsafe { sys::ast_rtp_instance_read(self.0.as_ptr(), is_rtcp) };
        // SAFETY: the frame is for the caller, who frees it; of a frame that is not to be freed, the host frees nothing.
        drop(NonNull::new(frame).map(|frame| unsafe { Frame::adopt(frame) }));
    }
}

impl<E: Engine> Drop for OwnInstance<E> {
    fn drop(&mut self) {
        // SAFETY: our one reference.
        unsafe { sys::ast_rtp_instance_destroy(self.0.as_ptr()) };
    }
}
