//! What an agent has told of what its volumes use of its disks.
//!
//! Relies on the agent, which tells all of it after each welcome and then what changes. Never outlives the leader: the next one is told
//! anew.

use holdfast_model::{ClaimId, SharedMap, UsedNews, VolumeUsed};

/// What the volumes of an agent use, as far as they were measured.
#[derive(Clone, Debug, Default)]
pub struct AgentUsed(SharedMap<ClaimId, VolumeUsed>);

impl AgentUsed {
    /// What a volume was found to use; `None` as long as it was not measured.
    pub fn of(&self, volume: &ClaimId) -> Option<VolumeUsed> {
        self.0.get(volume).copied()
    }

    pub(super) fn hear(&mut self, news: UsedNews) {
        if news.whole {
            self.0 = SharedMap::new();
        }
        news.gone.iter().for_each(|it| drop(self.0.remove(it)));
        news.volumes.into_iter().for_each(|(id, used)| drop(self.0.insert(id, used)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::Instant;
    use uuid::Uuid;

    #[test]
    fn what_changes_is_added_and_all_of_it_replaces() {
        let id = |number| ClaimId(Uuid::from_u128(number));
        let news = |whole, volumes: &[(u128, u64)], gone: &[u128]| UsedNews {
            whole,
            volumes: volumes
                .iter()
                .map(|(it, bytes)| (id(*it), VolumeUsed { bytes: *bytes, measured: Instant(7) }))
                .collect(),
            gone: gone.iter().map(|it| id(*it)).collect(),
        };
        let mut used = AgentUsed::default();
        let bytes = |used: &AgentUsed| [1, 2, 3].map(|it| used.of(&id(it)).map(|it| it.bytes));
        used.hear(news(true, &[(1, 10), (2, 20)], &[]));
        used.hear(news(false, &[(2, 21), (3, 30)], &[1]));
        assert_eq!(bytes(&used), [None, Some(21), Some(30)]);
        used.hear(news(true, &[(1, 11)], &[]));
        assert_eq!(bytes(&used), [Some(11), None, None]);
    }
}
