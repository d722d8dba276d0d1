//! A node and clusters of nodes, through the public port only.

mod cluster;
mod disk;
mod durability;
mod histogram;
mod lease;
mod single;
mod world;
