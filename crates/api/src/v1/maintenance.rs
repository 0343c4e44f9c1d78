//! GET_MAINTENANCE_SCHEDULE and GET_MAINTENANCE_STATUS, which the legacy pages say, too.
//!
//! Relies on the masters' ledger for what is planned, and on the leader for what frameworks have answered, which a failover forgets.

use holdfast_master::InverseStatus;
use holdfast_model::convert::maintenance::{machine_id_to_proto, schedule_to_proto};
use holdfast_model::MachineId;
use holdfast_proto::mesos::v1::allocator::{inverse_offer_status, InverseOfferStatus};
use holdfast_proto::mesos::v1::maintenance::{cluster_status, ClusterStatus, Schedule};

use super::{framework_id, time};
use crate::MasterView;

/// All planned downtime.
pub fn schedule(view: &MasterView) -> Schedule {
    schedule_to_proto(&view.ledger().maintenance)
}

/// Machines that are to be drained, with what frameworks have said; and those that are down.
pub fn maintenance_status(view: &MasterView) -> ClusterStatus {
    let (down, draining): (Vec<_>, Vec<_>) =
        view.ledger().maintenance.machines().map(|(it, _)| it).partition(|it| it.is_down);
    let draining = draining.iter().map(|it| cluster_status::DrainingMachine {
        id: machine_id_to_proto(&it.id),
        statuses: statuses(view, &it.id),
    });
    ClusterStatus {
        draining_machines: draining.collect(),
        down_machines: down.iter().map(|it| machine_id_to_proto(&it.id)).collect(),
    }
}

fn statuses(view: &MasterView, id: &MachineId) -> Vec<InverseOfferStatus> {
    let agents = view.ledger().agents_of_machine(id);
    let said = agents.flat_map(|it| view.said_of_downtime(it));
    let status = |status: InverseStatus| match status {
        InverseStatus::Unknown => inverse_offer_status::Status::Unknown,
        InverseStatus::Accepted => inverse_offer_status::Status::Accept,
        InverseStatus::Declined => inverse_offer_status::Status::Decline,
    };
    let all = said.map(|(framework, it, at)| InverseOfferStatus {
        status: status(it).into(),
        framework_id: framework_id(framework),
        timestamp: time(at),
    });
    all.collect()
}
