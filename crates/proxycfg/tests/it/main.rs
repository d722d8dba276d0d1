//! Tests of the snapshot machine, from outside.
