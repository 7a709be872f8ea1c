//! A component as the meter reads it.

use std::path::Path;
use std::time::Duration;

use crate::processes::Users;
use crate::source::Source;

/// When a board's users are looked for first, and how often then.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(5);

/// How a component is read, and when next.
pub(super) struct Channel {
    /// The position of its source, and its own among that source's components.
    pub(super) source: usize,
    pub(super) index: usize,
    /// Whether it is a counter that moves in ticks.
    pub(super) ticks: bool,
    pub(super) due: Duration,
    /// Who uses it, and when to look again.
    users: Users,
    look: Duration,
}

impl Channel {
    pub(super) fn new(source: usize, index: usize, ticks: bool) -> Self {
        let (due, look) = (Duration::ZERO, Duration::ZERO);
        Self { source, index, ticks, due, users: Users::default(), look }
    }

    /// Who uses the component, when that is not who used it before.
    pub(super) fn look_for_users(&mut self, source: &mut dyn Source, now: Duration) -> Option<Users> {
        if now < self.look {
            return None;
        }
        self.look = now + LOOK;
        let users = Users::among(&source.processes(self.index)?, Path::new("/proc"));
        (std::mem::replace(&mut self.users, users) != users).then_some(users)
    }

    /// A new session has to hear of them too, once its record has begun and its training may have.
    pub(super) fn forget_users(&mut self, now: Duration) {
        (self.users, self.look) = (Users::default(), now + FIRST_LOOK);
    }
}
