//! What can be allowed on the platform as a whole. A type of its own: no role of an organisation can contain it, and who has it sees by it
//! no call, no number and nothing that was said.

use crate::access::{Access, Permission};

/// What somebody who runs the platform may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PlatformPermission {
    /// Which organisations there are, with counts, limits and health.
    Overview,
    /// Make organisations, rename, suspend and resume them, set their limits.
    Organisations,
    /// Open the data of an organisation for a while, with a reason that the organisation sees.
    Open,
}

impl PlatformPermission {
    /// All of them.
    pub const ALL: [PlatformPermission; 3] = [
        PlatformPermission::Overview,
        PlatformPermission::Organisations,
        PlatformPermission::Open,
    ];

    /// Its word in answers and refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            PlatformPermission::Overview => "platform:read",
            PlatformPermission::Organisations => "platform:write",
            PlatformPermission::Open => "platform:open",
        }
    }
}

/// A set of them; empty for everybody who belongs to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PlatformPermissions(u8);

impl PlatformPermissions {
    /// What a super-admin of the platform has.
    pub fn all() -> PlatformPermissions {
        PlatformPermission::ALL.into_iter().collect()
    }

    /// Whether `permission` is in.
    pub fn has(self, permission: PlatformPermission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// Its members.
    pub fn iter(self) -> impl Iterator<Item = PlatformPermission> {
        PlatformPermission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }
}

impl FromIterator<PlatformPermission> for PlatformPermissions {
    fn from_iter<T: IntoIterator<Item = PlatformPermission>>(all: T) -> Self {
        PlatformPermissions(all.into_iter().fold(0, |bits, permission| bits | 1 << permission as u8))
    }
}

/// What is open in an organisation that somebody of the platform has opened: reading only, and telephone numbers stay masked.
pub fn opened() -> Access {
    use Permission::{Audit, Calls, Live, Usage};
    Access::of_program([Live, Calls, Usage, Audit].into_iter().collect(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s006_no_word_of_the_platform_is_a_scope_of_an_organisation() {
        for permission in PlatformPermission::ALL {
            assert!(permission.as_str().parse::<Permission>().is_err(), "{permission:?}");
            assert!(PlatformPermissions::all().has(permission));
            assert!(!PlatformPermissions::default().has(permission));
        }
        assert_eq!(PlatformPermissions::all().iter().count(), PlatformPermission::ALL.len());
    }

    #[test]
    fn what_is_opened_can_be_read_and_not_changed_and_numbers_stay_masked() {
        let opened = opened();
        for permission in opened.everywhere().iter() {
            assert!(permission.scope().ends_with(":read"), "{permission:?}");
        }
        assert!(opened.may(Permission::Calls));
        assert!(!opened.may(Permission::Numbers));
    }
}
