//! The functions of templates.

use std::cmp::Ordering;
use std::net::IpAddr;

use regex::Regex;

use super::parse::{Argument, Command, Pipeline};
use super::wrong::Wrong;
use crate::address::Network;
use crate::interfaces::{InterfaceAddress, Interfaces, known_rfcs, networks_of_rfc};

/// An argument or result of a function.
#[derive(Clone, Debug)]
enum Value<'a> {
    Text(String),
    Number(i64),
    List(Vec<&'a InterfaceAddress>),
}

/// Whether a selector matches an interface.
type Fits = Box<dyn Fn(&InterfaceAddress) -> bool>;

type List<'a> = Vec<&'a InterfaceAddress>;

/// All functions, for the message about a misspelt one.
const FUNCTIONS: [&str; 18] = [
    "GetAllInterfaces",
    "GetDefaultInterfaces",
    "GetInterfaceIP",
    "GetInterfaceIPs",
    "GetPrivateIP",
    "GetPrivateIPs",
    "GetPrivateInterfaces",
    "GetPublicIP",
    "GetPublicIPs",
    "GetPublicInterfaces",
    "attr",
    "exclude",
    "include",
    "join",
    "limit",
    "offset",
    "sort",
    "unique",
];

/// The result of a pipeline, as text.
pub(super) fn run(pipeline: &Pipeline, interfaces: &Interfaces) -> Result<String, Wrong> {
    if let Some(fault) = &interfaces.fault {
        return Err(Wrong(format!("the system does not tell its addresses: {fault}")));
    }
    match Machine(interfaces).pipeline(pipeline)? {
        Value::Text(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::List(_) => Err(Wrong(
            "it ends in a list of interfaces; add | attr \"address\" for the first, or | join \"address\" \" \" for all"
                .to_owned(),
        )),
    }
}

struct Machine<'a>(&'a Interfaces);

impl<'a> Machine<'a> {
    fn pipeline(&self, pipeline: &Pipeline) -> Result<Value<'a>, Wrong> {
        let mut piped = None;
        for command in &pipeline.0 {
            piped = Some(self.command(command, piped)?);
        }
        piped.ok_or_else(|| Wrong("it is empty".to_owned()))
    }

    fn command(&self, command: &Command, piped: Option<Value<'a>>) -> Result<Value<'a>, Wrong> {
        let mut given = Vec::new();
        for argument in &command.arguments {
            given.push(match argument {
                Argument::Text(text) => Value::Text(text.clone()),
                Argument::Number(number) => Value::Number(*number),
                Argument::All => Value::List(self.all()),
                Argument::Inner(inner) => self.pipeline(inner)?,
            });
        }
        given.extend(piped);
        self.call(&command.function, given)
    }

    fn call(&self, function: &str, given: Vec<Value<'a>>) -> Result<Value<'a>, Wrong> {
        let list = Value::List;
        let text = |text| Ok(Value::Text(text));
        match function {
            "" => one(given),
            "GetAllInterfaces" => takes(function, given).map(|[]| list(self.all())),
            "GetDefaultInterfaces" => takes(function, given).and_then(|[]| self.default()).map(list),
            "GetPrivateInterfaces" => takes(function, given).map(|[]| list(self.reachable(true))),
            "GetPublicInterfaces" => takes(function, given).map(|[]| list(self.reachable(false))),
            "GetPrivateIP" => takes(function, given).and_then(|[]| text(first(&self.reachable(true)))),
            "GetPublicIP" => takes(function, given).and_then(|[]| text(first(&self.reachable(false)))),
            "GetPrivateIPs" => takes(function, given).and_then(|[]| {
                let mut all = sorted(self.all(), &[by_type, by_size]);
                all.retain(|one| one.is_of_rfc(6890) && one.is_forwardable());
                text(joined(&all))
            }),
            "GetPublicIPs" => takes(function, given).and_then(|[]| {
                let mut all = sorted(self.all(), &[by_type, by_size]);
                all.retain(|one| !one.is_of_rfc(6890));
                text(joined(&all))
            }),
            "GetInterfaceIP" => {
                let [name] = takes(function, given)?;
                let named = keep("name", &name.text(function)?, true, self.all())?;
                let own: List<'_> = named.into_iter().filter(|one| one.is_forwardable()).collect();
                text(first(&sorted(own, &[by_type, by_size])))
            }
            "GetInterfaceIPs" => {
                let [name] = takes(function, given)?;
                text(joined(&sorted(
                    keep("name", &name.text(function)?, true, self.all())?,
                    &[by_type, by_size],
                )))
            }
            "include" | "exclude" => {
                let [selector, wanted, all] = takes(function, given)?;
                let (selector, wanted) = (selector.text(function)?, wanted.text(function)?);
                keep(&selector, &wanted, function == "include", all.list(function)?).map(list)
            }
            "sort" => {
                let [keys, all] = takes(function, given)?;
                self.sort(&keys.text(function)?, all.list(function)?).map(list)
            }
            "limit" => {
                let [count, all] = takes(function, given)?;
                let (count, mut all) = (count.number(function)?, all.list(function)?);
                let count = usize::try_from(count).map_err(|_| Wrong(format!("limit {count} is below 0")))?;
                all.truncate(count);
                Ok(list(all))
            }
            "offset" => {
                let [count, all] = takes(function, given)?;
                let (count, mut all) = (count.number(function)?, all.list(function)?);
                let steps = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                if steps > all.len() {
                    return Err(Wrong(format!(
                        "offset {count} is beyond the {} interfaces there are",
                        all.len()
                    )));
                }
                Ok(list(if count < 0 { all.split_off(all.len() - steps) } else { all.split_off(steps) }))
            }
            "unique" => {
                let [by, all] = takes(function, given)?;
                unique(&by.text(function)?, all.list(function)?).map(list)
            }
            "attr" => {
                let [name, all] = takes(function, given)?;
                let (name, all) = (name.text(function)?, all.list(function)?);
                text(all.first().map(|one| attribute(&name, one)).transpose()?.unwrap_or_default())
            }
            "join" => {
                let [name, between, all] = takes(function, given)?;
                let (name, between) = (name.text(function)?, between.text(function)?);
                let all = all.list(function)?;
                let values = all.iter().map(|one| attribute(&name, one)).collect::<Result<Vec<_>, _>>()?;
                text(values.join(&between))
            }
            "math" => Err(Wrong("math is not available yet; write the address itself".to_owned())),
            other => {
                let known = FUNCTIONS.iter().find(|known| known.eq_ignore_ascii_case(other));
                let hint = known.map_or_else(
                    || format!("there are {}", FUNCTIONS.join(", ")),
                    |known| format!("did you mean {known}?"),
                );
                Err(Wrong(format!("there is no function {other:?}; {hint}")))
            }
        }
    }

    fn all(&self) -> List<'a> {
        self.0.addresses.iter().collect()
    }

    /// The addresses of the interface of the default route.
    fn default(&self) -> Result<List<'a>, Wrong> {
        let name = self.0.default.as_ref().ok_or_else(|| Wrong("there is no default route".to_owned()))?;
        Ok(self.0.addresses.iter().filter(|one| one.name == *name).collect())
    }

    /// Private addresses (RFC 6890) or public ones, those of the default route first.
    fn reachable(&self, private: bool) -> List<'a> {
        let up = self.0.addresses.iter().filter(|one| one.flags.up && one.is_forwardable());
        let mut own = up.filter(|one| one.is_of_rfc(6890) == private).collect::<Vec<_>>();
        own.sort_by(|a, b| self.by_default(a, b).then(by_type(a, b)).then(by_size(a, b)));
        own
    }

    fn by_default(&self, a: &InterfaceAddress, b: &InterfaceAddress) -> Ordering {
        let other = |one: &InterfaceAddress| self.0.default.as_ref() != Some(&one.name);
        other(a).cmp(&other(b))
    }

    fn sort(&self, keys: &str, mut all: List<'a>) -> Result<List<'a>, Wrong> {
        const KEYS: [&str; 7] = ["address", "default", "name", "port", "private", "size", "type"];
        let mut order = Vec::new();
        for key in keys.split(',') {
            let key = key.trim().to_lowercase();
            let down = key.starts_with('-');
            let key = key.trim_start_matches(['+', '-']).to_owned();
            if !KEYS.contains(&&*key) {
                return Err(Wrong(format!("nothing is sorted by {key:?}; there are {}", KEYS.join(", "))));
            }
            order.push((key, down));
        }
        all.sort_by(|a, b| {
            order.iter().fold(Ordering::Equal, |found, (key, down)| {
                found.then_with(|| {
                    let own = match key.as_str() {
                        "address" if a.address.is_ipv4() == b.address.is_ipv4() => a.address.cmp(&b.address),
                        "default" => self.by_default(a, b),
                        "name" => a.name.cmp(&b.name),
                        "private" => b.is_of_rfc(6890).cmp(&a.is_of_rfc(6890)),
                        "size" => by_size(a, b),
                        "type" => by_type(a, b),
                        _ => Ordering::Equal,
                    };
                    if *down { own.reverse() } else { own }
                })
            })
        });
        Ok(all)
    }
}

impl<'a> Value<'a> {
    fn text(self, function: &str) -> Result<String, Wrong> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unfit(function, "a text in quotes")),
        }
    }

    fn number(self, function: &str) -> Result<i64, Wrong> {
        match self {
            Self::Number(number) => Ok(number),
            other => Err(other.unfit(function, "a number")),
        }
    }

    fn list(self, function: &str) -> Result<List<'a>, Wrong> {
        match self {
            Self::List(list) => Ok(list),
            other => Err(other.unfit(function, "a list of interfaces")),
        }
    }

    fn unfit(&self, function: &str, wanted: &str) -> Wrong {
        let found = match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.to_string(),
            Self::List(_) => "a list of interfaces".to_owned(),
        };
        Wrong(format!("{function} wants {wanted}, not {found}"))
    }
}

fn one(given: Vec<Value<'_>>) -> Result<Value<'_>, Wrong> {
    takes("a pipeline", given).map(|[value]| value)
}

/// The arguments of a function, if their number is right.
fn takes<'a, const N: usize>(function: &str, given: Vec<Value<'a>>) -> Result<[Value<'a>; N], Wrong> {
    let count = given.len();
    given.try_into().map_err(|_| {
        Wrong(format!("{function} takes {N} arguments, what is piped to it included, not {count}"))
    })
}

fn first(list: &[&InterfaceAddress]) -> String {
    list.first().map(|one| one.address.to_string()).unwrap_or_default()
}

fn joined(list: &[&InterfaceAddress]) -> String {
    list.iter().map(|one| one.address.to_string()).collect::<Vec<_>>().join(" ")
}

type Order = fn(&InterfaceAddress, &InterfaceAddress) -> Ordering;

fn sorted<'a>(mut list: List<'a>, orders: &[Order]) -> List<'a> {
    list.sort_by(|a, b| orders.iter().fold(Ordering::Equal, |found, order| found.then_with(|| order(a, b))));
    list
}

/// IPv4 first.
fn by_type(a: &InterfaceAddress, b: &InterfaceAddress) -> Ordering {
    a.address.is_ipv6().cmp(&b.address.is_ipv6())
}

/// Larger networks first; addresses of different types are not compared.
fn by_size(a: &InterfaceAddress, b: &InterfaceAddress) -> Ordering {
    if a.address.is_ipv4() == b.address.is_ipv4() { a.bits.cmp(&b.bits) } else { Ordering::Equal }
}

fn unique<'a>(by: &str, list: List<'a>) -> Result<List<'a>, Wrong> {
    let of = |one: &InterfaceAddress| match by.to_lowercase().as_str() {
        "address" => Ok(one.to_string()),
        "name" => Ok(one.name.clone()),
        _ => Err(Wrong(format!("unique goes by \"address\" or \"name\", not {by:?}"))),
    };
    let (mut own, mut last) = (Vec::new(), None);
    for one in list {
        let value = Some(of(one)?);
        if value != last {
            own.push(one);
            last = value;
        }
    }
    Ok(own)
}

/// The interfaces that a selector matches, or those that it does not match.
fn keep<'a>(selector: &str, wanted: &str, fitting: bool, list: List<'a>) -> Result<List<'a>, Wrong> {
    let fits: Fits = match selector.to_lowercase().as_str() {
        "address" => {
            let pattern = pattern(wanted)?;
            Box::new(move |one| pattern.is_match(&one.to_string()))
        }
        "name" => {
            let pattern = pattern(wanted)?;
            Box::new(move |one| pattern.is_match(&one.name))
        }
        "flag" | "flags" => flags(wanted)?,
        "network" => {
            let network = |text: &str| {
                let alone = text.parse::<IpAddr>().ok().and_then(|ip| Network::parse(&alone(ip)));
                Network::parse(text).or(alone).ok_or_else(|| Wrong(format!("{text:?} is no network")))
            };
            let networks = wanted.split('|').map(network).collect::<Result<Vec<_>, _>>()?;
            Box::new(move |one| networks.iter().any(|network| network.contains(one.address)))
        }
        "rfc" | "rfcs" => {
            let networks = |text: &str| {
                let known = text.trim().parse().ok().and_then(networks_of_rfc);
                known.ok_or_else(|| {
                    let known = known_rfcs().map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
                    Wrong(format!("the RFC {text:?} is not known here; there are {known}"))
                })
            };
            let networks = wanted.split('|').map(networks).collect::<Result<Vec<_>, _>>()?.concat();
            Box::new(move |one| networks.iter().any(|network| network.contains(one.address)))
        }
        "size" => {
            let bits: u8 =
                wanted.parse().map_err(|_| Wrong(format!("size {wanted:?} is no number of bits")))?;
            Box::new(move |one| one.bits == bits)
        }
        "type" => {
            let types: Vec<String> = wanted.to_lowercase().split('|').map(str::to_owned).collect();
            if let Some(other) = types.iter().find(|own| !["ip", "ipv4", "ipv6", "unix"].contains(&&***own)) {
                return Err(Wrong(format!("{other:?} is no type; there are ip, ipv4, ipv6, unix")));
            }
            Box::new(move |one| {
                let own = if one.address.is_ipv4() { "ipv4" } else { "ipv6" };
                types.iter().any(|wanted| wanted == "ip" || wanted == own)
            })
        }
        "port" => {
            // An interface has no port; this counts as 0.
            let pattern = pattern(wanted)?;
            Box::new(move |_| pattern.is_match("0"))
        }
        other => {
            return Err(Wrong(format!(
                "nothing is selected by {other:?}; there are address, flags, name, network, port, rfc, size, type"
            )));
        }
    };
    Ok(list.into_iter().filter(|one| fits(one) == fitting).collect())
}

fn alone(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

fn pattern(text: &str) -> Result<Regex, Wrong> {
    Regex::new(text).map_err(|_| Wrong(format!("{text:?} is no regular expression")))
}

/// All named flags of the interface must be set. Of the named properties of the address one is enough, as in Consul.
fn flags(wanted: &str) -> Result<Fits, Wrong> {
    type Is = fn(&InterfaceAddress) -> bool;
    let (mut of_interface, mut of_address): (Vec<Is>, Vec<Is>) = (Vec::new(), Vec::new());
    for flag in wanted.to_lowercase().split('|') {
        match flag {
            "broadcast" => of_interface.push(|one| one.flags.broadcast),
            // As in Consul, this flag selects everything.
            "down" => of_interface.push(|_| true),
            "point-to-point" => of_interface.push(|one| one.flags.point_to_point),
            "up" => of_interface.push(|one| one.flags.up),
            "loopback" => {
                of_interface.push(|one| one.flags.loopback);
                of_address.push(|one| one.address.is_loopback());
            }
            "multicast" => {
                of_interface.push(|one| one.flags.multicast);
                of_address.push(|one| one.address.is_multicast());
            }
            "forwardable" => of_address.push(InterfaceAddress::is_forwardable),
            "global unicast" => of_address.push(|one| {
                let ip = one.address;
                !(ip.is_unspecified()
                    || ip.is_loopback()
                    || ip.is_multicast()
                    || link_local(ip)
                    || broadcast(ip))
            }),
            "link-local unicast" => of_address.push(|one| link_local(one.address)),
            "interface-local multicast" => of_address.push(|one| multicast_scope(one.address, 1)),
            "link-local multicast" => of_address.push(|one| multicast_scope(one.address, 2)),
            "unspecified" => of_address.push(|one| one.address.is_unspecified()),
            other => {
                return Err(Wrong(format!(
                    "{other:?} is no flag; there are broadcast, down, forwardable, global unicast, loopback, multicast, \
                     link-local unicast, point-to-point, unspecified, up"
                )));
            }
        }
    }
    Ok(Box::new(move |one| {
        !of_interface.is_empty() && of_interface.iter().all(|is| is(one))
            || of_address.iter().any(|is| is(one))
    }))
}

fn broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Whether this is a multicast address of the interface (1) or the link (2).
fn multicast_scope(ip: IpAddr, scope: u8) -> bool {
    match ip {
        IpAddr::V4(ip) => scope == 2 && ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.octets()[0] == 0xff && ip.octets()[1] & 0x0f == scope,
    }
}

fn attribute(name: &str, one: &InterfaceAddress) -> Result<String, Wrong> {
    Ok(match name.to_lowercase().as_str() {
        "address" | "host" => one.address.to_string(),
        "name" => one.name.clone(),
        "string" => one.to_string(),
        "mask_bits" => one.bits.to_string(),
        "network" => Network::of(one.address, one.bits).to_string(),
        "port" => "0".to_owned(),
        "type" => if one.address.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
        other => {
            return Err(Wrong(format!(
                "an interface has no {other:?} here; there are address, host, mask_bits, name, network, port, string, type"
            )));
        }
    })
}
