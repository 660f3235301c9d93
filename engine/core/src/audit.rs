//! A record of who did what: entries of one organisation form a chain, each with the hash of the one before, so that an entry which was
//! changed, removed or put in between shows.

use core::net::IpAddr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::id::{KeyId, TenantId, UserId};
use crate::instant::Millis;

/// Version of the hashed form; part of it, so that a later form cannot be mistaken for this one.
const FORM: &[u8] = b"trunkline audit 1";

/// What the first entry of a chain has for the hash of the one before.
pub const BEGINNING: [u8; 32] = [0; 32];

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody signed in.
    Person(UserId),
    /// Somebody who runs the platform.
    Platform(UserId),
    /// A program with an API key.
    Program(KeyId),
    /// A person without a credential yet: accepting an invitation, resetting a password, a screen with a link.
    Visitor,
    /// The operator at the command line.
    Operator,
    /// The product itself.
    System,
}

impl Actor {
    /// The word stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Actor::Person(_) => "person",
            Actor::Platform(_) => "platform",
            Actor::Program(_) => "program",
            Actor::Visitor => "visitor",
            Actor::Operator => "operator",
            Actor::System => "system",
        }
    }

    /// Which one, where there are many.
    pub fn id(&self) -> Option<Uuid> {
        match self {
            Actor::Person(user) | Actor::Platform(user) => Some(user.0),
            Actor::Program(key) => Some(key.0),
            _ => None,
        }
    }

    /// Reads what [`Actor::kind`] and [`Actor::id`] wrote.
    pub fn read(kind: &str, id: Option<Uuid>) -> Option<Actor> {
        match (kind, id) {
            ("person", Some(id)) => Some(Actor::Person(UserId(id))),
            ("platform", Some(id)) => Some(Actor::Platform(UserId(id))),
            ("program", Some(id)) => Some(Actor::Program(KeyId(id))),
            ("visitor", None) => Some(Actor::Visitor),
            ("operator", None) => Some(Actor::Operator),
            ("system", None) => Some(Actor::System),
            _ => None,
        }
    }
}

/// Who acts, and from where: made once for a request or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// Name of the actor at that time, as shown; kept because names change and people leave.
    pub name: String,
    /// Address the request came from.
    pub source: Option<IpAddr>,
    /// Id of the request; empty outside one.
    pub request: String,
}

impl By {
    /// The operator at the command line.
    pub fn operator() -> By {
        By::nobody(Actor::Operator)
    }

    /// The product itself.
    pub fn system() -> By {
        By::nobody(Actor::System)
    }

    fn nobody(actor: Actor) -> By {
        By {
            actor,
            name: String::new(),
            source: None,
            request: String::new(),
        }
    }
}

/// What was done to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// A stable word, for example `person.invite`.
    pub action: &'static str,
    /// Kind of the object, for example `user`.
    pub object: &'static str,
    /// Its public id; empty where there is none.
    pub id: String,
    /// What it was before, as JSON without secrets; empty when there was nothing or nothing of interest.
    pub before: String,
    /// What it is now.
    pub after: String,
}

impl Deed {
    /// A deed without details: something was seen, made or ended.
    pub fn plain(action: &'static str, object: &'static str, id: impl ToString) -> Deed {
        Deed {
            action,
            object,
            id: id.to_string(),
            before: String::new(),
            after: String::new(),
        }
    }

    /// With what it was before; secrets must not be in it.
    pub fn before(mut self, value: &impl Serialize) -> Deed {
        self.before = serde_json::to_string(value).expect("plain values always serialise");
        self
    }

    /// With what it is now; secrets must not be in it.
    pub fn after(mut self, value: &impl Serialize) -> Deed {
        self.after = serde_json::to_string(value).expect("plain values always serialise");
        self
    }
}

/// One entry of the chain, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose chain.
    pub tenant: TenantId,
    /// Place in it: 1, 2, 3 ... without gaps.
    pub number: i64,
    /// When.
    pub at: Millis,
    /// Who acted: [`Actor::kind`].
    pub actor: String,
    /// Which one.
    pub actor_id: Option<Uuid>,
    /// Name of the actor at that time.
    pub actor_name: String,
    /// Address it came from; empty when unknown.
    pub source: String,
    /// Request id; empty outside one.
    pub request: String,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub object: String,
    /// Its public id.
    pub object_id: String,
    /// What it was before: JSON or empty.
    pub before: String,
    /// What it is now: JSON or empty.
    pub after: String,
}

impl Entry {
    /// The entry of a deed.
    pub fn of(tenant: TenantId, number: i64, at: Millis, by: &By, deed: &Deed) -> Entry {
        Entry {
            tenant,
            number,
            at,
            actor: by.actor.kind().to_owned(),
            actor_id: by.actor.id(),
            actor_name: by.name.clone(),
            source: by.source.map(|address| address.to_string()).unwrap_or_default(),
            request: by.request.clone(),
            action: deed.action.to_owned(),
            object: deed.object.to_owned(),
            object_id: deed.id.clone(),
            before: deed.before.clone(),
            after: deed.after.clone(),
        }
    }

    /// Its hash: SHA-256 over the form's version, the hash of the entry before, and every field with its length (8 bytes, big-endian)
    /// before it, so that no two entries write the same bytes.
    pub fn hash(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(FORM);
        field(before);
        field(self.tenant.0.as_bytes());
        field(&self.number.to_be_bytes());
        field(&self.at.0.to_be_bytes());
        field(self.actor.as_bytes());
        field(self.actor_id.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice()));
        for text in [
            &self.actor_name,
            &self.source,
            &self.request,
            &self.action,
            &self.object,
            &self.object_id,
            &self.before,
            &self.after,
        ] {
            field(text.as_bytes());
        }
        hasher.finalize().into()
    }
}

/// Walks a chain from its beginning, entry by entry.
#[derive(Debug, Clone)]
pub struct Walk {
    next: i64,
    last: [u8; 32],
}

impl Default for Walk {
    fn default() -> Self {
        Walk { next: 1, last: BEGINNING }
    }
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Entries are missing or were put in.
    #[error("entry {expected} should follow, but {found} does: entries were removed or put in")]
    Gap {
        /// The number that should follow.
        expected: i64,
        /// The number found.
        found: i64,
    },
    /// The content is not what was hashed.
    #[error("entry {number} is not what was written: it, or an entry before it, was changed")]
    Changed {
        /// The entry.
        number: i64,
    },
    /// The chain's head names an entry that is not its last one.
    #[error("the chain ends at entry {found}, but {expected} were written: the last entries were removed")]
    Short {
        /// How many there should be.
        expected: i64,
        /// The last one found.
        found: i64,
    },
}

impl Walk {
    /// Takes the next entry with the hash stored beside it.
    pub fn step(&mut self, entry: &Entry, stored: &[u8; 32]) -> Result<(), Broken> {
        if entry.number != self.next {
            return Err(Broken::Gap {
                expected: self.next,
                found: entry.number,
            });
        }
        let hash = entry.hash(&self.last);
        if hash != *stored {
            return Err(Broken::Changed { number: entry.number });
        }
        self.next += 1;
        self.last = hash;
        Ok(())
    }

    /// Compares the end with the chain's head: how many entries were written, and the hash of the last one.
    pub fn end(&self, written: i64, head: &[u8; 32]) -> Result<i64, Broken> {
        let found = self.next - 1;
        if found != written {
            return Err(Broken::Short { expected: written, found });
        }
        if self.last != *head {
            return Err(Broken::Changed { number: found });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(entries: usize) -> Vec<(Entry, [u8; 32])> {
        let tenant = TenantId(Uuid::from_u128(7));
        let mut last = BEGINNING;
        (1..=entries as i64)
            .map(|number| {
                let deed = Deed::plain("person.invite", "user", number).after(&serde_json::json!({ "role": "viewer" }));
                let entry = Entry::of(tenant, number, Millis(1_000 + number), &By::operator(), &deed);
                last = entry.hash(&last);
                (entry, last)
            })
            .collect()
    }

    fn verify(chain: &[(Entry, [u8; 32])], written: i64, head: &[u8; 32]) -> Result<i64, Broken> {
        let mut walk = Walk::default();
        for (entry, hash) in chain {
            walk.step(entry, hash)?;
        }
        walk.end(written, head)
    }

    #[test]
    fn a_chain_holds_and_every_change_shows() {
        let whole = chain(5);
        let head = whole[4].1;
        assert_eq!(verify(&whole, 5, &head), Ok(5));
        let mut changed = whole.clone();
        changed[2].0.actor_name = "Mallory".to_owned();
        assert_eq!(verify(&changed, 5, &head), Err(Broken::Changed { number: 3 }));
        // Also when whoever changed it hashed it again: the next one does not follow from it.
        let before = whole[1].1;
        changed[2].1 = changed[2].0.hash(&before);
        assert_eq!(verify(&changed, 5, &head), Err(Broken::Changed { number: 4 }));
        let mut removed = whole.clone();
        removed.remove(2);
        assert_eq!(verify(&removed, 5, &head), Err(Broken::Gap { expected: 3, found: 4 }));
        assert_eq!(verify(&whole[..4], 5, &head), Err(Broken::Short { expected: 5, found: 4 }));
        assert_eq!(verify(&[], 0, &BEGINNING), Ok(0));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let (one, _) = chain(1).remove(0);
        let mut other = one.clone();
        other.action = "person.invit".to_owned();
        other.object = "euser".to_owned();
        assert_ne!(one.hash(&BEGINNING), other.hash(&BEGINNING));
    }

    #[test]
    fn the_stored_form_is_the_one_of_last_year() {
        let (entry, hash) = chain(1).remove(0);
        assert_eq!(entry.hash(&BEGINNING), hash);
        assert_eq!(
            hex::encode(hash),
            "509d391976571b0a0bcfd8e98a8d01eb3b0f2cc13a527321ef147818125c2843"
        );
    }
}
