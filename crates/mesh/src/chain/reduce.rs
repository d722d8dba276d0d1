//! What is done to a chain after it was assembled: circles are refused, splitters of splitters become one, and what
//! nobody reaches is removed.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::ServiceRef;
use concord_model::chain::{ChainNode, ChainSplit};

use super::fault::ChainFault;
use super::headers::joined;
use super::limits::SPLITS_JOINED_MAX;

type Nodes = BTreeMap<String, ChainNode>;

/// Refuses nodes that lead back to themselves. Each node is visited once.
pub(super) fn refuse_circles(start: &str, nodes: &Nodes) -> Result<(), ChainFault> {
    let mut done = BTreeSet::new();
    let mut path = vec![(start, nodes[start].next())];
    let mut on_path = BTreeSet::from([start]);
    while let Some((key, todo)) = path.last_mut() {
        let Some(next) = todo.pop() else {
            on_path.remove(key);
            done.insert(*key);
            path.pop();
            continue;
        };
        if on_path.contains(next) {
            let circle = path.iter().map(|(key, _)| *key).chain([next]).map(ToOwned::to_owned);
            return Err(ChainFault::CircularReference(circle.collect()));
        }
        if !done.contains(next) {
            on_path.insert(next);
            path.push((next, nodes[next].next()));
        }
    }
    Ok(())
}

/// Replaces each part that leads to another splitter by the parts of that one. Only splitters that a request meets
/// first are looked at: the others are met no more.
pub(super) fn join_splitters(chain: &ServiceRef, start: &str, nodes: &mut Nodes) -> Result<(), ChainFault> {
    let first: BTreeSet<String> = match &nodes[start] {
        node @ ChainNode::Router(_) => node.next().into_iter().map(ToOwned::to_owned).collect(),
        ChainNode::Splitter(_) | ChainNode::Resolver(_) => BTreeSet::from([start.to_owned()]),
    };
    let mut room = SPLITS_JOINED_MAX;
    let mut all = Vec::new();
    for key in first {
        if let ChainNode::Splitter(node) = &nodes[&key] {
            let splits = joined_splits(&node.splits, nodes, &mut room);
            let too_large =
                || ChainFault::TooLarge { chain: chain.clone(), what: "splits", max: SPLITS_JOINED_MAX };
            all.push((key, splits.ok_or_else(too_large)?));
        }
    }
    for (key, splits) in all {
        if let Some(ChainNode::Splitter(node)) = nodes.get_mut(&key) {
            node.splits = splits;
        }
    }
    Ok(())
}

/// The parts in order, without those that lead to splitters; `None` if there is no room for them.
fn joined_splits(splits: &[ChainSplit], nodes: &Nodes, room: &mut usize) -> Option<Vec<ChainSplit>> {
    let mut todo: Vec<ChainSplit> = splits.iter().rev().cloned().collect();
    let mut done = Vec::new();
    while let Some(split) = todo.pop() {
        match &nodes[&split.next.key] {
            ChainNode::Splitter(inner) => {
                todo.extend(inner.splits.iter().rev().map(|inner| inside(&split, inner)));
                (todo.len() <= *room).then_some(())?;
            }
            ChainNode::Router(_) | ChainNode::Resolver(_) => {
                *room = room.checked_sub(1)?;
                done.push(split);
            }
        }
    }
    Some(done)
}

fn inside(outer: &ChainSplit, inner: &ChainSplit) -> ChainSplit {
    ChainSplit {
        definition: joined(&outer.definition, &inner.definition),
        weight: inner.weight.of(outer.weight),
        next: inner.next.clone(),
        origins: [&outer.origins[..], &inner.origins[..]].concat(),
    }
}

/// Removes the nodes that no request reaches.
pub(super) fn prune(start: &str, nodes: &mut Nodes) {
    let mut reached = BTreeSet::new();
    let mut todo = vec![start.to_owned()];
    while let Some(key) = todo.pop() {
        if reached.insert(key.clone()) {
            todo.extend(nodes[&key].next().into_iter().map(ToOwned::to_owned));
        }
    }
    nodes.retain(|key, _| reached.contains(key));
}
