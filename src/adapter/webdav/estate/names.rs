//! Names, and what an interrupted run left.
//!
//! Where names are sealed, a file's or collection's name is sealed by a MOVE onto nothing. Where the sealed name is taken
//! by a collection, the clear one is moved into it whole, as something temporary whose members belong one level up; so
//! whatever moment a run ends at, each member has one place that it can be found at and goes on from.

use std::collections::HashSet;
use std::time::SystemTime;

use http::{Method, StatusCode};

use super::measure::Measuring;
use super::temporary::Temporary;
use super::{Entry, Estate, Left, encoded, normal, opaque, refused};
use crate::body::{Cleared, Plain};
use crate::error::{OBJECT_DAMAGED, PROTOCOL, Refusal};
use crate::seal::name::{as_digest, is_name_file, name_file};

/// What became of something that an interrupted run left.
#[derive(Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Its original is sealed, so it was removed.
    Removed,
    /// Its original was gone: it took the place.
    Recovered(Entry),
    /// It is a file of a user's.
    Ordinary,
}

impl Estate {
    /// What a run begins with: the path as users know it.
    ///
    /// # Errors
    /// It is not there, or lies below something whose name is not sealed yet.
    pub async fn root(&self, path: &str) -> Result<Entry, Left> {
        let path = normal(path)?;
        let gone = || {
            let mut refusal = Refusal::new(&PROTOCOL).message("Nothing is there.");
            refusal.status = Some(404);
            refusal
        };
        let Some(naming) = &self.naming else {
            return Ok(self.at(&path).await?.ok_or_else(gone)?);
        };
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", ""));
        let parent = naming.outward(parent)?;
        if naming.covers(&path).is_ok()
            && let Some(entry) = self.at(&format!("{parent}/{name}")).await?
        {
            return Ok(entry);
        }
        if let Some(entry) = self.at(&naming.outward(&path)?).await? {
            return Ok(entry);
        }
        if self.at(&path).await?.is_some() {
            return Err(Refusal::new(&PROTOCOL)
                .message("It lies below something whose name is not sealed yet: begin there.")
                .into());
        }
        Err(gone().into())
    }

    /// The entries to go on with: a collection whose clear twin is there too comes with that.
    pub fn without_twins(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let clear: HashSet<String> = entries
            .iter()
            .filter(|entry| entry.collection)
            .filter_map(|entry| self.sealed_path(entry).ok().flatten())
            .collect();
        entries.retain(|entry| !entry.collection || !clear.contains(&entry.path));
        entries
    }

    /// The path under which its name is sealed; `None`: it is, or stays clear.
    fn sealed_path(&self, entry: &Entry) -> Result<Option<String>, Refusal> {
        let Some(naming) = &self.naming else {
            return Ok(None);
        };
        let stands = as_digest(&entry.name).is_some() || is_name_file(&entry.name);
        if stands
            || naming.covers(&entry.path).is_err()
            || naming.opened(&entry.name, &[]).is_some()
        {
            return Ok(None);
        }
        let sealed = naming.sealed(entry.name.as_bytes())?;
        Ok(Some(format!("{}/{sealed}", entry.parent())))
    }

    /// Whether its name is yet to be sealed.
    pub fn is_named_clear(&self, entry: &Entry) -> bool {
        !matches!(self.sealed_path(entry), Ok(None))
    }

    /// Seals the name of a file that is sealed. Says whether there was something to do.
    ///
    /// # Errors
    /// `NameTaken`, a name that is too long, or the provider refuses.
    pub async fn rename(&self, entry: &Entry, now: SystemTime) -> Result<bool, Left> {
        let Some(path) = self.sealed_path(entry)? else {
            return Ok(false);
        };
        self.keep_name(entry, &path, now).await?;
        match self.moved(&entry.path, &path).await? {
            true => Ok(true),
            false => Err(Left::NameTaken),
        }
    }

    /// Seals the name of a collection; one that is there already under the sealed name takes its members. Gives it as it
    /// is named then, and whether there was something to do.
    ///
    /// # Errors
    /// As [`Self::rename`], or some members stay where they are.
    pub async fn rename_collection(
        &self,
        entry: &Entry,
        now: SystemTime,
    ) -> (Entry, Result<bool, Left>) {
        let sealed = match self.sealed_path(entry) {
            Ok(None) => return (entry.clone(), Ok(false)),
            Ok(Some(path)) => Entry::at(path, true, None),
            Err(refusal) => return (entry.clone(), Err(refusal.into())),
        };
        let moved = match self.keep_name(entry, &sealed.path, now).await {
            Ok(()) => self.moved(&entry.path, &sealed.path).await,
            Err(left) => Err(left),
        };
        match moved {
            Ok(true) => return (sealed, Ok(true)),
            Ok(false) => {}
            Err(left) => return (entry.clone(), Err(left)),
        }
        match self.put_aside(entry, &sealed, now).await {
            Ok(aside) => {
                let dissolved = self.dissolve(&aside).await;
                (sealed, dissolved.map(|()| true))
            }
            Err(left) => (entry.clone(), Err(left)),
        }
    }

    /// Writes the name of what goes to `path` into a file beside that, and reads it back, where a digest is all that will tell
    /// of it.
    async fn keep_name(&self, entry: &Entry, path: &str, now: SystemTime) -> Result<(), Left> {
        let (above, last) = path.rsplit_once('/').unwrap_or_default();
        let Some(file) = name_file(last) else {
            return Ok(());
        };
        let name = entry.name.as_bytes();
        let mut measuring = Measuring::new();
        measuring.update(name);
        let measure = measuring.finish();
        let place = Entry::at(format!("{above}/{file}"), false, None);
        if self.opened(&place).await.is_ok_and(|kept| kept == measure) {
            return Ok(());
        }
        let temporary = encoded(&self.temporary(&file, now)?);
        let temporary = Entry::at(format!("{above}/{temporary}"), false, None);
        let plain = Plain::whole(name.to_vec());
        let sealed = self.sealed(&place.path, plain, measure.length, now)?;
        let ask = opaque(self.ask(Method::PUT, &temporary));
        let answer = self.done(ask, sealed).await?;
        if !answer.status().is_success() {
            return Err(refused(answer).into());
        }
        if self.opened(&temporary).await? != measure {
            self.remove(&temporary).await;
            return Err(Left::Unequal);
        }
        let ask = self.moving(&temporary.path, &place.path, true)?;
        let answer = self.done(ask, Cleared::empty()).await?;
        match answer.status() {
            status if status.is_success() && status != StatusCode::MULTI_STATUS => Ok(()),
            _ => Err(refused(answer).into()),
        }
    }

    async fn put_aside(
        &self,
        entry: &Entry,
        sealed: &Entry,
        now: SystemTime,
    ) -> Result<Entry, Left> {
        let name = self.temporary(&entry.name, now)?;
        let aside = Entry::at(format!("{}/{}", sealed.path, encoded(&name)), true, None);
        match self.moved(&entry.path, &aside.path).await? {
            true => Ok(aside),
            false => Err(Left::NameTaken),
        }
    }

    /// Moves the members of a temporary collection one level up and removes it.
    ///
    /// # Errors
    /// The first member that stays, with the collection, or the provider refuses.
    pub async fn dissolve(&self, aside: &Entry) -> Result<(), Left> {
        let mut stays = None;
        for member in self.list(aside).await?.entries {
            let up = format!("{}/{}", aside.parent(), encoded(&member.name));
            let why = match self.moved(&member.path, &up).await {
                Ok(true) => continue,
                Ok(false) => Left::NameTaken,
                Err(left) => left,
            };
            let (path, why) = (self.shown(&member), Box::new(why));
            stays.get_or_insert(Left::Member { path, why });
        }
        if let Some(left) = stays {
            return Err(left);
        }
        let left = self.list(aside).await?;
        match left.entries.is_empty() && left.unnameable.is_empty() {
            true => self.remove(aside).await,
            false => return Err(Left::Changed),
        }
        Ok(())
    }

    /// Moves onto nothing. False: something is there.
    async fn moved(&self, from: &str, to: &str) -> Result<bool, Left> {
        let ask = self.moving(from, to, false)?;
        let answer = self.done(ask, Cleared::empty()).await?;
        match answer.status() {
            StatusCode::PRECONDITION_FAILED => Ok(false),
            status if status.is_success() && status != StatusCode::MULTI_STATUS => Ok(true),
            _ => Err(refused(answer).into()),
        }
    }

    /// Looks at what an interrupted run left: it is removed once its original is seen sealed, and takes the original's
    /// place where that is gone and it is whole. (Some servers remove what a MOVE replaces before they move.)
    ///
    /// # Errors
    /// It stays: its original is not sealed yet, or can't be told.
    pub async fn leftover(&self, entry: &Entry) -> Result<Leftover, Left> {
        let Some(temporary) = Temporary::parse(&self.key, &entry.name) else {
            return Ok(Leftover::Ordinary);
        };
        if !self.begins_sealed(entry).await? {
            return Ok(Leftover::Ordinary);
        }
        let name = match temporary.name() {
            // what tried the provider out belongs to nothing
            Some("") => {
                self.remove(entry).await;
                return Ok(Leftover::Removed);
            }
            Some(name) => name.to_owned(),
            None => {
                let siblings = self
                    .list(&Entry::at(entry.parent().to_owned(), true, None))
                    .await?;
                self.name_among(&temporary, &siblings.entries)
                    .await?
                    .ok_or(Left::Nameless)?
            }
        };
        let original = Entry::at(
            format!("{}/{}", entry.parent(), encoded(&name)),
            false,
            None,
        );
        let sealed = self.sealed_path(&original).ok().flatten();
        let mut there = false;
        for path in [Some(&original.path), sealed.as_ref()]
            .into_iter()
            .flatten()
        {
            let Some(found) = self.at(path).await? else {
                continue;
            };
            there = true;
            if let Ok(super::Look::Sealed) = self.look(&found).await {
                self.remove(entry).await;
                return Ok(Leftover::Removed);
            }
        }
        if there {
            return Err(Left::Waiting);
        }
        match self.opened(entry).await {
            Ok(_) if self.moved(&entry.path, &original.path).await? => {
                Ok(Leftover::Recovered(original))
            }
            Ok(_) => Err(Left::Waiting),
            // half a file of which nothing is left to tell
            Err(Left::Refused(refusal)) if refusal.code == &OBJECT_DAMAGED => {
                self.remove(entry).await;
                Ok(Leftover::Removed)
            }
            Err(left) => Err(left),
        }
    }

    /// The name at the provider, or in clear, of what a temporary file belongs to.
    async fn name_among(
        &self,
        temporary: &Temporary,
        siblings: &[Entry],
    ) -> Result<Option<String>, Left> {
        for sibling in siblings {
            let name = self.clear_name(sibling);
            let Some(file) = name_file(&name) else {
                if temporary.belongs_to(&name) {
                    return Ok(Some(name));
                }
                continue;
            };
            let file = Entry::at(format!("{}/{file}", sibling.parent()), false, None);
            match self.opened(&file).await {
                Ok(kept) if temporary.belongs_to_digest(&kept.sha256) => return Ok(Some(name)),
                Ok(_) => {}
                Err(left) if left.is_gone() => {}
                Err(left) => return Err(left),
            }
        }
        Ok(None)
    }

    fn clear_name(&self, entry: &Entry) -> String {
        let opened = self
            .naming
            .as_ref()
            .and_then(|naming| naming.opened(&entry.name, &[]));
        opened.unwrap_or_else(|| entry.name.clone())
    }
}
