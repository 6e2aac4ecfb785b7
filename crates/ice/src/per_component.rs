//! One value for each component of the data stream (RFC 8445 §5.1.1).

use std::ops::{Index, IndexMut};

use crate::Component;

/// One value for RTP (component 1) and one for RTCP (component 2), indexed by [`Component`].
///
/// ```
/// use ice::{Component, PerComponent};
///
/// let mut ports = PerComponent { rtp: 10_000, rtcp: 10_001 };
/// ports[Component::Rtcp] += 1;
/// assert_eq!(ports[Component::Rtcp], 10_002);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerComponent<T> {
    /// The value of component 1, RTP.
    pub rtp: T,
    /// The value of component 2, RTCP.
    pub rtcp: T,
}

impl<T> PerComponent<T> {
    /// Calls `value` once for each component, RTP first.
    pub fn from_fn(mut value: impl FnMut(Component) -> T) -> Self {
        Self { rtp: value(Component::Rtp), rtcp: value(Component::Rtcp) }
    }

    /// Replaces each value by what `change` makes of it, RTP first.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> PerComponent<U> {
        PerComponent { rtp: change(self.rtp), rtcp: change(self.rtcp) }
    }

    /// Each component with its value, RTP first.
    pub fn iter(&self) -> impl Iterator<Item = (Component, &T)> {
        [(Component::Rtp, &self.rtp), (Component::Rtcp, &self.rtcp)].into_iter()
    }

    /// Each component with its value to change, RTP first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Component, &mut T)> {
        [(Component::Rtp, &mut self.rtp), (Component::Rtcp, &mut self.rtcp)].into_iter()
    }

    /// The values alone, RTP first.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// The values alone, to change, RTP first.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.iter_mut().map(|(_, value)| value)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_has_its_own_value() {
        let mut names = PerComponent::from_fn(|component| format!("component {}", component.id()));
        names[Component::Rtcp].push_str(", RTCP");
        assert_eq!(names[Component::Rtp], "component 1");
        assert_eq!(names[Component::Rtcp], "component 2, RTCP");
        let components: Vec<Component> = names.iter().map(|(component, _)| component).collect();
        assert_eq!(components, Component::ALL);
        assert_eq!(names.map(|name| name.len()), PerComponent { rtp: 11, rtcp: 17 });
    }
}
