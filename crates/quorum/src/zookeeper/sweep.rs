//! Removes what nobody needs any more: commits that a checkpoint stands for, older checkpoints, and
//! parts of batches that were never committed.
//!
//! It relies on the head having been changed before: whatever it names stays. Each removal is
//! fenced by our election node. What is left behind when it fails is removed the next time.

use zookeeper_client::{Error, MultiWriteError};

use super::batch;
use super::commit::Pen;
use super::head::Pointer;
use super::layout::{folder_name, parse_stamp};
use super::service::within;

/// Removals in one transaction.
const AT_ONCE: usize = 100;

/// Removes what the checkpoint stands for, and what earlier leaders of a term below `term` left.
pub(crate) async fn sweep(pen: &Pen, term: u64, checkpoint: Option<Pointer>) -> Result<(), Error> {
    if let Some(pointer) = checkpoint {
        sweep_log(pen, pointer.from).await?;
        for name in list(pen, &pen.layout.checkpoints()).await? {
            let is_older = |it| it < (pointer.term, pointer.from);
            if parse_stamp(&name).is_some_and(is_older) {
                remove_folder(pen, &format!("{}/{name}", pen.layout.checkpoints())).await?;
            }
        }
    }
    let from = checkpoint.map_or(0, |it| it.from);
    for name in list(pen, &pen.layout.parts()).await? {
        let Some((made_in, sequence)) = parse_stamp(&name) else { continue };
        let is_past = sequence <= from;
        if is_past || (made_in < term && !is_in_use(pen, made_in, sequence).await?) {
            remove_folder(pen, &format!("{}/{name}", pen.layout.parts())).await?;
        }
    }
    Ok(())
}

async fn sweep_log(pen: &Pen, from: u64) -> Result<(), Error> {
    let mut folders = list(pen, &pen.layout.log()).await?;
    folders.sort();
    let last = folder_name(from);
    for name in folders.into_iter().filter(|it| *it <= last) {
        let folder = pen.layout.log_folder(&name);
        if name < last {
            remove_folder(pen, &folder).await?;
            continue;
        }
        let is_past = |it: &String| it.parse().is_ok_and(|sequence: u64| sequence <= from);
        let past = list(pen, &folder).await?.into_iter().filter(is_past);
        remove(pen, past.map(|it| format!("{folder}/{it}")).collect()).await?;
    }
    Ok(())
}

/// Whether the batch with this number was committed by the leader that wrote these parts.
async fn is_in_use(pen: &Pen, term: u64, sequence: u64) -> Result<bool, Error> {
    match within(pen.limit, pen.client.get_data(&pen.layout.batch(sequence))).await {
        // What cannot be read is kept.
        Ok((node, _)) => Ok(batch::read(sequence, &node).map_or(true, |it| it.term == term)),
        Err(Error::NoNode) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn list(pen: &Pen, folder: &str) -> Result<Vec<String>, Error> {
    match within(pen.limit, pen.client.list_children(folder)).await {
        Err(Error::NoNode) => Ok(Vec::new()),
        other => other,
    }
}

async fn remove_folder(pen: &Pen, folder: &str) -> Result<(), Error> {
    let children = list(pen, folder).await?;
    remove(pen, children.iter().map(|it| format!("{folder}/{it}")).collect()).await?;
    remove(pen, vec![folder.to_owned()]).await
}

async fn remove(pen: &Pen, paths: Vec<String>) -> Result<(), Error> {
    for some in paths.chunks(AT_ONCE) {
        let mut writer = pen.client.new_multi_writer();
        writer.add_check_version(&pen.fence, -1)?;
        for path in some {
            writer.add_delete(path, None)?;
        }
        let answer = writer.commit();
        let done = async { answer.await.map_err(|failed: MultiWriteError| failed.into()) };
        within(pen.limit, done).await?;
    }
    Ok(())
}
