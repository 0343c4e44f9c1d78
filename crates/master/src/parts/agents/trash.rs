//! What an agent has told of the trash of its disks.
//!
//! Relies on the agent, which tells all of it after each welcome and then what changes. Never outlives the leader: the next one is told
//! anew.

use holdfast_model::{ClaimId, SharedMap, TrashNews, TrashedVolume};

/// Destroyed volumes of an agent.
#[derive(Clone, Debug, Default)]
pub struct AgentTrash {
    volumes: SharedMap<ClaimId, TrashedVolume>,
    retention_ms: u64,
}

impl AgentTrash {
    /// The volumes, by their claims.
    pub fn volumes(&self) -> &SharedMap<ClaimId, TrashedVolume> {
        &self.volumes
    }

    /// How long one is kept where nothing needs its space, in milliseconds.
    pub fn retention_ms(&self) -> u64 {
        self.retention_ms
    }

    pub(super) fn hear(&mut self, news: TrashNews) {
        if news.whole {
            self.volumes = SharedMap::new();
        }
        self.retention_ms = news.retention_ms;
        news.gone.iter().for_each(|it| drop(self.volumes.remove(it)));
        for volume in news.volumes {
            self.volumes.insert(volume.claim.id, volume);
        }
    }
}
