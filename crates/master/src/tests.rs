//! Tests of the whole mind: each rule by its name in the catalogue of behaviour, and storms of anything in any order.

mod balance;
mod bed;
mod machine;
mod smoke;
mod storms;
