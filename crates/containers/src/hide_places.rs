//! `hide` says which places on this machine no container may see.
//!
//! It holds for containers that are started from then on, and for those that run and hide anything: in them
//! what is new is covered, and noted in their records once it is. It relies on the isolators to do it. It never
//! uncovers anything.

use std::path::PathBuf;

use crate::durable::FileError;
use crate::isolation::hide::Hiding;
use crate::isolation::mounts;
use crate::launcher::{lock, Launcher};
use crate::record::Condition;
use crate::{HiddenPlace, IsolationError};

/// Why something may still be seen in a running container.
#[derive(Debug, thiserror::Error)]
pub enum HideError {
    /// The container's mounts could not be changed.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Hides `places` from all containers of this launcher, instead of those named before. Returns the running
    /// containers that may see something of them, each with the reason, `None` when it hides nothing at all (an
    /// older program or another setting has started it).
    pub fn hide(&self, places: Vec<HiddenPlace>) -> Vec<(String, Option<HideError>)> {
        lock(&self.hidden).clone_from(&places);
        let ids = match self.ids() {
            Ok(ids) => ids,
            Err(error) => return vec![(String::new(), Some(error.into()))],
        };
        let hidden = |id: &String| match self.hide_in(id, &places) {
            Ok(true) => None,
            Ok(false) => Some((id.clone(), None)),
            Err(error) => Some((id.clone(), Some(error))),
        };
        ids.iter().filter_map(hidden).collect()
    }

    /// What a container that is started now must not see.
    pub(crate) fn hiding(&self) -> Option<Hiding> {
        let places = lock(&self.hidden).clone();
        self.plan.hiding.as_ref().map(|_| Hiding { places, kept: self.kept() })
    }

    /// Payloads may be this very program (executors are).
    fn kept(&self) -> Vec<PathBuf> {
        vec![self.shim.program.clone()]
    }

    /// Hides what is new from one container. `false` when it runs and hides nothing.
    fn hide_in(&self, id: &str, places: &[HiddenPlace]) -> Result<bool, HideError> {
        let gate = self.gate(id);
        let _held = lock(&gate);
        let dir = self.dir(id);
        let Condition::Running { .. } = dir.condition()? else { return Ok(true) };
        let (Some(mut launch), Some(first)) = (dir.launch()?, dir.shim()?.and_then(|it| it.first))
        else {
            return Ok(true);
        };
        // One inside another sees what that one does.
        if launch.plan.inside.is_some() {
            return Ok(true);
        }
        let Some(hiding) = &mut launch.plan.hiding else { return Ok(self.plan.hiding.is_none()) };
        let new: Vec<HiddenPlace> =
            places.iter().filter(|it| !hiding.places.contains(it)).cloned().collect();
        if new.is_empty() {
            return Ok(true);
        }
        let more = Hiding { places: new.clone(), kept: self.kept() };
        mounts::hide_more(&first, &more, &launch.spec.sandbox)?;
        hiding.places.extend(new);
        dir.write_launch(&launch)?;
        Ok(true)
    }
}
