//! Queries and forms: the first byte says for which endpoint, then comes its name, a line feed, and the query.

use holdfast_api::requests::{Form, NativeRequest, Page, PageRequest};
use holdfast_api::Parameters;
use holdfast_model::CallerIdentity;
use holdfast_wire::Query;

const FORMS: [Form; 11] = [
    Form::Teardown,
    Form::Reserve,
    Form::Unreserve,
    Form::CreateVolumes,
    Form::DestroyVolumes,
    Form::UpdateWeights,
    Form::SetQuota,
    Form::RemoveQuota,
    Form::MaintenanceSchedule,
    Form::MachineDown,
    Form::MachineUp,
];

const PAGES: [Page; 6] =
    [Page::State, Page::Slaves, Page::Frameworks, Page::Tasks, Page::Roles, Page::Flags];

pub(super) fn form(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let (name, query) = text.split_once('\n').unwrap_or(("", &text));
    let query = Query::parse(query);
    let of_query = |name: &str| query.get(name);
    let fields = Parameters(&of_query);
    let caller = CallerIdentity::Anonymous;
    let which = usize::from(first);
    drop(FORMS[which % FORMS.len()].parse(&caller, fields));
    drop(PageRequest::parse(&caller, PAGES[which % PAGES.len()], fields));
    drop(NativeRequest::parse(&caller, which % 2 == 0, name, fields));
}
