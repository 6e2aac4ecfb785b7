//! All streams.

use e2e::differential::stream::Stream;

mod audio;
mod calls;
mod console;
mod digits;
mod odd;
mod reports;
mod source;
mod text;
mod video;

/// All of them, each with a name of its own.
pub fn all() -> Vec<Stream> {
    [
        audio::streams(),
        digits::streams(),
        text::streams(),
        video::streams(),
        odd::streams(),
        reports::streams(),
        source::streams(),
        calls::streams(),
        console::streams(),
    ]
    .concat()
}

/// Payload types and names that many streams have.
pub const PCMU: &[(u8, &str)] = &[(0, "PCMU/8000"), (101, "telephone-event/8000")];
