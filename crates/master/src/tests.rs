//! Tests of the whole core: each rule by its name in the catalogue of behaviour, and storms of anything in any order.

mod accept;
mod agents;
mod balance;
pub(crate) mod bed;
mod byzantine_peers;
mod drains;
mod frameworks;
mod gone;
mod leadership;
pub(crate) mod machine;
mod moved_disks;
mod moved_to_agents;
mod offers;
mod older_agents;
mod operations;
mod orphans;
mod ownership;
mod poison;
mod quota;
mod recovered;
mod resize;
mod storms;
mod tasks;
mod together;
mod trash;
mod views;
mod weights;
