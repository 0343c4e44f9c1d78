//! The containers of this life, by executor, the links that executors speak on, and the frameworks whose containers are all to end.
//!
//! There is a container for each executor of the ledger, and no other: one that is missing is a bug.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::{ClaimId, ExecutorKey, FrameworkId, LinkId, SharedIndex, SharedMap};

use super::LiveContainer;

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    live: SharedMap<ExecutorKey, LiveContainer>,
    /// Which of them may see a volume.
    mounting: SharedIndex<ClaimId, ExecutorKey>,
    links: BTreeMap<LinkId, ExecutorKey>,
    /// Frameworks that were shut down; nobody will acknowledge their updates.
    leaving: BTreeSet<FrameworkId>,
    /// Whether the drivers have said what they found at the start.
    started: bool,
}

impl Containers {
    /// Notes that the drivers have said what they found; says whether it was for the first time.
    pub(crate) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    /// The container of an executor that somebody named, who may be wrong.
    pub(crate) fn get(&self, key: &ExecutorKey) -> Option<&LiveContainer> {
        self.live.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &ExecutorKey) -> Option<&mut LiveContainer> {
        self.live.get_mut(key)
    }

    /// The container of an executor of the ledger.
    pub(crate) fn of(&self, key: &ExecutorKey) -> &LiveContainer {
        self.live.get(key).unwrap_or_else(|| missing(key))
    }

    pub(crate) fn of_mut(&mut self, key: &ExecutorKey) -> &mut LiveContainer {
        self.live.get_mut(key).unwrap_or_else(|| missing(key))
    }

    pub(crate) fn insert(&mut self, key: ExecutorKey, live: LiveContainer) {
        self.live.insert(key, live);
    }

    /// A container may see these volumes from now on.
    pub(crate) fn mount(&mut self, key: &ExecutorKey, volumes: impl IntoIterator<Item = ClaimId>) {
        let live = self.live.get_mut(key).unwrap_or_else(|| missing(key));
        for volume in volumes {
            live.mount(volume);
            self.mounting.insert(&volume, key.clone());
        }
    }

    /// A container is asked to show these volumes while it runs; see [`Containers::end_update`].
    pub(crate) fn begin_update(&mut self, key: &ExecutorKey, volumes: &[ClaimId]) {
        self.of_mut(key).begin_update(volumes);
        volumes.iter().for_each(|it| self.mounting.insert(it, key.clone()));
    }

    /// An update was answered: the container shows these volumes. Says whether that was the last one under way; volumes that nothing has
    /// shown by then are given up.
    pub(crate) fn end_update(&mut self, key: &ExecutorKey, shown: &[ClaimId]) -> bool {
        let given_up = self.of_mut(key).end_update(shown);
        given_up.iter().flatten().for_each(|it| self.mounting.remove(it, key));
        given_up.is_some()
    }

    /// The executors whose containers may see a volume, in order.
    pub(crate) fn that_mount(&self, volume: ClaimId) -> impl Iterator<Item = &ExecutorKey> {
        self.mounting.of(&volume)
    }

    /// Nothing of the container runs any more; its link is over.
    pub(crate) fn remove(&mut self, key: &ExecutorKey) -> Arc<LiveContainer> {
        let live = self.live.remove(key).unwrap_or_else(|| missing(key));
        live.mounted().iter().for_each(|volume| self.mounting.remove(volume, key));
        if let Some(link) = live.link() {
            self.links.remove(&link);
        }
        live
    }

    /// All of them.
    pub(crate) fn live(&self) -> &SharedMap<ExecutorKey, LiveContainer> {
        &self.live
    }

    /// The executor that speaks on a link.
    pub(crate) fn speaker(&self, link: LinkId) -> Option<&ExecutorKey> {
        self.links.get(&link)
    }

    /// An executor speaks on this link from now on; answers with its older one, which is over.
    pub(crate) fn connect(&mut self, key: &ExecutorKey, link: LinkId) -> Option<LinkId> {
        let live = self.of_mut(key);
        let older = live.link().filter(|it| *it != link);
        live.set_link(Some(link));
        if let Some(older) = older {
            self.links.remove(&older);
        }
        self.links.insert(link, key.clone());
        older
    }

    /// A link broke. Its executor comes back, or its container ends; both will be heard.
    pub(crate) fn disconnect(&mut self, link: LinkId) {
        let Some(key) = self.links.remove(&link) else { return }; // A newer link took its place.
        self.of_mut(&key).set_link(None);
    }

    /// A framework was shut down.
    pub(crate) fn leave(&mut self, framework: FrameworkId) {
        self.leaving.insert(framework);
    }

    pub(crate) fn is_leaving(&self, framework: &FrameworkId) -> bool {
        self.leaving.contains(framework)
    }

    /// Nothing of a framework is left.
    pub(crate) fn note_left(&mut self, framework: &FrameworkId) {
        self.leaving.remove(framework);
    }
}

fn missing(key: &ExecutorKey) -> ! {
    panic!("executor `{}` of framework {} has no live container", key.1, key.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::framework_id;
    use holdfast_model::ExecutorId;

    fn key(name: &str) -> ExecutorKey {
        (framework_id(), ExecutorId::made(name.to_owned()))
    }

    #[test]
    fn the_newest_link_speaks_for_its_executor() {
        let mut containers = Containers::default();
        containers.insert(key("e"), LiveContainer::waiting());
        assert_eq!(containers.connect(&key("e"), LinkId(1)), None);
        assert_eq!(containers.connect(&key("e"), LinkId(1)), None, "the same again");
        assert_eq!(containers.connect(&key("e"), LinkId(2)), Some(LinkId(1)));
        containers.disconnect(LinkId(1));
        assert_eq!(containers.of(&key("e")).link(), Some(LinkId(2)));
        containers.disconnect(LinkId(2));
        assert_eq!((containers.of(&key("e")).link(), containers.speaker(LinkId(2))), (None, None));
        containers.connect(&key("e"), LinkId(3));
        containers.remove(&key("e"));
        assert_eq!(containers.speaker(LinkId(3)), None);
    }

    #[test]
    #[should_panic(expected = "executor `e` of framework f1 has no live container")]
    fn a_container_that_is_missing_is_named() {
        Containers::default().of(&key("e"));
    }
}
