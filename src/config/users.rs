//! `Users`: the several who may connect, each found by its name.
//!
//! There may be ten thousand of them, and at a reload each client's user is looked for anew. So the names stand in a
//! table, a copy of the list is another name for the same one, and what kinds there are is noted when it is made: it is
//! not walked for that while clients wait.

use super::secrets::{is_broken, is_hash};
use super::{Proof, User};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::fmt;
use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::Arc;

/// Several users, each under a name of its own. Made once; cheap to clone.
///
/// Of two users with one name the first is found.
///
/// ```
/// use midge::{User, Users};
///
/// let ann = User { name: "ann".into(), proof: "her password".into(), ..User::default() };
/// let users = Users::from(vec![ann]);
/// assert!(users.named("ann").is_some() && users.named("bob").is_none());
/// ```
#[derive(Clone, Default)]
pub struct Users(Arc<Listed>);

#[derive(Default)]
struct Listed {
    all: Vec<User>,
    /// Places in `all`, by name.
    places: HashTable<u32>,
    hasher: RandomState,
    kinds: Kinds,
}

/// What kinds of users there are in a list.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    /// One has no name.
    pub(crate) nameless: bool,
    /// One has a password as it stands, an empty one too.
    pub(crate) plain: bool,
    /// One has a hash of its password.
    pub(crate) hashed: bool,
    /// One has a key.
    pub(crate) keyed: bool,
    /// One has limits of its own.
    pub(crate) limited: bool,
    /// The places of those that need no password.
    bare: Vec<u32>,
    /// The places of those whose hash is none.
    broken: Vec<u32>,
}

impl Kinds {
    fn of(all: &[User]) -> Kinds {
        let mut kinds = Kinds::default();
        for (place, user) in (0..).zip(all) {
            kinds.nameless |= user.name.is_empty();
            kinds.limited |= user.limits.is_some_and(|limits| limits.is_any());
            match &user.proof {
                Proof::Signature => kinds.keyed = true,
                Proof::Password(secret) if is_hash(secret) => {
                    kinds.hashed = true;
                    kinds.broken.extend(is_broken(secret).then_some(place));
                }
                Proof::Password(secret) => {
                    kinds.plain = true;
                    kinds.bare.extend(secret.is_empty().then_some(place));
                }
            }
        }
        kinds
    }
}

/// Most users, or accounts, that are compared one by one while clients wait.
pub(crate) const COMPARED_MAX: usize = 256;

impl Users {
    /// Whether both are known to be equal: very many are so only if one is a copy of the other.
    pub(super) fn are_known_to_be(&self, other: &Users) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.len() <= COMPARED_MAX && self == other
    }

    /// What kinds there are.
    pub(crate) fn kinds(&self) -> &Kinds {
        &self.0.kinds
    }

    /// Those that need no password.
    pub(crate) fn bare(&self) -> impl Iterator<Item = &User> {
        let bare = self.0.kinds.bare.iter();
        bare.map(|place| &self.0.all[*place as usize])
    }

    /// Those whose hash begins as one and is none.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &User> {
        let broken = self.0.kinds.broken.iter();
        broken.map(|place| &self.0.all[*place as usize])
    }

    /// The one of this name. Looks at one user, however many there are.
    pub fn named(&self, name: &str) -> Option<&User> {
        let Listed {
            all,
            places,
            hasher,
            ..
        } = &*self.0;
        let is_it = |place: &u32| all[*place as usize].name == name;
        let place = places.find(hasher.hash_one(name), is_it)?;
        Some(&all[*place as usize])
    }
}

impl From<Vec<User>> for Users {
    fn from(all: Vec<User>) -> Users {
        let mut places = HashTable::with_capacity(all.len());
        let hasher = RandomState::default();
        let hash = |place: u32| hasher.hash_one(all[place as usize].name.as_str());
        for (place, user) in (0..).zip(&all) {
            let is_it = |other: &u32| all[*other as usize].name == user.name;
            if places.find(hash(place), is_it).is_none() {
                places.insert_unique(hash(place), place, |place| hash(*place));
            }
        }
        let kinds = Kinds::of(&all);
        Users(Arc::new(Listed {
            all,
            places,
            hasher,
            kinds,
        }))
    }
}

impl FromIterator<User> for Users {
    fn from_iter<I: IntoIterator<Item = User>>(users: I) -> Users {
        Users::from(Vec::from_iter(users))
    }
}

impl Deref for Users {
    type Target = [User];

    fn deref(&self) -> &[User] {
        &self.0.all
    }
}

impl PartialEq for Users {
    fn eq(&self, other: &Users) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for Users {}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_very_many_is_found_by_its_name_and_of_two_with_one_name_the_first() {
        let user = |name: String, password: &str| User {
            name,
            proof: password.into(),
            ..User::default()
        };
        let mut all: Vec<User> = (0..10_000)
            .map(|number| user(number.to_string(), "a"))
            .collect();
        all.push(user("7".to_owned(), "b"));
        let users = Users::from(all);
        for number in [0, 7, 9_999] {
            let found = users.named(&number.to_string());
            assert_eq!(found, Some(&users[number]));
        }
        assert_eq!(users.named("10000"), None);
        // A copy is the same; a list that is merely equal was not compared.
        let equal = users.iter().cloned().collect::<Users>();
        assert!(users.are_known_to_be(&users.clone()) && users == equal);
        assert!(!users.are_known_to_be(&equal));
        assert_eq!(Users::default().named(""), None);
    }
}
