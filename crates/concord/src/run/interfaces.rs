//! The machine's interfaces, as the system reports them, for templates in addresses.

use std::net::IpAddr;

use concord_config::interfaces::{Flags, InterfaceAddress, Interfaces};
use nix::ifaddrs::{InterfaceAddress as Told, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// Most addresses that are used; machines with many containers have some thousands.
const ADDRESSES_MAX: usize = 16_384;
/// Linux's table of IPv4 routes.
const ROUTES: &str = "/proc/net/route";

/// The machine's current interfaces.
pub(super) fn of_machine() -> Interfaces {
    let default = std::fs::read_to_string(ROUTES).ok().and_then(|table| default_of(&table));
    match getifaddrs() {
        Ok(all) => {
            let addresses = all.filter_map(|told| address_of(&told)).take(ADDRESSES_MAX).collect();
            Interfaces { addresses, default, fault: None }
        }
        Err(error) => Interfaces { addresses: Vec::new(), default, fault: Some(error.to_string()) },
    }
}

fn address_of(told: &Told) -> Option<InterfaceAddress> {
    let address = ip_of(told.address.as_ref()?)?;
    let own = if address.is_ipv4() { 32 } else { 128 };
    let bits = told.netmask.as_ref().and_then(ip_of).map_or(own, bits_of);
    let has = |flag| told.flags.contains(flag);
    let flags = Flags {
        up: has(InterfaceFlags::IFF_UP),
        broadcast: has(InterfaceFlags::IFF_BROADCAST),
        loopback: has(InterfaceFlags::IFF_LOOPBACK),
        point_to_point: has(InterfaceFlags::IFF_POINTOPOINT),
        multicast: has(InterfaceFlags::IFF_MULTICAST),
    };
    Some(InterfaceAddress { name: told.interface_name.clone(), address, bits, flags })
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip())))
}

fn bits_of(mask: IpAddr) -> u8 {
    let bits = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    u8::try_from(bits).unwrap_or(u8::MAX)
}

/// The interface of the first default route in Linux's table.
fn default_of(table: &str) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let (name, destination) = (fields.next()?, fields.next()?);
        // Destination, gateway, flags, counters and metric come first; then the mask.
        let mask = fields.nth(5)?;
        (destination == "00000000" && mask == "00000000").then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_read_from_linuxs_table() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let near = "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let far = "eth1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        assert_eq!(default_of(&format!("{head}{near}{far}")).as_deref(), Some("eth1"));
        assert_eq!(default_of(&format!("{head}{near}")), None);
        assert_eq!(default_of("what\nis this"), None);
    }

    #[test]
    fn the_machine_has_its_loopback() {
        let machine = of_machine();
        assert_eq!(machine.fault, None);
        let lo = machine.addresses.iter().find(|one| one.address.is_loopback() && one.address.is_ipv4());
        let lo = lo.expect("there is a loopback");
        assert!(lo.flags.loopback && lo.flags.up && lo.bits >= 8, "{lo:?}");
    }
}
