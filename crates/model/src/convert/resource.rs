//! Resources: the three shapes of reservations on the wire (PRE, POST, ENDPOINT) and the one inside.
//!
//! Inside there is only the stack of reservations. PRE (`role` and `reservation`) is upgraded on the way in and made again on the
//! way out for those who know nothing else. Relies on [`crate::validate`] for the rules; never lets an amount in that arithmetic
//! could not hold exactly.

mod read;
mod write;

use holdfast_proto::mesos::v1;

pub(crate) use read::{amount, read};
pub use write::to_proto;

use super::field::each;
use crate::framework::{Capability, FrameworkInfo};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::validate::{check_resource, Invalid};

/// How reservations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `role` and `reservation`; what has more than one reservation stays [`Shape::Post`].
    Pre,
    /// `reservations` only.
    Post,
    /// As [`Shape::Post`], and the fields of [`Shape::Pre`] too where there is at most one reservation; for legacy JSON.
    Endpoint,
}

/// How resources are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How reservations are written.
    pub shape: Shape,
    /// Whether `allocation_info` is written.
    pub allocation: bool,
}

impl Format {
    /// Everything, as our own processes tell it to each other and write it to disk.
    pub const WHOLE: Format = Format { shape: Shape::Post, allocation: true };

    /// For operators and tools: POST, with allocation.
    pub const ENDPOINT: Format = Format { shape: Shape::Endpoint, allocation: true };

    /// What this framework understands.
    pub fn of(framework: &FrameworkInfo) -> Format {
        let shape =
            if framework.can(Capability::ReservationRefinement) { Shape::Post } else { Shape::Pre };
        Format { shape, allocation: framework.can(Capability::MultiRole) }
    }
}

/// Reads one resource, in any shape.
///
/// # Errors
/// [`Invalid`] naming the field, relative to the resource.
pub fn from_proto(resource: v1::Resource) -> Result<Resource, Invalid> {
    let resource = read(resource)?;
    check_resource(&resource)?;
    Ok(resource)
}

/// Reads a list; `field` is its name.
///
/// # Errors
/// [`Invalid`] naming the field, such as `resources[1].scalar.value`.
pub fn list_from_proto(
    field: &str,
    resources: Vec<v1::Resource>,
) -> Result<Vec<Resource>, Invalid> {
    each(field, resources, from_proto)
}

/// Reads a list into its sum.
///
/// # Errors
/// As [`list_from_proto`].
pub fn sum_from_proto(field: &str, resources: Vec<v1::Resource>) -> Result<Resources, Invalid> {
    Ok(list_from_proto(field, resources)?.into_iter().collect())
}

/// Writes a list.
pub fn list_to_proto(resources: &[Resource], format: Format) -> Vec<v1::Resource> {
    resources.iter().map(|it| to_proto(it, format)).collect()
}

/// Writes a sum.
pub fn sum_to_proto(resources: &Resources, format: Format) -> Vec<v1::Resource> {
    resources.iter().map(|it| to_proto(&it, format)).collect()
}

#[cfg(test)]
mod tests;
