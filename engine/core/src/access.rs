//! Who may do what: permissions as a typed set, the roles made of them, and where a role holds.
//!
//! A person has at most one role everywhere in their organisation, and roles in single businesses, there perhaps for some agents only.
//! A program (an API key) has scopes, one for each permission, everywhere or in some businesses. Both come down to an [`Access`].

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::BusinessId;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $name:ident = $scope:literal, $reach:ident;)*) => {
        /// What can be allowed. Each route and each element of a page asks for exactly one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Permission {
            $($(#[doc = $doc])* $name,)*
        }

        impl Permission {
            /// All of them, in the order of the matrix.
            pub const ALL: [Permission; [$($scope),*].len()] = [$(Permission::$name),*];

            /// Its word: the scope that an API key needs, and the name in the matrix and in refusals.
            pub fn scope(self) -> &'static str {
                match self { $(Permission::$name => $scope),* }
            }

            /// What it allows, for the list of scopes.
            pub fn meaning(self) -> &'static str {
                match self { $(Permission::$name => concat!($($doc),*).trim_ascii()),* }
            }

            /// Whether it can be held in one business alone.
            pub fn reach(self) -> Reach {
                match self { $(Permission::$name => Reach::$reach),* }
            }
        }
    };
}

permissions! {
    /// Boards and calls in progress, without what was said and without numbers.
    Live = "live:read", Business;
    /// Call log, transcripts, recordings, raw events.
    Calls = "calls:read", Business;
    /// Telephone numbers in full; masked without it.
    Numbers = "numbers:read", Business;
    /// What was used and what it costs.
    Usage = "usage:read", Business;
    /// Change a business: name, time zone, limits, targets.
    Businesses = "businesses:write", Business;
    /// Make and revoke links to a board for screens without a seat.
    Links = "links:write", Business;
    /// Link Retell workspaces and say which agent belongs to which business.
    Workspaces = "workspaces:write", Organisation;
    /// Endpoints that outbound webhooks go to.
    Webhooks = "webhooks:write", Organisation;
    /// Invite people, change their roles, end their sessions.
    People = "people:write", Organisation;
    /// Make and revoke API keys.
    Keys = "keys:write", Organisation;
    /// Read who did what.
    Audit = "audit:read", Organisation;
    /// How the engine runs: groups, actors, set-aside events, jobs.
    Operate = "operate:read", Organisation;
    /// Try a job again or cancel it, start a repair.
    Repair = "operate:write", Organisation;
    /// The organisation itself: name, how its people sign in, closing it.
    Organisation = "organisation:write", Organisation;
}

/// How narrow a permission can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In one business, also for some of its agents.
    Business,
    /// Everywhere in the organisation or not at all.
    Organisation,
}

/// Not the word of a permission.
#[derive(Debug, Clone, thiserror::Error)]
#[error("there is no scope {0}; there are {all}", all = Permission::ALL.map(Permission::scope).join(", "))]
pub struct BadScope(String);

impl FromStr for Permission {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        let found = Permission::ALL.into_iter().find(|permission| permission.scope() == text);
        found.ok_or_else(|| BadScope(text.to_owned()))
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// Whether `permission` is in.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// Those of both.
    pub fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// Those that can be held in one business.
    pub fn of_business(self) -> Permissions {
        self.iter().filter(|permission| permission.reach() == Reach::Business).collect()
    }

    /// Its members, in the order of the matrix.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }

    /// True if every member is also one of `other`.
    pub fn within(self, other: Permissions) -> bool {
        self.0 & !other.0 == 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<T: IntoIterator<Item = Permission>>(all: T) -> Self {
        Permissions(all.into_iter().fold(0, |bits, permission| bits | 1 << permission as u8))
    }
}

/// What a person is; ordered from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, also the organisation itself.
    Owner,
    /// Everything but that.
    Admin,
    /// Live operation.
    Supervisor,
    /// Reports and calls, numbers masked.
    Analyst,
    /// Boards only.
    Viewer,
}

/// Not the word of a role.
#[derive(Debug, Clone, thiserror::Error)]
#[error("role must be owner, admin, supervisor, analyst or viewer")]
pub struct BadRole;

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(BadRole)
    }
}

impl Role {
    /// All of them, most first.
    pub const ALL: [Role; 5] = [Role::Owner, Role::Admin, Role::Supervisor, Role::Analyst, Role::Viewer];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Supervisor => "supervisor",
            Role::Analyst => "analyst",
            Role::Viewer => "viewer",
        }
    }

    /// The matrix: what the role includes when held everywhere. Held in one business it includes those of [`Reach::Business`] only.
    pub fn permissions(self) -> Permissions {
        use Permission::*;
        let all = Permission::ALL.into_iter();
        match self {
            Role::Owner => all.collect(),
            Role::Admin => all.filter(|permission| *permission != Organisation).collect(),
            Role::Supervisor => [Live, Calls, Numbers, Links].into_iter().collect(),
            Role::Analyst => [Live, Calls, Usage].into_iter().collect(),
            Role::Viewer => [Live].into_iter().collect(),
        }
    }
}

/// Which agents of a business.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Agents {
    /// All, also calls without an agent.
    All,
    /// These, by Retell's id.
    Only(BTreeSet<Arc<str>>),
}

impl Agents {
    /// Whether calls of this agent are in.
    pub fn holds(&self, agent: Option<&str>) -> bool {
        match self {
            Agents::All => true,
            Agents::Only(agents) => agent.is_some_and(|agent| agents.contains(agent)),
        }
    }

    fn and(self, other: &Agents) -> Agents {
        match (self, other) {
            (Agents::Only(mut some), Agents::Only(more)) => {
                some.extend(more.iter().cloned());
                Agents::Only(some)
            }
            _ => Agents::All,
        }
    }
}

/// A role in one business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub business: BusinessId,
    /// What.
    pub role: Role,
    /// For which agents.
    pub agents: Agents,
}

/// Everything somebody may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    everywhere: Permissions,
    within: BTreeMap<BusinessId, Vec<(Agents, Permissions)>>,
}

impl Access {
    /// Of a person: a role everywhere, if any, and roles in businesses.
    pub fn of_person(role: Option<Role>, grants: &[Grant]) -> Access {
        let mut access = Access {
            everywhere: role.map(Role::permissions).unwrap_or_default(),
            within: BTreeMap::new(),
        };
        for grant in grants {
            let permissions = grant.role.permissions().of_business();
            access
                .within
                .entry(grant.business)
                .or_default()
                .push((grant.agents.clone(), permissions));
        }
        access
    }

    /// Of a program: its permissions everywhere, or, when businesses are named, in those only.
    pub fn of_program(permissions: Permissions, businesses: &[BusinessId]) -> Access {
        if businesses.is_empty() {
            return Access {
                everywhere: permissions,
                within: BTreeMap::new(),
            };
        }
        let here = vec![(Agents::All, permissions.of_business())];
        Access {
            everywhere: Permissions::default(),
            within: businesses.iter().map(|business| (*business, here.clone())).collect(),
        }
    }

    /// Whether `permission` is held everywhere in the organisation.
    pub fn may(&self, permission: Permission) -> bool {
        self.everywhere.has(permission)
    }

    /// Whether `permission` is held anywhere at all: for showing where to go, never for showing what is there.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.may(permission) || !self.sight(permission).is_empty()
    }

    /// Whether `permission` is held for the whole of one business.
    pub fn may_in(&self, permission: Permission, business: BusinessId) -> bool {
        self.may(permission) || self.sight(permission).whole(business)
    }

    /// Whose calls the permission is held for.
    pub fn sight(&self, permission: Permission) -> Sight {
        if self.may(permission) {
            return Sight::All;
        }
        let mut seen: BTreeMap<BusinessId, Agents> = BTreeMap::new();
        for (business, parts) in &self.within {
            for (agents, _) in parts.iter().filter(|(_, permissions)| permissions.has(permission)) {
                let widened = seen.remove(business).map_or_else(|| agents.clone(), |before| before.and(agents));
                seen.insert(*business, widened);
            }
        }
        Sight::Only(Arc::new(seen))
    }

    /// The permissions held everywhere.
    pub fn everywhere(&self) -> Permissions {
        self.everywhere
    }

    /// True if everything that `other` may is also allowed here: nobody gives away more than they have.
    pub fn covers(&self, other: &Access) -> bool {
        let covered = |business: &BusinessId, agents: &Agents, permissions: Permissions| {
            permissions.iter().all(|permission| match (self.sight(permission), agents) {
                (Sight::All, _) => true,
                (sight, Agents::All) => sight.whole(*business),
                (sight, Agents::Only(some)) => some.iter().all(|agent| sight.holds(*business, Some(agent))),
            })
        };
        other.everywhere.within(self.everywhere)
            && other
                .within
                .iter()
                .all(|(business, parts)| parts.iter().all(|(agents, permissions)| covered(business, agents, *permissions)))
    }
}

/// Whose calls somebody sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sight {
    /// All of the organisation.
    All,
    /// Those of these businesses and agents.
    Only(Arc<BTreeMap<BusinessId, Agents>>),
}

impl Sight {
    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        matches!(self, Sight::Only(seen) if seen.is_empty())
    }

    /// Whether a call of this business and agent is seen.
    pub fn holds(&self, business: BusinessId, agent: Option<&str>) -> bool {
        match self {
            Sight::All => true,
            Sight::Only(seen) => seen.get(&business).is_some_and(|agents| agents.holds(agent)),
        }
    }

    /// Whether one call is seen. A call whose business is not known yet is seen by those only who see everything.
    pub fn sees(&self, business: Option<BusinessId>, agent: Option<&str>) -> bool {
        business.map_or(*self == Sight::All, |business| self.holds(business, agent))
    }

    /// The agents of a business that are seen; `None`: nothing of it.
    pub fn agents(&self, business: BusinessId) -> Option<&Agents> {
        match self {
            Sight::All => Some(&Agents::All),
            Sight::Only(seen) => seen.get(&business),
        }
    }

    /// Whether every call of a business is seen.
    pub fn whole(&self, business: BusinessId) -> bool {
        self.agents(business) == Some(&Agents::All)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn business(n: u128) -> BusinessId {
        BusinessId(Uuid::from_u128(n))
    }

    fn grant(n: u128, role: Role, agents: &[&str]) -> Grant {
        let agents = match agents {
            [] => Agents::All,
            some => Agents::Only(some.iter().map(|agent| Arc::from(*agent)).collect()),
        };
        Grant {
            business: business(n),
            role,
            agents,
        }
    }

    #[test]
    fn every_scope_is_a_word_of_its_own_and_roles_are_ordered() {
        for permission in Permission::ALL {
            assert_eq!(permission.scope().parse::<Permission>().unwrap(), permission);
        }
        assert!("live:write".parse::<Permission>().is_err());
        for pair in [Role::Owner, Role::Admin, Role::Supervisor, Role::Viewer].windows(2) {
            assert!(pair[1].permissions().within(pair[0].permissions()), "{pair:?}");
        }
        assert!(Role::Analyst.permissions().within(Role::Admin.permissions()));
        assert!(!Role::Admin.permissions().has(Permission::Organisation));
    }

    #[test]
    fn a_role_in_a_business_gives_nothing_elsewhere_and_nothing_of_the_organisation() {
        let access = Access::of_person(None, &[grant(1, Role::Owner, &[])]);
        assert!(access.may_in(Permission::Businesses, business(1)));
        assert!(!access.may_in(Permission::Businesses, business(2)));
        for permission in Permission::ALL {
            assert!(!access.may(permission));
            assert_eq!(
                access.may_somewhere(permission),
                permission.reach() == Reach::Business,
                "{permission:?}"
            );
        }
        assert!(Access::of_person(None, &[]).sight(Permission::Live).is_empty());
    }

    #[test]
    fn grants_of_one_business_add_up() {
        let some = [
            grant(1, Role::Analyst, &["a"]),
            grant(1, Role::Supervisor, &["b"]),
            grant(2, Role::Viewer, &[]),
        ];
        let access = Access::of_person(None, &some);
        let live = access.sight(Permission::Live);
        assert!(live.holds(business(1), Some("a")) && live.holds(business(1), Some("b")));
        assert!(!live.holds(business(1), None) && !live.holds(business(1), Some("c")));
        assert!(live.whole(business(2)) && !live.whole(business(1)));
        let numbers = access.sight(Permission::Numbers);
        assert!(numbers.holds(business(1), Some("b")) && !numbers.holds(business(1), Some("a")));
        assert!(!numbers.holds(business(2), Some("a")));
    }

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let owner = Access::of_person(Some(Role::Owner), &[]);
        let admin = Access::of_person(Some(Role::Admin), &[]);
        let local = Access::of_person(None, &[grant(1, Role::Admin, &[])]);
        let part = Access::of_person(None, &[grant(1, Role::Admin, &["a"])]);
        assert!(owner.covers(&admin) && !admin.covers(&owner));
        assert!(admin.covers(&local) && !local.covers(&admin));
        assert!(local.covers(&part) && !part.covers(&local));
        assert!(!part.covers(&Access::of_person(None, &[grant(1, Role::Viewer, &["a", "b"])])));
        assert!(!local.covers(&Access::of_person(None, &[grant(2, Role::Viewer, &[])])));
    }

    #[test]
    fn a_program_bound_to_businesses_has_nothing_outside_them() {
        let wanted: Permissions = [Permission::Live, Permission::People].into_iter().collect();
        let access = Access::of_program(wanted, &[business(1)]);
        assert!(access.may_in(Permission::Live, business(1)) && !access.may(Permission::Live));
        assert!(!access.may_somewhere(Permission::People));
        assert!(Access::of_program(wanted, &[]).may(Permission::People));
    }

    #[test]
    fn a_call_of_no_known_business_is_for_those_who_see_everything() {
        let local = Access::of_person(None, &[grant(1, Role::Owner, &[])]).sight(Permission::Live);
        assert!(local.sees(Some(business(1)), None) && !local.sees(Some(business(2)), None) && !local.sees(None, Some("a")));
        assert!(Sight::All.sees(None, None) && Sight::All.sees(Some(business(2)), None));
    }
}
