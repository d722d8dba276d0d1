//! Decides which server carries out a request. No other place decides this.

use concord_model::Datacenter;
use concord_rpc::request::{Runs, Terms};
use concord_rpc::{Consistency, Head, RpcError};

/// The server's own datacenter, and the primary one.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The server's own datacenter.
    pub(crate) own: Datacenter,
    /// The datacenter that the others follow for intentions, entries and ACLs.
    pub(crate) primary: Datacenter,
}

/// The server that carries out a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// This server, whether it leads or not.
    Here,
    /// The leader of this server's datacenter.
    Leader,
    /// A server of another datacenter.
    Datacenter(Datacenter),
}

/// Where a request with these terms is carried out. The datacenter is decided before the right is checked (D21): the
/// servers that have the data check the rights.
pub(crate) fn place(location: &Location, terms: Terms, head: &Head) -> Place {
    let asked = match terms.runs {
        Runs::Primary => &location.primary,
        Runs::Here | Runs::Leader => head.datacenter.as_ref().unwrap_or(&location.own),
    };
    let anybody = terms.runs == Runs::Here || (!terms.writes && head.consistency == Consistency::Stale);
    match asked {
        other if *other != location.own => Place::Datacenter(other.clone()),
        _ if anybody => Place::Here,
        _ => Place::Leader,
    }
}

/// The same, while there is only one datacenter: a request for another one is refused. A request for the primary
/// datacenter is also refused if it names an unknown datacenter.
pub(crate) fn within_reach(location: &Location, terms: Terms, head: &Head) -> Result<Place, RpcError> {
    if head.datacenter.as_ref().is_some_and(|named| *named != location.own) {
        return Err(RpcError::UnknownDatacenter);
    }
    match place(location, terms, head) {
        Place::Datacenter(_) => Err(RpcError::UnknownDatacenter),
        near => Ok(near),
    }
}

#[cfg(test)]
mod tests {
    use concord_rpc::Request;
    use concord_rpc::request::{ApplyEntry, ListNodes, ReadStatus, Register};

    use super::*;

    fn named(datacenter: &str) -> Datacenter {
        datacenter.parse().unwrap()
    }

    fn head(datacenter: Option<&str>, consistency: Consistency) -> Head {
        Head { datacenter: datacenter.map(named), consistency, ..Head::default() }
    }

    #[test]
    fn a_request_goes_where_its_data_are() {
        let location = Location { own: named("east"), primary: named("west") };
        let default = head(None, Consistency::Default);
        let stale = head(None, Consistency::Stale);
        let place = |terms, head: &Head| place(&location, terms, head);
        assert_eq!(place(ListNodes::TERMS, &default), Place::Leader);
        assert_eq!(place(ListNodes::TERMS, &stale), Place::Here);
        assert_eq!(place(ReadStatus::TERMS, &default), Place::Here);
        assert_eq!(place(Register::TERMS, &stale), Place::Leader, "a write is never stale");
        assert_eq!(place(ApplyEntry::TERMS, &default), Place::Datacenter(named("west")));
        let (south, east) =
            (head(Some("south"), Consistency::Default), head(Some("east"), Consistency::Default));
        assert_eq!(place(ListNodes::TERMS, &south), Place::Datacenter(named("south")));
        assert_eq!(place(ListNodes::TERMS, &east), Place::Leader);
        assert_eq!(place(ApplyEntry::TERMS, &east), Place::Datacenter(named("west")));
    }

    #[test]
    fn another_datacenter_is_out_of_reach() {
        let location = Location { own: named("east"), primary: named("east") };
        let (east, south) =
            (head(Some("east"), Consistency::Default), head(Some("south"), Consistency::Default));
        for terms in [ListNodes::TERMS, ApplyEntry::TERMS, ReadStatus::TERMS] {
            assert_eq!(within_reach(&location, terms, &south), Err(RpcError::UnknownDatacenter));
            assert!(within_reach(&location, terms, &east).is_ok());
        }
    }
}
