//! One node's executor: runs the node as a child process, so that either can be killed without the
//! other, and reports to the scheduler what the node says is durable. It never restarts a node: whether
//! that is safe is for the scheduler to say.

use holdfast_sdk::model::CommandInfo;
use holdfast_sdk::net::executor::{
    ChildPlan, ChildTasks, Environment, Event, Executor, Happened, Output,
};
use holdfast_sdk::net::Result;

/// Runs until the node has ended and the agent knows it, or until the agent says so.
pub async fn run() -> Result<()> {
    let environment = Environment::from_env()?;
    let mut executor = Executor::start(environment.clone());
    let mut children = ChildTasks::new(executor.reporter());
    loop {
        match executor.next_with(&mut children).await {
            Happened::Event(Event::Launch(task)) => {
                let reporter = executor.reporter();
                let pass_on = Output::Lines(Box::new(move |line| reporter.message(line)));
                children.launch(
                    &task.id,
                    ChildPlan::new(node()?, &environment.sandbox).output(pass_on),
                );
            }
            Happened::Event(Event::Kill(task, grace)) => {
                children.kill(&task, grace, "killed as asked")
            }
            Happened::Event(Event::Shutdown(_)) | Happened::Ended(_) | Happened::Lost => break,
            Happened::Event(_) => {}
        }
    }
    children.end_all_within(environment.shutdown_grace / 2, "the executor ends").await;
    executor.reporter().settled_within(environment.shutdown_grace).await;
    Ok(())
}

/// This program as a node, with the arguments that the scheduler gave this executor.
fn node() -> Result<CommandInfo> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let arguments =
        [program.clone(), "node".to_owned()].into_iter().chain(std::env::args().skip(2)).collect();
    Ok(CommandInfo { value: Some(program), arguments, ..CommandInfo::default() })
}
