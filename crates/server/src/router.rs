//! Where a request is carried out: the one place that decides it.

use concord_model::Datacenter;
use concord_rpc::request::{Runs, Terms};
use concord_rpc::{Consistency, Head, RpcError};

/// Where a server is, and where the primary datacenter is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The server's own datacenter.
    pub(crate) own: Datacenter,
    /// The one that the others follow in intentions, entries and rights.
    pub(crate) primary: Datacenter,
}

/// Who is to carry a request out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// This server, whoever leads.
    Here,
    /// The leader of this server's datacenter.
    Leader,
    /// A server of another datacenter.
    Datacenter(Datacenter),
}

/// Where a request on these terms belongs. The datacenter comes before the right (D21): who may what is for those to
/// say who have the data.
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

/// The same, as long as there is one datacenter: a request for another one is refused. One that is for the primary
/// is refused, too, where it names a datacenter that nobody knows.
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
