//! Translators between a codec and linear samples. Asterisk 11 only: later hosts have another interface, and Opus of their own.
//!
//! A module implements [`Translate`] for each direction and keeps a [`Registration`] of it. The host makes a value for each path
//! that leads through the translator, counts it as a use of the module, and drops it with the path.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fence::fence;
use crate::frame::blank;
use crate::{Failed, Frame, FrameRef, check, module, sys};

/// One direction of a translation, and the state of one path that leads through it.
pub trait Translate: Send + Sized + 'static {
    /// The name in the host's log; it is cut off after 79 bytes.
    const NAME: &'static CStr;
    /// The format of the frames that come in.
    const FROM: Sound;
    /// The format of the frames that go out.
    const TO: Sound;
    /// The most bytes in a frame that goes out.
    const MAX_OUTPUT: usize;

    /// Begins a path.
    fn new() -> Result<Self, Failed>;

    /// Takes a frame in. Without a payload it stands for a lost one of as many samples.
    fn handle_frame(&mut self, frame: FrameRef<'_>) -> Taken;

    /// Writes the next frame into `output`, which has [`Self::MAX_OUTPUT`] bytes. The host asks once after each frame that came in.
    fn poll_frame(&mut self, output: &mut [u8]) -> Option<Translated>;

    /// A payload of 20 ms, with which the host measures the cost of the translator.
    fn sample() -> &'static [u8];
}

/// Tells whether [`Translate::handle_frame`] has used a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is or will be a part of what goes out.
    Used,
    /// It is no part of it, because its sound went out before.
    Dropped,
}

/// A frame that [`Translate::poll_frame`] has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Translated {
    /// The length in bytes.
    pub len: usize,
    /// The number of samples at the rate of [`Translate::TO`].
    pub samples: usize,
    /// The sound from before the beginning of the last frame that came in, in milliseconds.
    pub lead_ms: u32,
    /// How much of the lead stands for lost frames, in milliseconds.
    pub recovered_ms: u32,
}

/// The formats between which we translate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sound {
    /// Opus, which travels in the host as G.719: audio at 48000 Hz that the host neither looks into nor splits.
    OpusAsG719,
    /// 16-bit linear at 8000 Hz, native byte order.
    Slinear,
    /// 16-bit linear at 16000 Hz.
    Slinear16,
    /// 16-bit linear at 48000 Hz.
    Slinear48,
}

impl Sound {
    /// Samples per second.
    pub const fn rate(self) -> u32 {
        match self {
            Self::Slinear => 8000,
            Self::Slinear16 => 16_000,
            Self::OpusAsG719 | Self::Slinear48 => 48_000,
        }
    }

    fn format(self) -> sys::ast_format {
        let id = match self {
            Self::OpusAsG719 => sys::AST_FORMAT_G719,
            Self::Slinear => sys::AST_FORMAT_SLINEAR,
            Self::Slinear16 => sys::AST_FORMAT_SLINEAR16,
            Self::Slinear48 => sys::AST_FORMAT_SLINEAR48,
        };
        sys::ast_format { id: id as _, ..sys::ast_format::default() }
    }
}

/// The number of paths that lead through translators of this module. The host counts them too, but a forced unload ignores its
/// count.
pub fn in_use() -> usize {
    PATHS.load(Ordering::Acquire)
}

static PATHS: AtomicUsize = AtomicUsize::new(0);

/// A registered translator. Dropping it wraps `ast_unregister_translator` and frees what paths refer to: see [`end`].
#[derive(Debug)]
pub struct Registration(NonNull<sys::ast_translator>);

// SAFETY: memory that is not tied to a thread; the host locks its list of translators.
unsafe impl Send for Registration {}

impl Registration {
    /// Registers `T`. Wraps `__ast_register_translator`, which runs the translator until a second of sound has come out, to measure its
    /// cost. Fails before that if the translator makes no sound out of its sample: the host would wait for ever.
    pub fn new<T: Translate>() -> Result<Self, Failed> {
        rehearse::<T>()?;
        let mut translator = Box::new(sys::ast_translator {
            src_format: T::FROM.format(),
            dst_format: T::TO.format(),
            newpvt: Some(begin::<T>),
            framein: Some(frame_in::<T>),
            frameout: Some(frame_out::<T>),
            destroy: Some(destroy::<T>),
            sample: Some(sample::<T>),
            buf_size: T::MAX_OUTPUT as c_int,
            desc_size: size_of::<*mut T>() as c_int,
            native_plc: 1,
            ..sys::ast_translator::default()
        });
        for (place, byte) in translator.name.iter_mut().take(NAME_LEN).zip(T::NAME.to_bytes()) {
            *place = byte.cast_signed();
        }
        let registration = Self(NonNull::from(Box::leak(translator)));
        registration.register()?;
        Ok(registration)
    }

    /// Lets new paths lead through the translator, or not. Paths that exist go on. Wraps `ast_translator_activate` and
    /// `ast_translator_deactivate`.
    pub fn set_active(&self, is_active: bool) {
        let set = if is_active { sys::ast_translator_activate } else { sys::ast_translator_deactivate };
        // SAFETY: registered, and ours until `drop`.
        unsafe { set(self.0.as_ptr()) };
    }

    fn is_active(&self) -> bool {
        // SAFETY: ours until `drop`; the host writes it in `set_active` and `register` only, which we call.
        unsafe { (*self.0.as_ptr()).active != 0 }
    }

    fn register(&self) -> Result<(), Failed> {
        // SAFETY: the translator stays where it is until `drop` has unregistered it.
        check(unsafe { sys::__ast_register_translator(self.0.as_ptr(), module::host_module()) })
    }

    fn unregister(&self) {
        // SAFETY: ours until `drop`; the host looks for it by its address, and does nothing if it is not registered.
        unsafe { sys::ast_unregister_translator(self.0.as_ptr()) };
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.unregister();
        // SAFETY: `new` leaked the box, and the host has forgotten it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Runs `T` on its own sample, until a frame comes out.
fn rehearse<T: Translate>() -> Result<(), Failed> {
    let (mut path, mut output) = (T::new()?, vec![0; T::MAX_OUTPUT]);
    let makes_sound = (0..REHEARSED_FRAMES).any(|_| {
        with_sample::<T, _>(|frame| path.handle_frame(frame));
        path.poll_frame(&mut output).is_some_and(|made| made.samples > 0)
    });
    makes_sound.then_some(()).ok_or(Failed)
}

/// A second of sound. Without a frame by then, something is wrong with the codec.
const REHEARSED_FRAMES: usize = 50;

/// Ends registrations, before the module is unmapped. While paths lead through one of them, nothing changes and they are given back.
///
/// The host reads the translator once more after it has ended a path, and then counts the module's use down. So a path that ends
/// during a forced unload, which ignores that count, is a risk that the host's own translators run as well.
pub fn end(registrations: Vec<Registration>) -> Result<(), Vec<Registration>> {
    let were_active: Vec<bool> = registrations.iter().map(Registration::is_active).collect();
    // From here on no new path begins.
    registrations.iter().for_each(Registration::unregister);
    if in_use() == 0 {
        return Ok(());
    }
    for (registration, was_active) in registrations.iter().zip(were_active) {
        // It was accepted before; if memory has run out since, paths merely lead around it.
        if registration.register() == Ok(()) {
            registration.set_active(was_active);
        }
    }
    Err(registrations)
}

/// The state of a path as the host lends it to a callback.
struct Path<'a, T> {
    raw: &'a mut sys::ast_trans_pvt,
    of: PhantomData<T>,
}

impl<'a, T: Translate> Path<'a, T> {
    /// # Safety
    /// The host lends `raw` for the call, exclusively, and it is of a translator that was registered for `T`.
    unsafe fn lend(raw: *mut sys::ast_trans_pvt) -> Self {
        // SAFETY: guaranteed by our caller.
        Self { raw: unsafe { &mut *raw }, of: PhantomData }
    }

    /// Where the address of the state is kept: `desc_size` bytes of the host's, zero at first.
    fn place(&mut self) -> *mut *mut T {
        self.raw.pvt.cast()
    }

    fn begin(&mut self) -> Result<(), Failed> {
        let state = Box::new(T::new()?);
        // SAFETY: the host has allocated `desc_size` bytes there, after a struct with pointers, so it is aligned.
        unsafe { self.place().write(Box::into_raw(state)) };
        PATHS.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn end(&mut self) {
        // SAFETY: `begin` wrote a box there, and the host ends each path once.
        drop(unsafe { Box::from_raw(self.place().replace(ptr::null_mut())) });
        PATHS.fetch_sub(1, Ordering::AcqRel);
    }

    fn parts(&mut self) -> (&mut sys::ast_trans_pvt, &mut T) {
        // SAFETY: `begin` wrote a box there, which `end` has not taken yet; the host uses a path on one thread at a time.
        let state = unsafe { &mut **self.place() };
        (self.raw, state)
    }

    fn frame_in(&mut self, frame: FrameRef<'_>) {
        let (raw, state) = self.parts();
        let taken = state.handle_frame(frame);
        if taken == Taken::Dropped && raw.nextout.tv_sec != 0 {
            // The host has moved it back to this frame, and expects a frame of its length to move it on.
            let micros = i64::from(frame.samples()) * 1_000_000 / i64::from(T::FROM.rate());
            raw.nextout = moved(raw.nextout, micros);
        }
        // Older hosts warn if the number stays as it was. `frame_out` counts for itself.
        raw.samples = raw.samples.wrapping_add(1);
    }

    fn frame_out(&mut self) -> *mut sys::ast_frame {
        let (raw, state) = self.parts();
        raw.samples = 0;
        // SAFETY: the host has allocated `buf_size` bytes there, which only this path uses.
        let output = unsafe { slice::from_raw_parts_mut(raw.outbuf.uc, T::MAX_OUTPUT) };
        let Some(made) = state.poll_frame(output) else { return ptr::null_mut() };
        let (Ok(len), Ok(samples)) = (c_int::try_from(made.len), c_int::try_from(made.samples)) else {
            return ptr::null_mut();
        };
        raw.f.ts -= i64::from(made.lead_ms);
        raw.f.len = i64::from(samples) * 1000 / i64::from(T::TO.rate());
        if raw.nextout.tv_sec != 0 {
            // The host has moved it by the gap, and moves it by this frame, which fills the gap.
            raw.nextout = moved(raw.nextout, -1000 * i64::from(made.recovered_ms));
        }
        // SAFETY: `len` bytes are in the output buffer; the host copies them.
        unsafe { sys::ast_trans_frameout(raw, len, samples) }
    }
}

fn moved(time: libc::timeval, by_micros: i64) -> libc::timeval {
    let micros = time.tv_sec * 1_000_000 + time.tv_usec + by_micros;
    libc::timeval { tv_sec: micros.div_euclid(1_000_000), tv_usec: micros.rem_euclid(1_000_000) }
}

unsafe extern "C" fn begin<T: Translate>(path: *mut sys::ast_trans_pvt) -> c_int {
    fence("translator newpvt", -1, || {
        // SAFETY: the host lends its new path of this translator.
        crate::answer(unsafe { Path::<T>::lend(path) }.begin())
    })
}

unsafe extern "C" fn frame_in<T: Translate>(path: *mut sys::ast_trans_pvt, frame: *mut sys::ast_frame) -> c_int {
    fence("translator framein", -1, || {
        let Some(frame) = NonNull::new(frame) else { return -1 };
        // SAFETY: the host lends a path of this translator and a frame for the call.
        unsafe { Path::<T>::lend(path).frame_in(FrameRef::lend(frame)) };
        0
    })
}

unsafe extern "C" fn frame_out<T: Translate>(path: *mut sys::ast_trans_pvt) -> *mut sys::ast_frame {
    // SAFETY: the host lends a path of this translator for the call.
    fence("translator frameout", ptr::null_mut(), || unsafe { Path::<T>::lend(path) }.frame_out())
}

unsafe extern "C" fn destroy<T: Translate>(path: *mut sys::ast_trans_pvt) {
    // SAFETY: the host lends a path of this translator for the call, and frees it afterwards.
    fence("translator destroy", (), || unsafe { Path::<T>::lend(path) }.end());
}

unsafe extern "C" fn sample<T: Translate>() -> *mut sys::ast_frame {
    fence("translator sample", ptr::null_mut(), || {
        with_sample::<T, _>(Frame::duplicate).map_or(ptr::null_mut(), Frame::into_raw)
    })
}

/// Lends the frame with the sample of `T`.
fn with_sample<T: Translate, R>(body: impl FnOnce(FrameRef<'_>) -> R) -> R {
    let payload = T::sample();
    let mut frame = blank();
    frame.frametype = sys::AST_FRAME_VOICE;
    frame.subclass.format = T::FROM.format();
    frame.data.ptr = payload.as_ptr().cast_mut().cast();
    frame.datalen = payload.len() as c_int;
    frame.samples = (T::FROM.rate() / 50) as c_int;
    // SAFETY: the frame and its payload live during the call, and a borrowed frame is only read.
    body(unsafe { FrameRef::lend(NonNull::from(&mut frame)) })
}

/// The length of a name without its final NUL.
const NAME_LEN: usize = 79;

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a frame out of each `EVERY`th frame; of none if that is 0.
    struct Half<const EVERY: usize>(usize);

    impl<const EVERY: usize> Translate for Half<EVERY> {
        const NAME: &'static CStr = c"half";
        const FROM: Sound = Sound::Slinear16;
        const TO: Sound = Sound::Slinear;
        const MAX_OUTPUT: usize = 320;

        fn new() -> Result<Self, Failed> {
            Ok(Self(0))
        }

        fn handle_frame(&mut self, frame: FrameRef<'_>) -> Taken {
            assert_eq!((frame.payload().len(), frame.samples()), (640, 320));
            self.0 += 1;
            Taken::Used
        }

        fn poll_frame(&mut self, output: &mut [u8]) -> Option<Translated> {
            assert_eq!(output.len(), Self::MAX_OUTPUT);
            let is_due = EVERY > 0 && self.0.is_multiple_of(EVERY);
            is_due.then_some(Translated { len: 320, samples: 160, ..Translated::default() })
        }

        fn sample() -> &'static [u8] {
            &[0; 640]
        }
    }

    /// `ast_register_translator` runs a translator until a second of sound has come out.
    #[test]
    fn a_translator_that_makes_no_sound_is_not_registered() {
        assert_eq!(rehearse::<Half<0>>(), Err(Failed));
        assert_eq!(rehearse::<Half<1>>(), Ok(()));
        assert_eq!(rehearse::<Half<3>>(), Ok(()), "frames may be longer than those that come in");
    }
}
