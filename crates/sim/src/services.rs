//! The service that storms and scenarios run: members that append records to their volumes.
//!
//! It relies on the simulated executor for the appending. It is never a template to copy: that is
//! `frameworks/journal`.

use holdfast_model::{CommandInfo, Role, Scalar};
use holdfast_sdk::{Member, Needs, Program, Service};

/// A service whose members append records to their volumes.
#[derive(Clone, Debug)]
pub struct Records {
    name: String,
    role: Role,
    principal: Option<String>,
    members: u32,
    disk_mb: i64,
    executor: bool,
}

impl Records {
    /// A service of so many members, each with a volume of `disk_mb` megabytes (2^20 bytes).
    ///
    /// # Panics
    /// When `role` is no valid role.
    pub fn new(name: &str, role: &str, members: u32, disk_mb: i64) -> Records {
        let role = Role::parse(role).expect("the simulator names valid roles");
        Records { name: name.to_owned(), role, principal: None, members, disk_mb, executor: false }
    }

    /// The same with a principal.
    pub fn by(self, principal: &str) -> Records {
        Records { principal: Some(principal.to_owned()), ..self }
    }

    /// The same with an executor of its own.
    pub fn with_executor(self) -> Records {
        Records { executor: true, ..self }
    }
}

impl Service for Records {
    fn name(&self) -> &str {
        &self.name
    }

    fn role(&self) -> &Role {
        &self.role
    }

    fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    fn members(&self) -> u32 {
        self.members
    }

    fn needs(&self, _member: u32) -> Needs {
        Needs {
            cpus: Scalar::whole(1),
            mem_mb: 512,
            disk_mb: self.disk_mb,
            container_path: "data".to_owned(),
        }
    }

    fn program(&self, _member: &Member) -> Program {
        let command =
            CommandInfo { shell: true, value: Some("append".to_owned()), ..CommandInfo::default() };
        Program { command, executor: self.executor }
    }
}
