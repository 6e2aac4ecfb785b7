//! One value for each component of a media stream.

use std::ops::{Index, IndexMut};

use crate::Component;

/// One value for each component: 1 for RTP and 2 for RTCP (RFC 8445 §4).
///
/// ```
/// use ice::{Component, PerComponent};
///
/// let mut packets = PerComponent::<u32>::default();
/// packets[Component::Rtcp] += 1;
/// assert_eq!(packets.values().collect::<Vec<_>>(), [&0, &1]);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerComponent<T> {
    rtp: T,
    rtcp: T,
}

impl<T> PerComponent<T> {
    /// Asks `value` for the value of each component.
    pub fn from_fn(mut value: impl FnMut(Component) -> T) -> Self {
        Self { rtp: value(Component::Rtp), rtcp: value(Component::Rtcp) }
    }

    /// Iterates over the components and their values, RTP first.
    pub fn iter(&self) -> impl Iterator<Item = (Component, &T)> {
        [(Component::Rtp, &self.rtp), (Component::Rtcp, &self.rtcp)].into_iter()
    }

    /// Iterates over the components and their values, RTP first, to change the values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Component, &mut T)> {
        [(Component::Rtp, &mut self.rtp), (Component::Rtcp, &mut self.rtcp)].into_iter()
    }

    /// Iterates over the values, RTP's first.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        [&self.rtp, &self.rtcp].into_iter()
    }

    /// Iterates over the values, RTP's first, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.rtp, &mut self.rtcp].into_iter()
    }
}

impl<T> Index<Component> for PerComponent<T> {
    type Output = T;

    fn index(&self, component: Component) -> &T {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }
}

impl<T> IndexMut<Component> for PerComponent<T> {
    fn index_mut(&mut self, component: Component) -> &mut T {
        match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        }
    }
}
