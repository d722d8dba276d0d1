//! A node and clusters of nodes, through the public port only.

mod cluster;
mod durability;
mod single;
mod world;
