//! Tells by their names which interfaces have addresses that peers can reach.
//!
//! The bridges and virtual links of containers and virtual machines lead to this machine alone. They are told by the names that
//! Docker, Podman, Kubernetes' plugins, libvirt and LXC give them, and used only where nothing else is left: within a container the
//! interface to the outside may have such a name as well.

/// The interfaces whose addresses are candidates (`ice_interfaces`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Patterns of the only interfaces that are used; empty for all.
    only: Vec<String>,
    /// Patterns of interfaces that are never used.
    never: Vec<String>,
}

/// The use of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Its addresses are candidates.
    Always,
    /// Its addresses are candidates if there are no others.
    IfNothingElse,
    /// Its addresses are no candidates.
    Never,
}

impl Interfaces {
    /// Parses names that are separated by commas. `!` before a name excludes it, `*` at its end stands for any end. Returns `None` for
    /// an empty name, or one that no interface can have.
    pub fn parse(text: &str) -> Option<Self> {
        let mut interfaces = Self::default();
        for word in text.split(',') {
            let (list, name) = match word.trim().strip_prefix('!') {
                Some(name) => (&mut interfaces.never, name.trim()),
                None => (&mut interfaces.only, word.trim()),
            };
            let is_name = !name.is_empty() && name.len() < libc::IFNAMSIZ && !name.contains([' ', '/']);
            list.push(Some(name).filter(|_| is_name)?.to_owned());
        }
        Some(interfaces)
    }

    /// Returns how the interface of this name is used.
    pub fn judge(&self, name: &str) -> Use {
        let is_in = |list: &[String]| list.iter().any(|pattern| matches(pattern, name));
        match () {
            () if is_in(&self.never) => Use::Never,
            () if is_in(&self.only) => Use::Always,
            () if !self.only.is_empty() => Use::Never,
            () if is_container(name) => Use::IfNothingElse,
            () => Use::Always,
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// Returns whether the name is one that container engines and hypervisors give to a bridge or a virtual link.
fn is_container(name: &str) -> bool {
    // Docker names the bridge of a network by the first 12 digits of its id. OpenWrt's br-lan is a bridge to the outside.
    let of_docker_network =
        name.strip_prefix("br-").is_some_and(|id| id.len() == 12 && id.bytes().all(|c| c.is_ascii_hexdigit()));
    of_docker_network || CONTAINERS.iter().any(|start| name.starts_with(start))
}

/// How the names begin: Docker, links into namespaces, CNI and its plugins, Podman, Kubernetes, libvirt, LXC, LXD, Incus.
const CONTAINERS: [&str; 12] =
    ["docker", "veth", "cni", "flannel", "cali", "cilium", "podman", "kube-", "virbr", "lxcbr", "lxdbr", "incusbr"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_of_containers_are_told_by_their_names() {
        let all = Interfaces::default();
        for name in
            ["docker0", "br-0123456789ab", "veth12ab", "cni0", "virbr0", "lxcbr0", "podman1", "cali0123", "flannel.1"]
        {
            assert_eq!(all.judge(name), Use::IfNothingElse, "{name}");
        }
        for name in
            ["eth0", "enp3s0", "wlan0", "br0", "br-lan", "br-0123456789xy", "bond0", "wg0", "tun0", "ens5", "vmbr0"]
        {
            assert_eq!(all.judge(name), Use::Always, "{name}");
        }
    }

    #[test]
    fn a_list_names_what_is_used_and_what_is_not() {
        let some = Interfaces::parse("eth0, docker0,wg*").unwrap();
        for (name, judged) in [
            ("eth0", Use::Always),
            ("docker0", Use::Always),
            ("wg7", Use::Always),
            ("eth1", Use::Never),
            ("veth0", Use::Never),
        ] {
            assert_eq!(some.judge(name), judged, "{name}");
        }
        let but = Interfaces::parse("!tun*,!eth1").unwrap();
        for (name, judged) in
            [("eth0", Use::Always), ("eth1", Use::Never), ("tun0", Use::Never), ("docker0", Use::IfNothingElse)]
        {
            assert_eq!(but.judge(name), judged, "{name}");
        }
    }

    #[test]
    fn a_name_that_no_interface_has_is_refused() {
        for bad in ["", "eth0,", "!", "a name", "a-name-of-17-bytes"] {
            assert_eq!(Interfaces::parse(bad), None, "{bad}");
        }
    }
}
