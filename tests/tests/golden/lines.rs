//! What the command line is given, a line each; `_` stands for a blank within a word.
//!
//! Relies on the scene for the names. Never has a line whose output depends on the machine.

/// Every verb that is shown to people.
pub const VERBS: &str = "\
master
agent
agent list
agent show
dev
demo
disk
disk list
claim
claim list
claim show
claim where
claim give-up
reservation
reservation create
reservation remove
volume
volume create
volume destroy
volume undelete
trash
trash list
trash restore
trash purge
framework
framework list
framework teardown
task
task list
task logs
task kill
role
role list
offer
offer list
run
explain
ledger
ledger show
ledger check
ledger export
ledger import
doctor
completion
complete-words";

/// Lists that are filtered.
pub const LISTS: &str = "\
claim list --role db
claim list --volumes
claim list --unclaimed
claim list --agent agent0
claim list --agent S1 --role tmp
claim list --role nobody
claim list --role nobody -o json
claim list --role nobody -o yaml
task list --live
task list --framework runner
task list --framework holder
disk list --agent agent1
trash list
trash list --agent nobody";

/// Sheets, in every format.
pub const SHEETS: &str = "\
agent show agent0
agent show S1
claim show data-0
claim show spare
explain runner
explain holder
explain keeper";

/// Reasons, files of tasks, and what shells ask for.
pub const READINGS: &str = "\
explain decliner
explain sleeper
explain gone
explain done
explain unseen
explain holder --resources cpus:1
explain holder --resources cpus:1000
explain runner --resources cpus:1
task logs server
task logs server --only stdout
task logs server --only stderr
complete-words -- agent show S
complete-words -- claim show dat
complete-words -- task kill k
complete-words -- framework teardown r
complete-words -- nonsense n";

/// What would be changed.
pub const PLANS: &str = "\
reservation create cpus:1;mem:64 --agent agent0 --role db --plan
reservation create cpus:1 --agent S0 --role db/team --principal me --label k=v --plan
volume create new --agent agent1 --role db --size 50MiB --plan
volume destroy spare --plan
reservation remove cpus:0.25 --agent agent0 --role db --plan
framework teardown runner --plan
task kill keeper --plan";

/// What is typed wrong, or cannot be.
pub const MISUSE: &str = "\
nonsense
agent lst
agent show
agent show nobody
agent show S
agent list -o xml
role list --timeout 5
claim show nobody
claim list --agent nobody
claim list --watch=x
task kill
task kill nobody -y
task kill done -y
task kill keeper
task kill keeper --framework holder -y
task logs nobody
task list --framework nobody
framework teardown nobody -y
framework teardown runner
framework teardown gone -y
volume destroy spare
volume destroy nobody -y
volume destroy data-0 -y
volume undelete nobody
volume undelete data-0
trash purge nobody -y
volume create
volume create v --agent agent0 --role db --size big
volume create a/b --agent agent0 --role db --size 1MiB
volume create spare --agent 127.0.0.1 --role db --size 1MiB
volume create v --agent agent0 --role db --size 1TiB
reservation create nonsense --agent agent0 --role db
reservation create cpus:1 --agent nobody --role db
reservation create cpus:1000 --agent agent0 --role db
reservation create cpus:1 --agent agent0 --role a_b
reservation create cpus:1 --agent agent0 --role *
reservation remove cpus:1000 --agent agent0 --role db -y
reservation remove cpus:1 --agent agent0 -y
reservation remove cpus:1 --agent agent0 --role db
reservation remove spare -y
explain nobody
explain
explain runner --resources nonsense
run sleep
run --cpus x -- true
completion nonsense
ledger show
doctor --disk nonsense
agent list --master 127.0.0.1:1
agent list --master 127.0.0.1:1 -o json
agent list --master 127.0.0.1:1 -q
master --port x
master --allocation-policy nonsense --port 0 --dir /dev/null/x
agent --port 1 list";

/// What changes something.
pub const CHANGES: &str = "\
reservation create cpus:0.5;mem:64 --agent agent1 --role db --principal me -o json
volume create new --agent agent1 --role db --size 50MiB
volume create quiet --agent agent1 --role db --size 20MiB -q
volume destroy new -y
volume destroy quiet -y -q
reservation remove cpus:0.5 --agent agent1 --role db -y
task kill server -y";

/// What changes something, once the task has ended.
pub const CHANGES_AFTER_THE_END: &str = "\
task kill server -y
framework teardown decliner -y
framework teardown holder -y
framework list
run --cpus 3.9 --mem 32 -- sh -c echo_out;echo_err_>&2;exit_3";
